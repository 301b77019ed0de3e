"""Documents: the laws of stores, on SQLite and on the stand-in for mongod."""

from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import pytest

from headwater.log import CANDIDATES
from headwater.message import Candidate, Origin
from storage.contract import Record
from storage.mongo_store import open_mongo_documents
from storage.sqlite_documents import open_sqlite_documents
from tests.services.proxy import Proxy, proxied
from tests.services.server import Server
from tests.storage.documents.kit import (
    LIMIT,
    RETENTION,
    Documents,
    all_ids,
    clock,
    everything,
    mongo_config,
    new_database,
)
from tests.storage.laws import StoreLaws
from tests.storage.sqlite_kit import SqliteLaws, held


class DocumentsPlace(ABC):
    """What is there, by (device, id)."""

    topics = (CANDIDATES,)

    @abstractmethod
    def open(self, log_id: str = "log-1") -> AbstractAsyncContextManager[Documents]: ...

    async def read_back(self) -> object:
        async with self.open() as store:
            found = await everything(store)
            assert sorted(await all_ids(store)) == sorted(one.id for one in found)
            return {(one.device, one.id): (one.origin, one) for one in found} | {"rows": len(found)}

    def expected(self, written: Sequence[Record]) -> object:
        named: dict[tuple[str, str], tuple[Origin, Candidate]] = {}
        for record in written:
            assert isinstance(record.body, Candidate)
            named.setdefault((record.body.device, record.body.id), (record.body.origin, record.body))
        return named | {"rows": len(named)}


class SqlitePlace(DocumentsPlace):
    def __init__(self, folder: Path) -> None:
        self._path = folder / "documents.sqlite"

    def open(self, log_id: str = "log-1") -> AbstractAsyncContextManager[Documents]:
        return open_sqlite_documents(self._path, log_id, retention=RETENTION, clock=clock)

    def taken_away(self) -> AbstractAsyncContextManager[None]:
        return held(self._path)


class TestLawsOnSqlite(SqliteLaws):
    def place(self, folder: Path) -> SqlitePlace:
        return SqlitePlace(folder)


class MongoPlace(DocumentsPlace):
    """A database of its own, behind proxies that can take it away."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._database = new_database()
        self._proxies: list[Proxy] = []

    @asynccontextmanager
    async def open(self, log_id: str = "log-1") -> AsyncGenerator[Documents, None]:
        async with proxied(self._server.port) as proxy:
            config = mongo_config(proxy.port, self._database, LIMIT)
            async with open_mongo_documents(config, log_id, retention=RETENTION, clock=clock) as store:
                self._proxies.append(proxy)
                try:
                    yield store
                finally:
                    self._proxies.remove(proxy)

    @asynccontextmanager
    async def taken_away(self) -> AsyncGenerator[None, None]:
        for proxy in self._proxies:
            await proxy.refuse()
        try:
            yield
        finally:
            for proxy in self._proxies:
                await proxy.serve()


class TestLawsOnTheStandInForMongod(StoreLaws):
    @pytest.fixture(autouse=True)
    def _server(self, mongo_server: Server) -> None:
        self.server = mongo_server

    def place(self, folder: Path) -> MongoPlace:
        return MongoPlace(self.server)

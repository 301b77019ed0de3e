"""Search: the laws of stores, on SQLite and on a real Elasticsearch."""

from collections.abc import AsyncGenerator, Iterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from pathlib import Path
from uuid import uuid4

import pytest

from storage.elastic_store import open_elastic_search
from tests.services.proxy import proxied
from tests.services.server import Server
from tests.storage.laws import StoreLaws
from tests.storage.search.kit import CLOCK, KEEP, Search, SqlitePlace, configured, remove
from tests.storage.sqlite_kit import SqliteLaws


class ElasticPlace(SqlitePlace):
    """One prefix; what is there, as the file has it. Reached through a proxy where one is opened."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self.prefix = f"t{uuid4().hex[:12]}"
        self._port = server.port

    def open(self, log_id: str = "log-1") -> AbstractAsyncContextManager[Search]:
        return self._open(log_id)

    @asynccontextmanager
    async def _open(self, log_id: str) -> AsyncGenerator[Search, None]:
        async with AsyncExitStack() as stack:
            self.proxy = await stack.enter_async_context(proxied(self._server.port))
            config = configured(self.proxy.port, self.prefix, 10)
            yield await stack.enter_async_context(open_elastic_search(config, log_id, retention=KEEP, now=CLOCK))

    @asynccontextmanager
    async def taken_away(self) -> AsyncGenerator[None, None]:
        await self.proxy.refuse()
        yield
        await self.proxy.serve()


class TestSqliteLaws(SqliteLaws):
    def place(self, folder: Path) -> SqlitePlace:
        return SqlitePlace(folder)


class TestElasticLaws(StoreLaws):
    @pytest.fixture(autouse=True)
    def _server(self, elastic_server: Server) -> Iterator[None]:
        self.server = elastic_server
        self.places: list[ElasticPlace] = []
        yield
        for place in self.places:
            remove(elastic_server, place.prefix)

    def place(self, folder: Path) -> ElasticPlace:
        del folder
        self.places.append(ElasticPlace(self.server))
        return self.places[-1]

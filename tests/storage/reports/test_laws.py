"""Reports: the laws of stores, on SQLite and on a real MariaDB."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import pytest

from headwater.log import MESSAGES
from headwater.message import Message
from storage.contract import Record
from storage.mysql_store import MySqlReports, open_mysql_reports
from storage.sqlite_reports import SqliteReports, open_sqlite_reports
from tests.services.proxy import Proxy, proxied
from tests.services.server import Server
from tests.storage.laws import StoreLaws
from tests.storage.reports.kit import (
    EVERYTHING,
    LENGTHS,
    Clock,
    Reports,
    a_database,
    naive,
    once,
    rollups,
    rows,
    said_by,
)
from tests.storage.sqlite_kit import held


class ReportsPlace:
    """What both have in common: (rows, rollups) that a user sees, and what they must be."""

    topics = (MESSAGES,)

    def open(self, log_id: str = "log-1") -> AbstractAsyncContextManager[Reports]:
        raise NotImplementedError

    async def read_back(self) -> object:
        async with self.open() as store:
            return await rows(store), {period: said_by(await rollups(store, period)) for period in LENGTHS}

    def expected(self, written: Sequence[Record]) -> object:
        said = once([record.body for record in written if isinstance(record.body, Message)])
        kept = sorted(said, key=lambda m: (m.time, m.received, m.id, m.device))
        return kept, {period: naive(said, period) for period in LENGTHS}


class SqlitePlace(ReportsPlace):
    def __init__(self, folder: Path) -> None:
        self._path = folder / "reports.sqlite"

    def open(self, log_id: str = "log-1") -> AbstractAsyncContextManager[SqliteReports]:
        return open_sqlite_reports(self._path, log_id, rows=EVERYTHING, now=Clock())

    def taken_away(self) -> AbstractAsyncContextManager[None]:
        return held(self._path)


class MySqlPlace(ReportsPlace):
    """A database of its own, behind a proxy for each that has it open."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._config = a_database(server.port)
        self._proxies: list[Proxy] = []

    @asynccontextmanager
    async def open(self, log_id: str = "log-1") -> AsyncGenerator[MySqlReports, None]:
        async with proxied(self._server.port) as proxy:
            self._proxies.append(proxy)
            config = self._config.model_copy(update={"port": proxy.port})
            try:
                async with open_mysql_reports(config, log_id, rows=EVERYTHING, now=Clock()) as store:
                    yield store
            finally:
                self._proxies.remove(proxy)

    @asynccontextmanager
    async def taken_away(self) -> AsyncGenerator[None, None]:
        await asyncio.gather(*(proxy.hang() for proxy in self._proxies))
        yield
        await asyncio.gather(*(proxy.serve() for proxy in self._proxies))


class TestSqliteReports(StoreLaws):
    @pytest.fixture(autouse=True)
    def _impatient(self, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
        if "taken_away" in request.node.name:
            monkeypatch.setattr("storage.sqlite_file._BUSY_MS", 20)

    def place(self, folder: Path) -> SqlitePlace:
        return SqlitePlace(folder)


class TestMySqlReports(StoreLaws):
    server: Server

    @pytest.fixture(autouse=True, scope="class")
    @classmethod
    def _server(cls, mariadb_server: Server) -> None:
        cls.server = mariadb_server

    def place(self, folder: Path) -> MySqlPlace:
        return MySqlPlace(self.server)

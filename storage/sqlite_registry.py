"""The registry in one SQLite file: see `storage.registry_in_tables`."""

import sqlite3
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeVar

from headwater.times import now
from storage import registry_tables as tables
from storage.registry_in_tables import TablesRegistry
from storage.registry_tables import Steps
from storage.sqlite_file import SqliteFile, open_sqlite

T = TypeVar("T")


class SqliteRegistry(TablesRegistry):
    """Use `open_registry`."""

    def __init__(self, file: SqliteFile, clock: Callable[[], int]) -> None:
        super().__init__(clock)
        self._file = file

    @asynccontextmanager
    async def turn(self) -> AsyncGenerator[bool, None]:
        """Always: one process has the file's log, and sends."""
        yield True

    async def emptied(self) -> bool:
        """Never: a file does not go away while it is open."""
        return False

    async def _read(self, steps: Callable[[], Steps[T]]) -> T:
        return await self._file.read(lambda db: _run(db, steps()))

    async def _write(self, steps: Callable[[], Steps[T]]) -> T:
        return await self._file.write(lambda db: _run(db, steps()))


def _run(connection: sqlite3.Connection, steps: Steps[T]) -> T:
    try:
        query, values = next(steps)
        while True:
            query, values = steps.send(connection.execute(query, tuple(values)).fetchall())  # type: ignore[arg-type]
    except StopIteration as end:
        return end.value


@asynccontextmanager
async def open_registry(path: Path, *, clock: Callable[[], int] = now) -> AsyncGenerator[SqliteRegistry, None]:
    """Open or make it. `clock`: microseconds since 1970 UTC. Raises `Unavailable`."""
    async with open_sqlite(path, tables.SCHEMA) as file:
        yield SqliteRegistry(file, clock)

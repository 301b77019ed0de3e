"""Where a registry of the tests lives: a file, or a database of its own on a real MariaDB.

In: a folder, a server. Out: `Home`: opened any number of times, also by another process, and lost.
"""

import asyncio
import uuid
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Protocol

from pydantic import SecretStr

from headwater.config_stack import MariaDb
from headwater.times import now
from storage.mysql_connection import Cursor, open_mysql
from storage.mysql_registry import MySqlRegistry, open_mysql_registry
from storage.registry_in_tables import TablesRegistry
from storage.sqlite_registry import open_registry


class Home(Protocol):
    """`arguments`: what another process makes the same home from, by `home_from`."""

    arguments: list[str]

    def open(self, clock_at: int | None = None) -> AbstractAsyncContextManager[TablesRegistry]: ...

    async def lost(self) -> None: ...


class FileHome:
    def __init__(self, folder: Path) -> None:
        self.path = folder / "registry.sqlite"
        self.arguments = [str(folder)]

    def open(self, clock_at: int | None = None) -> AbstractAsyncContextManager[TablesRegistry]:
        return open_registry(self.path, clock=now if clock_at is None else lambda: clock_at)

    async def lost(self) -> None:
        """Somebody removes the file."""
        await asyncio.to_thread(lost, self.path)


class MariaHome:
    def __init__(self, port: int, database: str = "", time: float = 5) -> None:
        self.config = MariaDb(
            port=port, user="root", password=SecretStr(""), database=database or f"r_{uuid.uuid4().hex}", time=time
        )
        self.arguments = [str(port), self.config.database]

    def open(self, clock_at: int | None = None) -> AbstractAsyncContextManager[MySqlRegistry]:
        return open_mysql_registry(self.config, clock=now if clock_at is None else lambda: clock_at)

    def through(self, port: int, time: float = 5) -> "MariaHome":
        """The same database by another way."""
        return MariaHome(port, self.config.database, time)

    async def run(self, statement: str) -> None:
        """As an administrator."""

        async def work(cursor: Cursor) -> None:
            await cursor.execute(statement)

        async with open_mysql(self.config, ()) as mysql:
            await mysql.plain(work)

    async def lost(self) -> None:
        """Somebody drops the database."""
        await self.run(f"DROP DATABASE {self.config.database}")


def home_from(arguments: list[str]) -> Home:
    """See `Home.arguments`."""
    return FileHome(Path(arguments[0])) if len(arguments) == 1 else MariaHome(int(arguments[0]), arguments[1], time=2)


def lost(path: Path) -> None:
    """Remove an SQLite file, and what stands beside it."""
    for file in path.parent.glob(path.name + "*"):
        file.unlink()

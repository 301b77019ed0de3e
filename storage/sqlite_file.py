"""One SQLite file: a thread that writes, a thread that reads, every commit on disk before it is reported.

In: functions that get a connection. Out: their results, awaited; `Unavailable` where SQLite says busy, full, I/O error.
A write function runs in one IMMEDIATE transaction: it commits if the function returns, and rolls back if it raises.
"""

import asyncio
import os
import sqlite3
from collections.abc import AsyncGenerator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeVar

from headwater.errors import ConfigError, Unavailable

T = TypeVar("T")
_BUSY_MS = 5_000


class SqliteFile:
    """Use `open_sqlite`. Reads see what was committed when they began; they never wait for a write."""

    def __init__(self, path: Path, schema: str, pragmas: Sequence[str] = (), *, readonly: bool = False) -> None:
        self.path = path
        self._writer = ThreadPoolExecutor(1, f"{path.stem}-write")
        self._reader = ThreadPoolExecutor(1, f"{path.stem}-read")
        self._schema = schema
        self._pragmas = pragmas
        self._readonly = readonly
        self._write_to: sqlite3.Connection | None = None
        self._read_from: sqlite3.Connection | None = None
        self._closed = False

    async def write(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run it in a transaction of its own; on return it is durable (synchronous=FULL)."""
        self._check_open()
        return await asyncio.get_running_loop().run_in_executor(self._writer, self._transaction, work)

    async def read(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run it on the reading connection, in one read transaction."""
        self._check_open()
        return await asyncio.get_running_loop().run_in_executor(self._reader, self._snapshot, work)

    async def fold(self) -> None:
        """Bring what was committed from the write-ahead log into the file, as far as that disturbs nobody."""
        self._check_open()
        await asyncio.get_running_loop().run_in_executor(self._reader, self._fold)

    def _check_open(self) -> None:
        if self._closed:
            raise Unavailable(f"{self.path.name} is closed")

    def _transaction(self, work: Callable[[sqlite3.Connection], T]) -> T:
        connection = self._write_to
        if connection is None:
            raise Unavailable(f"{self.path.name} is closed")
        try:
            connection.execute("BEGIN IMMEDIATE")
            try:
                result = work(connection)
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise
        except sqlite3.OperationalError as error:
            raise Unavailable(f"{self.path.name}: {error}") from error
        return result

    def _snapshot(self, work: Callable[[sqlite3.Connection], T]) -> T:
        connection = self._read_from
        if connection is None:
            raise Unavailable(f"{self.path.name} is closed")
        try:
            connection.execute("BEGIN")
            try:
                return work(connection)
            finally:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
        except sqlite3.OperationalError as error:
            raise Unavailable(f"{self.path.name}: {error}") from error

    def _fold(self) -> None:
        try:
            if self._read_from is not None:
                self._read_from.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
        except sqlite3.OperationalError as error:
            raise Unavailable(f"{self.path.name}: {error}") from error

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self.path, isolation_level=None, timeout=_BUSY_MS / 1000, check_same_thread=False)
        for pragma in self._pragmas:
            connection.execute(f"PRAGMA {pragma}")
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("PRAGMA foreign_keys=ON")
        return connection

    def _open(self) -> None:
        if self._readonly:
            self._read_from = sqlite3.connect(
                f"{self.path.absolute().as_uri()}?mode=ro",
                uri=True,
                isolation_level=None,
                timeout=_BUSY_MS / 1000,
                check_same_thread=False,
            )
            return
        new = not self.path.exists()
        make_folder(self.path.parent)
        self._write_to = self._connect()
        self._write_to.executescript(self._schema)
        self._read_from = self._connect()
        if new:
            sync_folder(self.path.parent)

    async def open(self) -> None:
        """Create the file if need be, and its schema (statements must be `IF NOT EXISTS`)."""
        try:
            await asyncio.get_running_loop().run_in_executor(self._writer, self._open)
        except sqlite3.Error as error:
            raise Unavailable(f"{self.path}: {error}") from error

    def _close(self) -> None:
        for connection in (self._read_from, self._write_to):
            if connection is not None:
                connection.close()
        self._read_from = self._write_to = None

    async def close(self) -> None:
        """Finish what runs, then close; the write-ahead log is folded into the file."""
        self._closed = True
        await asyncio.to_thread(self._reader.shutdown)
        await asyncio.get_running_loop().run_in_executor(self._writer, self._close)
        await asyncio.to_thread(self._writer.shutdown)


def make_folder(folder: Path) -> None:
    """Make it, and what is missing above it, durably. Raises `ConfigError`."""
    if not folder.is_dir():
        make_folder(folder.parent)
        try:
            folder.mkdir(exist_ok=True)
        except OSError as error:
            raise ConfigError(f"cannot make the folder {folder}: {error.strerror}") from None
        sync_folder(folder.parent)


def sync_folder(folder: Path) -> None:
    """Make new names in a folder durable."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@asynccontextmanager
async def open_sqlite(
    path: Path, schema: str, pragmas: Sequence[str] = (), *, readonly: bool = False
) -> AsyncGenerator[SqliteFile, None]:
    """Open above the yield, closed below it. `pragmas`: settings such as "page_size=8192", before anything else.

    `readonly`: see `open_sqlite_readonly`.
    """
    file = SqliteFile(path, schema, pragmas, readonly=readonly)
    try:
        await file.open()
        yield file
    finally:
        await file.close()


@asynccontextmanager
async def open_sqlite_readonly(path: Path) -> AsyncGenerator[SqliteFile, None]:
    """The same for reading only, also beside a process that writes: `write` raises `Unavailable`."""
    file = SqliteFile(path, "", readonly=True)
    try:
        await file.open()
        yield file
    finally:
        await file.close()

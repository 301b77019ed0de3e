"""The selector's checkpoints in one SQLite file: compare-and-set by a version, durable before it is reported.

In: a partition's checkpoint and the version it replaces. Out: the new version, or `Stale` for whoever came second.
"""

import os
import sqlite3
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

from headwater.errors import Stale
from storage.contract import Checkpoint
from storage.sqlite_file import SqliteFile, open_sqlite

_SCHEMA = """
-- version: drawn at random for every save, so that no version comes back, not even after the row was removed by hand.
CREATE TABLE IF NOT EXISTS checkpoints (
  partition INTEGER PRIMARY KEY, version TEXT NOT NULL, log_id TEXT NOT NULL,
  next_offset INTEGER NOT NULL, rule_version INTEGER NOT NULL, state BLOB NOT NULL);
"""


class SqliteCheckpoints:
    """Use `open_checkpoints`."""

    def __init__(self, file: SqliteFile) -> None:
        self._file = file

    async def load(self, partition: int) -> tuple[Checkpoint | None, str]:
        """See `storage.contract.Checkpoints`. Raises `Unavailable`."""
        return await self._file.read(partial(_load, partition))

    async def save(self, partition: int, checkpoint: Checkpoint, expected: str) -> str:
        """See `storage.contract.Checkpoints`. Raises `Stale`, `Unavailable`."""
        return await self._file.write(partial(_save, partition, checkpoint, expected))


@asynccontextmanager
async def open_checkpoints(path: Path) -> AsyncGenerator[SqliteCheckpoints, None]:
    """Open or make the file. Raises `Unavailable`."""
    async with open_sqlite(path, _SCHEMA) as file:
        yield SqliteCheckpoints(file)


def _load(partition: int, connection: sqlite3.Connection) -> tuple[Checkpoint | None, str]:
    row = connection.execute(
        "SELECT log_id, next_offset, rule_version, state, version FROM checkpoints WHERE partition = ?", (partition,)
    ).fetchone()
    return (None, "") if row is None else (Checkpoint(*row[:4]), row[4])


def _save(partition: int, checkpoint: Checkpoint, expected: str, connection: sqlite3.Connection) -> str:
    row = connection.execute("SELECT version FROM checkpoints WHERE partition = ?", (partition,)).fetchone()
    if ("" if row is None else row[0]) != expected:
        raise Stale(f"partition {partition}: another owner has written a checkpoint since ours")
    version = os.urandom(8).hex()
    connection.execute(
        "INSERT OR REPLACE INTO checkpoints VALUES (?, ?, ?, ?, ?, ?)",
        (partition, version, checkpoint.log_id, checkpoint.next_offset, checkpoint.rule_version, checkpoint.state),
    )
    return version

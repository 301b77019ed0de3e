"""An SQLite store taken away: another process holds its file and does not let go."""

import sqlite3
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.storage.laws import StoreLaws


@asynccontextmanager
async def held(path: Path) -> AsyncGenerator[None, None]:
    """Nobody else can write to the file, nor begin to."""
    other = sqlite3.connect(path, isolation_level=None)
    try:
        other.execute("BEGIN IMMEDIATE")
        yield
    finally:
        other.close()


class SqliteLaws(StoreLaws):
    """The laws, for a store that does not wait as long for a file as it would elsewhere."""

    @pytest.fixture(autouse=True)
    def _impatient(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("storage.sqlite_file._BUSY_MS", 200)

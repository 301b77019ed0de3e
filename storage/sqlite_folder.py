"""Folds a file's write-ahead log into the file beside the writing, so that hardly any commit has to do it.

Left to itself SQLite does it within a commit, every few megabytes, and that commit is one of the slow ones: see the
line "at 50,000/s" of `benchmarks.log`. In: how much was written. Out: nothing. Where this falls behind, a commit still
does it: give the file the pragma `LATEST`.
"""

import asyncio
from contextlib import suppress

from headwater.errors import Unavailable
from storage.sqlite_file import SqliteFile

LATEST = "wal_autocheckpoint=4000"
"""Pages in the write-ahead log at which a commit folds them in itself."""

_SIZE = 4 * 2**20
_COMMIT_SIZE = 2 * 8192  # what a commit writes beyond its data


class Folder:
    """One per file. Works in the file's reading thread, for some milliseconds a time."""

    def __init__(self, file: SqliteFile) -> None:
        self._file = file
        self._written = 0
        self._task: asyncio.Task[None] | None = None

    def wrote(self, size: int) -> None:
        """A transaction with so many bytes was committed."""
        self._written += size + _COMMIT_SIZE
        if self._written >= _SIZE and (self._task is None or self._task.done()):
            self._written = 0
            self._task = asyncio.get_running_loop().create_task(self._fold())

    async def close(self) -> None:
        """Wait until nothing is being folded."""
        if self._task is not None:
            await self._task

    async def _fold(self) -> None:
        with suppress(Unavailable):  # then a commit does it
            await self._file.fold()

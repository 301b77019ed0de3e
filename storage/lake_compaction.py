"""Which files of the lake become fewer, and how they are replaced without a loss or a double.

In: a table's files, the time. Out: commits "these instead of those", each at exactly the next version: files that came
meanwhile stay, and if one that was read has gone, nothing is replaced.
"""

import random
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from datetime import UTC, datetime

from duckdb import DuckDBPyConnection

from headwater.errors import Unavailable
from headwater.failpoints import passing
from storage.lake_files import LakeFiles
from storage.lake_log import Conflict, TableLog
from storage.lake_merge import Merge, Part
from storage.lake_output import COMPACT
from storage.lake_snapshot import DataFile, Snapshot

CROWD = 16
"""So many files of like size are merged in a day that is not closed yet."""
_SMALL = 64 * 1024
_STEP = 8
_AT_ONCE = 1000
_TRIES = 50
_PAUSE = 0.01
_DAY = 86_400.0


class Overtaken(Exception):
    """Files that were read are no longer of the table, or rows are on their way: another time."""


def by_day(files: Iterable[DataFile]) -> dict[str, list[DataFile]]:
    """Day → its files."""
    days: dict[str, list[DataFile]] = {}
    for file in files:
        days.setdefault(file.day, []).append(file)
    return days


def can_close(files: Sequence[DataFile], now: float, closed_after: float) -> bool:
    """Whether a day has ended, nothing comes for it any more, and its files are not yet what they could be.

    `now`, `closed_after` in seconds.
    """
    new = [file for file in files if not _is_compact(file)]
    if not new or len(files) < 2:
        return False
    ended = datetime.fromisoformat(f"{files[0].day}T00:00:00").replace(tzinfo=UTC).timestamp() + _DAY
    return max(ended, *(file.modified for file in new)) + closed_after <= now


def crowd(files: Iterable[DataFile], file_size: int) -> list[DataFile]:
    """Files of like size that have become many, the oldest first; none if there is no such crowd.

    A row is rewritten once for each step of size, so four times before its file is large.
    """
    steps: dict[int, list[DataFile]] = {}
    for file in files:
        if not _is_compact(file) and file.size < file_size:
            step, size = 0, _SMALL
            while file.size > size:
                step, size = step + 1, size * _STEP
            steps.setdefault(step, []).append(file)
    for step in sorted(steps):
        if len(steps[step]) >= CROWD:
            return sorted(steps[step], key=lambda file: file.modified)[:_AT_ONCE]
    return []


def _is_compact(file: DataFile) -> bool:
    return file.path.rpartition("/")[2].startswith(COMPACT)


class Compactor:
    """Merges and replaces. `logs`: of this one's own. `go_on` ends a merge by raising."""

    def __init__(self, duck: DuckDBPyConnection, files: LakeFiles, file_size: int, go_on: Callable[[], None]) -> None:
        self._duck = duck
        self._files = files
        self._file_size = file_size
        self._go_on = go_on

    def close_day(self, logs: Sequence[TableLog], day: str) -> None:
        """Leave one row an id in a day of a topic's tables (the topic's own one first), in few large files.

        Readings know their message by its place on the log only. So they are replaced first: as long as the repeated
        messages are there, it can be told which readings go with them. Raises `Overtaken`.
        """
        pinned = [_look(log) for log in logs]
        for at in pinned[1:]:
            # Messages are committed first: only a table that has come as far has all the readings of these messages.
            if any(at.transactions.get(app, -1) < position for app, position in pinned[0].transactions.items()):
                raise Overtaken(f"{day}: rows are on their way")
        parts = [Part(log.table, by_day(at.files.values()).get(day, [])) for log, at in zip(logs, pinned, strict=True)]
        self._merge_and_replace(logs, parts, day, once=True)

    def thin(self, log: TableLog, day: str, files: Sequence[DataFile]) -> None:
        """Make one of these files of a day; rows stay as many as they are. Raises `Overtaken`."""
        self._merge_and_replace([log], [Part(log.table, files)], day, once=False)

    def _merge_and_replace(self, logs: Sequence[TableLog], parts: Sequence[Part], day: str, *, once: bool) -> None:
        made = Merge(self._duck, self._files, parts, once=once, go_on=self._go_on).run(day, self._file_size)
        passing("lake.compacting")
        for log, part, files in reversed(list(zip(logs, parts, made, strict=True))):
            try:
                replace(log, part.files, files)
            except Overtaken:
                with suppress(OSError):
                    self._files.remove(f"{log.table.name}/{file.path}" for file in files)
                raise
        passing("lake.compacted")


def _look(log: TableLog) -> Snapshot:
    at = log.latest()
    if at is None:
        raise Overtaken(f"{log.table.name} is not there")
    return at


def replace(log: TableLog, old: Sequence[DataFile], new: Sequence[DataFile], operation: str = "OPTIMIZE") -> None:
    """Commit "these instead of those". Raises `Overtaken` where one of those has gone, `Unavailable`."""
    for _ in range(_TRIES):
        at = _look(log)
        if any(file.path not in at.files for file in old):
            raise Overtaken(f"{log.table.name}: files that were read have gone")
        try:
            log.commit(at, operation, add=new, remove=old, transactions=at.transactions)
        except Conflict:
            time.sleep(random.random() * _PAUSE)  # noqa: S311 -- not for secrets
        else:
            return
    raise Unavailable(f"{log.table.name}: {_TRIES} others came first")

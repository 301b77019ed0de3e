"""Keeps the lake fast and small: closed days become few large files, open days not too many, old files go.

In: the lake and the time. Out: commits that only move rows (`lake_compaction`), checkpoints, and files removed that no
reader can need any more. One maintainer is enough; two do no harm.
"""

import asyncio
import math
import threading
from collections.abc import Generator
from contextlib import contextmanager
from typing import NamedTuple

import duckdb
from deltalake.exceptions import DeltaError

from headwater.config import Lake
from headwater.errors import Unavailable
from headwater.saying import get_logger
from headwater.times import SECOND
from headwater.times import now as this_moment
from storage.arrow import pa
from storage.delta_lake import DeltaLake
from storage.duck import connect
from storage.lake_compaction import Compactor, Overtaken, by_day, can_close, crowd
from storage.lake_errors import first_line
from storage.lake_log import TableLog
from storage.lake_merge import Difference
from storage.lake_schema import OF_TOPIC

_MEMORY = "256MiB"
_TROUBLE = (OSError, DeltaError, duckdb.Error, pa.ArrowException, Unavailable, Difference)
_log = get_logger()


class Done(NamedTuple):
    """What one round did: days closed (of a topic), crowds of files merged in open days, files removed."""

    closed: int = 0
    thinned: int = 0
    removed: int = 0


class _Stopped(Exception):
    pass


class Maintainer:
    """`run` it beside the lake. It has its own view of the tables, its own DuckDB, and one thread at a time."""

    def __init__(self, lake: DeltaLake, config: Lake) -> None:
        self._files = lake.files
        self._config = config
        self._topics = [[TableLog(lake.files, table) for table in tables] for tables in OF_TOPIC.values()]
        self._stopping = threading.Event()

    async def run(self, stop: asyncio.Event) -> None:
        """A round every `maintain_every` seconds until `stop` is set; then the round is given up where it can be."""
        stopped = asyncio.create_task(stop.wait())
        try:
            while not stop.is_set():
                round_ = asyncio.create_task(self.once())
                await asyncio.wait({round_, stopped}, return_when=asyncio.FIRST_COMPLETED)
                if stop.is_set():
                    self._stopping.set()
                await round_
                await asyncio.wait({stopped}, timeout=self._config.maintain_every)
        finally:
            self._stopping.set()
            stopped.cancel()

    async def once(self, now: int | None = None) -> Done:
        """One round at this time (microseconds). What fails is said, left as it was, and tried in the next round."""
        moment = (this_moment() if now is None else now) / SECOND
        return await asyncio.to_thread(self._round, moment)

    def _round(self, now: float) -> Done:
        with connect(self._files.scratch, 1, _MEMORY) as duck:
            compactor = Compactor(duck, self._files, self._config.file_size, self._go_on)
            closed = thinned = removed = 0
            try:
                for logs in self._topics:
                    closed += self._close_days(compactor, logs, now)
                    for log in logs:
                        thinned += self._thin(compactor, log)
                        removed += self._vacuum(log)
            except _Stopped:
                pass
        return Done(closed, thinned, removed)

    def _go_on(self) -> None:
        if self._stopping.is_set():
            raise _Stopped

    def _close_days(self, compactor: Compactor, logs: list[TableLog], now: float) -> int:
        """Of one topic; how many."""
        days: set[str] = set()
        for log in logs:
            with _saying("its days are not closed", log):
                at = log.latest()
                found = by_day(at.files.values() if at else ())
                days |= {day for day, files in found.items() if can_close(files, now, self._config.closed_after)}
        closed = 0
        for day in sorted(days):
            self._go_on()
            with _saying(f"{day} is not closed", logs[0]):
                compactor.close_day(logs, day)
                closed += 1
        return closed

    def _thin(self, compactor: Compactor, log: TableLog) -> int:
        """Merge crowds of small files, of all days that have one; how many."""
        thinned = 0
        with _saying("it has many small files", log):
            at = log.latest()
            for day, files in by_day(at.files.values() if at else ()).items():
                while few := crowd(files, self._config.file_size):
                    self._go_on()
                    compactor.thin(log, day, few)
                    gone = {file.path for file in few}
                    files = [file for file in files if file.path not in gone]  # noqa: PLW2901 -- what is left of it
                    thinned += 1
        return thinned

    def _vacuum(self, log: TableLog) -> int:
        """Sum the log up, drop what is summed up, and remove files that no reader can need; how many of these."""
        with _saying("its old files are kept", log):
            if log.latest() is None:
                return 0
            log.checkpoint_if_due()
            log.tidy()
            # An hour at least: a file may be older than the commit that is going to refer to it.
            hours = max(1, math.ceil(self._config.vacuum_after / 3600))
            paths = log.unreferenced(hours)
            self._files.remove(paths)
            return len(paths)
        return 0


@contextmanager
def _saying(what: str, log: TableLog) -> Generator[None]:
    """What fails here waits for the next round: say so, and go on with the rest."""
    try:
        yield
    except Overtaken:
        return
    except _TROUBLE as error:
        _log.warning("the lake's maintenance failed", table=log.table.name, what=what, error=first_line(error))

"""A device is forgotten in the lake: each file that has rows of it is replaced by one without them.

In: the tables, a device, and until when. Out: commits "this file instead of that", day by day, each proved by count and
ids before it is made. Files that are replaced stay for readers for `lake.vacuum_after`; then the maintainer removes
them. Killed anywhere, it leaves whole tables: begin again, and what is done needs nothing more.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from duckdb import DuckDBPyConnection

from headwater.errors import Unavailable
from headwater.failpoints import passing
from storage.arrow import pa
from storage.duck import connect
from storage.lake_compaction import Overtaken, by_day, replace
from storage.lake_files import LakeFiles
from storage.lake_log import TableLog
from storage.lake_merge import Difference
from storage.lake_output import COMPACT, Output
from storage.lake_schema import CANDIDATES_TABLE, OF_TOPIC, READINGS, ROW_GROUP
from storage.lake_snapshot import DataFile, Snapshot

_MEMORY = "256MiB"
_TRIES = 5
_WHOLE = 2**62
"""Bytes: a file becomes one file."""


class Eraser:
    """For one thread, once. `go_on` ends it by raising."""

    def __init__(self, files: LakeFiles, device: str, before: int, go_on: Callable[[], None]) -> None:
        self._files = files
        self._values = [device, before]
        self._device = device
        self._go_on = go_on

    def run(self) -> int:
        """How many rows were removed. Raises `Unavailable`, `Difference`, `OSError`, `duckdb.Error`."""
        erased = 0
        with connect(self._files.scratch, 1, _MEMORY) as duck:
            for tables in OF_TOPIC.values():
                logs = [TableLog(self._files, table) for table in tables]
                for day in sorted({day for log in logs for day in by_day(_look(log).files.values())}):
                    erased += self._again(partial(self._day, duck, logs, day), day)
        return erased

    def _again(self, work: Callable[[], int], day: str) -> int:
        for _ in range(_TRIES):
            try:
                return work()
            except Overtaken:
                self._go_on()
        raise Unavailable(f"the lake's day {day} changes faster than it can be rewritten")

    def _day(self, duck: DuckDBPyConnection, logs: Sequence[TableLog], day: str) -> int:
        """One day of a topic's tables. Readings know their message by its place alone: they go first."""
        pinned = [_look(log) for log in logs]
        own = by_day(pinned[0].files.values()).get(day, [])
        for at in pinned[1:]:
            if any(at.transactions.get(app, -1) < position for app, position in pinned[0].transactions.items()):
                raise Overtaken(f"{day}: rows are on their way")
        chosen = self._choose(duck, logs[0], own)
        erased = 0
        for log, at in reversed(list(zip(logs, pinned, strict=True))):
            for file in by_day(at.files.values()).get(day, []):
                if chosen and file.may_hold(self._device, None, None):
                    self._go_on()
                    erased += self._file(duck, log, file)
        return erased

    def _choose(self, duck: DuckDBPyConnection, log: TableLog, files: Sequence[DataFile]) -> int:
        """Note which rows of the topic's own table go; how many."""
        received = "message.received" if log.table is CANDIDATES_TABLE else "received"
        names = [f"{log.table.name}/{file.path}" for file in files if file.may_hold(self._device, None, None)]
        duck.execute('CREATE OR REPLACE TEMP TABLE chosen ("partition" INTEGER, "offset" BIGINT)')
        if not names:
            return 0
        with self._files.local(names) as paths:
            sql = f"""INSERT INTO chosen SELECT "partition", "offset" FROM read_parquet(?)
                WHERE device = ? AND epoch_us({received}) < ?"""  # noqa: S608 -- our own words
            duck.execute(sql, [list(paths), *self._values])
        return int(duck.execute("SELECT count(*) FROM chosen").fetchall()[0][0])

    def _file(self, duck: DuckDBPyConnection, log: TableLog, file: DataFile) -> int:
        """How many rows of it have gone."""
        with self._files.local([f"{log.table.name}/{file.path}"]) as paths:
            gone = 'device = ? AND ("partition", "offset") IN (SELECT ("partition", "offset") FROM chosen)'
            source: list[Any] = [list(paths), self._device]
            count = int(_one(duck, f"SELECT count(*) FROM read_parquet(?) WHERE {gone}", source)[0])  # noqa: S608
            if not count:
                return 0
            made = self._without(duck, log, file, gone, source)
        passing("lake.erasing")
        try:
            replace(log, [file], made, "DELETE")
        except Overtaken:
            self._files.remove(f"{log.table.name}/{one.path}" for one in made)
            raise
        passing("lake.erased")
        return count

    def _without(
        self, duck: DuckDBPyConnection, log: TableLog, file: DataFile, gone: str, source: list[Any]
    ) -> list[DataFile]:
        table = log.table
        kind = COMPACT if file.path.rpartition("/")[2].startswith(COMPACT) else ""
        columns, order = (", ".join(f'"{name}"' for name in names) for names in (table.schema.names, table.order))
        left = f"FROM read_parquet(?) WHERE NOT ({gone})"
        output = Output(self._files, table, file.day, [file], _WHOLE, kind)
        try:
            rows = duck.sql(f"SELECT {columns} {left} ORDER BY {order}", params=source)
            for batch in rows.to_arrow_reader(ROW_GROUP):
                output.write(pa.Table.from_batches([batch]).cast(table.schema))
            made = output.close()
            identity = 'device, "partition", "offset"' + (", field, value" if table.name == READINGS else ", id")
            summed = f"SELECT count(*), coalesce(bit_xor(hash({identity})), 0)"
            wanted, found = _one(duck, f"{summed} {left}", source), (0, 0)
            if made:
                with self._files.local([f"{table.name}/{one.path}" for one in made]) as paths:
                    found = _one(duck, f"{summed} FROM read_parquet(?)", [list(paths)])
            _prove(table.name, wanted, found)
        except BaseException:
            output.discard()
            raise
        return made


def _prove(name: str, wanted: tuple[int, ...], found: tuple[int, ...]) -> None:
    if found != wanted:
        raise Difference(f"{name}: {wanted[0]} rows were to stay, {found[0]} did, or others")


def _look(log: TableLog) -> Snapshot:
    at = log.latest()
    if at is None:
        raise Unavailable(f"the lake's table {log.table.name} is not there")
    return at


def _one(duck: DuckDBPyConnection, sql: str, values: Sequence[Any]) -> tuple[int, ...]:
    found: tuple[int, ...] = tuple(duck.execute(sql, values).fetchall()[0])
    return found

"""Many files of a day → few, sorted, and if asked for one row an id; with the proof that no id got lost.

In: the files of one day, of one table or of the tables of a topic. Out: new files on disk that nobody refers to yet.
The work goes device range by device range, so that memory does not grow with the day.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack
from itertools import pairwise
from typing import Any, NamedTuple

from duckdb import DuckDBPyConnection

from storage.arrow import Rows, pa
from storage.lake_files import LakeFiles
from storage.lake_output import COMPACT, Output
from storage.lake_schema import READINGS, ROW_GROUP, Table
from storage.lake_snapshot import DataFile

RANGE = 200_000
"""Rows of the topic's own table that are sorted at once, with all that belongs to them."""


class Part(NamedTuple):
    """A table's files that become fewer."""

    table: Table
    files: Sequence[DataFile]


class Difference(Exception):
    """The new files do not hold what the old ones did: they are not to be used."""


class _Sum(NamedTuple):
    """What a set of rows adds up to: equal for equal sets, in whatever order and however cut."""

    rows: int = 0
    mixed: int = 0

    def plus(self, other: "_Sum") -> "_Sum":
        return _Sum(self.rows + other.rows, self.mixed ^ other.mixed)

    def minus(self, other: "_Sum") -> "_Sum":
        return _Sum(self.rows - other.rows, self.mixed ^ other.mixed)


class Merge:
    """One merge. `parts`: a table, or the tables of a topic, the topic's own one first.

    `once`: leave one row an id. `go_on` is called between ranges, and ends the merge by raising.
    """

    def __init__(
        self,
        duck: DuckDBPyConnection,
        files: LakeFiles,
        parts: Sequence[Part],
        *,
        once: bool,
        go_on: Callable[[], None],
    ) -> None:
        self._duck = duck
        self._files = files
        self._parts = parts
        self._once = once
        self._go_on = go_on
        self._before = [_Sum()] * len(parts)
        self._sources: list[Sequence[str]] = []

    def run(self, day: str, file_size: int) -> list[list[DataFile]]:
        """The new files of each part. Raises `Difference`, `duckdb.Error`, `OSError`."""
        with ExitStack() as held:
            self._sources = [held.enter_context(self._names(part, part.files)) for part in self._parts]
            return self._run(day, file_size)

    def _run(self, day: str, file_size: int) -> list[list[DataFile]]:
        kind = COMPACT if self._once else ""
        outputs = [Output(self._files, part.table, day, part.files, file_size, kind) for part in self._parts]
        try:
            for within, values in self._ranges():
                self._go_on()
                self._range(within, values, outputs)
            made = [output.close() for output in outputs]
            self._prove(made)
        except BaseException:
            for output in outputs:
                output.discard()
            raise
        return made

    def _range(self, within: str, values: Sequence[str], outputs: Sequence[Output]) -> None:
        repeated = self._find_repeated(within, values) if self._once else 0
        for number, (part, output) in enumerate(zip(self._parts, outputs, strict=True)):
            source = [self._sources[number], *values]
            self._before[number] = self._before[number].plus(self._sum_before(part, within, source))
            for rows in self._rows(part, within, source, repeated=repeated > 0):
                output.write(rows)

    def _ranges(self) -> Iterator[tuple[str, Sequence[str]]]:
        """Conditions that together hold for every device, each for not too many rows."""
        own = self._parts[0]
        bounds: list[str] = []
        if sum(file.rows for file in own.files) > RANGE:
            sql = "SELECT device, count(*) FROM read_parquet(?) GROUP BY device ORDER BY device"
            rows = 0
            for device, count in self._duck.execute(sql, [self._sources[0]]).fetchall():
                if rows and rows + count > RANGE:
                    bounds.append(device)
                    rows = 0
                rows += count
        if not bounds:
            yield "true", []
            return
        yield "device < ?", [bounds[0]]
        for low, high in pairwise(bounds):
            yield "device >= ? AND device < ?", [low, high]
        yield "device >= ?", [bounds[-1]]

    def _find_repeated(self, within: str, values: Sequence[str]) -> int:
        """Note the rows of the topic's own table that repeat an id. `elsewhere`: they stand elsewhere on the log."""
        own = self._parts[0]
        self._duck.execute(
            f"""CREATE OR REPLACE TEMP TABLE repeated AS
            SELECT device, "partition", "offset", ("partition", "offset") <> (first_partition, first_offset) elsewhere
            FROM (SELECT device, "partition", "offset", row_number() OVER ranked nth,
                         first_value("partition") OVER ranked first_partition,
                         first_value("offset") OVER ranked first_offset
                  FROM read_parquet(?) WHERE {within}
                  WINDOW ranked AS (PARTITION BY device, id ORDER BY {own.table.rank}))
            WHERE nth > 1""",  # noqa: S608 -- our own words
            [self._sources[0], *values],
        )
        return self._one("SELECT count(*) FROM repeated", [])[0]

    def _rows(self, part: Part, within: str, source: Sequence[Any], *, repeated: bool) -> Iterator[Rows]:
        """What shall be there, in order."""
        columns = ", ".join(f'"{name}"' for name in part.table.schema.names)
        order = ", ".join(f'"{name}"' for name in part.table.order)
        rows, once = "read_parquet(?)", ""
        if repeated and part.table.name == READINGS:
            rows += f" ANTI JOIN {_ELSEWHERE}"
        elif repeated:
            once = f"QUALIFY row_number() OVER (PARTITION BY device, id ORDER BY {part.table.rank}) = 1"
        sql = f"SELECT {columns} FROM {rows} WHERE {within} {once} ORDER BY {order}"  # noqa: S608
        for batch in self._duck.sql(sql, params=source).to_arrow_reader(ROW_GROUP):
            yield pa.Table.from_batches([batch]).cast(part.table.schema)

    def _sum_before(self, part: Part, within: str, source: Sequence[Any]) -> _Sum:
        """What the range must add up to, found in another way than its rows are."""
        rows = f"(SELECT * FROM read_parquet(?) WHERE {within})"  # noqa: S608
        if self._once and part.table.name != READINGS:
            return self._sum(f"(SELECT DISTINCT device, id FROM {rows})", "device, id", source)  # noqa: S608
        everything = self._sum(rows, self._identity(part), source)
        if not self._once:
            return everything
        return everything.minus(self._sum(f"{rows} SEMI JOIN {_ELSEWHERE}", self._identity(part), source))

    def _prove(self, made: Sequence[Sequence[DataFile]]) -> None:
        for part, files, before in zip(self._parts, made, self._before, strict=True):
            with self._names(part, files) as names:
                after = self._sum("read_parquet(?)", self._identity(part), [names]) if files else _Sum()
            if after != before:
                raise Difference(f"{part.table.name}: {before.rows} ids before, {after.rows} after, or others")

    def _identity(self, part: Part) -> str:
        if part.table.name == READINGS:
            return 'device, field, epoch_us("time"), value, "partition", "offset"'
        return "device, id" if self._once else 'device, id, "partition", "offset"'

    def _sum(self, rows: str, identity: str, source: Sequence[Any]) -> _Sum:
        sql = f"SELECT count(*), coalesce(bit_xor(hash({identity})), 0) FROM {rows}"  # noqa: S608
        return _Sum(*self._one(sql, source))

    def _one(self, sql: str, values: Sequence[Any]) -> tuple[int, ...]:
        return self._duck.execute(sql, values).fetchall()[0]

    def _names(self, part: Part, files: Sequence[DataFile]) -> AbstractContextManager[Sequence[str]]:
        return self._files.local([f"{part.table.name}/{file.path}" for file in files])


_ELSEWHERE = '(SELECT * FROM repeated WHERE elsewhere) USING (device, "partition", "offset")'

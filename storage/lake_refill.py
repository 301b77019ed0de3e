"""What fills a store that is new or came back empty: the lake's records of a partition, as they stood on the log.

In: a lake, a topic's partition, and the position above which records are wanted. Out: records in the order of their
positions, each position once, in batches. Memory is bounded: a day is sorted at a time, on disk where it is large.

A row does not say which log it stood on. Where the lake has rows of an older log too, the one that was received last is
this log's, and nothing above this log's ledger is.
"""

import asyncio
from collections.abc import AsyncGenerator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any, NamedTuple

import duckdb

from headwater.errors import Unavailable
from headwater.log import CANDIDATES, MESSAGES
from storage.contract import ORIGIN_BITS, Record
from storage.duck import connect
from storage.lake_compaction import by_day
from storage.lake_errors import as_unavailable, first_line
from storage.lake_reader import DeltaLakeReader
from storage.lake_schema import OF_TOPIC
from storage.lake_values import COLUMNS

BATCH = 1_000
_MEMORY = "256MiB"


class _Day(NamedTuple):
    """Its files, and the range of the wanted positions in them."""

    files: Sequence[str]
    low: int
    high: int


async def refill(
    lake: DeltaLakeReader, topic: str, partition: int, above: int = -1
) -> AsyncGenerator[Sequence[Record], None]:
    """Records of this lake's log above the position, up to the ledger of the version that is there at the call.

    Close it (`aclosing`) when no more are wanted. Raises `Unavailable`: go on later, above the last position taken.
    """
    duck = await asyncio.to_thread(connect, lake.files.scratch, 1, _MEMORY)
    thread = ThreadPoolExecutor(1, "lake-refill")
    loop = asyncio.get_running_loop()
    source = _Source(lake, duck, topic, partition, above).batches()
    try:
        while batch := await loop.run_in_executor(thread, _next, source):
            yield batch
    finally:
        duck.interrupt()
        thread.shutdown(wait=False)
        await asyncio.to_thread(_end, thread, source, duck)


def _next(source: Iterator[list[Record]]) -> list[Record]:
    try:
        with as_unavailable():
            return next(source, [])
    except duckdb.Error as error:
        raise Unavailable(f"the lake: {first_line(error)}") from error


def _end(thread: ThreadPoolExecutor, source: Any, duck: duckdb.DuckDBPyConnection) -> None:
    thread.shutdown()
    source.close()
    duck.close()


class _Source:
    """The same, for one thread."""

    def __init__(
        self, lake: DeltaLakeReader, duck: duckdb.DuckDBPyConnection, topic: str, partition: int, above: int
    ) -> None:
        self._lake = lake
        self._duck = duck
        self._topic = topic
        self._partition = partition
        self._above = above
        self._table = OF_TOPIC[topic][0]
        candidates = topic == CANDIDATES
        self._position = f'(origin."offset" * {1 << ORIGIN_BITS} + origin.n)' if candidates else '"offset"'
        self._received = "message.received" if candidates else "received"

    def batches(self) -> Iterator[list[Record]]:
        at = self._lake.look(self._topic)
        upto = -1 if at is None else at.ledger(self._lake.log_id, self._topic).get(self._partition, -1)
        if at is None or upto <= self._above:
            return
        found = (
            self._range([f"{self._table.name}/{file.path}" for file in files], upto)
            for files in by_day(at.files.values()).values()
        )
        days = [day for day in found if day is not None]
        # Days overlap a little, where clocks did: a slice begins with each day, and takes from all that reach into it.
        starts = sorted({day.low for day in days})
        for low, end in pairwise([*starts, upto + 1]):
            files = [path for day in days if day.low < end and day.high >= low for path in day.files]
            yield from self._slice(files, low, end)

    def _range(self, files: Sequence[str], upto: int) -> _Day | None:
        sql = (
            f"SELECT min({self._position}), max({self._position}) FROM read_parquet(?) "  # noqa: S608 -- our own words
            f'WHERE "partition" = ? AND {self._position} > ? AND {self._position} <= ?'
        )
        with self._lake.files.local(files) as names:
            values = [names, self._partition, self._above, upto]
            ((low, high),) = self._duck.execute(sql, values).fetchall()
        return None if low is None else _Day(files, low, high)

    def _slice(self, files: Sequence[str], low: int, end: int) -> Iterator[list[Record]]:
        columns = COLUMNS[self._topic]
        sql = (
            f'SELECT "offset", {self._position} AS place, {columns.select} '  # noqa: S608 -- our own words
            f'FROM read_parquet(?) WHERE "partition" = ? AND {self._position} >= ? AND {self._position} < ? '
            f'ORDER BY place, {self._received} DESC, "offset"'
        )
        last = -1
        with self._lake.files.local(files) as names:
            cursor = self._duck.execute(sql, [names, self._partition, low, end])
            while rows := cursor.fetchmany(BATCH):
                batch: list[Record] = []
                for row in rows:
                    if row[1] > last:
                        last = row[1]
                        batch.append(self._record(row[0], last, columns.made(row[2:])))
                if batch:
                    yield batch

    def _record(self, offset: int, position: int, made: Any) -> Record:
        body = made.message if self._topic == MESSAGES else made
        return Record(self._topic, self._partition, offset, position, body)

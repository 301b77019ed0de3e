"""Reads the lake: history, candidates, rejected messages, and all ids; each from one pinned version of its table.

In: questions. Out: records, one row an id, and the ledger of exactly the version that was read. DuckDB reads the
Parquet files; which ones is known from the Delta log, which is followed commit by commit.
"""

import asyncio
import threading
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

import duckdb

from headwater.errors import Unavailable
from headwater.log import CANDIDATES, MESSAGES, REJECTED
from headwater.message import Candidate, RejectedMessage
from storage.arrow import pq
from storage.contract import LakeRow, Span
from storage.duck import connect
from storage.lake_errors import as_unavailable, first_line
from storage.lake_files import LakeFiles, open_files
from storage.lake_log import TableLog
from storage.lake_query import Answer, Execute, Question
from storage.lake_schema import OF_TOPIC
from storage.lake_snapshot import Snapshot
from storage.lake_values import COLUMNS

T = TypeVar("T")
_THREADS = 2
_MEMORY = "256MiB"
_IDS = 10_000


class DeltaLakeReader:
    """Use `open_lake_reader`, or a `DeltaLake`, which is one too. `time`: seconds an answer may take."""

    def __init__(self, files: LakeFiles, log_id: str, time: float) -> None:
        self.files = files
        self.log_id = log_id
        self._time = time
        self._threads = ThreadPoolExecutor(_THREADS, "lake-read")
        self._logs = {topic: TableLog(files, OF_TOPIC[topic][0]) for topic in (MESSAGES, CANDIDATES, REJECTED)}
        self._looking = threading.Lock()
        self._duck = connect(files.scratch, _THREADS, _MEMORY)

    async def history(
        self,
        device: str,
        span: Span,
        limit: int,
        *,
        field: str | None = None,
        newest_first: bool = True,
        after: tuple[int, int, str] | None = None,
    ) -> tuple[Sequence[LakeRow], Mapping[int, int]]:
        """See `LakeReader.history`."""
        where: list[tuple[str, Sequence[Any]]] = []
        if field is not None:
            has = " OR ".join(f"map_contains({kind}, ?)" for kind in ("numbers", "bools", "texts"))
            where.append((has, [field] * 3))
        order = ("time", "received", "id")
        return await self._ask(
            MESSAGES, device, span, limit, order, newest_first=newest_first, after=after, where=where
        )

    async def candidates(
        self,
        device: str | None,
        span: Span,
        limit: int,
        *,
        newest_first: bool = True,
        after: tuple[int, str] | None = None,
    ) -> tuple[Sequence[Candidate], Mapping[int, int]]:
        """See `LakeReader.candidates`. Of several revisions of a candidate the highest one."""
        return await self._ask(CANDIDATES, device, span, limit, ("time", "id"), newest_first=newest_first, after=after)

    async def rejected(
        self, span: Span, limit: int, *, reason: str | None = None, device: str | None = None
    ) -> tuple[Sequence[RejectedMessage], Mapping[int, int]]:
        """See `LakeReader.rejected`. `span` is of `received`."""
        where: list[tuple[str, Sequence[Any]]] = [] if reason is None else [("reason = ?", [reason])]
        return await self._ask(REJECTED, device, span, limit, ("received", "id"), newest_first=True, where=where)

    async def ledger(self, topic: str) -> Mapping[int, int]:
        """Partition → highest position applied in the topic's own table, for this log."""
        at = await self._run(lambda _: self.look(topic))
        return {} if at is None else at.ledger(self.log_id, topic)

    async def ids(self, topic: str) -> AsyncGenerator[Sequence[tuple[int, int, str, str]], None]:
        """See `LakeReader.ids`."""
        table = OF_TOPIC[topic][0].name
        at = await self._run(lambda _: self.look(topic))
        for path in () if at is None else at.files:
            group = 0
            while rows := await self._run(lambda _, at=(f"{table}/{path}", group): self._ids_of(*at)):
                group += 1
                for start in range(0, len(rows), _IDS):
                    yield rows[start : start + _IDS]

    def _ids_of(self, path: str, group: int) -> list[tuple[int, int, str, str]]:
        """Of one row group; none behind the last one."""
        with self.files.source(path) as source:
            file = pq.ParquetFile(source)
            if group >= file.num_row_groups:
                return []
            rows = file.read_row_group(group, columns=["partition", "offset", "device", "id"]).to_pydict()
        return list(zip(rows["partition"], rows["offset"], rows["device"], rows["id"], strict=True))

    async def close(self) -> None:
        """End what runs, by interrupting it."""
        self._duck.interrupt()
        await asyncio.to_thread(self._threads.shutdown)
        self._duck.close()

    async def _ask(
        self,
        topic: str,
        device: str | None,
        span: Span,
        limit: int,
        order: tuple[str, ...],
        *,
        newest_first: bool,
        after: tuple[Any, ...] | None = None,
        where: Sequence[tuple[str, Sequence[Any]]] = (),
    ) -> tuple[Sequence[Any], Mapping[int, int]]:
        columns, table = COLUMNS[topic], OF_TOPIC[topic][0]
        question = Question(
            table, columns.select, device, span, order, newest_first, after, tuple(where), columns.drifts
        )

        def answer(execute: Execute) -> tuple[Sequence[Any], Mapping[int, int]]:
            at = self.look(topic)
            if at is None:
                return [], {}
            found = Answer(execute, self.files.local, list(at.files.values()), question).rows(limit)
            return [columns.made(row.columns) for row in found], at.ledger(self.log_id, topic)

        def twice(execute: Execute) -> tuple[Sequence[Any], Mapping[int, int]]:
            try:
                return answer(execute)
            except (duckdb.IOException, FileNotFoundError):
                # Vacuum has overtaken us: files of the version we looked at are gone. A newer one has others.
                return answer(execute)

        return await self._run(twice)

    def look(self, topic: str) -> Snapshot | None:
        """The newest version of the topic's own table, or None. Blocks; raises `OSError`, `DeltaError`."""
        with self._looking:
            return self._logs[topic].latest()

    async def _run(self, work: Callable[[Execute], T]) -> T:
        """Do it in one of our threads, within the time an answer may take."""
        cursor = self._duck.cursor()
        stopped = threading.Event()

        def execute(sql: str, values: Sequence[Any]) -> list[Any]:
            if stopped.is_set():
                raise Unavailable("nobody waits for this answer any more")
            return cursor.execute(sql, values).fetchall()

        future = self._threads.submit(lambda: work(execute))
        future.add_done_callback(lambda _: cursor.close())
        try:
            async with asyncio.timeout(self._time):
                with as_unavailable():
                    return await asyncio.wrap_future(future)
        except TimeoutError:
            raise Unavailable(f"the lake did not answer within {self._time:g} seconds; ask for less") from None
        except duckdb.Error as error:
            raise Unavailable(f"the lake: {first_line(error)}") from error
        finally:
            if not future.done():
                stopped.set()
                cursor.interrupt()


@asynccontextmanager
async def open_lake_reader(
    root: Path, log_id: str, *, answer_time: float = 30.0
) -> AsyncGenerator[DeltaLakeReader, None]:
    """A reader of the lake in a folder, whether there is one yet or not. `answer_time`: seconds an answer may take."""
    async with open_files(root) as files:
        reader = DeltaLakeReader(files, log_id, answer_time)
        try:
            yield reader
        finally:
            await reader.close()

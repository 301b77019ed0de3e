"""The lake: every message, candidate and rejected message, as Delta tables of Parquet files, by day of arrival.

In: batches of records, large ones (`config.Lake` says how large). Out: for each table one commit with the batch's rows
and the ledger, after the files are on disk. The ledger is the table's Delta transactions, an app id for each
`log id/topic/partition`, its version the highest position applied.
"""

import asyncio
import threading
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeVar

from deltalake.exceptions import DeltaError

from headwater.config import Lake
from headwater.errors import PartialWrite, Stale, Unavailable
from headwater.failpoints import passing
from headwater.saying import get_logger
from storage.contract import Record
from storage.lake_append import Append
from storage.lake_batch import Batch
from storage.lake_blobs import blobs_of
from storage.lake_erase import Eraser
from storage.lake_errors import as_unavailable, first_line
from storage.lake_files import LakeFiles, open_files
from storage.lake_log import TableLog
from storage.lake_merge import Difference
from storage.lake_reader import DeltaLakeReader
from storage.lake_schema import OF_TOPIC, TABLES
from storage.lake_snapshot import Snapshot

T = TypeVar("T")
_log = get_logger()


class DeltaLake(DeltaLakeReader):
    """Use `open_lake`. A `Store` for the topics messages, candidates and rejected, and their `LakeReader`.

    All writing is done in one thread: a write that nobody waits for any more still ends before the next begins.
    `kept`: seconds that a replaced file stays for readers.
    """

    name = "lake"

    def __init__(self, files: LakeFiles, log_id: str, time: float, kept: float) -> None:
        super().__init__(files, log_id, time)
        self._kept = kept
        self._thread = ThreadPoolExecutor(1, "lake-write")
        self._tables = {table.name: TableLog(files, table) for table in TABLES}
        self._known: dict[str, Mapping[int, int]] = {}

    async def write(self, batch: Sequence[Record]) -> None:
        """See `Store.write`. `Stale`: a table was replaced by one that has less; begin again from its ledger."""
        refused = await self._do(lambda: self._write(batch))
        if refused:
            raise PartialWrite(refused)

    async def ledger(self, topic: str) -> Mapping[int, int]:
        """See `Store.ledger`. A record of a topic with two tables is applied when both have it."""
        return await self._do(lambda: self._ledger(topic))

    async def ping(self) -> None:
        """See `Store.ping`."""
        await self._do(self.files.probe)

    async def erase(self, device: str, before: int) -> int:
        """See `Erasable.erase`. Beside writes, not among them: it may take long."""
        stopped = threading.Event()

        def go_on() -> None:
            if stopped.is_set():
                raise Unavailable("told to stop")

        try:
            with as_unavailable():
                return await asyncio.to_thread(Eraser(self.files, device, before, go_on).run)
        except Difference as error:
            raise Unavailable(str(error)) from error
        finally:
            stopped.set()

    async def blobs_of(self, device: str, before: int) -> Sequence[str]:
        """Names of large payloads that messages of the device refer to, received before, and no others'."""
        with as_unavailable():
            return await asyncio.to_thread(blobs_of, self.files, device, before)

    async def open(self) -> None:
        """Make the tables that are not there yet."""
        await self._do(self._make)

    async def close(self) -> None:
        """End what runs: a write by finishing it, answers by interrupting them."""
        await asyncio.to_thread(self._thread.shutdown)
        await super().close()

    async def _do(self, work: Callable[[], T]) -> T:
        with as_unavailable():
            return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    def _make(self) -> None:
        for log in self._tables.values():
            log.create(self._kept)

    def _ledger(self, topic: str) -> dict[int, int]:
        ledgers = [self._newest(self._tables[table.name]).ledger(self.log_id, topic) for table in OF_TOPIC[topic]]
        everywhere = set(ledgers[0]).intersection(*ledgers)
        return {partition: min(ledger[partition] for ledger in ledgers) for partition in sorted(everywhere)}

    def _newest(self, log: TableLog) -> Snapshot:
        """The table now. A ledger that went back means that another table is in its place."""
        name = log.table.name
        found = log.latest()
        if found is None and self.files.remakes:
            self._make()
            found = log.latest()
        if found is None:
            raise Unavailable(f"the lake's table {name} is not there")
        ledger = found.ledger(self.log_id, log.table.topic)
        known, self._known[name] = self._known.get(name, {}), ledger
        if any(ledger.get(partition, -1) < position for partition, position in known.items()):
            for other in OF_TOPIC[
                log.table.topic
            ]:  # whoever hears of it begins from the ledger, which is of all of them
                self._known.pop(other.name, None)
            raise Stale(f"the lake's table {name} was replaced by one that has less")
        return found

    def _write(self, records: Sequence[Record]) -> Mapping[int, str]:
        batches = [Batch(topic, *found) for topic, found in _by_topic(records).items()]
        appends = [
            Append(self.files, self._tables[table.name], batch, self.log_id, self._newest)
            for batch in batches
            for table in OF_TOPIC[batch.topic]
        ]
        try:
            for append in appends:
                append.prepare()
        except BaseException:
            for append in appends:
                append.drop()
            raise
        passing("lake.files_written")
        for number, append in enumerate(appends, 1):
            append.commit()
            self._known[append.log.table.name] = append.ledger
            if number == 1 < len(appends):
                passing("lake.first_table")
        passing("lake.committed")
        for append in appends:
            _checkpoint(append.log)
        return {index: reason for batch in batches for index, reason in batch.refused.items()}


def _by_topic(records: Sequence[Record]) -> Mapping[str, tuple[Sequence[Record], Sequence[int]]]:
    """Topic → its records, and where each stands among all."""
    if len({record.topic for record in records}) == 1:
        return {records[0].topic: (records, range(len(records)))}
    found: dict[str, tuple[list[Record], list[int]]] = {}
    for index, record in enumerate(records):
        own, indices = found.setdefault(record.topic, ([], []))
        own.append(record)
        indices.append(index)
    return found


def _checkpoint(log: TableLog) -> None:
    """What was written is safe without it: if it fails, it is tried again after the next write."""
    try:
        log.checkpoint_if_due()
    except (DeltaError, OSError) as error:
        _log.warning("the lake's table opens slowly: no checkpoint", table=log.table.name, error=first_line(error))


@asynccontextmanager
async def open_lake(
    root: Path, log_id: str, config: Lake, *, answer_time: float = 30.0
) -> AsyncGenerator[DeltaLake, None]:
    """The lake in a folder: its tables are there above the yield, its threads have ended below it.

    `answer_time`: seconds that an answer may take. Raises `Unavailable`.
    """
    async with open_files(root) as files:
        lake = DeltaLake(files, log_id, answer_time, config.vacuum_after)
        try:
            await lake.open()
            yield lake
        finally:
            await lake.close()

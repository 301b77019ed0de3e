"""The worker shell with a store that does nothing: what every writer pays before its store does anything.

Run: `python -m benchmarks.worker [--messages N] [--folder DIR]`. From the SQLite log, filled beforehand: reading,
decoding, filtering by the ledger, counting, committing. Beside it *reading alone*: the same batches, taken and dropped.
"""

import argparse
import asyncio
import gc
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import uvloop

from benchmarks.measure import Result, measure, report
from benchmarks.selector import PARTITIONS, made
from consumers.worker import Writer
from headwater.config import Workers
from headwater.config_stores import Live
from headwater.log import MESSAGES, REJECTED, NewEntry, TopicSpec
from headwater.metrics import Metrics
from storage.contract import Record
from storage.sqlite_log import SqliteLog, open_log

_BATCH = 1_000


class Nothing:
    """A store that keeps its ledger and nothing else."""

    name = "nothing"

    def __init__(self) -> None:
        self.taken = 0
        self._ledger: dict[int, int] = {}

    async def write(self, batch: Sequence[Record]) -> None:
        self._ledger.update({record.partition: record.position for record in batch})
        self.taken += len(batch)

    async def ledger(self, topic: str) -> Mapping[int, int]:  # noqa: ARG002 the contract's
        return dict(self._ledger)

    async def ping(self) -> None:
        return


async def reading(log: SqliteLog, count: int) -> Result:
    async with log.subscribe([MESSAGES], "reading") as subscription:
        with measure("reading alone", count=count) as result:
            taken = 0
            while taken < count:
                batch = await subscription.batch(Live().batch, Workers().batch_size, 0)
                taken += len(batch)
                await subscription.commit(batch)
    return result


async def shell(log: SqliteLog, count: int) -> Result:
    store = Nothing()
    live, workers = Live(), Workers()
    writer = Writer(store, MESSAGES, log, workers, Metrics(), batch=live.batch, size=workers.batch_size, wait=live.wait)
    stop = asyncio.Event()
    with measure("worker shell, a store that does nothing", count=count) as result:
        running = asyncio.create_task(writer.run(stop))
        while store.taken < count:  # noqa: ASYNC110 it tells nobody when
            await asyncio.sleep(0.05)
        stop.set()
        await running
    return result


async def run(folder: Path, entries: Sequence[NewEntry]) -> list[Result]:
    topics = [TopicSpec(topic, PARTITIONS) for topic in (MESSAGES, REJECTED)]
    async with open_log(folder / "log.sqlite", topics) as log:
        for start in range(0, len(entries), _BATCH):
            await log.append(MESSAGES, entries[start : start + _BATCH])
        return [await reading(log, len(entries)), await shell(log, len(entries))]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--messages", type=int, default=400_000)
    parser.add_argument("--folder", type=Path, default=None, help="where the files are made (default: a temporary one)")
    options = parser.parse_args()
    entries = made(options.messages, 1_000, positions=False)
    gc.collect()
    gc.freeze()  # this and the threshold as the program has them
    gc.set_threshold(50_000, 20, 50)
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        results = uvloop.run(run(Path(folder), entries))
    size = len(entries[0].value or b"")
    report(results, f"{PARTITIONS} partitions, messages of {size} bytes on the log, three fields")
    return 0


if __name__ == "__main__":
    sys.exit(main())

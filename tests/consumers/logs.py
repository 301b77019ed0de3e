"""A real log in a temporary folder, and how to run a worker on it until something is so."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Protocol

from consumers.worker import Writer
from headwater.config import Workers
from headwater.log import CANDIDATES, MESSAGES, REJECTED, Entry, Log, NewEntry, TopicSpec
from headwater.message import Body, Candidate, Clock, Message, RejectedMessage, Rules, decode_rejected, encode
from headwater.metrics import Metrics
from storage.sqlite_log import SqliteLog, open_log
from tests.consumers.stores import ScriptedStore

PARTITIONS = 2
TOPICS = [TopicSpec(name, PARTITIONS) for name in (MESSAGES, CANDIDATES, REJECTED)]
QUICK = Workers(retry_first=0.001, retry_most=0.004, write_time=0.1)
PATIENCE = 10.0


class Worker(Protocol):
    async def run(self, stop: asyncio.Event) -> None: ...


@asynccontextmanager
async def real_log(folder: Path, session: float = 30.0) -> AsyncGenerator[SqliteLog, None]:
    async with open_log(folder / "log.sqlite", TOPICS, session=session) as log:
        yield log


async def put(
    log: Log, bodies: Iterable[Body | Clock | Rules | bytes], partition: int = 0, topic: str = MESSAGES
) -> int:
    """Append; returns the offset behind the last."""
    entries: list[NewEntry] = []
    for body in bodies:
        match body:
            case bytes():
                entries.append(NewEntry(partition, b"?", body))
            case Clock() | Rules():
                entries.append(NewEntry(partition, b"", encode(body)))
            case Message() | Candidate() | RejectedMessage():
                entries.append(NewEntry(partition, body.device.encode(), encode(body)))
    results = await log.append(topic, entries)
    assert all(isinstance(result, int) for result in results)
    return int(str(results[-1])) + 1


async def contents(log: Log, topic: str, partition: int = 0) -> list[Entry]:
    first = (await log.ends(topic))[partition].first
    return [entry async for batch in log.read(topic, partition, first) for entry in batch]


async def quarantined(log: Log) -> list[RejectedMessage]:
    found = [entry for partition in range(PARTITIONS) for entry in await contents(log, REJECTED, partition)]
    return [decode_rejected(entry.value or b"") for entry in found]


async def until(condition: Callable[[], bool | Awaitable[bool]]) -> None:
    """Give the loop to others until it is so; fails after a while."""
    async with asyncio.timeout(PATIENCE):
        while True:
            found = condition()
            if found if isinstance(found, bool) else await found:
                return
            await asyncio.sleep(0.001)


@asynccontextmanager
async def running(*workers: Worker) -> AsyncGenerator[None, None]:
    """Run them in the block, then stop them as the program does."""
    stop = asyncio.Event()
    tasks = [asyncio.create_task(worker.run(stop)) for worker in workers]
    try:
        yield
    finally:
        stop.set()
        async with asyncio.timeout(PATIENCE):
            await asyncio.gather(*tasks)


class Desk:
    """One store's worker on a log, and what its metrics say. `again` is the worker after a restart of the program."""

    def __init__(
        self, log: Log, store: ScriptedStore, topic: str = MESSAGES, config: Workers = QUICK, batch: int = 1000
    ) -> None:
        self.log, self.store, self.topic, self.config, self.batch = log, store, topic, config, batch
        self.metrics = Metrics()
        self.writer = self._writer()

    def _writer(self) -> Writer:
        return Writer(
            self.store, self.topic, self.log, self.config, self.metrics, batch=self.batch, size=2**20, wait=0.001
        )

    def again(self) -> Writer:
        self.writer = self._writer()
        return self.writer

    def count(self, what: str) -> int:
        return round(self.metrics.sample(f"store_{what}_total", store=self.store.name))

    @property
    def balanced(self) -> bool:
        """offered = written + skipped + quarantined + waiting"""
        fates = sum(map(self.count, ("written", "skipped", "quarantined")))
        return self.count("offered") == fates + self.writer.state.waiting

    async def committed(self, partition: int = 0) -> int:
        return (await self.log.committed(self.writer.state.group, self.topic)).get(partition, 0)


def positions(partition: int, numbers: Sequence[int] | range) -> list[tuple[int, int]]:
    return [(partition, number) for number in numbers]

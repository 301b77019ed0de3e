"""Senders that repeat what was refused, as devices do, and what the log must have then. In: a log. Out: a verdict."""

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from headwater.errors import LogError
from headwater.log import NewEntry
from storage.kafka_log import KafkaLog
from tests.log.kit import TOPIC, kept, values
from tests.taking import within


class Senders:
    """Each sends its entries in order, again and again until they are acknowledged: as a device does."""

    def __init__(self, log: KafkaLog, partitions: int, limit: float) -> None:
        self.log = log
        self.partitions = partitions
        self.acknowledged: dict[int, list[tuple[int, str]]] = {n: [] for n in range(partitions)}
        self.errors = 0
        self.limit = limit
        self.longest = 0.0
        self.stop = asyncio.Event()
        self.progress = asyncio.Event()

    async def run(self) -> None:
        await asyncio.gather(*(self._send(partition) for partition in range(self.partitions)))

    async def more(self) -> None:
        """Wait until something more is acknowledged on each partition."""
        wanted = {n: len(done) + 20 for n, done in self.acknowledged.items()}
        while any(len(self.acknowledged[n]) < count for n, count in wanted.items()):
            self.progress.clear()
            await self.progress.wait()

    async def _send(self, partition: int) -> None:
        number = 0
        while not self.stop.is_set():
            value = str(number)
            began = time.monotonic()
            with within(self.limit):
                (result,) = await self.log.append(TOPIC, [NewEntry(partition, b"k", value.encode())])
            self.longest = max(self.longest, time.monotonic() - began)
            if isinstance(result, LogError):
                self.errors += 1
                await asyncio.sleep(0.05)
                continue
            self.acknowledged[partition].append((result, value))
            number += 1
            self.progress.set()
            await asyncio.sleep(0)


@asynccontextmanager
async def sending(log: KafkaLog, partitions: int, limit: float = 120.0) -> AsyncGenerator[Senders, None]:
    """An append takes `limit` seconds at most: TimeoutError, at the end, says that one did not."""
    senders = Senders(log, partitions, limit)
    running = asyncio.ensure_future(senders.run())
    try:
        yield senders
    finally:
        senders.stop.set()
        await running


async def all_there_in_order(log: KafkaLog, senders: Senders) -> None:
    for partition, acknowledged in senders.acknowledged.items():
        found = await kept(log, partition)
        at = {entry.offset: (entry.value or b"").decode() for entry in found}
        assert all(at[offset] == value for offset, value in acknowledged)
        first_seen = list(dict.fromkeys(values(found)))
        assert first_seen == [str(number) for number in range(len(first_seen))]
        assert len(first_seen) >= len(acknowledged) > 0

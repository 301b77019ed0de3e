"""A log in memory, as several gateways of a test share it; it holds back or fails as it is told."""

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager

from headwater.errors import LogError, OffsetOutOfRange, Unavailable
from headwater.log import Entry, Hooks, NewEntry, Offset, Offsets, Partition, Subscription
from headwater.times import now


class MemoryLog:
    """Every topic has one partition. `gate`: appends wait for it. `failing`: appends fail. `first`: what is gone."""

    id = "log-in-memory"

    def __init__(self) -> None:
        self.entries: dict[str, list[Entry]] = {}
        self.first: dict[str, int] = {}
        self.gate = asyncio.Event()
        self.gate.set()
        self.failing = False
        self.reading = asyncio.Event()
        self.reading.set()
        self._grown = asyncio.Condition()

    def partitions(self, topic: str) -> int:
        return 1

    async def append(self, topic: str, entries: Sequence[NewEntry]) -> Sequence[Offset | LogError]:
        await self.gate.wait()
        if self.failing:
            raise LogError("it was told to fail")
        kept = self.entries.setdefault(topic, [])
        start = len(kept)
        for offset, entry in enumerate(entries, start):
            kept.append(Entry(topic, 0, offset, now(), entry.key, entry.value))
        async with self._grown:
            self._grown.notify_all()
        return range(start, len(kept))

    def subscribe(
        self, topics: Sequence[str], group: str, hooks: Hooks | None = None
    ) -> AbstractAsyncContextManager[Subscription]:
        raise NotImplementedError

    async def read(
        self, topic: str, partition: Partition, start: Offset, *, follow: bool = False
    ) -> AsyncGenerator[Sequence[Entry], None]:
        kept = self.entries.setdefault(topic, [])
        if not self.first.get(topic, 0) <= start <= len(kept):
            raise OffsetOutOfRange(f"{topic}: {start}")
        end = len(kept)
        while follow or start < end:
            await self.reading.wait()
            batch = kept[start : start + 3]
            start += len(batch)
            if batch:
                yield batch
                continue
            async with self._grown:
                if len(kept) <= start:
                    await self._grown.wait()

    async def ends(self, topic: str) -> Mapping[Partition, Offsets]:
        return {0: Offsets(self.first.get(topic, 0), len(self.entries.get(topic, [])))}

    async def committed(self, group: str, topic: str) -> Mapping[Partition, Offset]:
        return {}

    async def ping(self) -> None:
        if self.failing:
            raise Unavailable("it was told to fail")


class LogOf(MemoryLog):
    """The log as one gateway has it: `dead`, it can no longer write or read, as if its process were gone."""

    def __init__(self, log: MemoryLog) -> None:
        super().__init__()
        self.dead = False
        self.entries = log.entries
        self.first = log.first
        self._log = log

    async def append(self, topic: str, entries: Sequence[NewEntry]) -> Sequence[Offset | LogError]:
        if self.dead:
            raise LogError("its process is gone")
        return await self._log.append(topic, entries)

    async def read(
        self, topic: str, partition: Partition, start: Offset, *, follow: bool = False
    ) -> AsyncGenerator[Sequence[Entry], None]:
        async for entries in self._log.read(topic, partition, start, follow=follow):
            if self.dead:
                raise Unavailable("its process is gone")
            yield entries

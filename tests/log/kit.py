"""What the laws need: a way to open a log (again), and short words for entries."""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from headwater.errors import LogError
from headwater.log import Entry, Log, NewEntry, Offset, Subscription, TopicPartition, TopicSpec

TOPIC = "messages"


class Logs(Protocol):
    """One kind of log. `open` opens the same log again and again; `fresh` is another, empty one.

    `idle`: seconds after which a batch returns with nothing. `tick`: microseconds that its entries' times are exact to.
    `pace`: how much slower than in one process its members are told of things.
    `enough`: True once a property has been tried often enough, where each example costs its time.
    """

    idle: float
    pace: float
    tick: int

    def enough(self) -> bool: ...

    def open(self, *topics: TopicSpec, session: float = 30.0) -> AbstractAsyncContextManager[Log]: ...

    def fresh(self) -> "Logs": ...


class Recorder:
    """Hooks that note what they were told, and answer with fixed starts."""

    def __init__(self, starts: Mapping[TopicPartition, Offset] | None = None) -> None:
        self.starts = starts or {}
        self.assignments: list[Sequence[TopicPartition]] = []
        self.revocations: list[Sequence[TopicPartition]] = []

    @property
    def held(self) -> set[TopicPartition]:
        given = [at for ats in self.assignments for at in ats]
        taken = [at for ats in self.revocations for at in ats]
        return {at for at in given if given.count(at) > taken.count(at)}

    async def assigned(self, partitions: Sequence[TopicPartition]) -> Mapping[TopicPartition, Offset]:
        self.assignments.append(partitions)
        return {at: self.starts[at] for at in partitions if at in self.starts}

    async def revoked(self, partitions: Sequence[TopicPartition]) -> None:
        self.revocations.append(partitions)


def topic(partitions: int) -> TopicSpec:
    return TopicSpec(TOPIC, partitions)


def at(partition: int) -> TopicPartition:
    return TopicPartition(TOPIC, partition)


def new(partition: int, *values: str) -> list[NewEntry]:
    return [NewEntry(partition, b"key", value.encode()) for value in values]


async def put(log: Log, partition: int, *values: str) -> list[Offset]:
    """Append, and insist that it worked."""
    results = await log.append(TOPIC, new(partition, *values))
    return [result for result in results if not isinstance(result, LogError)]


def values(entries: Sequence[Entry]) -> list[str]:
    return [(entry.value or b"").decode() for entry in entries]


async def kept(log: Log, partition: int, name: str = TOPIC) -> list[Entry]:
    """All that a partition keeps."""
    first = (await log.ends(name))[partition].first
    return [entry async for batch in log.read(name, partition, first) for entry in batch]


async def take(member: Subscription, count: int, seconds: float = 5.0) -> list[Entry]:
    """Batches until `count` entries came."""
    entries: list[Entry] = []
    async with asyncio.timeout(seconds):
        while len(entries) < count:
            entries += await member.batch(1000, 2**20, 0)
    return entries

"""A model of a Kafka cluster for the producer: two brokers that refuse, lose answers, say half, move leaders and fence.

In: batches, as the producer sends them. Out: logs, and `problems`: what no producer may do to a broker.
"""

import asyncio
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from headwater.config_stack import Kafka
from headwater.errors import LogError, Unavailable
from headwater.log import NewEntry, TopicPartition
from storage.kafka_brokers import Answer, Numbers
from storage.kafka_lane import Call

PARTITIONS = 4
ROOM = 6  # entries a batch


@dataclass(slots=True)
class Cluster:
    """`rough`: how often things go wrong, 0 for never."""

    rnd: random.Random
    rough: float
    logs: dict[int, list[bytes]] = field(default_factory=lambda: {n: [] for n in range(PARTITIONS)})
    leaders: dict[int, int] = field(default_factory=lambda: {n: n % 2 for n in range(PARTITIONS)})
    problems: list[str] = field(default_factory=list[str])
    open: set["ModelBrokers"] = field(default_factory=set["ModelBrokers"])
    taken: dict[tuple[int, int, int], dict[int, int]] = field(
        default_factory=dict[tuple[int, int, int], dict[int, int]]
    )
    epochs: dict[tuple[int, int], int] = field(default_factory=dict[tuple[int, int], int])
    ids: int = 0

    def happens(self, share: float) -> bool:
        return self.rnd.random() < share * self.rough

    async def moment(self) -> None:
        await asyncio.sleep(self.rnd.choice([0, 0, 0.002, 0.01]))

    def take(self, node: int, at: TopicPartition, batch: "_Batch") -> Answer:
        """What a broker says to a batch."""
        number, epoch = batch.numbers
        if self.leaders[at.partition] != node or self.happens(0.05):
            return Answer(-1, "NotLeaderForPartitionError", again=True)
        if self.happens(0.02):
            return Answer(-1, "TopicAuthorizationFailedError")
        if epoch < self.epochs.setdefault((number, at.partition), epoch):
            return Answer(-1, "InvalidProducerEpoch")
        self.epochs[number, at.partition] = epoch
        taken = self.taken.setdefault((number, epoch, at.partition), {-1: 0})
        log = self.logs[at.partition]
        if batch.sequence not in taken:
            if batch.sequence != taken[-1]:
                self.problems.append(f"sequence {batch.sequence} where {taken[-1]} was next")
                return Answer(-1, "OutOfOrderSequenceNumber")
            taken[batch.sequence] = len(log)
            taken[-1] += len(batch.values)
            log += batch.values
        return Answer(taken[batch.sequence])


class _Batch(bytes):
    numbers: Numbers
    sequence: int
    values: list[bytes]


class _Builder:
    def __init__(self, numbers: Numbers, sequence: int) -> None:
        self._batch = _Batch(b"a batch")
        self._batch.numbers, self._batch.sequence, self._batch.values = numbers, sequence, []

    def append(self, *entry: object) -> object | None:
        value = entry[3]
        if len(self._batch.values) == ROOM:
            return None
        assert isinstance(value, bytes)
        self._batch.values.append(value)
        return self

    def build(self) -> bytes:
        return self._batch


class ModelBrokers:
    """`Brokers` of the `cluster` of the class."""

    cluster: Cluster

    def __init__(self, config: Kafka, topics: Sequence[str], numbers: Numbers) -> None:
        self.numbers = numbers
        self._closed = False
        self._busy = set[int]()
        self.cluster.open.add(self)

    async def start(self) -> None:
        fails = self.cluster.happens(0.15)
        try:
            await self.cluster.moment()
        except BaseException:
            await self.close()
            raise
        if fails:
            await self.close()
            raise Unavailable("it does not start")
        if self.numbers.producer < 0:
            self.cluster.ids += 1
            self.numbers = Numbers(self.cluster.ids, 0)

    def leader(self, at: TopicPartition) -> int | None:
        return None if self.cluster.happens(0.05) else self.cluster.leaders[at.partition]

    def refresh(self) -> None: ...

    def builder(self, sequence: int) -> _Builder:
        return _Builder(self.numbers, sequence)

    async def produce(
        self, node: int, batches: Sequence[tuple[TopicPartition, bytes]]
    ) -> Mapping[TopicPartition, Answer]:
        cluster = self.cluster
        if self._closed:
            cluster.problems.append("a request after the end")
        if node in self._busy:
            cluster.problems.append("two requests to a broker at a time")
        self._busy.add(node)
        try:
            await cluster.moment()
            if cluster.happens(0.1):
                raise Unavailable("it was not sent")
            said = {at: cluster.take(node, at, batch) for at, batch in batches if isinstance(batch, _Batch)}
            await cluster.moment()
            if cluster.happens(0.1):
                raise Unavailable("the answer was lost")
            return {at: answer for at, answer in said.items() if not cluster.happens(0.05)}
        finally:
            self._busy.discard(node)

    async def close(self) -> None:
        self._closed = True
        self.cluster.open.discard(self)


class Noted(Call):
    """A call that knows when it began and when it ended, and, by partition, those before and behind it."""

    __slots__ = ("began", "ended")
    clock = 0
    all: dict[int, list["Noted"]]

    def __init__(self, entries: Sequence[NewEntry], deadline: float) -> None:
        super().__init__(entries, deadline)
        Noted.clock += 1
        self.began, self.ended = Noted.clock, 0
        Noted.all.setdefault(entries[0].partition, []).append(self)

    def finish(self, error: LogError | None = None) -> None:
        Noted.clock += 1
        self.ended = Noted.clock
        super().finish(error)

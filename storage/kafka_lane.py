"""What waits for a partition of Kafka: calls in their order, and the batch that was made of the first of them.

In: entries. Out: a batch's bytes for the producer, and each call's offsets or error.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence

from headwater.errors import LogError
from headwater.log import NewEntry, Offset
from headwater.saying import get_logger
from headwater.times import now
from storage.kafka_brokers import Builder
from storage.kafka_client import partition_of

_NO_HEADERS: list[tuple[str, bytes]] = []


class Call:
    """The part of an append that goes to one partition. `offsets` grows batch by batch; `error` is that of the rest."""

    __slots__ = ("deadline", "done", "entries", "error", "offsets", "size")

    def __init__(self, entries: Sequence[NewEntry], deadline: float) -> None:
        self.entries = entries
        _, keys, values = zip(*entries, strict=True)
        self.size = sum(map(len, keys)) + sum(map(len, filter(None, values)))
        self.deadline = deadline
        self.offsets: list[Offset] = []
        self.error: LogError | None = None
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def results(self) -> list[Offset | LogError]:
        """An offset or an error for each entry."""
        rest = len(self.entries) - len(self.offsets)
        error = self.error or LogError("kafka: the append was not finished")
        return [*self.offsets, *([error] * rest)]

    def finish(self, error: LogError | None = None) -> None:
        """Tell who waits."""
        self.error = error
        if not self.done.done():
            self.done.set_result(None)


class Batch:
    """What was built of calls, `count` entries; its bytes never change."""

    __slots__ = ("count", "data", "parts")

    def __init__(self, data: bytes, count: int, parts: Sequence[tuple[Call, int]]) -> None:
        self.data = data
        self.count = count
        self.parts = parts


class Lane:
    """The way to one partition: its calls in order, the batch on its way, and whether a producer carries it.

    `leave` is told of each call that waits no more. `deadline`: something must land by then. `pause`: seconds
    before the next attempt.
    """

    __slots__ = ("at", "batch", "calls", "carried", "deadline", "leave", "pause")

    def __init__(self, topic: str, partition: int, leave: Callable[[Call], None]) -> None:
        self.at = partition_of(topic, partition)
        self.leave = leave
        self.calls: deque[Call] = deque()
        self.batch: Batch | None = None
        self.carried = False
        self.deadline = 0.0
        self.pause = 0.0

    def fill(self, builder: Builder) -> Batch:
        """Make the next batch of as much as it takes, of the calls in their order."""
        parts: list[tuple[Call, int]] = []
        put, at, time = builder.append, 0, now() // 1000
        for call in self.calls:
            entries = call.entries if not call.offsets else call.entries[len(call.offsets) :]
            first = at
            for _, key, value in entries:
                if put(at, time, key, value, _NO_HEADERS) is None:
                    break
                at += 1
            parts.append((call, at - first))
            if at - first < len(entries):
                break
        self.batch = Batch(builder.build(), at, parts)
        return self.batch

    def landed(self, base: Offset) -> None:
        """The batch is in the log."""
        for call, count in self.batch.parts if self.batch else ():
            call.offsets.extend(range(base, base + count))
            base += count
            if len(call.offsets) == len(call.entries):
                self.calls.popleft()
                self.leave(call)
                call.finish()
        self.batch = None

    def fail(self, why: str) -> None:
        """Nothing is known to be durable of what waits here."""
        error = LogError(why)
        if self.calls:
            get_logger().debug("append failed", error=why, calls=len(self.calls))
        while self.calls:
            call = self.calls.popleft()
            self.leave(call)
            call.finish(error)
        self.batch = None

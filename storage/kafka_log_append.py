"""Appending to Kafka: a lane a partition, one batch of each on its way, acks=all, idempotent.

In: entries per call. Out: their offsets, or `LogError`. What arrives while a batch is on its way goes together in the
next one. Where a batch fails, everything that waits behind it in its lane fails too, so that an entry that is sent
again never lands behind one that came later. How lanes get to brokers is in `kafka_producer`.
"""

import asyncio
from collections.abc import Collection, Sequence

from headwater.config_stack import Kafka
from headwater.errors import LogError, Unavailable
from headwater.log import NewEntry, Offset, Partition
from storage.kafka_brokers import Numbers
from storage.kafka_lane import Call, Lane
from storage.kafka_producer import CLOSED, Producer

_WAITING_ENTRIES = 100_000
_WAITING_SIZE = 128 * 2**20


class Producers:
    """The producer of this moment. Another takes its place when it fails to deliver."""

    def __init__(self, config: Kafka, topics: Sequence[str]) -> None:
        self._config = config
        self._topics = [config.prefix + topic for topic in topics]
        self._producer: Producer | None = None
        self._producers: set[Producer] = set()  # this one, and those that are retired and not through
        self._starting: asyncio.Task[Producer] | None = None
        self._waiting: list[Lane] = []
        self._closed = False
        self._tasks: set[asyncio.Task[object]] = set()

    def carry(self, lane: Lane) -> None:
        """Send what waits in this lane, which nobody carries. What cannot be sent has failed."""
        if self._closed:
            lane.fail(CLOSED)
        elif self._producer is not None and not self._producer.retired:
            self._producer.carry(lane)
        else:
            self._waiting.append(lane)
            self._start()

    async def ready(self) -> None:
        """Raises `Unavailable` unless there is a producer."""
        if self._producer is None or self._producer.retired:
            starting = self._start()
            await asyncio.wait((starting,))  # bounded by itself
            if starting.cancelled():
                raise Unavailable(CLOSED)
            starting.result()

    async def close(self) -> None:
        """Let go of everything; what is on its way has failed."""
        self._closed = True
        producers = list(self._producers)
        for producer in producers:
            producer.stop()
        if self._starting is not None:
            self._starting.cancel()
            await asyncio.wait((self._starting,), timeout=1)
        for producer in producers:
            await producer.close()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=3)

    def _start(self) -> "asyncio.Task[Producer]":
        if self._starting is None:
            self._starting = asyncio.get_running_loop().create_task(self._started())
            self._starting.add_done_callback(self._begin)
        return self._starting

    async def _started(self) -> Producer:
        numbers = Numbers() if self._producer is None else self._producer.successor
        producer = Producer(self._config, self._topics, numbers, self.carry, self._end)
        await producer.start()
        return producer

    def _begin(self, starting: "asyncio.Task[Producer]") -> None:
        self._starting = None
        waiting, self._waiting = self._waiting, []
        error = asyncio.CancelledError(CLOSED) if starting.cancelled() else starting.exception()
        if error is not None:
            for lane in waiting:
                lane.fail(str(error))
            return
        self._producer = starting.result()
        self._producers.add(self._producer)
        for lane in waiting:
            self._producer.carry(lane)

    def _end(self, producer: Producer) -> None:
        self._producers.discard(producer)
        task: asyncio.Task[object] = asyncio.get_running_loop().create_task(producer.close())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


class Appender:
    """Takes entries as long as the log is open."""

    def __init__(self, config: Kafka, topics: Sequence[str]) -> None:
        self._producers = Producers(config, topics)
        self._time = config.request_time
        self._prefix = config.prefix
        self._lanes: dict[tuple[str, Partition], Lane] = {}
        self._entries = 0
        self._size = 0
        self._closed = False
        self._empty = asyncio.Event()

    async def append(
        self, topic: str, entries: Sequence[NewEntry], partitions: Collection[Partition]
    ) -> Sequence[Offset | LogError]:
        """Queue per partition, wait, and return one result an entry. `partitions`: theirs, known to be there."""
        if self._closed:
            return [LogError(CLOSED)] * len(entries)
        if self.overloaded:
            return [LogError(f"{self._entries} entries wait for the log already", retry_after=1.0)] * len(entries)
        if len(partitions) == 1:
            call = self._put(topic, entries[0][0], entries)
            await call.done
            return call.offsets if call.error is None else call.results()
        parts: dict[Partition, list[NewEntry]] = {partition: [] for partition in partitions}
        for entry in entries:
            parts[entry[0]].append(entry)
        calls = {partition: self._put(topic, partition, part) for partition, part in parts.items()}
        for call in calls.values():
            await call.done
        results = {partition: iter(call.results()) for partition, call in calls.items()}
        return [next(results[entry[0]]) for entry in entries]

    @property
    def overloaded(self) -> bool:
        """True if an append would be refused for what already waits."""
        return self._entries >= _WAITING_ENTRIES or self._size >= _WAITING_SIZE

    async def ready(self) -> None:
        """Raises `Unavailable` unless there is a producer."""
        if self._closed:
            raise Unavailable(CLOSED)
        if self.overloaded:
            raise Unavailable("too much waits for the log already")
        await self._producers.ready()

    async def close(self) -> None:
        """Take no more, finish what waits, within the time of a batch and a half."""
        self._closed = True
        if self._entries:
            self._empty.clear()
            try:
                async with asyncio.timeout(self._time * 1.5):
                    await self._empty.wait()
            except TimeoutError:
                pass
        await self._producers.close()

    def _put(self, topic: str, partition: Partition, entries: Sequence[NewEntry]) -> Call:
        # Three times the time of a request is the most an append takes: it waits for two, and is in the third.
        call = Call(entries, asyncio.get_running_loop().time() + 2 * self._time)
        self._entries += len(entries)
        self._size += call.size
        lane = self._lanes.get((topic, partition))
        if lane is None:
            lane = self._lanes[topic, partition] = Lane(self._prefix + topic, partition, self._leave)
        lane.calls.append(call)
        if not lane.carried and len(lane.calls) == 1:
            self._producers.carry(lane)
        return call

    def _leave(self, call: Call) -> None:
        self._entries -= len(call.entries)
        self._size -= call.size
        if not self._entries:
            self._empty.set()

"""Appending to Kafka: one lane a partition, one batch of each on its way, acks=all from an idempotent producer.

In: entries per call. Out: their offsets, or `LogError`. What arrives while a batch is on its way goes together in the
next one. Where a batch fails, everything that waits behind it in its lane fails too, so that an entry that is sent
again never lands behind one that came later. A producer never gives a batch up by itself, so one whose batch was not
answered in time takes no more, and is dropped when its other lanes have their answers.
"""

import asyncio
from collections import deque
from collections.abc import Collection, Sequence

import structlog

from headwater.config_stack import Kafka
from headwater.errors import LogError, Unavailable
from headwater.log import NewEntry, Offset, Partition
from headwater.times import now
from storage.kafka_client import Batch, Delivered, Producer, drop, fill, new_producer, start, stop, within

_WAITING_ENTRIES = 100_000
_WAITING_SIZE = 128 * 2**20


class _Life:
    """A producer and how many batches it has on their way."""

    def __init__(self, producer: Producer) -> None:
        self.producer = producer
        self.sending = 0
        self.retired = False


class Producers:
    """The producer of this moment. Another takes its place when it fails to deliver."""

    def __init__(self, config: Kafka, topics: Sequence[str]) -> None:
        self._config = config
        self._topics = [config.prefix + topic for topic in topics]
        self._life: _Life | None = None
        self._starting = asyncio.Lock()
        self._endings: set[asyncio.Task[None]] = set()

    async def take(self) -> _Life:
        """One that is ready to send; give it back. Raises `Unavailable`."""
        async with self._starting:
            life = self._life
            if life is None:
                life = self._life = _Life(await self._start())
            life.sending += 1
            return life

    def give_back(self, life: _Life, *, failed: bool) -> None:
        """The batch was answered, or was not."""
        life.sending -= 1
        if failed and not life.retired:
            life.retired = True
            if self._life is life:
                self._life = None
        if life.retired and not life.sending:
            ending = asyncio.get_running_loop().create_task(drop(life.producer))
            self._endings.add(ending)
            ending.add_done_callback(self._endings.discard)

    async def close(self) -> None:
        """Let go of it. Nothing is on its way any more."""
        life, self._life = self._life, None
        if life is not None:
            await stop(life.producer)
        if self._endings:
            await asyncio.wait(self._endings, timeout=3)

    async def _start(self) -> Producer:
        producer = new_producer(self._config)
        await start(producer, self._config.request_time)
        try:
            for topic in self._topics:  # `send_batch` needs their metadata
                await within(self._config.request_time, producer.partitions_for(topic), f"kafka: topic {topic}")
        except BaseException:
            await drop(producer)
            raise
        return producer


class _Call:
    """The part of a call that goes to one partition. `offsets` grows batch by batch; `error` is that of the rest."""

    __slots__ = ("deadline", "done", "entries", "error", "offsets", "size", "taken")

    def __init__(self, entries: Sequence[NewEntry], deadline: float) -> None:
        self.entries = entries
        _, keys, values = zip(*entries, strict=True)
        self.size = sum(map(len, keys)) + sum(map(len, filter(None, values)))
        self.deadline = deadline
        self.taken = 0
        self.offsets: list[Offset] = []
        self.error: LogError | None = None
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def results(self) -> list[Offset | LogError]:
        rest = len(self.entries) - len(self.offsets)
        error = self.error or LogError("kafka: the append was not finished")
        return [*self.offsets, *([error] * rest)]

    def finish(self, error: LogError | None = None) -> None:
        self.error = error
        if not self.done.done():
            self.done.set_result(None)


class _Lane:
    """The way to one partition."""

    def __init__(self, appender: "Appender", topic: str, partition: Partition) -> None:
        self._appender = appender
        self._topic = topic
        self._partition = partition
        self._waiting: deque[_Call] = deque()
        self._task: asyncio.Task[None] | None = None

    def put(self, call: _Call) -> None:
        self._waiting.append(call)
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._run())

    @property
    def running(self) -> asyncio.Task[None] | None:
        return self._task

    async def _run(self) -> None:
        try:
            while self._waiting:
                try:
                    await self._send_next()
                except Exception as error:  # noqa: BLE001 whatever it was, nothing is known to be durable
                    self._fail(LogError(f"append to {self._topic}/{self._partition}: {error or type(error).__name__}"))
        finally:
            self._task = None
            self._fail(LogError("the log is closed"))

    async def _send_next(self) -> None:
        if asyncio.get_running_loop().time() > self._waiting[0].deadline:
            raise LogError("it had waited too long")
        life = await self._appender.producers.take()
        failed = True
        try:
            batch = life.producer.create_batch()
            parts = self._fill(batch)
            base = await self._deliver(life.producer, batch)
            failed = False
        finally:
            self._appender.producers.give_back(life, failed=failed)
        self._landed(parts, base)

    def _fill(self, batch: Batch) -> list[tuple[_Call, int]]:
        """As much as the batch takes, of the calls in their order; how many entries of each."""
        parts: list[tuple[_Call, int]] = []
        time = now() // 1000
        for call in self._waiting:
            entries = call.entries if call.taken == 0 else call.entries[call.taken :]
            count = fill(batch, time, entries)
            if count:
                parts.append((call, count))
            if count < len(entries):
                break
        return parts

    async def _deliver(self, producer: Producer, batch: Batch) -> Offset:
        time = self._appender.time
        sent = await within(time, producer.send_batch(batch, self._topic, partition=self._partition), "kafka")
        landed: Delivered = await within(time, sent, "kafka")
        if landed.offset < 0:
            raise Unavailable("kafka: delivered before, at an offset that is no longer known")
        return landed.offset

    def _landed(self, parts: Sequence[tuple[_Call, int]], base: Offset) -> None:
        for call, count in parts:
            call.offsets.extend(range(base, base + count))
            call.taken += count
            base += count
            if call.taken == len(call.entries):
                self._waiting.popleft()
                self._appender.leave(call)
                call.finish()

    def _fail(self, error: LogError) -> None:
        if self._waiting:
            structlog.get_logger().debug("append failed", error=str(error), calls=len(self._waiting))
        while self._waiting:
            call = self._waiting.popleft()
            self._appender.leave(call)
            call.finish(error)


class Appender:
    """Takes entries as long as the log is open."""

    def __init__(self, config: Kafka, topics: Sequence[str]) -> None:
        self.producers = Producers(config, topics)
        self.time = config.request_time
        self._prefix = config.prefix
        self._lanes: dict[tuple[str, Partition], _Lane] = {}
        self._entries = 0
        self._size = 0
        self._closed = False

    async def append(
        self, topic: str, entries: Sequence[NewEntry], partitions: Collection[Partition]
    ) -> Sequence[Offset | LogError]:
        """Queue per partition, wait, and return one result an entry. `partitions`: theirs, known to be there."""
        if self._closed:
            return [LogError("the log is closed")] * len(entries)
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

    def leave(self, call: _Call) -> None:
        """It waits no more."""
        self._entries -= len(call.entries)
        self._size -= call.size

    async def ready(self) -> None:
        """Raises `Unavailable` unless there is a producer."""
        if self._closed:
            raise Unavailable("the log is closed")
        if self.overloaded:
            raise Unavailable("too much waits for the log already")
        life = await self.producers.take()
        self.producers.give_back(life, failed=False)

    async def close(self) -> None:
        """Take no more, finish what waits, within the time of a batch and a half."""
        self._closed = True
        running = [lane.running for lane in self._lanes.values() if lane.running is not None]
        if running:
            _, late = await asyncio.wait(running, timeout=self.time * 1.5)
            for task in late:
                task.cancel()
            if late:
                await asyncio.wait(late, timeout=1)
        await self.producers.close()

    def _put(self, topic: str, partition: Partition, entries: Sequence[NewEntry]) -> _Call:
        # Three times the time of a batch is the most an append takes: it waits for two, and is the third.
        call = _Call(entries, asyncio.get_running_loop().time() + 2 * self.time)
        self._entries += len(entries)
        self._size += call.size
        lane = self._lanes.get((topic, partition))
        if lane is None:
            lane = self._lanes[topic, partition] = _Lane(self, self._prefix + topic, partition)
        lane.put(call)
        return call

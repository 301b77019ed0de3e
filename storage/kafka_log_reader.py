"""Reading Kafka without a group: batches of one partition, and where partitions begin and end.

In: a topic, a partition, an offset. Out: batches of entries. Consumers are kept for the next reader when one has
finished, a few of them; each holds at most a megabyte of a partition in advance. Who follows a partition has a consumer
of its own, which asks seldom: an entry that comes ends the broker's wait at once.
"""

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager

from headwater.config_stack import Kafka
from headwater.errors import OffsetOutOfRange, Unavailable
from headwater.log import Entry, Offset, Offsets, Partition
from storage.kafka_client import (
    FETCH_WAIT,
    FOLLOW_WAIT,
    Consumer,
    OutOfRange,
    drop,
    new_consumer,
    our_errors,
    partition_of,
    stop,
    within,
)
from storage.kafka_client import start as start_client
from storage.kafka_log_member import entries_of

_KEPT = 2
_CHUNK_ENTRIES = 5_000
_POLL = 1.0
"""Seconds that a reader waits for more before it looks whether the log is closed."""


class Reader:
    """`closed` is set when the log closes: whoever reads then gets `Unavailable`."""

    def __init__(self, config: Kafka) -> None:
        self._config = config
        self._idle: list[Consumer] = []
        self._used: set[Consumer] = set()
        self._closed = asyncio.Event()

    async def ends(self, topic: str, partitions: Sequence[Partition]) -> Mapping[Partition, Offsets]:
        """First and next offset of each partition. Raises `Unavailable`."""
        async with self._consumer() as consumer:
            return await self._ends(consumer, topic, partitions)

    async def read(
        self, topic: str, partition: Partition, start: Offset, *, follow: bool
    ) -> AsyncGenerator[Sequence[Entry], None]:
        """See `headwater.log.Log`."""
        async with self._follower() if follow else self._consumer() as consumer:
            first, end = (await self._ends(consumer, topic, [partition]))[partition]
            if not first <= start <= end:
                raise OffsetOutOfRange(f"{topic}/{partition}: {start} is not between {first} and {end}")
            if start == end and not follow:
                return
            at = partition_of(self._config.prefix + topic, partition)
            consumer.assign([at])
            consumer.seek(at, start)
            position = start
            silent = 0.0
            while follow or position < end:
                entries = await self._more(consumer, topic, partition)
                if entries:
                    position, silent = entries[-1].offset + 1, 0.0
                    yield entries
                elif not follow:
                    # What compaction has dropped at the end leaves nothing to come.
                    silent += _POLL
                    if silent >= self._config.request_time:
                        raise Unavailable(f"kafka: nothing came of {topic}/{partition} from {position}")
                    after = await self._position(consumer, topic, partition)
                    position = max(position, after)

    async def close(self) -> None:
        """Stop all consumers; readers find the log closed."""
        self._closed.set()
        await asyncio.gather(*(stop(consumer) for consumer in [*self._idle, *self._used]))
        self._idle.clear()

    async def _more(self, consumer: Consumer, topic: str, partition: Partition) -> Sequence[Entry]:
        at = partition_of(self._config.prefix + topic, partition)
        # Its own time-out ends it, and closing the log stops the consumer, which ends it too. A reader that is
        # cancelled throws its consumer away, so that nothing that was taken is missed by another.
        try:
            with our_errors(f"read {topic}/{partition}"):
                found = await consumer.getmany(at, timeout_ms=int(_POLL * 1000), max_records=_CHUNK_ENTRIES)
        except Unavailable as error:
            self._check()
            if isinstance(error.__cause__, OutOfRange):
                raise OffsetOutOfRange(f"{topic}/{partition}: the log no longer has what comes next") from error
            raise
        self._check()
        return entries_of(found.get(at, ()), topic)

    async def _position(self, consumer: Consumer, topic: str, partition: Partition) -> Offset:
        return await within(
            self._config.request_time,
            consumer.position(partition_of(self._config.prefix + topic, partition)),
            f"read {topic}/{partition}",
        )

    async def _ends(
        self, consumer: Consumer, topic: str, partitions: Sequence[Partition]
    ) -> Mapping[Partition, Offsets]:
        wanted = [partition_of(self._config.prefix + topic, partition) for partition in partitions]
        time = self._config.request_time
        first = await within(time, consumer.beginning_offsets(wanted), f"ends of {topic}")
        after = await within(time, consumer.end_offsets(wanted), f"ends of {topic}")
        return {at.partition: Offsets(first[at], after[at]) for at in wanted}

    @asynccontextmanager
    async def _consumer(self) -> AsyncGenerator[Consumer, None]:
        self._check()
        consumer = self._idle.pop() if self._idle else await self._start()
        self._used.add(consumer)
        try:
            yield consumer
        except GeneratorExit:  # whoever reads wants no more: nothing is asked of the consumer now
            await self._keep(consumer)
            raise
        except BaseException:
            self._used.discard(consumer)
            await drop(consumer)
            raise
        await self._keep(consumer)

    @asynccontextmanager
    async def _follower(self) -> AsyncGenerator[Consumer, None]:
        self._check()
        consumer = await self._start(FOLLOW_WAIT)
        self._used.add(consumer)
        try:
            yield consumer
        finally:
            self._used.discard(consumer)
            await drop(consumer)

    async def _keep(self, consumer: Consumer) -> None:
        self._used.discard(consumer)
        if len(self._idle) < _KEPT and not self._closed.is_set():
            consumer.assign([])
            self._idle.append(consumer)
        else:
            await stop(consumer)

    async def _start(self, fetch_wait: int = FETCH_WAIT) -> Consumer:
        consumer = new_consumer(self._config, fetch_wait)
        await start_client(consumer, self._config.request_time)
        return consumer

    def _check(self) -> None:
        if self._closed.is_set():
            raise Unavailable("the log is closed")

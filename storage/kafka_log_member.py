"""One member of a Kafka group: takes batches from its partitions, by turns, and commits them.

In: partitions from the group's coordinator, entries from the consumer's fetches. Out: batches. A batch that fails or
is cancelled gives back what it had taken. The group moves all partitions at each change (aiokafka knows no other way):
every member lets go of its own, and is told what it has now. A commit is sent under the generation that the batch was
taken under, or not at all; the coordinator refuses any other, so a member that was away can do no harm.
"""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress

from headwater.config_stack import Kafka
from headwater.errors import HeadwaterError, OffsetOutOfRange, Stale, Unavailable
from headwater.log import Entry, Hooks, Offset, TopicPartition
from headwater.saying import get_logger
from headwater.times import now
from storage.kafka_client import (
    Consumer,
    GroupLost,
    KafkaError,
    OutOfRange,
    Record,
    as_listener,
    drop,
    new_consumer,
    our_errors,
    partition_of,
    start,
    stop,
    within,
)
from storage.kafka_membership import Membership

IDLE = 1.0
"""Seconds after which `batch` returns empty-handed where nothing came at all."""
REVOKE_TIME = 5.0
"""Seconds that a `revoked` hook may take."""
JOIN_TIME = 5.0
"""Seconds that `batch` waits for partitions while the group is sharing them out."""
HEARTBEAT = 0.3
"""Seconds between heartbeats: a member learns in one of them that the group is changing."""

_FETCH_ENTRIES = 5_000  # by turns, so that one partition's backlog does not fill a batch while the others wait
_SHORTEST_SESSION = 6.0  # brokers take no shorter one, unless configured


class Member:
    """A `Subscription` of one group. `prefix` is in front of the topics' names, and cut off what is handed out."""

    def __init__(self, config: Kafka, topics: Sequence[str], group: str, hooks: Hooks | None, session: float) -> None:
        self._config = config
        self._topics = topics
        self._session = session
        self._consumer = self._new_consumer(group)
        self._place = Membership(self._consumer)
        self._name = group
        self._hooks = hooks
        self._skip = len(config.prefix)
        self._generation = -1
        self._granted: list[TopicPartition] = []  # those of the present generation; aiokafka's, with the prefix
        self._begun = False
        self._beginning: asyncio.Task[None] | None = None
        self._announced: list[TopicPartition] = []
        self._owned: set[TopicPartition] = set()  # those that may be committed; ours, without the prefix
        self._commits: dict[TopicPartition, Offset] = {}
        self._turns: deque[TopicPartition] = deque()
        self._left_over: dict[TopicPartition, list[Entry]] = {}  # taken from the consumer, not handed out
        self._hand: dict[TopicPartition, list[Entry]] = {}
        self._changed = asyncio.Event()
        self._revoked = False
        self._closed: HeadwaterError | None = None

    async def batch(self, records: int, size: int, wait: float) -> Sequence[Entry]:
        """See `headwater.log.Subscription`."""
        self._revoked = False
        self._hand = {}
        await self._healthy()
        try:
            await self._fill(max(1, records), max(1, size), wait)
            return [entry for part in self._hand.values() for entry in part]
        except BaseException:
            for at, part in self._hand.items():
                self._left_over[at] = part + self._left_over.get(at, [])
            raise
        finally:
            self._hand = {}

    async def commit(self, entries: Sequence[Entry]) -> None:
        """See `headwater.log.Subscription`."""
        self._check_open()
        positions: dict[TopicPartition, Offset] = {}
        for topic, partition, offset, *_ in entries:
            at = TopicPartition(topic, partition)
            if offset >= positions.get(at, 0):
                positions[at] = offset + 1
        generation = self._generation
        if not self._owned.issuperset(positions) or (positions and self._place.generation != generation):
            raise Stale(f"group {self._name}: the partitions went to another member")
        # Commits only ever grow, whatever Kafka would take.
        ahead = {at: offset for at, offset in positions.items() if offset > self._commits.get(at, -1)}
        if ahead:
            await self._send_commit(generation, ahead)
            if generation == self._generation:
                self._commits.update(ahead)

    async def rest(self, seconds: float) -> None:
        """See `headwater.log.Subscription`: nothing is taken, and the consumer holds what it has fetched."""
        loop = asyncio.get_running_loop()
        until = loop.time() + seconds
        try:
            while not self._revoked and (left := until - loop.time()) > 0:
                await self._healthy()
                self._changed.clear()
                with self._place.alive(), suppress(TimeoutError):
                    await asyncio.wait_for(self._changed.wait(), min(left, IDLE))
        finally:
            self._revoked = False
        self._check_open()

    async def start(self) -> None:
        """Join the group. Raises `Unavailable`."""
        await start(self._consumer, self._config.request_time)
        topics = [self._config.prefix + topic for topic in self._topics]
        self._consumer.subscribe(topics, listener=as_listener(self))

    async def leave(self) -> None:
        """Leave the group for good."""
        self.close(Stale(f"group {self._name}: this member has left"))
        await stop(self._consumer)

    async def on_partitions_revoked(self, _: Iterable[TopicPartition], /) -> None:
        """From aiokafka, before the group is joined again: nothing of these is handed out from now on."""
        self._revoked = self._revoked or bool(self._granted)
        self._granted, self._begun = [], False
        self._left_over.clear()
        self._hand.clear()
        self._turns.clear()
        self._changed.set()
        if self._beginning is not None:
            self._beginning.cancel()
            await asyncio.wait({self._beginning}, timeout=REVOKE_TIME)
        told, self._announced = self._announced, []
        try:
            if self._hooks is not None and told and self._closed is None:
                async with asyncio.timeout(REVOKE_TIME):
                    await self._hooks.revoked(told)
        except TimeoutError:
            pass
        except Exception as error:  # noqa: BLE001 the partitions move whatever the hook makes of it
            get_logger().warning("giving partitions up failed", group=self._name, error=repr(error))
        finally:
            self._owned.clear()

    def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        """From aiokafka, with the new generation. A position at once, and a pause, so that it looks for neither."""
        self._granted = sorted(assigned)
        self._generation = self._place.generation
        self._commits = {}
        for at in self._granted:
            self._consumer.seek(at, 0)
        self._consumer.pause(*self._granted)
        self._begin_again()
        self._changed.set()

    def close(self, error: HeadwaterError) -> None:
        """From now on every call raises this."""
        self._closed = self._closed or error
        self._owned.clear()
        self._changed.set()
        if self._beginning is not None:
            self._beginning.cancel()

    def _new_consumer(self, group: str) -> Consumer:
        lost = int(max(_SHORTEST_SESSION, self._session) * 1000)
        return new_consumer(
            self._config,
            group_id=self._config.prefix + group,
            session_timeout_ms=lost,
            rebalance_timeout_ms=lost,
            max_poll_interval_ms=max(1, int(self._session * 1000)),
            heartbeat_interval_ms=int(HEARTBEAT * 1000),
        )

    async def _healthy(self) -> None:
        """Join again, as a new member, if this one is broken. Raises `Unavailable`."""
        self._check_open()
        if self._place.broken:
            await self.on_partitions_revoked(())
            await drop(self._consumer)
            self._consumer = self._new_consumer(self._name)
            self._place = Membership(self._consumer)
            self._generation = -1
            await self.start()

    def _check_open(self) -> None:
        if self._closed is not None:
            raise self._closed

    def _check(self) -> None:
        self._check_open()
        if self._place.broken:
            raise Unavailable(f"group {self._name}: the membership ended; the next call joins again")
        with our_errors(f"group {self._name}"):
            self._place.check()

    async def _send_commit(self, generation: int, positions: Mapping[TopicPartition, Offset]) -> None:
        wanted = {self._theirs(at): offset for at, offset in positions.items()}

        async def send() -> None:
            while True:
                try:
                    return await self._place.commit(generation, wanted)
                except GroupLost:
                    raise
                except KafkaError as error:  # the coordinator has moved, or is loading: it may know better soon
                    if not getattr(error, "retriable", False):
                        raise
                    await asyncio.sleep(0.1)

        await within(self._config.request_time, send(), f"group {self._name}: commit")

    def _begin_again(self) -> None:
        self._begun = False
        if self._beginning is not None:
            self._beginning.cancel()
        task = self._beginning = asyncio.get_running_loop().create_task(self._begin(self._granted))
        task.add_done_callback(lambda done: done.cancelled() or done.exception())  # batch raises it, if there is one

    async def _begin(self, granted: Sequence[TopicPartition]) -> None:
        """Find out where the partitions start, and let them run."""
        ours = [self._ours(at) for at in granted]
        self._announced = ours  # also if the hook is cut short: what it has begun is to be given up
        starts = await self._hooks.assigned(ours) if self._hooks is not None and ours else {}
        if granted:
            what, time = f"group {self._name}", self._config.request_time
            known = await within(time, self._place.committed(granted), what)
            first = await within(time, self._consumer.beginning_offsets(granted), what)
            after = await within(time, self._consumer.end_offsets(granted), what)
            for at, our in zip(granted, ours, strict=True):
                begin = starts.get(our, known.get(at, first[at]))
                if not first[at] <= begin <= after[at]:
                    self._announced = []
                    raise OffsetOutOfRange(
                        f"{our.topic}/{our.partition}: {begin} is not between {first[at]} and {after[at]}"
                    )
                self._consumer.seek(at, begin)
            self._consumer.resume(*granted)
            self._commits = {self._ours(at): offset for at, offset in known.items()}
        self._owned = set(ours)
        self._turns = deque(granted)
        self._begun = True
        self._changed.set()

    async def _fill(self, records: int, size: int, wait: float) -> None:
        loop = asyncio.get_running_loop()
        began = loop.time()
        until = began + IDLE
        waiting = False
        while True:
            self._check()
            self._changed.clear()
            if not self._begun:
                with self._place.alive():
                    await self._ready(began + JOIN_TIME)
                if not self._begun:
                    return
                until = max(until, loop.time() + IDLE)
            with self._place.alive():
                arrival = self._place.arrival()
                try:
                    records, size = await self._draw(records, size)
                    if records <= 0 or size <= 0:
                        return
                    oldest = next((part[0] for part in self._hand.values() if part), None)
                    if oldest is not None and not waiting:
                        waiting = True
                        age = (now() - oldest.time) / 1e6
                        until = loop.time() + max(0.0, min(wait, wait - age))
                    left = until - loop.time()
                    if left <= 0:
                        return
                    await self._wait(arrival, left)
                finally:
                    if arrival.done() and not arrival.cancelled():
                        arrival.exception()
                    arrival.cancel()

    async def _ready(self, until: float) -> None:
        """Wait until the partitions of this generation are begun. Raises what the beginning raised."""
        loop = asyncio.get_running_loop()
        while not self._begun and (left := until - loop.time()) > 0:
            self._check()
            beginning = self._beginning
            if beginning is not None and beginning.done():
                error = None if beginning.cancelled() else beginning.exception()
                self._beginning = None
                if error is not None:
                    # Asked again by the next call.
                    raise error
            elif beginning is None and self._granted:
                self._begin_again()
            self._changed.clear()
            changed = loop.create_task(self._changed.wait())
            try:
                waits = {changed} if self._beginning is None else {changed, self._beginning}
                await asyncio.wait(waits, timeout=left, return_when=asyncio.FIRST_COMPLETED)
            finally:
                changed.cancel()

    async def _wait(self, arrival: "asyncio.Future[None]", seconds: float) -> None:
        changed = asyncio.get_running_loop().create_task(self._changed.wait())
        try:
            await asyncio.wait({arrival, changed}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        finally:
            changed.cancel()

    async def _draw(self, records: int, size: int) -> tuple[int, int]:
        """Take what is there, a piece of each partition by turns; returns the room that is left."""
        idle = 0
        while records > 0 and size > 0 and self._begun and idle < len(self._turns):
            at = self._turns[0]
            self._turns.rotate(-1)
            entries = self._left_over.pop(at, None) or await self._fetched(at, min(records, _FETCH_ENTRIES))
            if not entries:
                idle += 1
                continue
            idle = 0
            count, taken = _fitting(entries, records, size)
            if count < len(entries):
                self._left_over[at] = entries[count:]
                entries = entries[:count]
            self._hand.setdefault(at, []).extend(entries)
            records -= count
            size -= taken
        return records, size

    async def _fetched(self, at: TopicPartition, records: int) -> list[Entry]:
        """What the consumer holds; it never waits, so it cannot be cancelled half-way."""
        try:
            with our_errors(f"group {self._name}"):
                found = await self._consumer.getmany(at, timeout_ms=0, max_records=records)
        except Unavailable as error:
            if isinstance(error.__cause__, OutOfRange):
                topic, partition = self._ours(at)
                raise OffsetOutOfRange(f"{topic}/{partition}: the log no longer has what comes next") from error
            raise
        return entries_of(found.get(at, ()), at.topic[self._skip :])

    def _ours(self, at: TopicPartition) -> TopicPartition:
        return TopicPartition(at.topic[self._skip :], at.partition)

    def _theirs(self, at: TopicPartition) -> TopicPartition:
        return partition_of(self._config.prefix + at.topic, at.partition)


def entries_of(records: Sequence[Record], topic: str) -> list[Entry]:
    """In our words. An entry without a key has an empty one."""
    return [
        Entry(topic, record.partition, record.offset, record.timestamp * 1000, record.key or b"", record.value)
        for record in records
    ]


def _fitting(entries: Sequence[Entry], records: int, room: int) -> tuple[int, int]:
    """How many entries, at least one, fill `room` bytes or are `records`, and how many bytes these are."""
    size = count = 0
    for count, entry in enumerate(entries, 1):
        size += len(entry[4]) + len(entry[5] or b"")
        if size >= room or count >= records:
            break
    return count, size


@asynccontextmanager
async def joined(
    config: Kafka, topics: Sequence[str], group: str, hooks: Hooks | None, session: float
) -> AsyncGenerator[Member, None]:
    """Be a member of the group within the block. Raises `Unavailable`."""
    member = Member(config, topics, group, hooks, session)
    try:
        await member.start()
        yield member
    finally:
        await member.leave()

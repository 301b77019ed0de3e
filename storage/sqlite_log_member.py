"""One member of a group: takes batches from its partitions, by turns, and commits them.

In: partitions from the group, chunks from the log. Out: batches. A batch that fails or is cancelled gives back what it
had taken, so that nothing is skipped.
"""

import asyncio
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from headwater.errors import Stale
from headwater.log import Entry, Hooks, Offset, TopicPartition
from headwater.saying import get_logger
from headwater.times import now
from storage.sqlite_log_append import Appender
from storage.sqlite_log_blocks import Chunk
from storage.sqlite_log_group import Group
from storage.sqlite_log_state import Listener, LogState

IDLE = 1.0
"""Seconds after which `batch` returns empty-handed where nothing came at all."""
REVOKE_TIME = 5.0
"""Seconds that a `revoked` hook may take."""

_FETCH_ENTRIES = 5_000
_FETCH_SIZE = 2**20  # by turns, so that one partition's backlog does not fill a batch while the others wait
_COMPANY = 4_096  # entries that may come, while a batch waits for company, before it takes them over


@dataclass
class _Hand:
    """The batch that is being taken. `starts`: where each partition stood before it."""

    records: int
    size: int
    entries: list[Entry] = field(default_factory=list[Entry])
    starts: dict[TopicPartition, Offset] = field(default_factory=dict[TopicPartition, Offset])

    @property
    def full(self) -> bool:
        return self.records <= 0 or self.size <= 0

    def take(self, entries: Sequence[Entry], size: int) -> None:
        self.entries += entries
        self.records -= len(entries)
        self.size -= size

    def drop(self, partitions: Sequence[TopicPartition]) -> None:
        gone = [at for at in partitions if self.starts.pop(at, None) is not None]
        if gone:
            self.entries = [entry for entry in self.entries if entry[:2] not in gone]


class Member:
    """A `Subscription` of one group."""

    def __init__(
        self, state: LogState, appender: Appender, group: Group, name: str, topics: Sequence[str], hooks: Hooks | None
    ) -> None:
        self.topics = topics
        self.silent_since: float | None = asyncio.get_running_loop().time()
        self._state = state
        self._appender = appender
        self._group = group
        self._name = name
        self._hooks = hooks
        self._hook_runs = asyncio.Lock()
        self._listener = Listener()
        self._granted: set[TopicPartition] = set()  # ours, but not begun
        self._announced: set[TopicPartition] = set()  # those that the hook `assigned` was told of
        self._positions: dict[TopicPartition, Offset] = {}  # those begun, and what comes next
        self._owned: set[TopicPartition] = set()  # those that may be committed
        self._turns: deque[TopicPartition] = deque()
        self._hand = _Hand(0, 0)
        self._over: tuple[TopicPartition, Offset, Chunk] | None = None  # of a chunk that was too large for a batch
        self._latest: tuple[Sequence[Entry], Mapping[TopicPartition, Offset]] | None = None
        self._revoked = False
        self._left = False

    async def batch(self, records: int, size: int, wait: float) -> Sequence[Entry]:
        """See `headwater.log.Subscription`."""
        self._hand = hand = _Hand(max(1, records), max(1, size))
        self._latest = None
        self._revoked = False
        self.silent_since = None
        try:
            await self._fill(hand, wait)
        except BaseException:
            self._positions.update(hand.starts)
            self._over = None
            raise
        finally:
            self._hand = _Hand(0, 0)
            self.silent_since = self._time()
        self._latest = (hand.entries, {at: self._positions[at] for at in hand.starts})
        return hand.entries

    async def commit(self, entries: Sequence[Entry]) -> None:
        """See `headwater.log.Subscription`."""
        latest = self._latest  # the whole batch, mostly: then nobody has to look at each entry
        positions = latest[1] if latest is not None and entries is latest[0] else _positions(entries)
        lost = sorted(at for at in positions if at not in self._owned)
        if lost:
            raise Stale(f"group {self._name}: {', '.join(f'{at.topic}/{at.partition}' for at in lost)} went to another")
        if positions:
            await self._appender.commit(self._name, positions)
        self._latest = None

    async def rest(self, seconds: float) -> None:
        """See `headwater.log.Subscription`."""
        until = self._time() + seconds
        self.silent_since = None
        try:
            while not self._revoked and (left := until - self._time()) > 0:
                self._check()
                self._listener.clear()
                await self._listener.wait(2**62, 2**62, left)
        finally:
            self._revoked = False
            self.silent_since = self._time()

    def grant(self, partitions: Sequence[TopicPartition]) -> None:
        """From the group: begin these with the next batch."""
        self._granted.update(partitions)
        self._listener.poke()

    async def withdraw(self, partitions: Sequence[TopicPartition], *, lost: bool) -> None:
        """From the group: give these up, after the hook has let go of them or 5 seconds have passed."""
        self._hand.drop(partitions)
        for at in partitions:
            self._granted.discard(at)
            if self._positions.pop(at, None) is not None:
                self._state.unlisten(at, self._listener)
                self._turns.remove(at)
        if lost:
            self._owned.difference_update(partitions)
        self._revoked = True
        self._listener.poke()
        try:
            async with asyncio.timeout(REVOKE_TIME), self._hook_runs:
                announced = [at for at in partitions if at in self._announced]
                self._announced.difference_update(announced)
                if self._hooks is not None and announced and not self._left:
                    await self._hooks.revoked(announced)
        except TimeoutError:
            pass
        except Exception as error:  # noqa: BLE001 the partitions move whatever the hook makes of it
            get_logger().warning("giving partitions up failed", group=self._name, error=repr(error))
        finally:
            self._owned.difference_update(partitions)

    def leave(self) -> None:
        """Leave the group for good."""
        self._left = True
        self._group.leave(self)
        for at in self._positions:
            self._state.unlisten(at, self._listener)
        self._owned.clear()

    async def _fill(self, hand: _Hand, wait: float) -> None:
        until = self._time() + IDLE
        waiting = False
        while True:
            self._check()
            self._group.join(self)  # again, if it had been silent for too long
            if self._granted:
                await self._begin()
            self._listener.clear()
            await self._draw(hand)
            if hand.full:
                return
            if hand.entries and not waiting:
                waiting = True
                age = (now() - hand.entries[0].time) / 1e6
                until = self._time() + max(0.0, min(wait, wait - age))
            left = until - self._time()
            if left <= 0:
                return
            company = min(hand.records, _COMPANY) if waiting else 1
            await self._listener.wait(company, hand.size if waiting else 1, left)

    async def _begin(self) -> None:
        """Find out where the granted partitions start. On an error they stay granted: the next batch tries again."""
        granted = sorted(self._granted)
        self.silent_since = self._time()  # a hook that hangs is silence
        async with self._hook_runs:
            self._announced.update(granted)
            starts = await self._hooks.assigned(granted) if self._hooks is not None else {}
        self.silent_since = None
        known = self._state.commits.get(self._name, {})
        positions = {at: starts.get(at, known.get(at, self._state.at[at].first)) for at in granted}
        for at, start in positions.items():
            self._state.check_start(at, start)
        for at, start in positions.items():
            if at in self._granted:  # else it was withdrawn meanwhile
                self._granted.remove(at)
                self._owned.add(at)
                self._positions[at] = start
                self._turns.append(at)
                self._state.listen(at, self._listener)

    async def _draw(self, hand: _Hand) -> None:
        """Take what is there, a chunk a partition by turns."""
        idle = 0
        while not hand.full and idle < len(self._turns):
            at = self._turns[0]
            start = self._positions[at]
            if start >= self._state.at[at].next:
                idle += 1
                self._turns.rotate(-1)
                continue
            idle = 0
            chunk = await self._fetch(at, start, hand)
            if self._positions.get(at) != start:
                continue  # withdrawn meanwhile
            hand.starts.setdefault(at, start)
            self._positions[at] = self._take(at, chunk, hand)
            if self._over is None:
                self._turns.rotate(-1)

    async def _fetch(self, at: TopicPartition, start: Offset, hand: _Hand) -> Chunk:
        if self._over is not None:
            whose, position, chunk = self._over
            self._over = None
            if (whose, position) == (at, start):
                return chunk
        return await self._state.fetch(at, start, min(hand.records, _FETCH_ENTRIES), min(hand.size, _FETCH_SIZE))

    def _take(self, at: TopicPartition, chunk: Chunk, hand: _Hand) -> Offset:
        """Move as much of the chunk into the hand as it can hold; returns the partition's next position."""
        count = len(chunk.entries)
        size = chunk.size
        if size > hand.size:
            count, size = _fitting(chunk.entries, hand.size)
        if count > hand.records:
            count = hand.records
            size = size * count // len(chunk.entries)
        if count == len(chunk.entries):
            hand.take(chunk.entries, size)
            return chunk.next
        hand.take(chunk.entries[:count], size)
        over = Chunk(chunk.entries[count:], chunk.next, chunk.size - size)
        position = over.entries[0].offset
        self._over = (at, position, over)
        return position

    def _check(self) -> None:
        self._state.check_open()
        if self._left:
            raise Stale(f"group {self._name}: this member has left")

    @staticmethod
    def _time() -> float:
        return asyncio.get_running_loop().time()


def _fitting(entries: Sequence[Entry], room: int) -> tuple[int, int]:
    """How many entries, at least one, fill `room` bytes, and how many bytes these are."""
    size = 0
    for count, entry in enumerate(entries, 1):
        size += len(entry.key) + len(entry.value or b"")
        if size >= room:
            return count, size
    return len(entries), size


def _positions(entries: Sequence[Entry]) -> dict[TopicPartition, Offset]:
    """The offset after the highest entry of each partition."""
    highest: dict[TopicPartition, Offset] = {}
    for entry in entries:
        at = TopicPartition(entry.topic, entry.partition)
        highest[at] = max(highest.get(at, 0), entry.offset + 1)
    return highest

"""The tail: what is on the log and may not be in the lake yet, in memory; and the source of the live stream.

In: the log, followed from where the lake's ledger stands. Out: the entries above a ledger, from memory or, where it no
longer has them, from the log; and each new batch of messages for whoever listens. Values stay bytes until someone asks.

An entry goes when the lake has had it for `grace` seconds, so that an answer of the lake that is a little old still
finds the rest here. Beyond `size` bytes the oldest go first.
"""

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Collection, Generator, Mapping
from contextlib import aclosing, contextmanager

from headwater.errors import OffsetOutOfRange, Stale, Unavailable
from headwater.log import CANDIDATES, MESSAGES, REJECTED, Entry, Log, Offset, Offsets, Partition
from query.listener import Listener
from query.tail_part import Part, position

TOPICS = (MESSAGES, CANDIDATES, REJECTED)
_LOOK = 1.0

Covered = Callable[[str], Awaitable[Mapping[Partition, int]]]
"""Topic → partition → highest position applied: `Store.ledger`."""


class Tail:
    """Give `run` to a supervisor. Everything else may be asked at any time, also before `run` has begun.

    `covered`: the lake's ledger. `groups`: topic → the group in which the lake takes it, for a topic whose ledger does
    not count offsets (candidates): there the group's commit says where to begin.
    """

    def __init__(
        self,
        log: Log,
        covered: Covered,
        *,
        size: int,
        groups: Mapping[str, str] | None = None,
        grace: float = 10.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._log = log
        self._covered = covered
        self._groups = groups or {}
        self._most = size
        self._grace = grace
        self._clock = clock
        self._parts: dict[tuple[str, Partition], Part] = {}
        self._listeners: set[Listener] = set()
        self._seen: deque[tuple[float, Mapping[str, Mapping[Partition, int]]]] = deque()

    async def run(self, stop: asyncio.Event) -> None:
        """Follow the log until `stop` is set. Raises what log and lake raise; run again, it goes on where it was."""
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(self._keep_trimming())]
            for topic in TOPICS:
                await self._begin(topic)
                tasks += [
                    group.create_task(self._follow(topic, number)) for number in range(self._log.partitions(topic))
                ]
            await stop.wait()
            for task in tasks:
                task.cancel()

    @property
    def size(self) -> int:
        """About how many bytes of memory the entries take."""
        return sum(part.size for part in self._parts.values())

    async def reach(self, topic: str, seconds: float, numbers: Collection[Partition] | None = None) -> bool:
        """Wait until all that is on the log now, in these partitions or all, is here. False: it took too long."""
        ends = await self._log.ends(topic)
        wanted = [(self._parts.get((topic, number)), ends[number].next) for number in numbers or ends]
        waits = [part.reached(end) for part, end in wanted if part is not None and part.next < end]
        if waits:
            _, late = await asyncio.wait(waits, timeout=seconds)
            for future in late:
                future.cancel()
            if late:
                return False
        return all(part is not None for part, _ in wanted)

    async def above(
        self,
        topic: str,
        ledger: Mapping[Partition, int],
        *,
        numbers: Collection[Partition] | None = None,
        key: bytes | None = None,
    ) -> list[Entry]:
        """Every entry above the ledger, with this key or any, in these partitions or all; in offset order in each.

        Raises `Unavailable` if those that memory does not have are more than it may have.
        """
        ends = await self._log.ends(topic)
        found: list[Entry] = []
        for number in numbers or ends:
            low = ledger.get(number, -1)
            part = self._parts.get((topic, number))
            if part is None:
                found += await self._from_log(topic, number, range(low + 1, ends[number].next), low, key)
                continue
            held, first, end = part.above(low, key), part.first, part.next
            start = low + 1 if topic != CANDIDATES else part.start_above(low)
            if start < first:
                found += await self._from_log(topic, number, range(start, first), low, key)
            found += held
            rest = range(end if topic == CANDIDATES else max(end, low + 1), ends[number].next)
            found += await self._from_log(topic, number, rest, low, key)  # what `reach` did not wait for
        return found

    @contextmanager
    def listen(self, keys: Collection[bytes] | None = None) -> Generator[Listener, None, None]:
        """Messages as they become durable, of these devices or all."""
        start = {number: part.next for (topic, number), part in self._parts.items() if topic == MESSAGES}
        listener = Listener(start, keys)
        self._listeners.add(listener)
        try:
            yield listener
        finally:
            self._listeners.discard(listener)

    async def trim(self) -> None:
        """Forget what the lake was seen to have `grace` seconds ago. `run` does it every second."""
        at = self._clock()
        self._seen.append((at, {topic: await self._covered(topic) for topic in TOPICS}))
        while len(self._seen) > 1 and self._seen[1][0] <= at - self._grace:
            self._seen.popleft()
        seen, ledgers = self._seen[0]
        if seen <= at - self._grace:
            for (topic, number), part in self._parts.items():
                part.drop_covered(ledgers[topic].get(number, -1))

    async def _keep_trimming(self) -> None:
        while True:
            try:
                await self.trim()
            except (Stale, Unavailable):
                self._seen.clear()  # the lake cannot say, or has been emptied; until it has it, `size` is the limit
            await asyncio.sleep(_LOOK)

    async def _begin(self, topic: str) -> None:
        """Where to begin: behind the lake's ledger. A part that is there already goes on, if the log still can."""
        ledger = await self._covered(topic)
        group = self._groups.get(topic)
        commits = await self._log.committed(group, topic) if group else {}
        for number, ends in (await self._log.ends(topic)).items():
            part = self._parts.get((topic, number))
            if part is None or not ends.first <= part.next <= ends.next:
                begin = commits.get(number, 0) if topic == CANDIDATES else ledger.get(number, -1) + 1
                self._parts[topic, number] = _part(begin, ends, ledger.get(number, -1))

    async def _follow(self, topic: str, number: Partition) -> None:
        part = self._parts[topic, number]
        async with aclosing(self._log.read(topic, number, part.next, follow=True)) as batches:
            async for entries in batches:
                part.add(entries)
                over = self.size - self._most
                while over > 0:
                    max(self._parts.values(), key=lambda one: one.size).drop_size(over)
                    over = self.size - self._most
                if topic == MESSAGES:
                    for listener in self._listeners:
                        listener.offer(entries)

    async def _from_log(
        self, topic: str, number: Partition, offsets: range, low: int, key: bytes | None
    ) -> list[Entry]:
        start = max(offsets.start, (await self._log.ends(topic))[number].first)
        found: list[Entry] = []
        room = self._most
        if start >= offsets.stop:
            return found
        try:
            async with aclosing(self._log.read(topic, number, start)) as batches:
                async for entries in batches:
                    for entry in entries:
                        if entry.offset >= offsets.stop:
                            return found
                        if _wanted(entry, key) and position(entry) > low:
                            found.append(entry)
                            room -= len(entry.value or b"")
                    if room < 0:
                        raise Unavailable("the lake is too far behind to answer this; narrow it, or ask later")
        except OffsetOutOfRange as error:
            raise Unavailable(f"the log has dropped what the lake has yet to take: {error}") from error
        return found


def _part(begin: Offset, ends: Offsets, floor: int) -> Part:
    start = min(max(begin, ends.first), ends.next)
    return Part(start, floor if start > ends.first else -1)


def _wanted(entry: Entry, key: bytes | None) -> bool:
    if key is None:
        return entry.topic != MESSAGES or bool(entry.key)
    return entry.key == key

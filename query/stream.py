"""The live stream: each message as an event, as soon as it is durable.

In: which devices and kind, how many a second at most, and where a client was cut off. Out: `message` events with
ids to go on from; `dropped` (the client was too slow, or away too long) and `skipped` (more than `rate`) with counts.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Collection, Generator, Mapping, Sequence
from typing import NamedTuple

import msgspec

from headwater.log import MESSAGES, Entry, Partition, partition_for
from headwater.message import decode_message, read
from query import answers
from query.events import event
from query.problems import Unanswerable
from query.tail import Tail

HEARTBEAT = 15.0
"""Seconds after which a comment is sent, so that a dead line is noticed."""
_RESUMED = 10_000
_RESUMED_OF_DEVICES = 200_000
"""Entries of a partition that are looked through, at most, for a client that comes back."""
_TOLD = 64
_AT_ONCE = 200
_TICK = 0.1

Positions = dict[Partition, int]
"""Partition → the last offset that the client has seen."""


class Wanted(NamedTuple):
    """What a client asked for. `rate`: messages a second, None for all."""

    devices: Collection[str] = ()
    kind: str | None = None
    rate: float | None = None

    @property
    def keys(self) -> Collection[bytes] | None:
        """Keys on the log; None for all."""
        return frozenset(device.encode() for device in self.devices) or None


def read_id(text: str) -> Positions:
    """Positions from a `Last-Event-ID`: `partition:offset`, several of them with commas. Raises `Unanswerable`."""
    positions: Positions = {}
    try:
        for pair in text.split(",") if text else ():
            partition, offset = pair.split(":")
            positions[int(partition)] = int(offset)
    except ValueError:
        raise Unanswerable(400, "bad_event_id", "Last-Event-ID is `partition:offset`, as in the events' ids") from None
    return positions


def write_id(partition: Partition, positions: Positions) -> str:
    """The id of the event at `positions[partition]`: that one first, then where the other partitions stand."""
    pairs = (
        [partition, *(other for other in positions if other != partition)] if len(positions) <= _TOLD else [partition]
    )
    return ",".join(f"{number}:{positions[number]}" for number in pairs)


class Stream:
    """Makes the events of one client. `clock`: seconds that only grow."""

    def __init__(
        self, tail: Tail, wanted: Wanted, partitions: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._tail = tail
        self._wanted = wanted
        self._clock = clock
        self._looked = clock()
        self._allowed = wanted.rate or 0.0
        # A stream of some devices concerns only their partitions.
        self._partitions = {partition_for(key, partitions) for key in wanted.keys or ()} or set(range(partitions))

    async def events(self, seen: Mapping[Partition, int]) -> AsyncGenerator[bytes, None]:
        """For ever; begins behind `seen`, or now where that says nothing."""
        with self._tail.listen(self._wanted.keys) as listener:
            yield b": headwater\nretry: 2000\n\n"
            positions = {number: listener.start[number] - 1 for number in sorted(self._partitions)}
            async for chunk in self._missed(seen, positions):
                yield chunk
            while True:
                entries, dropped = await listener.take(HEARTBEAT)
                if dropped:
                    yield event("dropped", b'{"dropped":%d}' % dropped)
                if not entries:
                    yield b": still here\n\n"
                    continue
                for chunk in self._written(entries, positions):
                    yield chunk
                if self._wanted.rate is not None:
                    await asyncio.sleep(_TICK)

    async def _missed(self, seen: Mapping[Partition, int], positions: Positions) -> AsyncGenerator[bytes, None]:
        """What lies between what the client has seen and where this stream began."""
        most = _RESUMED if self._wanted.keys is None else _RESUMED_OF_DEVICES
        for number in positions.keys() & seen.keys():
            end = positions[number]
            start = max(seen[number], end - most, -1)
            if start >= end:
                continue
            if start > seen[number] + 1:
                yield event("dropped", b'{"dropped":%d}' % (start - seen[number]))
            positions[number] = start
            keys = self._wanted.keys
            entries = await self._tail.above(MESSAGES, {number: start}, numbers=(number,))
            entries = [one for one in entries if one.offset <= end and (keys is None or one.key in keys)]
            for chunk in self._written(entries, positions):
                yield chunk
            positions[number] = end

    def _written(self, entries: Sequence[Entry], positions: Positions) -> Generator[bytes, None, None]:
        skipped = self._too_many(len(entries))
        entries = entries[skipped:]
        for at in range(0, len(entries), _AT_ONCE):
            chunk = b"".join(self._event(entry, positions) for entry in entries[at : at + _AT_ONCE])
            if chunk:
                yield chunk
        if skipped:
            yield event("skipped", b'{"skipped":%d}' % skipped)

    def _too_many(self, count: int) -> int:
        """How many of so many messages to skip: a second's worth may come at once."""
        rate = self._wanted.rate
        if rate is None:
            return 0
        at = self._clock()
        self._allowed = min(max(rate, 1.0), self._allowed + (at - self._looked) * rate)
        self._looked = at
        sent = min(count, int(self._allowed))
        self._allowed -= sent
        return count - sent

    def _event(self, entry: Entry, positions: Positions) -> bytes:
        positions[entry.partition] = entry.offset
        message = read(decode_message, entry.value)
        if message is None or self._wanted.kind not in {None, message.kind}:
            return b""
        body = msgspec.json.encode(answers.message(message, entry.partition, entry.offset))
        return event("message", body, write_id(entry.partition, positions))

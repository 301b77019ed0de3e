"""One partition's part of the tail: entries in memory, by offset and by key.

In: batches in offset order. Out: what is above a ledger; whoever waits for an offset is told when it is here.
"""

import asyncio
from collections import deque
from collections.abc import Iterable, Sequence

import msgspec

from headwater.log import CANDIDATES, MESSAGES, Entry, Offset
from headwater.message import Origin, read
from storage.contract import ORIGIN_BITS

_ENTRY_SIZE = 360
"""Bytes that an entry costs beside its key and value: a tuple, its numbers, a place in two queues."""


class _OfCandidate(msgspec.Struct):
    origin: Origin


_decode_origin = msgspec.json.Decoder(_OfCandidate).decode


def position(entry: Entry) -> int:
    """What a ledger counts this entry by: its offset; for a candidate, where it comes from (-1: nobody can read it)."""
    if entry.topic != CANDIDATES or entry.value is None:
        return entry.offset
    found = read(_decode_origin, entry.value)
    if found is None:
        return -1
    origin = found.origin
    return origin.offset << ORIGIN_BITS | origin.n


class Part:
    """Every entry from offset `first` up to `next`. `floor`: no entry below `start` has a higher position."""

    def __init__(self, start: Offset, floor: int) -> None:
        self.first = self.next = start
        self.size = 0
        self._entries: deque[Entry] = deque()
        self._by_key: dict[bytes, deque[Entry]] = {}
        # (offset, floor): no entry below the offset has a position above the floor.
        self._marks: deque[tuple[Offset, int]] = deque([(start, floor)], maxlen=256)
        self._waiting: list[tuple[Offset, asyncio.Future[None]]] = []

    def add(self, entries: Sequence[Entry]) -> None:
        """The next entries. Control entries are not kept: nobody asks for them."""
        for entry in entries:
            if not entry.key and entry.topic == MESSAGES:
                continue
            self._entries.append(entry)
            held = self._by_key.get(entry.key)
            if held is None:
                held = self._by_key[entry.key] = deque()
            held.append(entry)
            self.size += _size(entry)
        self.next = entries[-1].offset + 1
        if self._waiting:
            self._tell()

    def above(self, ledger: int, key: bytes | None) -> list[Entry]:
        """Those in memory whose position is above it, with this key or any."""
        held: Iterable[Entry] = self._entries if key is None else self._by_key.get(key, ())
        return [entry for entry in held if position(entry) > ledger]

    def start_above(self, ledger: int) -> Offset:
        """Every entry with a position above it stands at this offset or behind; 0 where that is not known."""
        return max((offset for offset, floor in self._marks if floor <= ledger), default=0)

    def drop_covered(self, ledger: int) -> None:
        """Forget the oldest entries, as far as the ledger covers them."""
        count = 0
        for entry in self._entries:
            if position(entry) > ledger:
                break
            count += 1
        self._drop(count)

    def drop_size(self, size: int) -> None:
        """Forget the oldest entries that take at least so many bytes."""
        count = 0
        for entry in self._entries:
            if size <= 0:
                break
            size -= _size(entry)
            count += 1
        self._drop(count)

    def reached(self, offset: Offset) -> asyncio.Future[None]:
        """Done when everything below the offset is here."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((offset, future))
        self._tell()
        return future

    def _drop(self, count: int) -> None:
        if not count:
            return
        floor = self._marks[-1][1]
        for _ in range(count):
            entry = self._entries.popleft()
            held = self._by_key[entry.key]
            held.popleft()
            if not held:
                del self._by_key[entry.key]
            self.size -= _size(entry)
            self.first = entry.offset + 1
            floor = max(floor, position(entry))
        self._marks.append((self.first, floor))

    def _tell(self) -> None:
        for offset, future in self._waiting:
            if offset <= self.next and not future.done():
                future.set_result(None)
        self._waiting = [(offset, future) for offset, future in self._waiting if not future.done()]


def _size(entry: Entry) -> int:
    return _ENTRY_SIZE + len(entry.key) + len(entry.value or b"")

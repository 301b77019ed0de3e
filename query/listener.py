"""One client of the live stream: entries that wait for it, at most so many, and how many it missed.

In: each batch that became durable. Out: what waits, in the order of each partition. A client that is too slow misses
entries, and is told how many; nobody waits for it.
"""

import asyncio
from collections import deque
from collections.abc import Collection, Mapping, Sequence

from headwater.log import Entry, Offset, Partition

MOST_ENTRIES = 5_000
MOST_SIZE = 2 * 2**20


class Listener:
    """`keys`: of which devices, None for all. `start`: partition → the first offset that comes through here."""

    def __init__(self, start: Mapping[Partition, Offset], keys: Collection[bytes] | None = None) -> None:
        self.start = start
        self._keys = keys
        self._entries: deque[Entry] = deque()
        self._size = 0
        self._dropped = 0
        self._some = asyncio.Event()

    def offer(self, entries: Sequence[Entry]) -> None:
        """Take what it wants and has room for. Control entries have no key, and are nobody's."""
        keys = self._keys
        for entry in entries:
            if not entry.key or (keys is not None and entry.key not in keys):
                continue
            if len(self._entries) >= MOST_ENTRIES or self._size > MOST_SIZE:
                self._dropped += 1
                continue
            self._entries.append(entry)
            self._size += len(entry.value or b"")
        if self._entries or self._dropped:
            self._some.set()

    async def take(self, seconds: float) -> tuple[list[Entry], int]:
        """What waits now or comes within that time, and how many were missed since the last call."""
        if not self._some.is_set():
            try:
                async with asyncio.timeout(seconds):
                    await self._some.wait()
            except TimeoutError:
                return [], 0
        taken, dropped = list(self._entries), self._dropped
        self._entries.clear()
        self._size = self._dropped = 0
        self._some.clear()
        return taken, dropped

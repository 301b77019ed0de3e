"""Lines of the service log on their way to the lake: bounded, from any thread, never waiting for anybody.

In: one line an event, as JSON. Out: batches of lines of one day (UTC). Beyond the bound new lines are dropped and
counted: what began the trouble stays.
"""

import threading
from collections import deque
from datetime import UTC, datetime
from typing import NamedTuple

from headwater.times import now


class Lines(NamedTuple):
    """Lines of one day, `YYYY-MM-DD`, each with its line end."""

    day: str
    lines: list[bytes]


class LogLines:
    """`most`: bytes that may wait."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._lock = threading.RLock()  # a finaliser may say something while this thread holds it
        self._lines: deque[tuple[str, bytes]] = deque()
        self.size = 0
        """Bytes that wait."""
        self.dropped = 0
        """Lines that found no room, since the start."""

    def add(self, line: bytes) -> None:
        """Keep it, if there is room."""
        day = datetime.fromtimestamp(now() / 1e6, UTC).strftime("%Y-%m-%d")
        with self._lock:
            if self.size + len(line) > self._most:
                self.dropped += 1
                return
            self._lines.append((day, line))
            self.size += len(line)

    def take(self, size: int) -> Lines | None:
        """The oldest: those of one day, at least one and up to so many bytes. None if there are none."""
        taken: list[bytes] = []
        with self._lock:
            if not self._lines:
                return None
            day = self._lines[0][0]
            while self._lines and self._lines[0][0] == day and (not taken or size >= len(self._lines[0][1])):
                _, line = self._lines.popleft()
                taken.append(line)
                size -= len(line)
                self.size -= len(line)
        return Lines(day, taken)

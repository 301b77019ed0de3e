"""How much waits for the log, and who wants to know when it is less.

In: entries queued and settled. Out: `full`, true from the configured limit up and until half of it is left; callbacks
when it ends; a wait for nothing at all.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress


class Pressure:
    """`count` entries of `size` bytes wait. The hot path adds to both itself, then looks at `high`."""

    def __init__(self, most: int, most_size: int) -> None:
        self.count = 0
        self.size = 0
        self.full = False
        self._most = most
        self._most_size = most_size
        self._callbacks: list[Callable[[], None]] = []
        self._idle = asyncio.Event()

    def look(self) -> None:
        """To be called after adding."""
        if self.count >= self._most or self.size >= self._most_size:
            self.full = True

    @property
    def beyond(self) -> bool:
        """True at twice the limits: whoever goes on while it is full is refused."""
        return self.count >= 2 * self._most or self.size >= 2 * self._most_size

    def when_relieved(self, callback: Callable[[], None]) -> None:
        """Call back once, soon after `full` has become false (soon, if it is)."""
        self._callbacks.append(callback)
        if not self.full:
            self._relieve()

    def settled(self, count: int, size: int) -> None:
        """So much has left."""
        self.count -= count
        self.size -= size
        if not self.count:
            self._idle.set()
        if self.full and self.count <= self._most // 2 and self.size <= self._most_size // 2:
            self.full = False
            self._relieve()

    async def until_idle(self, seconds: float) -> None:
        """Wait until nothing waits, at most so long."""
        if self.count:
            self._idle.clear()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._idle.wait(), seconds)

    def _relieve(self) -> None:
        callbacks, self._callbacks = self._callbacks, []
        for callback in callbacks:
            asyncio.get_running_loop().call_soon(callback)

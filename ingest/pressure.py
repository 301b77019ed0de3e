"""How much waits for the log, and who wants to know when it is less.

In: entries queued and settled. Out: `full`, true from the configured limit up and until half of it is left; callbacks
when it ends; a wait for nothing at all.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress


class Pressure:
    """`count` entries of `size` bytes wait: the hot path adds to both, and calls `look` at the limits.

    `beyond`: twice the limits wait, because someone went on while it was full: what comes is refused.
    """

    def __init__(self, most: int, most_size: int) -> None:
        self.count = 0
        self.size = 0
        self.full = False
        self.beyond = False
        self.most = most
        self.most_size = most_size
        self._callbacks: list[Callable[[], None]] = []
        self._idle = asyncio.Event()

    def look(self) -> None:
        """To be called when `count` or `size` has come to its limit."""
        self.full = True
        self.beyond = self.count >= 2 * self.most or self.size >= 2 * self.most_size

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
        self.beyond = self.beyond and (self.count >= 2 * self.most or self.size >= 2 * self.most_size)
        if self.full and self.count <= self.most // 2 and self.size <= self.most_size // 2:
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

"""A callback at a moment of the wall clock, and never before it.

In: microseconds since 1970 UTC. Out: one call, unless it is cancelled. The event loop's clock and the wall clock drift
apart, and one of them can be set: so the wall clock is asked again when the loop's says that the time has come, and at
least once a minute.
"""

import asyncio
from collections.abc import Callable

from headwater import times

_LOOK = 60.0
"""Seconds after which the wall clock is looked at again at the latest."""


class Alarm:
    """Rings once, on the running loop, when `clock` has reached `moment`; soon, if it has."""

    __slots__ = ("_clock", "_moment", "_ring", "_timer")

    def __init__(self, moment: int, ring: Callable[[], object], clock: Callable[[], int] = times.now) -> None:
        self._moment = moment
        self._ring = ring
        self._clock = clock
        self._timer = self._set()

    def cancel(self) -> None:
        """It rings no more."""
        self._timer.cancel()

    def _set(self) -> asyncio.TimerHandle:
        left = max(0, self._moment - self._clock()) / times.SECOND
        return asyncio.get_running_loop().call_later(min(left, _LOOK), self._look)

    def _look(self) -> None:
        if self._clock() < self._moment:
            self._timer = self._set()
        else:
            self._ring()

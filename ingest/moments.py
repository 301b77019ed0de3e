"""Moments: microseconds of arrival, each of them one message's own.

In: a clock. Out: what is `received` of one message after the other. What comes later is newer, also within a batch
without clocks of its own. A clock that is set back is followed.
"""

from collections.abc import Callable

from headwater.times import SECOND


class Moments:
    """`clock`: microseconds since 1970 UTC. `latest`: the latest that was given away; the hot path moves it itself."""

    __slots__ = ("_clock", "latest")

    def __init__(self, clock: Callable[[], int]) -> None:
        self._clock = clock
        self.latest = 0

    def next(self) -> int:
        """The first that nobody has; it is free until `latest` is set to it."""
        now, latest = self._clock(), self.latest
        return latest + 1 if latest - SECOND < now <= latest else now

    def take(self, count: int = 1) -> int:
        """The first of so many, which are given away."""
        first = self.next()
        self.latest = first + count - 1
        return first

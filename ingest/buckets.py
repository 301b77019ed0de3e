"""Token buckets (as in RFC 2697, section 3, with debt): one by itself, and many by name.

In: how much was taken, and when. Out: seconds to wait. What is taken may leave a debt, which is waited for: so a sender
gets its rate in the long run, and nothing of what it sent is lost.
"""

from collections.abc import Callable
from typing import NamedTuple


class Bucket:
    """`rate` a second come in, up to `depth`; `level` may be below 0. `at`: seconds of the clock, when it was so."""

    __slots__ = ("at", "depth", "level", "rate")

    def __init__(self, rate: float, depth: float, now: float) -> None:
        self.rate = rate
        self.depth = self.level = depth
        self.at = now

    def take(self, count: float, now: float) -> float:
        """Take so much; returns the seconds until nothing is owed, 0 if that is now."""
        level = min(self.level + (now - self.at) * self.rate, self.depth) - count
        self.level = level
        self.at = now
        return -level / self.rate if level < 0 else 0.0

    def spare(self, now: float) -> float:
        """Take one, if there is one: who has to wait, so many seconds, owes nothing for it."""
        self.take(0, now)
        if self.level < 1:
            return (1 - self.level) / self.rate
        self.level -= 1
        return 0.0


class Rate(NamedTuple):
    """So many a second, and so many at once. `each` 0: no limit."""

    each: float
    burst: float


class Buckets:
    """One for each name that comes, `most` at most: beyond, the oldest is forgotten, and begins anew."""

    def __init__(self, most: int, clock: Callable[[], float]) -> None:
        self._most = most
        self._clock = clock
        self._held: dict[str, Bucket] = {}

    def spare(self, name: str, rate: Rate) -> float:
        """One more of that name: 0 and it counts, or the seconds after which it may come again."""
        return self._of(name, rate).spare(self._clock()) if rate.each else 0.0

    def take(self, name: str, rate: Rate, count: float) -> None:
        """So much has come of that name, whatever is left."""
        if rate.each:
            self._of(name, rate).take(count, self._clock())

    def owed(self, name: str) -> float:
        """Seconds until nothing is owed."""
        held = self._held.get(name)
        return held.take(0, self._clock()) if held is not None else 0.0

    def _of(self, name: str, rate: Rate) -> Bucket:
        held = self._held.get(name)
        if held is None or (held.rate, held.depth) != (rate.each, max(1.0, rate.burst)):
            if len(self._held) >= self._most:
                del self._held[next(iter(self._held))]
            held = self._held[name] = Bucket(rate.each, max(1.0, rate.burst), self._clock())
        return held

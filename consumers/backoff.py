"""How long to pause before the next try: growing, jittered, with a ceiling."""

import random
from collections.abc import Callable


class Backoff:
    """`first` seconds, doubled with each pause up to `most`; each taken at half to full length.

    `jitter`: a number from 0 to 1, drawn anew for each pause: workers that failed together return apart.
    """

    def __init__(self, first: float, most: float, jitter: Callable[[], float] = random.random) -> None:
        self._first = first
        self._most = most
        self._next = first
        self._jitter = jitter

    def pause(self, at_least: float | None = None) -> float:
        """Seconds to wait now. `at_least`: what the peer asked for, up to the ceiling."""
        length = min(self._next, self._most)
        self._next = min(length * 2, self._most)
        asked = min(at_least or 0.0, self._most)
        return max(asked, length * (0.5 + self._jitter() / 2))

    def reset(self) -> None:
        """It worked: begin with the first pause again."""
        self._next = self._first

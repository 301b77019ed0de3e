"""The front door's memory of ids that are durably on the log, so that a device's retry is not logged again.

In: names of messages after their append. Out: whether a name is among the last so many. A name is device and id.
"""

from collections.abc import Iterable


class Recent:
    """At most `limit` names, and at least the last half of that; 0 remembers nothing.

    Two sets take turns, so that forgetting costs nothing a name: when the younger is full the older goes. The hot path
    looks into both itself.
    """

    def __init__(self, limit: int) -> None:
        self._half = limit // 2
        self.younger: set[str] = set()
        self.older: set[str] = set()

    def __contains__(self, name: str) -> bool:
        return name in self.younger or name in self.older

    def add(self, names: Iterable[str]) -> None:
        """Remember these; a batch is small against the limit, and may overrun it by its own length."""
        if not self._half:
            return
        self.younger.update(names)
        if len(self.younger) >= self._half:
            self.older, self.younger = self.younger, set()

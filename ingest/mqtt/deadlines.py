"""One timer for all connections: each sits in the second in which it is to be looked at again.

In: items and moments. Out: the items whose moment has come. Setting costs a set operation, and a packet that comes in
costs nothing: whoever is due looks at when it last heard something, and sets its next moment.
"""

import math
from typing import Generic, Protocol, TypeVar


class Expiring(Protocol):
    """`deadline` belongs to `Deadlines`: the second it sits in, or 0."""

    deadline: int

    def expired(self, now: float) -> None:
        """The moment that was set has come."""
        ...


E = TypeVar("E", bound=Expiring)


class Deadlines(Generic[E]):
    """Moments are seconds of one clock that begins above 0; an item comes up to a second late, never early."""

    def __init__(self, now: float) -> None:
        self._seconds: dict[int, set[E]] = {}
        self._at = int(now)

    def set(self, item: E, moment: float) -> None:
        """Call `item.expired` then, instead of when it was set to before."""
        self.clear(item)
        second = max(math.ceil(moment), self._at + 1)
        self._seconds.setdefault(second, set()).add(item)
        item.deadline = second

    def clear(self, item: E) -> None:
        """Forget it."""
        items = self._seconds.get(item.deadline)
        if items is not None:
            items.discard(item)
            if not items:
                del self._seconds[item.deadline]
        item.deadline = 0

    def sweep(self, now: float) -> None:
        """Tell all that are due. They may set themselves anew."""
        due: list[E] = []
        while self._at < int(now):
            self._at += 1
            due += self._seconds.pop(self._at, ())
        for item in due:
            item.deadline = 0
        for item in due:
            item.expired(now)

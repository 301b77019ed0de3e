"""PUBLISHes that came and cannot go to the intake yet, in their order.

In: PUBLISHes while the intake is full, or while too many of a 3.1.1 client are in flight. Out: as many as fit, later.
"""

from collections import deque

from ingest.mqtt.packets import Publish

HELD = 64 * 2**10
"""Bytes that a connection may hold back before its socket is no longer read: room to answer its PINGREQ meanwhile."""

_EACH = 200
"""What holding a PUBLISH costs beside its payload, about."""

_PORTION = 100
"""PUBLISHes that are handed to the intake between two looks at whether it is full."""


class Held:
    """`size`: about how many bytes it keeps. `numbered`: how many of them have QoS 1 or 2."""

    __slots__ = ("_publishes", "numbered", "size")

    def __init__(self) -> None:
        self._publishes: deque[Publish] = deque()
        self.size = self.numbered = 0

    def __len__(self) -> int:
        return len(self._publishes)

    def add(self, publishes: list[Publish]) -> int:
        """Keep them; returns by how much `size` has grown."""
        size = sum(len(publish.payload) + _EACH for publish in publishes)
        self._publishes.extend(publishes)
        self.size += size
        self.numbered += sum(1 for publish in publishes if publish.packet_id)
        return size

    def portion(self, room: int) -> tuple[list[Publish], int]:
        """Give back the oldest, `room` with QoS 1 or 2 at most, and by how much `size` has shrunk."""
        held, portion, size = self._publishes, list[Publish](), 0
        while held and len(portion) < _PORTION and (room > 0 or not held[0].packet_id):
            publish = held.popleft()
            portion.append(publish)
            size += len(publish.payload) + _EACH
            if publish.packet_id:
                room -= 1
                self.numbered -= 1
        self.size -= size
        return portion, size


def fitting(publishes: list[Publish], room: int) -> int:
    """How many of them can be taken, from the first, if `room` may have QoS 1 or 2."""
    for at, publish in enumerate(publishes):
        if publish.packet_id:
            room -= 1
            if room < 0:
                return at
    return len(publishes)

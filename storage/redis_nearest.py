"""Asking Redis for what is near, and measuring what it answers.

In: a circle, and the devices Redis found. Out: where to search, somewhat wider, since Redis takes the Earth for
larger and rounds places to 0.6 m; and the nearest by the exact distance. Redis (7.0) misses places across the
antimeridian, so a circle there is searched in a second index, with the Earth turned by half. Circles that reach a pole
are not for an index.
"""

from collections.abc import Sequence
from heapq import nsmallest
from typing import NamedTuple

from headwater.places import boxes, distance
from storage.contract import Circle, LiveDevice
from storage.redis_script import FAR, searchable, turned

_WIDER, _MARGIN = 1.001, 2.0
_LARGEST = 5e6
"""Metres; a larger circle holds so many devices that looking at all of them costs no more."""


class Search(NamedTuple):
    """A circle as an index takes it."""

    lat: float
    lon: float
    radius: float
    turned: bool

    def words(self, count: int) -> tuple[str | float, ...]:
        """What GEOSEARCH is told behind the key."""
        return "FROMLONLAT", self.lon, self.lat, "BYRADIUS", self.radius, "m", "ASC", "COUNT", count


def search_for(circle: Circle) -> Search | None:
    """Where to search; None if no index holds all of the circle."""
    wider = circle.radius * _WIDER + _MARGIN
    around = boxes(circle.lat, circle.lon, wider)
    if wider > _LARGEST or not searchable([lat for box in around for lat in (box.south, box.north)]):
        return None
    if len(around) == 1:
        return Search(circle.lat, circle.lon, wider, turned=False)
    if all(min(abs(box.west), abs(box.east)) >= FAR for box in around):
        return Search(circle.lat, turned(circle.lon), wider, turned=True)
    return None


def settled(circle: Circle, limit: int, found: Sequence[LiveDevice], *, complete: bool) -> list[LiveDevice] | None:
    """The nearest within the circle; None if devices that Redis was not asked for could be among them."""
    measured: list[tuple[float, str, LiveDevice]] = []
    for one in found:
        if one.position is not None:
            away = distance(circle.lat, circle.lon, one.position.lat, one.position.lon)
            measured.append((away, one.device, one))
    nearest = nsmallest(limit, (one for one in measured if one[0] <= circle.radius), key=lambda one: one[:2])
    if not complete:
        edge = max((away for away, _, _ in measured), default=0.0) - _MARGIN
        if len(nearest) < limit or nearest[-1][0] >= edge:
            return None
    return [device for _, _, device in nearest]

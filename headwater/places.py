"""Places on the Earth: how far apart two are, and the boxes that hold everything within a radius.

In: WGS 84 degrees, longitudes from −180 to 180, and metres. Out: metres along the great circle, and boxes in degrees,
by which an index finds few enough positions to measure each. Pure.
"""

from math import asin, cos, degrees, pi, radians, sin, sqrt
from typing import NamedTuple

EARTH_RADIUS = 6_371_008.8
"""Metres: the mean radius of WGS 84 (IUGG)."""
_SLACK = 1e-7
"""Radians a box is wider than it need be, more than the haversine formula errs by anywhere: 0.6 m."""


class Box(NamedTuple):
    """Degrees, edges included; never across the antimeridian."""

    south: float
    north: float
    west: float
    east: float


def distance(lat1: float, lon1: float, lat2: float, lon2: float) -> float:
    """Great-circle distance by the haversine formula, on a sphere: within 0.6 % of the ellipsoid's. Degrees in."""
    phi1, phi2 = radians(lat1), radians(lat2)
    half_chord = sin((phi2 - phi1) / 2) ** 2 + cos(phi1) * cos(phi2) * sin(radians(lon2 - lon1) / 2) ** 2
    return 2 * EARTH_RADIUS * asin(sqrt(min(1.0, half_chord)))


def boxes(lat: float, lon: float, radius: float) -> list[Box]:
    """Boxes that together hold every place at most `radius` from here: none, one, or two at the antimeridian."""
    if not radius >= 0:
        return []
    angle, phi = radius / EARTH_RADIUS + _SLACK, radians(lat)
    south, north = max(-90.0, degrees(phi - angle)), min(90.0, degrees(phi + angle))
    if angle >= pi / 2 - abs(phi):  # a pole lies inside
        return [Box(south, north, -180.0, 180.0)]
    half = degrees(asin(min(1.0, sin(angle) / cos(phi))) + _SLACK)
    west, east = lon - half, lon + half
    if west <= -180.0:
        return [Box(south, north, west + 360.0, 180.0), Box(south, north, -180.0, east)]
    if east >= 180.0:
        return [Box(south, north, west, 180.0), Box(south, north, -180.0, east - 360.0)]
    return [Box(south, north, west, east)]

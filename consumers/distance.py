"""How far apart two positions are, along the surface of the Earth."""

from math import asin, cos, radians, sin, sqrt

EARTH_RADIUS = 6_371_008.8
"""Metres: the mean radius of WGS 84 (IUGG)."""


def metres(lat1: float, lon1: float, lat2: float, lon2: float) -> float:
    """Great-circle distance by the haversine formula, on a sphere: within 0.6 % of the ellipsoid's. Degrees in."""
    phi1, phi2 = radians(lat1), radians(lat2)
    half_chord = sin((phi2 - phi1) / 2) ** 2 + cos(phi1) * cos(phi2) * sin(radians(lon2 - lon1) / 2) ** 2
    return 2 * EARTH_RADIUS * asin(sqrt(min(1.0, half_chord)))

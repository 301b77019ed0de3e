"""The short form of a location that Greenwich trackers send to save traffic: ten values in one line.

In: `X0,542A46AA,k,30365854,7575769,26,4,7,5,872`. Out: the same as the JSON form has it, or None for anything else.
Format: Greenwich's manual, CSV, and OwnTracks Recorder: tid, time (hexadecimal), trigger, latitude and longitude x
10^6, course / 10, speed, altitude / 10, distance (m), trip (km).
"""

import re
from typing import Any

_LINE = re.compile(
    rb"([A-Za-z0-9]+),([0-9A-Fa-f]{1,8}),([A-Za-z0-9]),(-?\d{1,9}),(-?\d{1,9}),(\d{1,6}),(\d{1,6}),(-?\d{1,6}),(\d{1,9}),(\d{1,9})"
)


def read_csv(line: bytes) -> dict[str, Any] | None:
    """The location as an object of the JSON form."""
    found = _LINE.fullmatch(line)
    if found is None:
        return None
    tid, time, trigger = (part.decode() for part in found.groups()[:3])
    lat, lon, course, speed, height, distance, trip = (int(part) for part in found.groups()[3:])
    return {
        "_type": "location",
        "tid": tid,
        "tst": int(time, 16),
        "t": trigger,
        "lat": lat / 1e6,
        "lon": lon / 1e6,
        "cog": course * 10,
        "vel": speed,
        "alt": height * 10,
        "dist": distance,
        "trip": trip * 1000,
    }

"""Durations and sizes as people write them: "10s", "500ms", "7d"; "64MiB", "1GB". A bare number is seconds or bytes."""

import math
import re
from typing import Annotated

from pydantic import BeforeValidator, PlainSerializer

_MICROS = {"us": 1, "ms": 10**3, "s": 10**6, "m": 60 * 10**6, "h": 3600 * 10**6, "d": 86_400 * 10**6}
_BYTES = {
    "B": 1,
    "KB": 10**3,
    "MB": 10**6,
    "GB": 10**9,
    "TB": 10**12,
    "KiB": 2**10,
    "MiB": 2**20,
    "GiB": 2**30,
    "TiB": 2**40,
}


def _parse(value: object, units: dict[str, int], bare: str, example: str) -> int:
    """The value in the smallest of the units; a number without a unit counts in `bare`."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        number, unit = float(value), bare
    else:
        match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([A-Za-z]+)\s*", str(value))
        if match is None or match[2] not in units:
            raise ValueError(f"{value!r} is not like {example}; units: {', '.join(units)}")
        number, unit = float(match[1]), match[2]
    if not 0 <= number < math.inf:
        raise ValueError(f"{value!r} is not like {example}: it must be 0 or more")
    return round(number * units[unit])


def _written(value: int, units: dict[str, int], bare: str) -> str:
    for unit in sorted(units, key=lambda name: -units[name]):
        if value and value % units[unit] == 0:
            return f"{value // units[unit]}{unit}"
    return f"0{bare}"


def parse_duration(value: object) -> float:
    """Seconds, exact to the microsecond, from "10s", "500ms", "7d" or a number."""
    return _parse(value, _MICROS, "s", '"10s"') / 1e6


def parse_size(value: object) -> int:
    """Bytes from "64MiB", "1GB" or a number."""
    return _parse(value, _BYTES, "B", '"64MiB"')


def write_duration(seconds: float) -> str:
    """The shortest whole way to write it: 86400 → "1d"."""
    return _written(round(seconds * 1e6), _MICROS, "s")


def write_size(size: int) -> str:
    """The shortest whole way to write it: 1048576 → "1MiB"."""
    return _written(size, _BYTES, "B")


Duration = Annotated[float, BeforeValidator(parse_duration), PlainSerializer(write_duration)]
"""Seconds."""
Size = Annotated[int, BeforeValidator(parse_size), PlainSerializer(write_size)]
"""Bytes."""

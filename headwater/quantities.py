"""Durations and sizes as people write them: "10s", "500ms", "7d"; "64MiB", "1GB". A bare number is seconds or bytes."""

import re
from typing import Annotated

from pydantic import BeforeValidator, PlainSerializer

_SECONDS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}
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


def _parse(value: object, units: dict[str, float] | dict[str, int], example: str) -> float:
    if isinstance(value, int | float) and not isinstance(value, bool):
        number, factor = float(value), 1.0
    else:
        match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([A-Za-z]+)\s*", str(value))
        if match is None or match[2] not in units:
            raise ValueError(f"{value!r} is not like {example}; units: {', '.join(units)}")
        number, factor = float(match[1]), float(units[match[2]])
    if number < 0:
        raise ValueError(f"{value!r} is negative")
    return number * factor


def _written(value: float, units: dict[str, float] | dict[str, int]) -> str:
    for unit in sorted(units, key=lambda name: (-units[name], name)):
        count = value / units[unit]
        if count >= 1 and abs(count - round(count)) < 1e-9:
            return f"{round(count)}{unit}"
    return f"0{next(iter(units)) if 'B' in units else 's'}"


def parse_duration(value: object) -> float:
    """Seconds from "10s", "500ms", "7d" or a number."""
    return _parse(value, _SECONDS, '"10s"')


def parse_size(value: object) -> int:
    """Bytes from "64MiB", "1GB" or a number."""
    return int(_parse(value, _BYTES, '"64MiB"'))


def write_duration(seconds: float) -> str:
    """The shortest whole way to write it: 86400 → "1d"."""
    return _written(seconds, _SECONDS)


def write_size(size: int) -> str:
    """The shortest whole way to write it: 1048576 → "1MiB"."""
    return _written(size, _BYTES)


Duration = Annotated[float, BeforeValidator(parse_duration), PlainSerializer(write_duration)]
"""Seconds."""
Size = Annotated[int, BeforeValidator(parse_size), PlainSerializer(write_size)]
"""Bytes."""

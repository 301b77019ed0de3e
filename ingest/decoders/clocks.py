"""Times as devices write them: seconds, milliseconds, microseconds or nanoseconds since 1970, or a date in words.

In: what a payload has for its time. Out: microseconds UTC, or None for what is no time: then `received` counts.
"""

from datetime import UTC, datetime
from typing import Any

from ingest.decoders.draft import numeric
from ingest.decoders.parts import NUMBERS

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_YEAR_2001 = 978_307_200
_FORMATS = ("%Y-%m-%d %H:%M:%S", "%Y/%m/%d %H:%M:%S", "%d-%m-%Y %H:%M:%S", "%d.%m.%Y %H:%M:%S", "%Y%m%d%H%M%S")


def instant(value: Any) -> int | None:
    """Microseconds of a number whose size tells its unit (from 2001 on), or of ISO 8601 or a common format, in UTC.

    A clock that was never set (1970, 0, "") is no time.
    """
    if isinstance(value, str):
        body = value.strip()
        found = numeric(body) if body[4:5] != "-" and len(body) != 14 else None
        if found is None:
            return _written(body)
        value = found
    if isinstance(value, bool) or not isinstance(value, NUMBERS):
        return None
    if value < _YEAR_2001:
        return None
    for most, factor in ((1e11, 1_000_000), (1e14, 1000), (1e17, 1)):
        if value < most:
            return round(value * factor)
    return int(value) // 1000 if value < 1e20 else None


def seconds(value: Any) -> int | None:
    """Microseconds of a number, or numeric text, of seconds since 1970, however small; None for anything else."""
    if isinstance(value, str):
        value = numeric(value)
    if isinstance(value, bool) or not isinstance(value, NUMBERS) or not 0 < value < 253_402_300_800:
        return None
    return round(value * 1_000_000)


def _written(text: str) -> int | None:
    if len(text) > 64 or not text[:1].isdigit():
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = _otherwise(text.removesuffix(" UTC").removesuffix(" GMT"))
    if moment is None:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    try:
        gap = moment - _EPOCH
    except OverflowError:
        return None
    at = (gap.days * 86_400 + gap.seconds) * 1_000_000 + gap.microseconds
    return at if at >= _YEAR_2001 * 1_000_000 else None


def _otherwise(body: str) -> datetime | None:
    """ISO 8601 with a point and nothing behind it, and what is not ISO 8601."""
    for way in (_ordered, _cut):  # parsing by a pattern takes fifty times as long
        try:
            return datetime.fromisoformat(way(body))
        except ValueError:
            continue
    for pattern in _FORMATS:
        try:
            return datetime.strptime(body, pattern)  # noqa: DTZ007 - the caller takes it for UTC
        except ValueError:
            continue
    return None


def _ordered(text: str) -> str:
    """`2022/10/19 …`, `19.10.2022 …`, `19-10-2022 …`, `20221019090345` as ISO 8601 has them."""
    if len(text) == 14:
        return f"{text[:8]}T{text[8:]}"
    if text[4:5] == "/":
        return text.replace("/", "-", 2)
    if text[2:3] in {".", "-"} and text[5:6] == text[2:3]:
        return f"{text[6:10]}-{text[3:5]}-{text[:2]}{text[10:]}"
    return text


def _cut(text: str) -> str:
    whole, dot, rest = text.partition(".")
    if not dot:
        return text
    digits = len(rest) - len(rest.lstrip("0123456789"))
    return f"{whole}.{rest[:digits][:6]:0<6}{rest[digits:]}"

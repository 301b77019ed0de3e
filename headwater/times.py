"""Time stamps: integer microseconds since 1970 UTC inside, RFC 3339 outside, and which of two clocks to believe.

In: a device's `at` as it wrote it. Out: microseconds, and the `time` that orders the message.
"""

import os
import time as _time
from datetime import UTC, datetime
from functools import lru_cache

from headwater.errors import Rejected
from headwater.message import TimeFlag

SECOND = 1_000_000
PAST = 30 * 86_400 * SECOND
FUTURE = 5 * 60 * SECOND
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_HIGHEST = 253_402_300_799 * SECOND  # the end of the year 9999
HIGHEST_MS = _HIGHEST // 1000


_SHIFT = round(float(os.environ.get("HEADWATER_CLOCK_SHIFT", "0")) * SECOND)
"""For tests that need a day to be over: seconds by which this process believes another time."""


def now() -> int:
    """Microseconds since 1970 UTC by this machine's clock."""
    return _time.time_ns() // 1000 + _SHIFT


def parse_at(value: float | str) -> int:
    """A native `at`: milliseconds since 1970 UTC (a number), or RFC 3339 (a string; without a zone it is UTC).

    Returns microseconds; raises `Rejected("bad_time")`.
    """
    if isinstance(value, int) and 0 <= value <= HIGHEST_MS:  # nearly all, so first
        return value * 1000
    if isinstance(value, str):
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            raise Rejected("bad_time", f"`at` {value[:40]!r} is neither milliseconds nor RFC 3339") from None
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        at = _micros(moment)
    else:
        if not -1e15 < value < 1e15:
            raise Rejected("bad_time", "`at` is milliseconds since 1970, and this is far beyond the year 9999")
        at = int(value * 1000)
    if not 0 <= at <= _HIGHEST:
        raise Rejected("bad_time", "`at` lies before 1970 or after 9999")
    return at


def _micros(moment: datetime) -> int:
    gap = moment - _EPOCH
    return (gap.days * 86_400 + gap.seconds) * SECOND + gap.microseconds


def believed(at: int | None, received: int, past: int = PAST, future: int = FUTURE) -> tuple[int, TimeFlag]:
    """`time` and its flag: `at` if it lies within (received - past, received + future), else `received`."""
    if at is None:
        return received, "none"
    if at <= received - past:
        return received, "past"
    if at >= received + future:
        return received, "future"
    return at, ""


@lru_cache(4096)
def _second(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def rfc3339(micros: int) -> str:
    """`2026-11-21T07:40:00.123Z`, with as many decimals as needed (0, 3 or 6)."""
    seconds, rest = divmod(micros, SECOND)
    base = _second(seconds)
    if rest == 0:
        return base + "Z"
    return f"{base}.{rest // 1000:03d}Z" if rest % 1000 == 0 else f"{base}.{rest:06d}Z"

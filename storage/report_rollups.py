"""Rollups as arithmetic: what a batch of messages adds to each (minute, hour, day; device, field). No I/O.

In: messages, each to be counted once. Out: parts, that a store adds to what it has. Sums are exact: the sum of the
decimals that the values are written as (the shortest that give the same float), whatever their size: a part keeps
values of everyday size in `total`, which fits a DECIMAL(65, 30), and the others (not 0 and below 1e-13, or from
1e20 on) in `rest`. A boolean counts as 0 or 1; texts have no rollups.
"""

from collections.abc import Iterable, Mapping, Sequence
from decimal import MAX_EMAX, MIN_EMIN, Context, Decimal

from headwater.ids import ID_LENGTH
from headwater.message import Message, Number
from headwater.times import SECOND
from storage.contract import Period, Record, Rollup

LENGTHS: Mapping[Period, int] = {"minute": 60 * SECOND, "hour": 3600 * SECOND, "day": 86_400 * SECOND}
"""Microseconds of each period."""
PLACES = 30
"""Decimals of `total`: 17 digits from 1e-13 on need 29."""
HOUR = 3600 * SECOND
AHEAD = 24 * HOUR
"""`received` further ahead of our clock than this makes no row: no partition for a clock gone mad."""
LATE = 7 * 24 * HOUR
"""Of what was received so long before rows are shown, the names are kept for a while: a store that catches up finds
what a device sent twice. Of what is older only the lake has anything, and has it once."""

_ZERO = Decimal(0)
_SMALL, _LARGE = 1e-13, 1e20
_LARGEST = 1.7976931348623157e308
_DEVICE_LENGTH, _FIELD_LENGTH = 512, 1024
_EXACT = Context(prec=4000, Emax=MAX_EMAX, Emin=MIN_EMIN)
"""A float is at most 309 digits before the point and 340 behind it: nothing is ever rounded."""

Key = tuple[int, str, str]
"""(start of the period, device, field)."""


class Part:
    """What some messages add to one rollup. `newest_key` orders as (time, received, id) does."""

    __slots__ = ("count", "high", "low", "newest", "newest_key", "rest", "total")

    def __init__(self, newest_key: str, value: float) -> None:
        self.count = 0
        self.total = self.rest = _ZERO
        self.low = self.high = self.newest = value
        self.newest_key = newest_key

    def add(self, other: "Part") -> None:
        """Add what other messages add."""
        self.count += other.count
        self.total = add(self.total, other.total)
        if other.rest:
            self.rest = add(self.rest, other.rest)
        self.low = min(self.low, other.low)
        self.high = max(self.high, other.high)
        if other.newest_key > self.newest_key:
            self.newest_key, self.newest = other.newest_key, other.newest


def fold(messages: Iterable[Message]) -> dict[Key, Part]:
    """What they add to the minutes."""
    minute = LENGTHS["minute"]
    parts: dict[Key, Part] = {}
    for message in messages:
        if not message.fields:
            continue
        time, device = message.time, message.device
        start, newest_key = time - time % minute, newest_of(message)
        for field, number in message.fields.items():
            value = float(number)
            key = (start, device, field)
            part = parts.get(key)
            if part is None:
                part = parts[key] = Part(newest_key, value)
            _count(part, number, value, newest_key)
    return parts


def _count(part: Part, number: Number, value: float, newest_key: str) -> None:
    part.count += 1
    if not value or _SMALL <= value < _LARGE or _SMALL <= -value < _LARGE:
        part.total = add(part.total, written(number))
    else:
        part.rest = add(part.rest, written(number))
    part.low = min(part.low, value)
    part.high = max(part.high, value)
    if newest_key > part.newest_key:
        part.newest_key, part.newest = newest_key, value


def widened(parts: Mapping[Key, Part], length: int) -> dict[Key, Part]:
    """The same over longer periods."""
    wider: dict[Key, Part] = {}
    for (start, device, field), part in parts.items():
        key = (start - start % length, device, field)
        held = wider.get(key)
        if held is None:
            held = wider[key] = Part(part.newest_key, part.newest)
            held.low, held.high = part.low, part.high
        held.add(part)
    return wider


def newest_of(message: Message) -> str:
    """A text that orders as (time, received, id) does, by bytes or by code points."""
    return f"{message.time:016x}{message.received:016x}{message.id}"


def written(number: Number) -> Decimal:
    """The decimal that a value is written as."""
    return Decimal(repr(number)) if isinstance(number, float) else Decimal(int(number))


add = _EXACT.add


def plain(number: Decimal) -> Decimal:
    """The same number in one form: no zeros behind the last decimal, no exponent, no negative zero."""
    if not number:
        return _ZERO
    short = _EXACT.normalize(number)
    exponent = short.as_tuple().exponent
    return _EXACT.quantize(short, Decimal(1)) if isinstance(exponent, int) and exponent > 0 else short


def digits(number: Decimal) -> str:
    """As every database reads it exactly: digits and a point, no exponent."""
    return format(number, "f")


def rollup(key: Key, count: int, total: Decimal, low: float, high: float, newest: float) -> Rollup:
    """As the contract has it."""
    start, device, field = key
    return Rollup(device, field, start, count, plain(total), low, high, newest)


def refusal(message: Message) -> str | None:
    """Why this message can never be stored here: what the front door does not let through, come another way."""
    if not 0 < len(message.device) <= _DEVICE_LENGTH // 4 or len(message.id) > ID_LENGTH:
        return "device or id is too long"
    if not (0 <= message.time < 2**62 and 0 <= message.received < 2**62):
        return "time is before 1970 or too far ahead"
    for field, number in message.fields.items():
        if len(field) > _FIELD_LENGTH // 4:
            return f"field {field[:40]!r}: the name is longer than {_FIELD_LENGTH // 4} characters"
        if not -_LARGEST <= number <= _LARGEST:
            return f"field {field[:40]!r}: not a finite number of 64 bits"
    return None


class Kept:
    """Which messages become rows: those received since the beginning of the hour `rows` seconds ago."""

    def __init__(self, now: int, rows: float) -> None:
        self.now = now
        since = now - round(rows * SECOND)
        self.since = since
        """Rows received before this are not shown any more."""
        self.floor = since - since % HOUR
        """Rows received before this are not there any more."""
        self.ceiling = now + AHEAD

    def __contains__(self, message: Message) -> bool:
        return self.floor <= message.received < self.ceiling

    def remembers(self, message: Message) -> bool:
        """True if there is to be a row of it, be it with nothing but its name, until rows are dropped the next time."""
        return self.floor - LATE <= message.received < self.ceiling


def split(
    messages: Iterable[Message], there: set[tuple[str, str]], kept: Kept
) -> tuple[Sequence[Message], Sequence[Message]]:
    """(to be counted, to become rows), in the order of the topic. `there`: (device, id) of rows; those are left out.

    A late message is counted without a row that is shown: once its name is dropped, nothing can tell that it was.
    """
    counted: list[Message] = []
    rows: list[Message] = []
    for message in messages:
        name = (message.device, message.id)
        if name in there:
            continue
        there.add(name)
        counted.append(message)
        if kept.remembers(message):
            rows.append(message)
    return counted, rows


def take(
    batch: Sequence[Record], applied: Mapping[tuple[str, int], int]
) -> tuple[list[Message], dict[int, str], dict[tuple[str, int], int]]:
    """(messages beyond the ledger, index → why refused, the ledger after the batch)."""
    messages: list[Message] = []
    refused: dict[int, str] = {}
    ledger = dict(applied)
    for index, (topic, partition, _, position, body) in enumerate(batch):
        key = (topic, partition)
        if position <= applied.get(key, -1):
            continue
        ledger[key] = max(position, ledger.get(key, -1))
        if not isinstance(body, Message):
            continue
        reason = refusal(body)
        if reason is None:
            messages.append(body)
        else:
            refused[index] = reason
    return messages, refused, ledger

"""Are count and sum of every rollup those of the distinct messages? In memory that does not grow with the messages.

In: each message once; the rollups as the store has them. Out: a `Finding` with the rollups that differ.

A fingerprint a (device, field) is the sum, over its rollups, of a weight for the period and its start times (count +
salt x sum), modulo a prime. It is linear: messages are added one by one, rollups are taken away, and what is left is 0
if all agree (else it is 0 by chance once in 2**61). Only what is not 0 is then looked at rollup by rollup.
"""

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from decimal import Decimal
from functools import lru_cache
from hashlib import blake2b
from itertools import islice
from typing import NamedTuple

from headwater.log import Offsets, partition_for
from headwater.message import Message, Number
from headwater.times import rfc3339
from query.audit_findings import NAMED, Finding
from storage.contract import Period, ReportReader, Rollup, Span
from storage.report_rollups import LENGTHS, add, plain, refusal, written

_PRIME = 2**61 - 1
_SALT = int.from_bytes(blake2b(b"sum", digest_size=8).digest()) % _PRIME
_MINUTE = LENGTHS["minute"]
_PAGE = 10_000

Pair = tuple[str, str]
"""(device, field)."""
Key = tuple[int, str, str]
"""(start, device, field): the order in which rollups are read."""
Total = tuple[int, Decimal]
"""Count and sum."""


class Prints:
    """The fingerprints. `floors`: partition → the earliest start of a rollup of which the log still holds all."""

    def __init__(self, floors: Mapping[int, int]) -> None:
        self.floors = floors
        self._of: dict[str, dict[str, int]] = {}

    def floor(self, device: str) -> int:
        """The earliest start of this device's rollups that are compared."""
        return self.floors[partition_for(device.encode(), len(self.floors))]

    def add(self, message: Message) -> None:
        """Count a message in each of its rollups."""
        if not message.fields:
            return
        weight = _weights(message.time - message.time % _MINUTE, self.floor(message.device))
        fields = self._of.setdefault(message.device, {})
        for field, number in message.fields.items():
            fields[field] = (fields.get(field, 0) + weight * (1 + _SALT * _residue(number))) % _PRIME

    def add_value(self, period: Period, key: Key, number: Number) -> None:
        """Count one value in one rollup."""
        self._change(period, key, 1 + _SALT * _residue(number))

    def take(self, period: Period, key: Key, count: int, total: Decimal) -> None:
        """Take away what one rollup says."""
        self._change(period, key, -count - _SALT * _modulo(total))

    def _change(self, period: Period, key: Key, more: int) -> None:
        start, device, field = key
        if start >= self.floor(device):
            fields = self._of.setdefault(device, {})
            fields[field] = (fields.get(field, 0) + _weight(period, start) * more) % _PRIME

    def differing(self) -> Sequence[Pair]:
        """Those that are not 0."""
        return [(device, field) for device, fields in self._of.items() for field, left in fields.items() if left]


class Page(NamedTuple):
    """What one snapshot held: rollups up to `last` (None: all the rest), and the ledger of it."""

    last: Key | None
    ledger: Mapping[int, int]

    def reaches(self, ends: Mapping[int, Offsets]) -> bool:
        """Whether what came behind these ends may be in it."""
        return any(position >= ends[partition].next for partition, position in self.ledger.items() if partition in ends)


Pages = Mapping[Period, Sequence[Page]]


async def take_away(reports: ReportReader, prints: Prints, finding: Finding) -> Pages:
    """Read all rollups and take them away. Which snapshot each was in matters where messages come meanwhile."""
    start = min(prints.floors.values(), default=0)
    pages: dict[Period, list[Page]] = {period: [] for period in LENGTHS}
    for period, of_period in pages.items():
        last: Key | None = None
        while not of_period or of_period[-1].last is not None:
            found, ledger = await reports.rollups(period, None, None, Span(max(0, start)), _PAGE, after=last)
            for one in found:
                prints.take(period, _key(one), one.count, one.sum)
            finding.compared += len(found)
            last = _key(found[-1]) if len(found) == _PAGE else None
            of_period.append(Page(last, ledger))
    return pages


def add_later(prints: Prints, pages: Pages, message: Message, partition: int, offset: int) -> None:
    """Count a message that came after the log was read, where the store had it already when a rollup was read."""
    if refusal(message) is not None:
        return
    for period, length in LENGTHS.items():
        for field, number in message.fields.items():
            key = (message.time - message.time % length, message.device, field)
            of_period = pages[period]
            page = of_period[bisect_left(of_period[:-1], key, key=lambda one: one.last or key)]
            if offset <= page.ledger.get(partition, -1):
                prints.add_value(period, key, number)


class Suspects:
    """The first few pairs that differ, rollup by rollup: what the store says, and then what the messages give."""

    def __init__(self, prints: Prints) -> None:
        differing = prints.differing()
        self.uncounted = max(0, len(differing) - NAMED)
        self._prints = prints
        self._pairs = set(islice(differing, NAMED))
        self._found: dict[tuple[Period, Key], Total] = {}
        self._expected: dict[tuple[Period, Key], Total] = {}
        self._ledgers: dict[tuple[Period, Pair], Mapping[int, int]] = {}

    def __bool__(self) -> bool:
        return bool(self._pairs)

    async def ask(self, reports: ReportReader) -> None:
        """Read their rollups, each period in one snapshot."""
        for device, field in self._pairs:
            span = Span(max(0, self._prints.floor(device)))
            for period in LENGTHS:
                found, ledger = await reports.rollups(period, device, field, span, 2 * _PAGE)
                self._ledgers[period, (device, field)] = ledger
                self._found.update({(period, _key(one)): (one.count, one.sum) for one in found})

    def add(self, message: Message, partition: int, offset: int) -> None:
        """Count a message, the first of its name, where the store had it when it was asked."""
        if refusal(message) is not None:
            return
        for field, number in message.fields.items():
            pair = (message.device, field)
            for period, length in LENGTHS.items() if pair in self._pairs else ():
                start = message.time - message.time % length
                ledger = self._ledgers[period, pair]
                if start >= self._prints.floor(message.device) and offset <= ledger.get(partition, -1):
                    key = (period, (start, *pair))
                    count, total = self._expected.get(key, (0, Decimal(0)))
                    self._expected[key] = count + 1, add(total, written(number))

    def tell(self, finding: Finding) -> None:
        """Say what differs."""
        for at in sorted(self._found.keys() | self._expected.keys()):
            period, (start, device, field) = at
            found, expected = self._found.get(at), self._expected.get(at)
            what = f"rollup of the {period} {rfc3339(start)} of {field} of device {device}"
            if found is None and expected is not None:
                finding.lacks(f"{what}: {_said(expected)}")
            elif expected is None and found is not None:
                finding.exceeds(f"{what}: {_said(found)}")
            elif found is not None and expected is not None and found != expected:
                finding.differs(f"{what} is {_said(found)}; its messages give {_said(expected)}")
        finding.wrong += self.uncounted


def _said(total: Total) -> str:
    return f"count {total[0]}, sum {plain(total[1])}"


def _key(one: Rollup) -> Key:
    return one.start, one.device, one.field


@lru_cache(100_000)
def _weight(period: Period, start: int) -> int:
    return int.from_bytes(blake2b(f"{period} {start}".encode(), digest_size=8).digest()) % _PRIME


@lru_cache(100_000)
def _weights(minute: int, floor: int) -> int:
    """Of the rollups that a message of this minute is in."""
    starts = {period: minute - minute % length for period, length in LENGTHS.items()}
    return sum(_weight(period, start) for period, start in starts.items() if start >= floor) % _PRIME


def _residue(number: Number) -> int:
    return _modulo(written(number)) if isinstance(number, float) else int(number) % _PRIME


@lru_cache(100_000)
def _modulo(number: Decimal) -> int:
    above, below = number.as_integer_ratio()
    return above * pow(below, -1, _PRIME) % _PRIME

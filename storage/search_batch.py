"""What both search stores do with a batch before they write it, and with a question before they ask it.

In: records, the ledger, the clock. Out: the candidates to write, which are refused, where the ledger then stands; a
question's span without the days that retention has dropped, and what lies in a circle. Shared, so that both agree.
"""

from collections.abc import Mapping, Sequence
from math import isfinite
from typing import NamedTuple

from headwater.message import Candidate, Position, encode
from headwater.places import distance
from headwater.times import SECOND
from storage.contract import Circle, Record, Span

DAY = 86_400 * SECOND
AHEAD = 2 * DAY
"""How far ahead of this clock a candidate's time may lie. The intake believes five minutes; more would make indexes
for days that retention never reaches."""

Applied = Mapping[tuple[str, int], int]
"""(topic, partition) → highest position applied."""


class Kept(NamedTuple):
    """A candidate to write. `place`: where in the batch; `json`: its bytes as on the log."""

    place: int
    candidate: Candidate
    json: bytes


class Sifted(NamedTuple):
    """`kept` to write; `refused`: index → why, never storable; `ledger`: what rises once that is done."""

    kept: list[Kept]
    refused: dict[int, str]
    ledger: dict[tuple[str, int], int]


def sift(batch: Sequence[Record], applied: Applied, now: int, retention: float) -> Sifted:
    """What of the batch is new. Candidates of days that retention has dropped count as applied, and are not kept."""
    sifted = Sifted([], {}, {})
    first, last = first_time(now, retention), now + AHEAD
    for index, (topic, partition, _, position, body) in enumerate(batch):
        key = (topic, partition)
        if position <= applied.get(key, -1):
            continue
        sifted.ledger[key] = max(position, sifted.ledger.get(key, -1))
        if not isinstance(body, Candidate) or body.time < first:
            continue
        if body.time > last:
            sifted.refused[index] = "its time lies days ahead"
            continue
        try:
            sifted.kept.append(Kept(index, body, encode(body)))
        except (UnicodeEncodeError, OverflowError) as error:
            sifted.refused[index] = f"cannot be written as JSON: {error}"
    return sifted


def first_time(now: int, retention: float) -> int:
    """The start of the oldest day that is kept: whole days (UTC), the one that `retention` seconds reach included."""
    return (now - round(retention * SECOND)) // DAY * DAY


def visible(span: Span, now: int, retention: float) -> Span:
    """The span without what retention has dropped, whether or not it is gone yet."""
    first = first_time(now, retention)
    return Span(first if span.start is None else max(span.start, first), span.end)


def place_of(candidate: Candidate) -> Position | None:
    """Where its message was, if that is a place on the map."""
    at = candidate.message.position
    if at is None or not (isfinite(at.lat) and isfinite(at.lon) and abs(at.lat) <= 90 and abs(at.lon) <= 180):
        return None
    return at


def inside(circle: Circle, at: Position) -> bool:
    """Edge included."""
    return distance(at.lat, at.lon, circle.lat, circle.lon) <= circle.radius


def sensible(circle: Circle) -> bool:
    """False if nothing can lie in it: a centre off the map, a negative radius, not a number."""
    return abs(circle.lat) <= 90 and abs(circle.lon) <= 180 and circle.radius >= 0

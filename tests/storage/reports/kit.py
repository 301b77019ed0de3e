"""Messages, a clock, and the answers of the reports computed the naive way."""

import uuid
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from fractions import Fraction
from typing import Protocol

from headwater.config_stack import MariaDb
from headwater.message import Message, Number
from storage.contract import Period, Rollup, Span
from storage.mysql_store import MySqlReports
from storage.sqlite_reports import SqliteReports
from tests.storage.factory import DAY, T

HOUR = DAY // 24


NOW = T + DAY // 2


EVERYTHING = 5 * DAY / 1e6


LENGTHS: dict[Period, int] = {"minute": HOUR // 60, "hour": HOUR, "day": DAY}


ALL = Span()


Reports = MySqlReports | SqliteReports


def a_database(port: int, *, time: float = 2) -> MariaDb:
    return MariaDb(port=port, user="root", database=f"reports_{uuid.uuid4().hex}", time=time)


class Clock:
    """Our clock, that a test can turn on."""

    def __init__(self, now: int = NOW) -> None:
        self.now = now

    def __call__(self) -> int:
        return self.now


class Opens(Protocol):
    def __call__(self, log_id: str = "log-1", rows: float = EVERYTHING) -> AbstractAsyncContextManager[Reports]: ...


def say(
    values: dict[str, Number] | None = None,
    *,
    time: int = T,
    received: int | None = None,
    ident: str = "a",
    device: str = "pump-7",
) -> Message:
    return Message(device, ident, time if received is None else received, time, fields=values or {})


async def rollups(store: Reports, period: Period = "minute") -> Sequence[Rollup]:
    return (await store.rollups(period, None, None, ALL, 100_000))[0]


async def rows(store: Reports) -> Sequence[Message]:
    return (await store.rows(None, ALL, 100_000))[0]


async def ids(store: Reports) -> list[tuple[str, str]]:
    return [name async for batch in store.ids() for name in batch]


def once(said: Sequence[Message]) -> list[Message]:
    """The first of each name."""
    first: dict[tuple[str, str], Message] = {}
    for one in said:
        first.setdefault((one.device, one.id), one)
    return list(first.values())


def naive(said: Sequence[Message], period: Period) -> list[tuple[object, ...]]:
    """Rollups of messages that all count, said with fractions and sorting."""
    groups: dict[tuple[int, str, str], list[tuple[tuple[int, int, str], Number]]] = {}
    for one in said:
        for field, number in one.fields.items():
            key = (one.time // LENGTHS[period] * LENGTHS[period], one.device, field)
            groups.setdefault(key, []).append(((one.time, one.received, one.id), number))
    return [
        (
            *key,
            len(values),
            sum((Fraction(repr(number + 0)) for _, number in values), Fraction(0)),
            min(float(number) for _, number in values),
            max(float(number) for _, number in values),
            float(max(values, key=lambda value: value[0])[1]),
        )
        for key, values in sorted(groups.items())
    ]


def said_by(found: Sequence[Rollup]) -> list[tuple[object, ...]]:
    return [(r.start, r.device, r.field, r.count, Fraction(r.sum), r.min, r.max, r.last) for r in found]

"""The audit: silent about what is as it must be, however it came about; and it names the rest."""

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headwater.errors import Unavailable
from headwater.log import CANDIDATES, MESSAGES, REJECTED, NewEntry
from headwater.message import Message, Origin
from query.audit_rollups import Prints
from storage.contract import Period, Rollup, Span
from storage.report_rollups import LENGTHS, add, fold, widened
from storage.sqlite_reports import SqliteReports
from tests.query.audit_world import DAY, World, world
from tests.storage.factory import DEVICES, T, candidate, message, rejected

SECONDS = 20


@pytest.fixture
async def here(tmp_path: Path) -> AsyncGenerator[World, None]:
    """Three messages of each device, all of them candidates, in every store."""
    async with asyncio.timeout(SECONDS), world(tmp_path) as made:
        for device in DEVICES:
            made.put(*(message(n, device) for n in range(3)), *(candidate(n, device) for n in range(3)))
        made.put(rejected(device="pump-7"))
        await made.give()
        yield made


async def test_records_that_are_on_the_log_twice_are_one(here: World) -> None:
    again = message(1, received=T + 60_000_000)
    here.put(message(0), again, candidate(0))
    here.put(candidate(1, origin=Origin(0, 77, 0)))
    await here.give()
    assert await here.audit() == {}


async def test_the_newest_revision_counts(here: World) -> None:
    here.put(candidate(1, revision=2, origin=Origin(0, 50, 0)))
    here.put(candidate(1, revision=1, origin=Origin(0, 51, 0)))
    found = await here.audit()
    assert set(found) == {"documents: candidates", "search: candidates"}
    for name, finding in found.items():
        store, _, _ = name.partition(":")
        assert finding.named == [f"wrong: candidate {candidate(1).id} in {store} is revision 0; the newest is 2"]
    await here.give()
    assert await here.audit() == {}


async def test_what_a_store_s_retention_has_dropped_is_not_missing(here: World) -> None:
    for days in (2, 31, 91):
        here.now = T + days * DAY
        for store in (here.documents, here.search, here.reports):
            await store.maintain()
        assert await here.audit() == {}
    assert [batch async for batch in here.documents.ids()] == []


async def test_what_the_log_has_dropped_is_not_extra_if_the_lake_has_it(here: World) -> None:
    for at, entries in here.log.entries.items():
        here.log.first[at] = len(entries)
    assert await here.audit() == {}
    away = here.stores()._replace(lake=Unavailable("the bucket is away"))
    found = await here.audit(away)
    assert {finding.trouble for finding in found.values()} == {"the bucket is away"}
    here.lake = type(here.lake)(here.log)
    found = await here.audit()
    assert {name: finding.extra for name, finding in found.items()} == {
        "live: newest value of each field": 4,
        "documents: candidates": 12,
        "search: candidates": 12,
        "reports: rows": 12,
    }


async def test_a_rollup_is_compared_where_the_log_has_all_its_messages(here: World) -> None:
    """A log that begins with the second message cannot say what the first minutes were."""
    hour = 1_800  # of messages two seconds apart
    here.put(*(message(n) for n in range(hour * 3, hour * 3 + 5)))
    await here.give()
    partition = next(entries for entries in here.log.entries.values() if entries and entries[-1].key == b"pump-7")
    at = (MESSAGES, partition[0].partition)
    here.log.entries[at] = [one._replace(time=T + one.offset) for one in here.log.entries[at]]
    here.log.first[at] = 1
    here.now = T + 4 * 3_600_000_000
    assert await here.audit() == {}
    await here.reports._file.write(lambda file: file.execute("UPDATE report_minute SET n = n + 1"))  # pyright: ignore[reportPrivateUsage]
    found = await here.audit()
    (named,) = (one for one in found["reports: count and sum of rollups"].named if "pump-7" in one)
    assert "rollup of the minute 2025-11-21T07:40:00Z of temperature of device pump-7 is count 6" in named


async def test_what_a_store_has_refused_for_ever_is_in_quarantine_instead(here: World) -> None:
    (entry,) = here.put(candidate(9))
    await here.give("lake", "search")
    assert set(await here.audit()) == {"documents: candidates"}
    here.put(
        rejected(
            5, device="pump-7", stage="documents", topic="candidates", origin=Origin(entry.partition, entry.offset, 0)
        )
    )
    await here.give("lake")
    assert await here.audit() == {}


async def test_what_nobody_can_read_is_in_quarantine_instead(here: World) -> None:
    for topic in (MESSAGES, CANDIDATES, REJECTED):
        await here.log.append(topic, [NewEntry(0, b"pump-7", b"{]"), NewEntry(0, b"pump-7", b'{"id": 7}')])
    assert await here.audit() == {}


async def test_what_comes_meanwhile_is_neither_missing_nor_extra(here: World) -> None:
    assert await here.audit(here.stores()._replace(reports=Busy(here))) == {}


async def test_a_store_that_is_behind_is_waited_for_and_else_named(here: World) -> None:
    here.put(message(8, "tank:1"), candidate(8, "tank:1"))
    found = await here.audit(patience=0.1)
    behind = found.pop("live, reports and lake have applied what was on the log")
    assert [text.partition(" on ")[0] for text in behind.named] == [
        "missing: live is behind",
        "missing: reports is behind",
        "missing: lake is behind",
    ]
    assert {name: (one.missing, one.extra) for name, one in found.items()} == {
        "live: newest value of each field": (1, 0),
        "documents: candidates": (1, 0),
        "search: candidates": (1, 0),
        "reports: rows": (1, 0),
        "messages: log and lake": (1, 0),
        "candidates: log and lake": (1, 0),
    }
    waiting = asyncio.create_task(here.audit(patience=SECONDS))
    await asyncio.sleep(0)
    await here.give()
    assert await waiting == {}


async def test_a_store_that_is_away_costs_only_its_own_comparison(here: World) -> None:
    here.lake.down = True
    found = await here.audit(here.stores()._replace(search=Unavailable("no node answers")))
    assert {name: finding.trouble for name, finding in found.items()} == {
        "search: candidates": "no node answers",
        "messages: log and lake": "the lake is down",
        "candidates: log and lake": "the lake is down",
        "rejected: log and lake": "the lake is down",
    }


class Busy(SqliteReports):
    """Each time it is asked, more has come and been applied a moment before, but not by the lake."""

    def __init__(self, here: World) -> None:
        self._world = here
        self._next = 100

    async def rollups(
        self,
        period: Period,
        device: str | None,
        field: str | None,
        span: Span,
        limit: int,
        *,
        after: tuple[int, str, str] | None = None,
    ) -> tuple[Sequence[Rollup], Mapping[int, int]]:
        await self._more()
        return await self._world.reports.rollups(period, device, field, span, limit, after=after)

    async def ledger(self, topic: str) -> Mapping[int, int]:
        await self._more()
        return await self._world.reports.ledger(topic)

    async def ids(self) -> AsyncGenerator[Sequence[tuple[str, str]], None]:
        async for batch in self._world.reports.ids():
            yield batch

    async def _more(self) -> None:
        for name in DEVICES:
            said = message(self._next, name, fields={f"new-{n}": n for n in range(10)})
            self._world.put(said, said, candidate(self._next, name))
        self._next += 1
        await self._world.give("live", "documents", "search", "reports")


values = st.one_of(st.booleans(), st.integers(-(2**53), 2**53), st.floats(allow_nan=False, allow_infinity=False))
messages = st.lists(
    st.builds(
        message,
        st.integers(0, 5_000),
        st.sampled_from(DEVICES[:2]),
        fields=st.dictionaries(st.sampled_from(["a", "b"]), values, min_size=1),
    ),
    min_size=1,
    max_size=20,
)


@given(messages, st.data())
def test_a_fingerprint_finds_whatever_differs(said: list[Message], data: st.DataObject) -> None:
    prints = Prints(dict.fromkeys(range(3), 0))
    for one in said:
        prints.add(one)
    minutes = fold(said)
    for period, length in LENGTHS.items():
        for key, part in widened(minutes, length).items():
            prints.take(period, key, part.count, add(part.total, part.rest))
    assert prints.differing() == []
    period = data.draw(st.sampled_from(sorted(LENGTHS)))
    start, device, field = data.draw(st.sampled_from(sorted(widened(minutes, LENGTHS[period]))))
    count, total = data.draw(
        st.tuples(st.integers(-9, 9), st.decimals(-9, 9, places=15)).filter(lambda one: one != (0, Decimal(0)))
    )
    prints.take(period, (start, device, field), count, total)
    assert prints.differing() == [(device, field)]

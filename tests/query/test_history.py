"""History across lake and log: every id once, in order, whatever is appended, committed, trimmed or read in between."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headwater.errors import Unavailable
from headwater.log import CANDIDATES, MESSAGES, REJECTED
from headwater.message import Message
from query.history import Ask, History
from query.problems import Unanswerable
from query.tail import Tail
from storage.contract import LakeRow, Span
from tests.query.fakes import PARTITIONS, MemoryLake, MemoryLog, order
from tests.storage.factory import SECOND, T, candidate, message, rejected

MINUTE = 60 * SECOND


@dataclass
class Site:
    """A log, a lake, a tail that follows, and the history made of them."""

    log: MemoryLog = field(default_factory=MemoryLog)
    size: int = 2**20
    clock: float = 0.0
    grace: float = 0.0

    def __post_init__(self) -> None:
        self.lake = MemoryLake(self.log)
        self.tail = self.new_tail()
        self.history = self.asking(self.lake, self.tail)

    def new_tail(self) -> Tail:
        return Tail(
            self.log,
            self.lake.ledger,
            size=self.size,
            groups={CANDIDATES: "lake.candidates"},
            grace=self.grace,
            clock=lambda: self.clock,
        )

    def asking(self, lake: MemoryLake, tail: Tail) -> History:
        return History(lake, tail, log_id="log-1", partitions=PARTITIONS, repeated_within=10 * MINUTE)

    def say(self, *messages: Message) -> None:
        for one in messages:
            self.log.put(MESSAGES, one)

    def flush(self, topic: str = MESSAGES, count: int = 10**6) -> None:
        for number in range(PARTITIONS):
            self.lake.commit(topic, number, count)

    async def caught_up(self) -> None:
        await self.log.grown()
        assert await self.tail.reach(MESSAGES, 5)

    async def all(self, device: str = "pump-7", **parts: object) -> list[LakeRow]:
        """All pages."""
        rows: list[LakeRow] = []
        cursor: str | None = ""
        while cursor is not None:
            page = await self.history.messages(device, Ask(**({"limit": 100, "cursor": cursor} | parts)))  # type: ignore[arg-type]
            rows += page.rows
            cursor = page.next
        return rows


@asynccontextmanager
async def following(site: Site) -> AsyncGenerator[Site, None]:
    stop = asyncio.Event()
    run = asyncio.create_task(site.tail.run(stop))
    await asyncio.sleep(0)
    try:
        yield site
    finally:
        stop.set()
        await run


@pytest.fixture
async def site() -> AsyncGenerator[Site, None]:
    async with following(Site()) as made:
        yield made


def ids(rows: Sequence[LakeRow]) -> list[str]:
    return [row.message.id for row in rows]


async def test_it_is_there_before_the_lake_has_it_and_after(site: Site) -> None:
    said = [message(n) for n in range(5)]
    site.say(*said)
    await site.log.grown()
    assert ids(await site.all()) == [one.id for one in reversed(said)]
    site.flush()
    assert ids(await site.all()) == [one.id for one in reversed(said)]
    await site.tail.trim()
    assert site.tail.size == 0
    assert ids(await site.all(newest_first=False)) == [one.id for one in said]


async def test_a_tail_that_is_behind_the_log_leaves_nothing_out(site: Site) -> None:
    site.say(message(0))
    await site.caught_up()
    site.say(message(1))
    site.log.put(CANDIDATES, candidate(1))
    site.log.put(REJECTED, rejected(1))  # nobody tells the tail that there is more
    assert ids(await site.all()) == [message(1).id, message(0).id]
    assert len((await site.history.candidates("pump-7", Ask(10))).rows) == 1
    assert len((await site.history.rejected(Ask(10))).rows) == 1


async def test_a_lake_that_commits_between_the_two_reads_makes_no_gap_and_no_double(site: Site) -> None:
    said = [message(n) for n in range(6)]
    site.say(*said)
    await site.caught_up()
    site.flush(count=2)

    async def race() -> None:
        site.flush(count=1)
        await site.tail.trim()

    site.lake.race = race
    for limit in (1, 2, 3, 100):
        assert ids(await site.all(limit=limit)) == [one.id for one in reversed(said)]


async def test_before_the_tail_runs_the_log_answers() -> None:
    site = Site()
    said = [message(n) for n in range(5)]
    site.say(*said)
    site.flush(count=2)
    assert ids(await site.all(newest_first=False)) == [one.id for one in said]


async def test_a_device_sees_only_its_own(site: Site) -> None:
    site.say(message(1, "a"), message(1, "b"), message(2, "a"))
    await site.log.grown()
    assert [row.message.device for row in await site.all("a")] == ["a", "a"]
    assert await site.all("nobody") == []


async def test_field_and_times_choose_in_lake_and_tail_alike(site: Site) -> None:
    def said(n: int) -> Message:
        return message(n, fields={"even": n} if n % 2 == 0 else {"odd": n}, texts={"t": "x"} if n == 3 else {})

    site.say(*[said(n) for n in range(8)])
    await site.caught_up()
    site.flush(count=4)
    rows = await site.all(span=Span(T + 2 * SECOND, T + 12 * SECOND), newest_first=False)
    assert [row.message.seq for row in rows] == [1, 2, 3, 4, 5]

    async def chosen(name: str) -> list[int | None]:
        page = await site.history.messages("pump-7", Ask(100), name)
        return [row.message.seq for row in page.rows]

    assert await chosen("even") == [6, 4, 2, 0]
    assert await chosen("t") == [3]


async def test_what_a_device_sent_again_is_one_row_also_when_only_the_first_is_in_the_lake(site: Site) -> None:
    first, other = message(1, received=T + 3 * SECOND), message(2, received=T + 5 * SECOND)
    again = message(1, received=T + 60 * SECOND)
    site.say(first)
    site.flush()
    site.say(other, again, again)
    await site.log.grown()
    for limit in (1, 2, 3):
        for newest_first in (True, False):
            rows = await site.all(limit=limit, newest_first=newest_first)
            assert ids(rows) == ([other.id, first.id] if newest_first else [first.id, other.id])
            assert {row.message.received for row in rows} == {first.received, other.received}


async def test_a_repeat_is_recognised_also_where_its_first_sending_is_pages_away(site: Site) -> None:
    said = [message(n, at=None, flag="none") for n in range(6)]
    site.say(*said)
    site.flush()
    site.say(message(0, at=None, flag="none", received=T + MINUTE, time=T + MINUTE))
    await site.log.grown()
    assert ids(await site.all(limit=1)) == [one.id for one in reversed(said)]


async def test_the_usual_question_asks_the_lake_once(site: Site) -> None:
    site.say(*[message(n) for n in range(5)])
    await site.log.grown()
    await site.history.messages("pump-7", Ask(100))
    assert site.lake.asked == 1


async def test_beyond_its_size_the_tail_reads_the_log() -> None:
    async with following(Site(size=3_000)) as site:
        said = [message(n) for n in range(50)]
        for one in said:
            site.say(one)
            await site.log.grown()
        await site.caught_up()
        assert site.tail.size <= 3_000
        with pytest.raises(Unavailable, match="too far behind"):
            await site.all()
        site.flush(count=48)
        site.lake.race = None
        assert ids(await site.all(newest_first=False)) == [one.id for one in said]


async def test_a_log_that_dropped_what_the_lake_has_not_says_so(site: Site) -> None:
    site.say(*[message(n) for n in range(5)])
    await site.caught_up()
    for number in range(PARTITIONS):
        site.log.first[MESSAGES, number] = len(site.log.entries[MESSAGES, number])
    later = Site(log=site.log)
    rows = await later.all()
    assert rows == []


async def test_a_lake_that_is_down_is_unavailable(site: Site) -> None:
    site.lake.down = True
    with pytest.raises(Unavailable):
        await site.all()


async def test_an_entry_stays_for_a_while_after_the_lake_has_it() -> None:
    async with following(Site(grace=10.0)) as site:
        site.say(*[message(n) for n in range(5)])
        await site.caught_up()
        site.flush()
        await site.tail.trim()
        held = site.tail.size
        site.clock = 9.9
        await site.tail.trim()
        assert site.tail.size == held > 0
        site.clock = 20.0
        await site.tail.trim()
        assert site.tail.size == 0


async def test_a_tail_that_failed_goes_on_where_it_was() -> None:
    site = Site()
    said = [message(n) for n in range(6)]
    async with following(site):
        site.say(*said[:3])
        await site.caught_up()
    site.say(*said[3:])
    async with following(site):
        await site.caught_up()
        assert ids(await site.all(newest_first=False)) == [one.id for one in said]


@pytest.mark.parametrize("cursor", ["x", "!!!", "e30", "W10", "bnVsbA", "a" * 5000, "ä", "WyJoaXN0b3J5IiwibG9nLTEiXQ"])
async def test_a_cursor_that_is_none_is_refused(site: Site, cursor: str) -> None:
    with pytest.raises(Unanswerable) as refused:
        await site.history.messages("pump-7", Ask(10, cursor=cursor))
    assert (refused.value.status, refused.value.error) == (400, "bad_cursor")


async def test_a_cursor_goes_on_only_where_it_came_from(site: Site) -> None:
    site.say(message(1), message(2))
    await site.log.grown()
    cursor = (await site.history.messages("pump-7", Ask(1))).next
    assert cursor is not None
    with pytest.raises(Unanswerable, match="order"):
        await site.history.messages("pump-7", Ask(1, newest_first=False, cursor=cursor))
    with pytest.raises(Unanswerable, match="no cursor"):
        await site.history.candidates(None, Ask(1, cursor=cursor))
    other = History(site.lake, site.tail, log_id="log-2", partitions=PARTITIONS, repeated_within=0)
    with pytest.raises(Unanswerable, match="another log"):
        await other.messages("pump-7", Ask(1, cursor=cursor))


async def test_candidates_come_from_both_in_their_newest_revision(site: Site) -> None:
    made = [candidate(n, device) for n in range(4) for device in ("a", "b")]
    for one in made:
        site.log.put(CANDIDATES, one)
    site.flush(CANDIDATES, count=2)
    site.log.put(
        CANDIDATES, candidate(1, "a", revision=1, origin=made[2].origin.__class__(made[2].origin.partition, 99, 0))
    )
    await site.log.grown()
    page = await site.history.candidates("a", Ask(3))
    assert [(row.id, row.revision) for row in page.rows] == [(made[6].id, 0), (made[4].id, 0), (made[2].id, 1)]
    rest = await site.history.candidates("a", Ask(3, cursor=page.next or ""))
    assert ([row.id for row in rest.rows], rest.next) == ([made[0].id], None)
    everything = await site.history.candidates(None, Ask(100, newest_first=False))
    assert [(row.time, row.id) for row in everything.rows] == sorted((one.time, one.id) for one in made)


async def test_candidates_are_followed_from_the_lakes_commit(site: Site) -> None:
    for n in range(6):
        site.log.put(CANDIDATES, candidate(n))
    site.flush(CANDIDATES, count=4)
    number = next(n for n in range(PARTITIONS) if site.log.entries[CANDIDATES, n])
    site.log.commits["lake.candidates", CANDIDATES] = {number: 3}
    later = Site(log=site.log)
    later.lake = site.lake
    later.tail = later.new_tail()
    later.history = later.asking(later.lake, later.tail)
    async with following(later):
        assert await later.tail.reach(CANDIDATES, 5)
        assert [row.id for row in (await later.history.candidates(None, Ask(100))).rows] == [
            candidate(n).id for n in reversed(range(6))
        ]


async def test_rejected_come_from_both_by_reason_and_device(site: Site) -> None:
    for n in range(6):
        site.log.put(REJECTED, rejected(n, device="a" if n < 4 else "b", reason="bad_json" if n % 2 else "too_deep"))
    site.flush(REJECTED, count=2)
    await site.log.grown()

    async def numbers(**parts: str) -> list[int]:
        page = await site.history.rejected(Ask(4), **parts)
        return [(row.received - T) // SECOND for row in page.rows]

    assert await numbers() == [5, 4, 3, 2]
    assert await numbers(device="a") == [3, 2, 1, 0]
    assert await numbers(reason="too_deep", device="a") == [2, 0]


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("say"), st.integers(0, 6), st.integers(0, 3), st.integers(0, 2)),
        st.tuples(st.just("flush"), st.integers(1, 4), st.just(0), st.just(0)),
        st.tuples(st.just("trim"), st.just(0), st.just(0), st.just(0)),
        st.tuples(st.just("page"), st.integers(1, 3), st.just(0), st.just(0)),
        st.tuples(st.just("restart"), st.just(0), st.just(0), st.just(0)),
    ),
    max_size=25,
)


def _model(said: Sequence[Message]) -> list[str]:
    first: dict[str, Message] = {}
    for one in said:
        first.setdefault(one.id, one)
    return [one.id for one in sorted(first.values(), key=lambda m: (m.time, m.received, m.id))]


async def _play(steps: Sequence[tuple[str, int, int, int]], *, newest_first: bool, size: int, race: bool) -> None:
    site = Site(size=size)
    said: list[Message] = []
    began: list[str] | None = None
    paged: list[str] = []
    cursor: str | None = ""
    stop = asyncio.Event()
    run = asyncio.create_task(site.tail.run(stop))

    async def racing() -> None:
        site.flush(count=1)
        await site.tail.trim()

    site.lake.race = racing if race else None
    for name, first, second, third in steps:
        if name == "say":
            # Few ids and times: an id comes again later (received later), times tie and go back.
            one = Message(
                device="pump-7",
                id=f"id-{first}",
                received=T + len(said) * SECOND,
                # A device's own clock says the same again; without one it is another time.
                time=T + (first if first % 2 else second) * SECOND,
                seq=third,
                flag="" if first % 2 else "none",
            )
            said.append(one)
            site.say(one)
            await site.log.grown()
        elif name == "flush":
            site.flush(count=first)
        elif name == "trim":
            await site.tail.trim()
        elif name == "restart":
            stop.set()
            await run
            stop = asyncio.Event()
            run = asyncio.create_task(site.tail.run(stop))
        elif cursor is not None:
            page = await site.history.messages("pump-7", Ask(first, newest_first=newest_first, cursor=cursor))
            began = _model(said) if began is None else began
            paged += ids(page.rows)
            cursor = page.next
            assert sorted(page.rows, key=order, reverse=newest_first) == page.rows
        await asyncio.sleep(0)
    for limit in (1, 2, 100):
        found = ids(await site.all(limit=limit, newest_first=newest_first))
        assert found == (_model(said)[::-1] if newest_first else _model(said))
    assert len(paged) == len(set(paged)), "an id stood on two pages"
    if began is not None and cursor is None:
        assert set(began) <= set(paged), "an id that was there from the first page on stood on none"
    stop.set()
    await run


@settings(max_examples=150, deadline=None)
@given(steps=STEPS, newest_first=st.booleans(), size=st.sampled_from([1_500, 10**6]), race=st.booleans())
def test_every_id_once_under_any_interleaving(
    steps: list[tuple[str, int, int, int]], newest_first: bool, size: int, race: bool
) -> None:
    asyncio.run(_play(steps, newest_first=newest_first, size=size, race=race))

"""A device's history across lake and log: no gap, nothing twice, whoever of them is behind, failing or away."""

import pytest

from headwater.errors import Unavailable
from headwater.log import CANDIDATES, MESSAGES, REJECTED
from headwater.message import Message
from query.history import Ask
from storage.contract import Span
from tests.query.fakes import PARTITIONS
from tests.query.history.kit import MINUTE, Site, following, ids
from tests.storage.factory import SECOND, T, candidate, message, rejected


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

"""Pages of history go on where they came from; candidates and rejected messages are paged the same way."""

import pytest

from headwater.log import CANDIDATES, REJECTED
from query.history import Ask, History
from query.problems import Unanswerable
from tests.query.fakes import PARTITIONS
from tests.query.history.kit import Site, following
from tests.storage.factory import SECOND, T, candidate, message, rejected


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

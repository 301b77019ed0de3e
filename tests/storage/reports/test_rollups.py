"""Reports: rollups and rows from batches, exact, each message once; retention; pages."""

from fractions import Fraction

import pytest

from headwater import failpoints
from headwater.errors import PartialWrite, Unavailable
from headwater.log import MESSAGES
from headwater.message import Message, encode
from storage.contract import Rollup, Span
from tests.storage.factory import DAY, T, highest, records
from tests.storage.reports.kit import ALL, HOUR, LENGTHS, NOW, Clock, Opens, Reports, ids, rollups, rows, say


async def test_a_batch_makes_rows_and_rollups(reports: Reports) -> None:
    said = [
        say({"v": 1.5, "on": True}, ident="a"),
        say({"v": -3}, time=T + HOUR, ident="b"),
        say({"v": 2.25}, time=T + 1, ident="c"),
    ]
    await reports.write(records(said))
    assert [(r.count, str(r.sum), r.min, r.max, r.last) for r in await rollups(reports, "hour")] == [
        (1, "1", 1, 1, 1),
        (2, "3.75", 1.5, 2.25, 2.25),
        (1, "-3", -3, -3, -3),
    ]
    assert [(r.count, str(r.sum)) for r in await rollups(reports, "day")] == [(1, "1"), (3, "0.75")]
    assert await rows(reports) == [said[0], said[2], said[1]]


async def test_sums_are_of_the_decimals_as_written_whatever_their_size(reports: Reports) -> None:
    tenths = [say({"v": 0.1}, ident=f"{n}") for n in range(10)]
    far = [say({"w": value}, ident=f"w{n}") for n, value in enumerate([1.7976931348623157e308, 5e-324, 1e20, -3.5])]
    twice = [say({"w": value}, ident=f"x{n}") for n, value in enumerate([1.7976931348623157e308, 1e-14])]
    await reports.write(records([*tenths, *far]))
    await reports.write(records(twice, start=14))
    v, w = await rollups(reports)
    assert (v.count, str(v.sum)) == (10, "1")
    values = [1.7976931348623157e308, 5e-324, 1e20, -3.5, 1.7976931348623157e308, 1e-14]
    assert Fraction(w.sum) == sum(Fraction(repr(value)) for value in values)
    assert (w.min, w.max) == (-3.5, 1.7976931348623157e308)


async def test_last_is_by_time_and_received_and_id_not_by_arrival(reports: Reports) -> None:
    said = [
        say({"v": 1}, time=T + 5, received=T + 9, ident="b"),
        say({"v": 2}, time=T + 5, received=T + 9, ident="a"),
        say({"v": 3}, time=T + 5, received=T + 8, ident="z"),
        say({"v": 4}, time=T + 4, received=T + 99, ident="y"),
    ]
    for at, one in enumerate(said):
        await reports.write(records([one], start=at))
    assert [r.last for period in LENGTHS for r in await rollups(reports, period)] == [1, 1, 1]


async def test_names_that_differ_in_case_accent_or_blanks_are_different(reports: Reports) -> None:
    names = ["v", "V", "v ", "v\u0308", "é", "e", "ß", "ss", "😀", "a'b\\c\"%s", "x" * 128]
    said = [say({name: 1}, ident=name[:64]) for name in names]
    said += [say(device=device, ident="v") for device in ("Pump", "pump", "p" * 128)]
    await reports.write(records(said))
    assert sorted(r.field for r in await rollups(reports)) == sorted(names)
    assert sorted(await ids(reports)) == sorted((one.device, one.id) for one in said)
    assert sorted(map(encode, await rows(reports))) == sorted(map(encode, said))


async def test_the_same_message_received_hours_later_counts_once_while_its_row_is_kept(reports: Reports) -> None:
    first = say({"v": 1}, ident="a")
    again = say({"v": 1}, time=T, received=T + 5 * HOUR, ident="a")
    await reports.write(records([first, again]))
    await reports.write(records([again, first], start=2))
    assert [r.count for r in await rollups(reports)] == [1]
    assert await rows(reports) == [first]


async def test_what_was_sent_twice_counts_once_also_where_the_store_takes_it_days_later(
    opens: Opens, clock: Clock
) -> None:
    async with opens(rows=3600) as store:
        clock.now = T + 3 * DAY
        first, again = (say({"v": 1}, time=T, received=T + n, ident="a") for n in range(2))
        other = say({"v": 2}, time=T, received=T, ident="b")
        await store.write(records([first]))
        await store.write(records([again, other, other], start=1))
        assert [(r.count, str(r.sum)) for r in await rollups(store)] == [(2, "3")]
        assert (await rows(store), await ids(store)) == ([], [])
        clock.now = T  # the clock of who reads is another one
        assert await rows(store) == []


async def test_a_repeat_in_one_batch_counts_once_however_old_it_is(reports: Reports, clock: Clock) -> None:
    clock.now = T + 100 * DAY
    await reports.write(records([say({"v": 1}), say({"v": 1})]))
    assert [r.count for r in await rollups(reports)] == [1]


async def test_a_late_message_is_counted_without_a_row(opens: Opens, clock: Clock) -> None:
    async with opens(rows=3600) as store:
        late = say({"v": 1}, time=T, received=T, ident="a")
        fresh = say({"v": 2}, time=T, received=clock.now, ident="b")
        await store.write(records([late, fresh]))
        assert [(r.count, str(r.sum)) for r in await rollups(store)] == [(2, "3")]
        assert await ids(store) == [("pump-7", "b")]


async def test_a_message_from_a_mad_clock_is_counted_without_a_row(reports: Reports) -> None:
    await reports.write(records([say({"v": 1}, time=T, received=T + 9_000 * DAY)]))
    assert [r.count for r in await rollups(reports)] == [1]
    assert await rows(reports) == []


async def test_rows_end_by_the_clock_and_are_dropped_by_the_hour_while_rollups_stay(opens: Opens, clock: Clock) -> None:
    said = [say({"v": n}, time=NOW + n * HOUR // 2, ident=f"{n}") for n in range(8)]
    async with opens(rows=2 * 3600) as store:
        for at, one in enumerate(said):
            clock.now = one.received
            await store.write(records([one], start=at))
            await store.maintain()
        assert await rows(store) == said[3:]
        clock.now += HOUR * 10
        assert (await rows(store), await ids(store)) == ([], [])
        assert await store.maintain() > 0
        assert await store.maintain() == 0
        await store.write(records([say({"v": 1}, time=NOW, received=NOW, ident="late")], start=8))
        assert await rows(store) == []
        assert sum(r.count for r in await rollups(store)) == 9
        now = say({"v": 1}, time=clock.now, ident="now")
        await store.write(records([now], start=9))
        assert await rows(store) == [now]


async def test_what_can_never_be_stored_is_named_and_the_rest_is_there(reports: Reports) -> None:
    said = [
        say({"v": 1}, ident="a"),
        say({"v": 10**400}, ident="b"),
        say({"v": float("inf")}, ident="c"),
        say({"n" * 300: 1}, ident="d"),
        say({"v": 2}, ident="e"),
    ]
    with pytest.raises(PartialWrite) as refused:
        await reports.write(records(said))
    assert set(refused.value.reasons) == {1, 2, 3}
    assert [(r.count, str(r.sum)) for r in await rollups(reports)] == [(2, "3")]
    assert await reports.ledger(MESSAGES) == highest(records(said))


async def test_a_failure_inside_the_transaction_leaves_nothing(reports: Reports) -> None:
    batch = records([say({"v": 1})])
    failpoints.arm("reports.transaction=fail")
    try:
        with pytest.raises(Unavailable):
            await reports.write(batch)
    finally:
        failpoints.arm("")
    assert (await rows(reports), await rollups(reports), await reports.ledger(MESSAGES)) == ([], [], {})
    await reports.write(batch)
    assert [r.count for r in await rollups(reports)] == [1]


async def test_answers_come_in_pages_and_by_device_field_and_span(reports: Reports) -> None:
    said = [
        say({"a": n, "b": n}, time=T + n * HOUR // 60, ident=f"{n}", device=device)
        for n in range(5)
        for device in ("p", "q")
    ]
    await reports.write(records(said))
    everything = await rollups(reports)
    found: list[Rollup] = []
    after: tuple[int, str, str] | None = None
    while page := (await reports.rollups("minute", None, None, ALL, 3, after=after))[0]:
        found += page
        after = (page[-1].start, page[-1].device, page[-1].field)
    assert found == everything
    assert len(found) == 20
    span = Span(everything[4].start, everything[8].start)
    some, ledger = await reports.rollups("minute", "p", "b", span, 9)
    assert [(r.start, r.device, r.field) for r in some] == [(span.start, "p", "b")]
    assert ledger == highest(records(said))
    one, _ = await reports.rows("q", Span(T + 1, T + 3 * HOUR // 60), 9)
    assert [m.id for m in one] == ["1", "2"]
    first, _ = await reports.rows("q", ALL, 2)
    rest, _ = await reports.rows("q", ALL, 9, after=(first[1].time, first[1].received, first[1].id, "q"))
    assert [m.id for m in (*first, *rest)] == ["0", "1", "2", "3", "4"]


async def test_pages_miss_no_device_that_said_the_same_id_at_the_same_moment(reports: Reports) -> None:
    said = [say({"v": 1}, ident="1", device=f"d{n}") for n in range(5)]
    await reports.write(records(said))
    found: list[Message] = []
    after: tuple[int, int, str, str] | None = None
    while page := (await reports.rows(None, ALL, 2, after=after))[0]:
        found += page
        after = (page[-1].time, page[-1].received, page[-1].id, page[-1].device)
    assert found == said


async def test_erasing_leaves_rows_that_came_later_and_rollups_whose_newest_did(reports: Reports) -> None:
    said = [
        say({"v": 1}, time=T, received=T, ident="a"),
        say({"v": 2}, time=T + HOUR, received=T + HOUR, ident="b"),
        say({"v": 3}, time=T, received=T, device="other", ident="c"),
    ]
    await reports.write(records(said))
    assert await reports.erase("pump-7", T + HOUR) > 0
    assert await rows(reports) == [said[2], said[1]]
    assert [(r.device, r.last) for r in await rollups(reports, "hour")] == [("other", 3), ("pump-7", 2)]
    assert [(r.device, r.last) for r in await rollups(reports, "day")] == [("other", 3), ("pump-7", 2)]
    await reports.erase("pump-7", T + 2 * HOUR)
    assert [r.device for period in LENGTHS for r in await rollups(reports, period)] == ["other"] * 3
    assert await rows(reports) == [said[2]]

"""Search: what is asked for is found, in order, page by page; higher revisions; days that are dropped."""

import asyncio

import msgspec
import pytest

from headwater.errors import PartialWrite
from headwater.message import Position
from storage.contract import Circle, Span, Term
from storage.search_words import terms_of
from tests.storage.factory import DAY, T, candidate, highest, message, records
from tests.storage.search.kit import EVER, Clock, Opening, Search, found, say


async def test_words_prefixes_and_values_find_it(store: Search) -> None:
    await store.write(
        records(
            [
                say(1, texts={"state": "Überhitzt, OFF"}, fields={"level": 21.0, "on": True}),
                say(2, "tank:1", texts={"state": "on"}, fields={"level": 2, "on": False}),
            ]
        )
    )
    assert await found(store, "pump") == [1]
    assert await found(store, "PUMP überhitzt") == [1]
    assert await found(store, "über*") == [1]
    assert await found(store, "ber*") == []
    assert await found(store, "level") == [2, 1]
    assert await found(store, "level:21") == [1]
    assert await found(store, "level:2") == [2]
    assert await found(store, "level:2*") == [2, 1]
    assert await found(store, "on:true") == [1]
    assert await found(store, 'state:"überhitzt, off"') == [1]
    assert await found(store, "state:off") == []
    assert await found(store, "device:tank*") == [2]
    assert await found(store, "pump tank") == []
    assert await found(store, "state:*") == [2, 1]
    assert await found(store, "") == [2, 1]


async def test_a_word_is_no_value_and_a_mark_no_operator(store: Search) -> None:
    await store.write(records([say(1, texts={"a": "and or not", "near": 'x"y*z', "b": "w70"})]))
    for question in ("and or not", "near", "x y z", "w70", "b:w70", "a:and*"):
        assert await found(store, question) == [1], question
    for question in ("w7", "p70", "a", "b", "70"):
        assert await found(store, question) == ([1] if question in {"a", "b"} else []), question
    assert (await store.search([Term("")], EVER, 10))[0] == []
    assert len((await store.search([Term("", prefix=True)], EVER, 10))[0]) == 1


async def test_what_comes_back_is_what_was_written(store: Search) -> None:
    said = message(
        1,
        texts={"": "ä\u2028😀\x00", "a.b": "..", "x": "y" * 1024},
        fields={".": 1, "real": 1.0, "big": 2**63 - 1, "low": -(2**63), "small": 5e-324, "zero": -0.0, "no": False},
        position=Position(lat=-90.0, lon=180.0, alt=1.5),
        raw=b"\x00\xff",
    )
    one = candidate(1, message=said, reasons=["a", "b"], rule="ü" * 2000)
    await store.write(records([one]))
    (back,), ledger = await store.search(terms_of("pump"), EVER, 10)
    assert msgspec.json.encode(back) == msgspec.json.encode(one)
    assert ledger == highest(records([one]))


async def test_a_span_is_half_open_and_exact_to_the_microsecond(store: Search) -> None:
    await store.write(records([say(n, time=T + DAY + at) for n, at in enumerate((-1, 0, 1, 2))]))
    assert await found(store, "pump", Span(T + DAY, T + DAY + 2)) == [2, 1]
    assert await found(store, "pump", Span(None, T + DAY)) == [0]
    assert await found(store, "", Span(T + DAY + 2, None)) == [3]
    assert await found(store, "pump", Span(T + DAY, T + DAY)) == []


@pytest.mark.parametrize("newest_first", [True, False])
async def test_pages_go_on_where_the_last_one_ended_across_days_and_equal_times(
    store: Search, newest_first: bool
) -> None:
    made = [say(n, time=T + (n // 4) * DAY // 2) for n in range(20)][::-1]
    await store.write(records(made))
    expected = sorted(((one.time, one.id) for one in made), reverse=newest_first)
    for question in ([], terms_of("pump")):
        seen: list[tuple[int, str]] = []
        while rows := (
            await store.search(question, EVER, 3, newest_first=newest_first, after=seen[-1] if seen else None)
        )[0]:
            assert len(rows) <= 3
            seen += [(row.time, row.id) for row in rows]
        assert seen == expected


async def test_a_circle_is_the_great_circles_its_edge_included(store: Search) -> None:
    # Along a meridian one degree is 6,371,008.8 m times pi / 180.
    places = [Position(lat=10.0, lon=179.9995), Position(lat=10.0, lon=-179.9995), Position(lat=11.0, lon=179.9995)]
    places += [Position(lat=89.9, lon=0.0), Position(lat=89.9, lon=180.0), Position(lat=0.0, lon=0.0)]
    await store.write(records([*(say(n, at=at) for n, at in enumerate(places)), say(9)]))

    async def near(lat: float, lon: float, radius: float, question: str = "") -> list[int | None]:
        return await found(store, question, within=Circle(lat, lon, radius), newest_first=False)

    assert await near(10.0, 179.9995, 100.0) == [0]
    assert await near(10.0, 179.9995, 110.0) == [0, 1]
    assert await near(10.0, 179.9995, 111_195.0) == [0, 1]
    assert await near(10.0, 179.9995, 111_195.2, "pump") == [0, 1, 2]
    assert await near(89.9, 90.0, 16_000.0) == [3, 4]
    assert await near(0.0, 0.0, 0.0) == [5]
    assert await near(0.0, 0.0, 30_000_000.0) == [0, 1, 2, 3, 4, 5]
    assert await near(0.0, 0.0, -1.0) == []
    assert await near(91.0, 0.0, 1e6) == []


async def test_what_lies_just_outside_does_not_shorten_a_page(store: Search, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("storage.elastic_store._PAGE", 4)
    here, outside = Position(lat=0.0, lon=0.0), Position(lat=0.0009, lon=0.0)  # 100.08 m
    await store.write(records([say(n, at=here if n % 10 == 0 else outside) for n in range(40)]))
    within = Circle(0.0, 0.0, 100.0)
    assert await found(store, "pump", limit=3, within=within) == [30, 20, 10]
    assert await found(store, "pump", limit=9, within=within) == [30, 20, 10, 0]


async def test_a_higher_revision_takes_the_place_of_a_lower_one_also_on_another_day(store: Search) -> None:
    first = say(1, texts={"state": "early"})
    second = msgspec.structs.replace(say(1, texts={"state": "late"}, time=T + DAY), revision=1)
    third = msgspec.structs.replace(say(1, texts={"state": "last"}, time=T + DAY), revision=2)
    other = say(2)
    written = records([first, other, second, first, third, second])
    for position, record in enumerate(written):
        await store.write([record._replace(position=position)])
    rows, _ = await store.search([], EVER, 10)
    assert [(row.id, row.revision) for row in rows] == [(third.id, 2), (other.id, 0)]
    assert await found(store, "early") == []
    assert await found(store, "late") == []
    assert await found(store, "last") == [1]
    assert sorted([ident async for batch in store.ids() for ident, _ in batch]) == sorted([third.id, other.id])


async def test_days_beyond_the_retention_are_dropped_and_never_come_back(opening: Opening) -> None:
    clock = Clock()
    clock.now = T
    written = records([say(n, time=T + (n - 5) * DAY) for n in range(6)])
    async with opening(retention=3 * 86_400.0, now=clock) as store:
        await store.write(written)
        assert await found(store, "pump") == [5, 4, 3, 2]
        assert await store.ledger("candidates") == highest(written)
        clock.now = T + 2 * DAY
        assert await found(store, "pump") == [5, 4]
        await store.maintain()
        await store.maintain()
        assert await found(store, "") == [5, 4]
    async with opening("log-2", retention=3 * 86_400.0, now=clock) as store:
        await store.write(written)
        assert await store.ledger("candidates") == highest(written)
        clock.now = T  # had they been written, this clock would show them
        assert await found(store, "pump") == [5, 4]


async def test_a_time_days_ahead_is_refused_and_the_others_are_durable(store: Search, opening: Opening) -> None:
    written = records([say(1), say(2, time=T + 9000 * DAY), say(3)])
    with pytest.raises(PartialWrite) as refusal:
        await store.write(written)
    assert list(refusal.value.reasons) == [1]
    async with opening() as other:
        assert await found(other, "pump") == [3, 1]
        assert await other.ledger("candidates") == {}, "a crash now must bring it again: nobody has quarantined yet"
        await other.write([written[0], written[2]])
        assert await found(other, "pump") == [3, 1]
        assert await other.ledger("candidates") == highest(written)


async def test_what_the_ledger_claims_is_found_while_others_write(opening: Opening) -> None:
    written = records([say(n) for n in range(60)])
    async with opening() as writer, opening() as reader:

        async def write() -> None:
            for start in range(0, 60, 5):
                await writer.write(written[start : start + 5])

        task = asyncio.create_task(write())
        claimed = -1
        while claimed < 59:
            rows, ledger = await asyncio.wait_for(reader.search(terms_of("pump"), EVER, 100), 30)
            claimed = max((position >> 20 for position in ledger.values()), default=-1)
            assert {row.message.seq for row in rows} >= set(range(claimed + 1))
        await task

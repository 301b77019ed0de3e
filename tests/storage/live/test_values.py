"""Live state: the newest value wins, whatever the order of arrival; each entry counts once."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headwater.log import MESSAGES
from headwater.message import Heard, Number, Position
from storage.contract import Circle, LiveValue
from storage.live_state import LiveState
from storage.redis_store import RedisLive
from storage.sqlite_live import SqliteLive
from tests.storage.live.kit import T, read, records, say


async def test_a_device_that_never_sent_is_not_there(live: SqliteLive | RedisLive) -> None:
    assert await live.device("pump-7") is None
    assert await live.devices("", 10) == []


async def test_numbers_booleans_and_texts_keep_their_type(live: SqliteLive | RedisLive) -> None:
    said: dict[str, Number | str] = {
        "whole": 1,
        "real": 1.0,
        "yes": True,
        "no": False,
        "one": "1",
        "word": "true",
        "big": 2**63 - 1,
        "low": -(2**63),
        "umlaut": "ä\u2028😀",
        "small": 5e-324,
    }
    await live.write(records([say(0, said)]))
    values = (await read(live)).values
    assert {name: (type(held.value), held.value) for name, held in values.items()} == {
        name: (type(value), value) for name, value in said.items()
    }


async def test_a_late_message_changes_only_what_it_is_newest_in(live: SqliteLive | RedisLive) -> None:
    here, there = Position(lat=1.0, lon=2.0, alt=3.0, accuracy=4.0), Position(lat=5.0, lon=6.0)
    await live.write(
        records(
            [
                say(100, {"a": 1}, ident="b", position=here),
                say(50, {"a": 2, "b": 3}, ident="c", received=200, position=there),
            ]
        )
    )
    found = await read(live)
    assert found.values["a"] == LiveValue(1, T + 100, T + 100, "b")
    assert found.values["b"] == LiveValue(3, T + 50, T + 200, "c")
    assert (found.position, found.position_time) == (here, T + 100)
    assert (found.time, found.seen, found.entries) == (T + 100, T + 200, 2)


async def test_a_field_that_turns_from_number_to_text_is_one_field(live: SqliteLive | RedisLive) -> None:
    await live.write(records([say(1, {"state": 1}), say(2, {"state": "on"})]))
    assert {name: held.value for name, held in (await read(live)).values.items()} == {"state": "on"}


async def test_a_stamp_from_the_future_does_not_freeze_the_device(live: SqliteLive | RedisLive) -> None:
    # The intake has put `received` in the place of a clock that is a year ahead; `at` keeps what the device said.
    wrong = say(10, {"a": 1}, ident="w")
    wrong.at, wrong.flag = T + 365 * 86_400_000_000, "future"
    await live.write(records([wrong, say(11, {"a": 2}, ident="r")]))
    assert (await read(live)).values["a"].value == 2


async def test_who_heard_it_and_through_whom_are_of_the_newest_message(live: SqliteLive | RedisLive) -> None:
    heard = [Heard(gateway="g1", rssi=-70.5), Heard(gateway="g2")]
    newest, older = say(9, {"a": 1}, heard_by=heard), say(8, {"a": 1}, heard_by=[Heard(gateway="g3")])
    newest.via, newest.kind, older.via = "gateway-1", "beacon", "gateway-9"
    await live.write(records([newest]))
    await live.write(records([older], start=1))
    found = await read(live)
    assert (found.via, found.kind, found.heard_by) == ("gateway-1", "beacon", heard)


async def test_a_message_without_values_still_counts_and_is_seen(live: SqliteLive | RedisLive) -> None:
    await live.write(records([say(1), say(2)]))
    found = await read(live)
    assert (found.entries, found.seen, found.values) == (2, T + 2, {})


async def test_what_was_applied_has_no_effect_again(live: SqliteLive | RedisLive) -> None:
    batch = records([say(1, {"a": 1}), say(2, {"a": 2})])
    await live.write(batch)
    before = await read(live)
    await live.write(batch)
    await live.write(batch[1:] + records([say(3, {"a": 3})], start=2))
    assert before.entries == 2
    assert (await read(live)).entries == 3
    assert await live.ledger(MESSAGES) == {0: 2}


async def test_more_devices_than_are_remembered(live: SqliteLive | RedisLive, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("storage.redis_store._REMEMBERED", 3)
    monkeypatch.setattr("storage.sqlite_live._REMEMBERED", 3)
    for turn in range(4):
        batch = [say(turn, {f"f-{turn}": turn}, device=f"d-{at}") for at in range(8)]
        await live.write(records(batch, start=turn * 8))
    found = await live.devices("", 100)
    assert [(len(device.values), device.entries) for device in found] == [(4, 4)] * 8


async def test_a_message_handed_in_stays_as_it_was(live: SqliteLive | RedisLive) -> None:
    first = say(1, {"a": 1, "b": 2, "t": "x"})
    await live.write(records([first, say(2, {"a": 3})]))
    assert (first.fields, first.texts) == ({"a": 1, "b": 2}, {"t": "x"})


@given(order=st.permutations(range(12)))
def test_beyond_the_most_values_the_oldest_go(order: list[int]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("storage.live_state.MOST_VALUES", 4)
        state = LiveState()
        here = Position(lat=1.0, lon=2.0)
        for at in order:
            state.add(say(at, {f"f-{at % 7}": at, "always": at}, ident=f"{at:x}", position=here if at == 0 else None))
    values = state.device("pump-7").values
    assert {name: held.value for name, held in values.items()} == {"always": 11, "f-4": 11, "f-3": 10, "f-2": 9}
    assert state.device("pump-7").position == here


async def test_what_was_received_before_is_erased_and_what_is_left_is_as_if_it_had_come_alone(
    live: SqliteLive | RedisLive,
) -> None:
    old, new = Position(lat=50.0, lon=8.0), Position(lat=-33.0, lon=151.0)
    await live.write(
        records(
            [
                say(0, {"a": 1, "b": "old"}, ident="m", position=old),
                say(100, {"a": 2}, ident="n", position=new),
                say(0, {"a": 3}, device="other", position=old),
            ]
        )
    )
    assert await live.erase("pump-7", T + 100) == 1
    found = await read(live)
    assert {name: held.value for name, held in found.values.items()} == {"a": 2}
    assert found.position == new
    assert [one.device for one in await live.near(Circle(50, 8, 1000), 10)] == ["other"]
    assert [one.device for one in await live.near(Circle(-33, 151, 1000), 10)] == ["pump-7"]
    await live.write(records([say(200, {"b": "new"}, ident="o")], start=3))
    assert {name: held.value for name, held in (await read(live)).values.items()} == {"a": 2, "b": "new"}
    assert await live.erase("pump-7", T + 1000) == 1
    assert [one.device for one in await live.devices("", 10)] == ["other"]
    assert await live.near(Circle(-33, 151, 1000), 10) == []

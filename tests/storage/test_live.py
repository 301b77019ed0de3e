"""Live state: the newest value wins, whatever the order of arrival; each entry counts once; nothing is half there."""

import asyncio
import sqlite3
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import uuid4

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headwater import failpoints
from headwater.config_stack import Redis
from headwater.errors import Unavailable
from headwater.log import MESSAGES
from headwater.message import Heard, Message, Number, Position
from headwater.places import distance
from storage.contract import Circle, LiveDevice, LiveValue, Record
from storage.live_state import LiveState
from storage.redis_store import RedisLive, open_redis_live
from storage.sqlite_live import SqliteLive, open_live
from tests.services.server import Server
from tests.storage.laws import StoreLaws

T = 1_763_700_000_000_000


def say(
    time: int = 0,
    values: Mapping[str, Number | str] | None = None,
    *,
    device: str = "pump-7",
    received: int | None = None,
    ident: str = "a",
    position: Position | None = None,
    heard_by: Sequence[Heard] = (),
) -> Message:
    values = values or {}
    return Message(
        device=device,
        id=ident,
        received=T + (time if received is None else received),
        time=T + time,
        fields={name: value for name, value in values.items() if not isinstance(value, str)},
        texts={name: value for name, value in values.items() if isinstance(value, str)},
        position=position,
        heard_by=list(heard_by),
    )


def records(messages: Sequence[Message], start: int = 0, partition: int = 0) -> list[Record]:
    return [Record(MESSAGES, partition, at, at, message) for at, message in enumerate(messages, start)]


@pytest.fixture
async def sqlite_live(tmp_path: Path) -> AsyncGenerator[SqliteLive, None]:
    async with open_live(tmp_path / "live.sqlite", "log-1") as store:
        yield store


@pytest.fixture
async def redis_live(redis_server: Server) -> AsyncGenerator[RedisLive, None]:
    config = Redis(url=f"redis://127.0.0.1:{redis_server.port}/0", prefix=f"live-{uuid4().hex}")
    async with open_redis_live(config, "log-1") as store:
        yield store


@pytest.fixture(params=["sqlite_live", "redis_live"])
def live(request: pytest.FixtureRequest) -> SqliteLive | RedisLive:
    store = request.getfixturevalue(request.param)
    assert isinstance(store, SqliteLive | RedisLive)
    return store


async def read(live: SqliteLive | RedisLive, device: str = "pump-7") -> LiveDevice:
    found = await live.device(device)
    assert found is not None
    return found


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


async def test_a_ledger_is_of_one_log_and_survives_reopening(tmp_path: Path) -> None:
    path = tmp_path / "live.sqlite"
    async with open_live(path, "log-1") as live:
        await live.write(records([say(1, {"a": 1})], start=7, partition=3))
    async with open_live(path, "log-2") as live:
        assert await live.ledger(MESSAGES) == {}
    async with open_live(path, "log-1") as live:
        assert await live.ledger(MESSAGES) == {3: 7}
        assert (await read(live)).values["a"].value == 1


async def test_a_failure_inside_the_transaction_leaves_nothing(sqlite_live: SqliteLive) -> None:
    live = sqlite_live
    await live.write(records([say(1, {"a": 1})]))
    failpoints.arm("live.transaction=fail")
    try:
        with pytest.raises(Unavailable):
            await live.write(records([say(2, {"a": 2, "b": 3})], start=1))
    finally:
        failpoints.arm("")
    found, ledger = await live.device_as_of("pump-7")
    assert found is not None
    assert ({name: held.value for name, held in found.values.items()}, found.entries) == ({"a": 1}, 1)
    assert ledger == {0: 0}
    await live.write(records([say(2, {"a": 2, "b": 3})], start=1))
    found = await read(live)
    assert ({name: held.value for name, held in found.values.items()}, found.entries) == ({"a": 2, "b": 3}, 2)


async def test_what_is_remembered_is_dropped_when_someone_else_wrote_the_file(tmp_path: Path) -> None:
    path = tmp_path / "live.sqlite"
    async with open_live(path, "log-1") as one, open_live(path, "log-1") as other:
        await one.write(records([say(1, {"a": 1})]))
        await other.write(records([say(2, {"b": 2})], start=1))
        await one.write(records([say(3, {"c": 3})], start=2))
        found = await read(one)
    assert {name: held.value for name, held in found.values.items()} == {"a": 1, "b": 2, "c": 3}
    assert found.entries == 3


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


async def test_a_file_that_another_process_holds_is_unavailable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("storage.sqlite_file._BUSY_MS", 20)
    async with open_live(tmp_path / "live.sqlite", "log-1") as live:
        other = sqlite3.connect(tmp_path / "live.sqlite", isolation_level=None)
        try:
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(Unavailable):
                await live.ping()
            with pytest.raises(Unavailable):
                await live.write(records([say(1)]))
            other.execute("ROLLBACK")
        finally:
            other.close()
        await live.ping()


async def test_devices_come_by_name_after_a_name_and_by_prefix(live: SqliteLive | RedisLive) -> None:
    names = ["a", "a-1", "a-2", "a.b", "b-1", "pump-10", "pump-7", "pump-7:1"]
    await live.write(records([say(1, {"v": at}, device=name) for at, name in enumerate(reversed(names))]))
    assert [found.device for found in await live.devices("", 100)] == names
    assert [found.device for found in await live.devices("a-2", 2)] == ["a.b", "b-1"]
    assert [found.device for found in await live.devices("", 100, "pump-7")] == ["pump-7", "pump-7:1"]
    assert [found.device for found in await live.devices("pump-10", 1, "pump-")] == ["pump-7"]
    assert await live.devices("", 100, "zebra") == []
    assert all(set(found.values) == {"v"} for found in await live.devices("", 100))


async def test_everything_is_every_device_once(live: SqliteLive | RedisLive) -> None:
    await live.write(records([say(1, {"v": at}, device=f"d-{at:04}") for at in range(2_300)]))
    found = [device.device async for batch in live.everything() for device in batch]
    assert found == [f"d-{at:04}" for at in range(2_300)]


AROUND = [
    *[(f"town-{at}", 52.5 + at * 1e-4, 13.4 - at * 1e-4) for at in range(200)],
    *[(f"date-line-{at}", -17.0 + at / 100, (179.99 + at / 100 + 180) % 360 - 180) for at in range(20)],
    *[(f"pole-{at}", 84.0 + at * 0.3, -180.0 + at * 18) for at in range(21)],
    ("edge-east", 0.0, 180.0),
    ("edge-west", 0.0, -180.0),
]


async def test_near_are_those_within_the_great_circle_nearest_first(live: SqliteLive | RedisLive) -> None:
    said = [say(1, device=name, position=Position(lat, lon)) for name, lat, lon in AROUND]
    await live.write(records([*said, say(1, {"a": 1}, device="nowhere")]))
    for lat, lon, radius in [
        (52.5, 13.4, 500.0),
        (52.5, 13.4, 0.0),
        (52.51, 13.39, 1e6),
        (-17.0, 179.999, 9_000.0),
        (-17.0, -179.9, 30_000.0),
        (0.0, 180.0, 1.0),
        (0.0, -180.0, 1.0),
        (88.0, 0.0, 300_000.0),
        (90.0, 0.0, 2e5),
        (10.0, 100.0, 4e6),
        (10.0, 100.0, 9e6),
        (10.0, 100.0, 2.1e7),
    ]:
        measured = sorted((distance(lat, lon, *at), name) for name, *at in AROUND)
        expected = [name for away, name in measured if away <= radius]
        for limit in (3, 1_000):
            found = await live.near(Circle(lat, lon, radius), limit)
            assert [one.device for one in found] == expected[:limit], (lat, lon, radius)


async def test_near_goes_by_the_newest_position_however_it_was_moved(live: SqliteLive | RedisLive) -> None:
    places = [(10.0, 20.0), (89.0, 170.0), (10.0, 179.99), (10.0, -100.0), (10.0, 20.0)]
    for at, (lat, lon) in enumerate(places):
        late = say(at - 10, device="a", position=Position(50.0, 50.0))
        await live.write(records([say(at, device="a", position=Position(lat, lon)), late], start=2 * at))
        for other in {*places, (50.0, 50.0)}:
            found = await live.near(Circle(*other, 5_000.0), 10)
            assert [one.device for one in found] == (["a"] if other == (lat, lon) else []), (other, at)


async def test_the_edge_of_a_circle_is_inside(live: SqliteLive | RedisLive) -> None:
    await live.write(records([say(1, device="a", position=Position(52.5, 13.4))]))
    away = distance(52.0, 13.0, 52.5, 13.4)
    assert len(await live.near(Circle(52.0, 13.0, away), 10)) == 1
    assert await live.near(Circle(52.0, 13.0, away - 1e-3), 10) == []
    assert await live.near(Circle(52.0, 13.0, -1.0), 10) == []


async def test_a_file_made_before_there_was_near_learns_its_places(tmp_path: Path) -> None:
    async with open_live(tmp_path / "live.sqlite", "log-1") as live:
        await live.write(records([say(1, device="a", position=Position(52.5, 13.4)), say(1, device="b")]))
    old = sqlite3.connect(tmp_path / "live.sqlite")
    old.executescript("DROP TABLE place; PRAGMA user_version = 0")
    old.close()
    async with open_live(tmp_path / "live.sqlite", "log-1") as live:
        assert [one.device for one in await live.near(Circle(52.5, 13.4, 10.0), 10)] == ["a"]


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


class LivePlace:
    """One file; what is there, as (device → seen, messages, position, field → (time, value))."""

    topics = (MESSAGES,)

    def __init__(self, folder: Path) -> None:
        self._path = folder / "live.sqlite"

    def open(self, log_id: str = "log-1") -> AbstractAsyncContextManager[SqliteLive]:
        return open_live(self._path, log_id)

    async def read_back(self) -> object:
        async with self.open() as live:
            return {
                found.device: (
                    found.seen,
                    found.entries,
                    found.position,
                    {name: (held.time, held.value) for name, held in found.values.items()},
                )
                for found in await live.devices("", 1000)
            }

    def expected(self, written: Sequence[Record]) -> object:
        said: dict[str, list[Message]] = {}
        for record in written:
            assert isinstance(record.body, Message)
            said.setdefault(record.body.device, []).append(record.body)
        return {device: self._newest(messages) for device, messages in said.items()}

    def _newest(self, messages: list[Message]) -> object:
        values: dict[str, tuple[int, Number | str]] = {}
        position: Position | None = None
        for one in sorted(messages, key=lambda message: (message.time, message.received, message.id)):
            values |= {name: (one.time, value) for name, value in {**one.fields, **one.texts}.items()}
            position = one.position or position
        return max(one.received for one in messages), len(messages), position, values

    @asynccontextmanager
    async def taken_away(self) -> AsyncGenerator[None, None]:
        other = sqlite3.connect(self._path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        try:
            yield
        finally:
            other.execute("ROLLBACK")
            other.close()


class TestLaws(StoreLaws):
    @pytest.fixture(autouse=True)
    def _impatient(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("storage.sqlite_file._BUSY_MS", 200)

    def place(self, folder: Path) -> LivePlace:
        return LivePlace(folder)


# Few times, devices and names, so that ties in each part of (time, received, id) are common.
MESSAGES_DRAWN = st.lists(
    st.builds(
        Message,
        device=st.sampled_from(["d-1", "d-2"]),
        id=st.just(""),
        received=st.integers(T, T + 3),
        time=st.integers(T, T + 3),
        via=st.sampled_from(["", "g"]),
        fields=st.dictionaries(st.sampled_from("abc"), st.sampled_from([0, 1, 1.0, True]), max_size=2),
        texts=st.dictionaries(st.sampled_from("bc"), st.sampled_from(["", "x"]), max_size=1),
        position=st.none() | st.builds(Position, lat=st.sampled_from([0.0, 1.5]), lon=st.just(2.0)),
    ),
    max_size=12,
)


async def _state(path: Path, cuts: Sequence[Sequence[Record]]) -> Sequence[LiveDevice]:
    async with open_live(path, "log-1") as live:
        for cut in cuts:
            await live.write(cut)
        return await live.devices("", 100)


def _expected(messages: Sequence[Message]) -> dict[str, dict[str, object]]:
    """The newest value of each field, found the slow way."""
    values: dict[str, dict[str, object]] = {}
    for message in sorted(messages, key=lambda message: (message.time, message.received, message.id)):
        values.setdefault(message.device, {}).update({**message.fields, **message.texts})
    return values


@settings(max_examples=60, deadline=None)
@given(messages=MESSAGES_DRAWN, data=st.data())
def test_any_order_and_any_cut_gives_the_same_state(messages: list[Message], data: st.DataObject) -> None:
    for number, message in enumerate(messages):
        message.id = f"{number:x}"
        for name in message.texts:
            message.fields.pop(name, None)
    order = data.draw(st.permutations(messages))
    whole = records(order)
    marks = sorted(data.draw(st.sets(st.integers(0, len(whole)))))
    cuts = [whole[start:end] for start, end in zip([0, *marks], [*marks, len(whole)], strict=True)]
    again = data.draw(st.integers(0, len(whole)))
    with TemporaryDirectory() as folder:
        straight = asyncio.run(_state(Path(folder) / "straight", [records(messages)]))
        shuffled = asyncio.run(_state(Path(folder) / "shuffled", [*cuts, whole[:again]]))
    assert shuffled == straight
    assert {
        found.device: {name: (type(held.value), held.value) for name, held in found.values.items()}
        for found in shuffled
    } == {
        device: {name: (type(value), value) for name, value in values.items()}
        for device, values in _expected(messages).items()
    }

"""Live state is read device by device, by name, and by place."""

from headwater.message import Position
from headwater.places import distance
from storage.contract import Circle
from storage.redis_store import RedisLive
from storage.sqlite_live import SqliteLive
from tests.storage.live.kit import records, say


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

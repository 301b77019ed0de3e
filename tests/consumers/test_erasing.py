"""Passes of an erasure: when each is due, from its beginning where one was cut short, once where several make it."""

import asyncio
from collections.abc import AsyncGenerator, Mapping
from pathlib import Path

import pytest

from consumers.erasing import Erasing, Places
from headwater.errors import Unavailable
from headwater.log import COMMANDS, LEARNED, MESSAGES, RETAINED, SHADOWS, Log, NewEntry, TopicSpec
from headwater.registry import Erasure
from headwater.times import SECOND
from storage.folder_blobs import FolderBlobs
from storage.sqlite_log import open_log
from storage.sqlite_registry import SqliteRegistry
from tests.core.registry_kit import a_registry

T = 1_763_700_000 * SECOND
HOUR, DAY = 3600 * SECOND, 86_400 * SECOND


class Place:
    """Notes what it is told to forget."""

    def __init__(self) -> None:
        self.told: list[tuple[str, int]] = []
        self.away = False

    async def erase(self, device: str, before: int) -> int:
        if self.away:
            raise Unavailable("it is away")
        self.told.append((device, before))
        return 1

    async def blobs_of(self, device: str, before: int) -> list[str]:
        return []


class World:
    def __init__(self, registry: SqliteRegistry, log: Log, folder: Path) -> None:
        self.registry = registry
        self.log = log
        self.now = T
        self.store, self.lake = Place(), Place()
        self.groups: dict[str, list[str]] = {}
        self._blobs = FolderBlobs(folder)

    def erasing(self) -> Erasing:
        places = Places([self.store], self.lake, self._blobs, self.groups)
        return Erasing(self.registry, self.log, places, retention=7 * 86_400, now=lambda: self.now)

    async def job(self) -> Erasure:
        found = await self.registry.find(Erasure, "pump-7")
        assert found is not None
        return found


@pytest.fixture
async def world(tmp_path: Path) -> AsyncGenerator[World, None]:
    topics = [
        TopicSpec(MESSAGES, 2),
        *(TopicSpec(name, 1, compact=True) for name in (COMMANDS, SHADOWS, LEARNED, RETAINED)),
    ]
    async with open_log(tmp_path / "log.sqlite", topics) as log, a_registry(tmp_path) as registry:
        made = World(registry, log, tmp_path)
        await registry.put(Erasure("pump-7", before=T + 5 * SECOND, due=T + 5 * SECOND))
        yield made


async def test_three_passes_at_once_in_ten_minutes_and_when_the_log_has_dropped_it(world: World) -> None:
    erasing = world.erasing()
    assert await erasing.once() == 0
    for passes, due in ((1, T + 605 * SECOND), (2, T + 7 * DAY + HOUR + 5 * SECOND), (3, 0)):
        world.now = (await world.job()).due
        assert await erasing.once() == 1
        assert await erasing.once() == 0
        job = await world.job()
        assert (job.passes, job.due) == (passes, due)
    assert world.store.told == world.lake.told == [("pump-7", T + 5 * SECOND)] * 3


async def test_what_is_away_leaves_it_due_and_it_begins_again(world: World) -> None:
    world.now += 10 * SECOND
    world.lake.away = True
    erasing = world.erasing()
    with pytest.raises(Unavailable):
        await erasing.once()
    assert (await world.job()).passes == 0
    world.lake.away = False
    assert await erasing.once() == 1
    assert len(world.store.told) == 2


async def test_two_processes_make_a_pass_and_count_one(world: World) -> None:
    world.now += 10 * SECOND
    await asyncio.gather(world.erasing().once(), world.erasing().once())
    assert (await world.job()).passes == 1


async def test_ordered_anew_while_a_pass_is_made_it_begins_anew(world: World) -> None:
    world.now += 10 * SECOND
    job = await world.job()

    async def meanwhile(device: str, before: int) -> int:
        assert (device, before) == (job.name, job.before)
        await world.registry.put(Erasure("pump-7", before=T + HOUR, due=T + HOUR))
        return 0

    world.lake.erase = meanwhile  # type: ignore[method-assign]
    await world.erasing().once()
    after = await world.job()
    assert (after.before, after.due, after.passes) == (T + HOUR, T + HOUR, 0)


async def test_the_first_pass_waits_until_what_was_on_the_log_has_been_taken(world: World) -> None:
    world.now += 10 * SECOND
    world.groups[MESSAGES] = ["live.messages"]
    await world.log.append(MESSAGES, [NewEntry(0, b"pump-7", b"{}")])
    making = asyncio.create_task(world.erasing().once())
    async with world.log.subscribe([MESSAGES], "live.messages") as group:
        taken = await group.batch(10, 10_000, 5)
        assert not world.store.told
        assert not making.done()
        await group.commit(taken)
    assert await asyncio.wait_for(making, 10) == 1


async def test_tables_that_are_on_the_log_by_key_lose_what_is_the_devices_and_no_more(world: World) -> None:
    world.now += 10 * SECOND
    said = {
        COMMANDS: (b"pump-7/c1/ordered", b"pump-71/c1/ordered"),
        SHADOWS: (b"pump-7/1/0123456789abcdef", b"pump-8/1/0123456789abcdef"),
        LEARNED: (b"pump-7/homie/pump-7", b"pump-77/homie/pump-77"),
        RETAINED: (b"devices/pump-7/status", b"devices/pump-77/status"),
    }
    for topic, keys in said.items():
        await world.log.append(topic, [NewEntry(0, key, b"x") for key in keys])
    await world.erasing().once()
    for topic, (gone, stays) in said.items():
        left: dict[bytes, bytes | None] = {}
        async for entries in world.log.read(topic, 0, 0):
            left |= {entry.key: entry.value for entry in entries}
        assert left == {gone: None, stays: b"x"}, topic


async def test_told_to_stop_it_leaves_a_pass_that_waits_and_says_nothing_of_it(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("consumers.erasing.EVERY", 0.01)
    world.now += 10 * SECOND
    world.groups[MESSAGES] = ["live.messages"]
    await world.log.append(MESSAGES, [NewEntry(0, b"pump-7", b"{}")])
    asked, stop = asyncio.Event(), asyncio.Event()
    committed = world.log.committed

    async def noted(group: str, topic: str) -> Mapping[int, int]:
        asked.set()
        return await committed(group, topic)

    monkeypatch.setattr(world.log, "committed", noted)
    running = asyncio.create_task(world.erasing().run(stop))
    await asyncio.wait_for(asked.wait(), 10)
    stop.set()
    await asyncio.wait_for(running, 5)
    assert (await world.job()).passes == 0
    assert not world.store.told


async def test_run_does_what_is_due_and_goes_on_after_something_was_away(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("consumers.erasing.EVERY", 0.01)
    world.now += 10 * SECOND
    world.store.away = True
    stop = asyncio.Event()
    running = asyncio.create_task(world.erasing().run(stop))
    await asyncio.sleep(0.1)  # some attempts
    assert (await world.job()).passes == 0
    world.store.away = False
    async with asyncio.timeout(10):
        while not (await world.job()).passes:
            await asyncio.sleep(0.01)
    stop.set()
    await asyncio.wait_for(running, 5)

"""What the SQLite log forgets, and that it never gives an offset twice."""

import asyncio
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headwater.errors import OffsetOutOfRange
from headwater.log import NewEntry, Offsets, TopicSpec
from storage.sqlite_log import SqliteLog, open_log
from storage.sqlite_log_reader import open_log_readonly
from tests.log.kit import TOPIC, Recorder, at, kept, put, take, values

DAY = 86_400


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.seconds = 20_000 * DAY

    def __call__(self) -> int:
        return self.seconds * 1_000_000


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "log.sqlite"


async def test_entries_older_than_the_retention_go(path: Path, clock: Clock) -> None:
    async with open_log(path, [TopicSpec(TOPIC, 2, retention=DAY)], clock=clock) as log:
        await put(log, 0, "old", "old too")
        clock.seconds += DAY // 2
        await put(log, 0, "young")
        await put(log, 1, "young")
        await log.maintain()
        assert await log.ends(TOPIC) == {0: Offsets(0, 3), 1: Offsets(0, 1)}
        clock.seconds += DAY // 2 + 1
        await log.maintain()
        assert await log.ends(TOPIC) == {0: Offsets(2, 3), 1: Offsets(0, 1)}
        assert values(await kept(log, 0)) == ["young"]
        with pytest.raises(OffsetOutOfRange, match="offset 0 is gone; the oldest kept is 2"):
            await anext(log.read(TOPIC, 0, 0))


async def test_topics_without_retention_keep_everything(path: Path, clock: Clock) -> None:
    async with open_log(path, [TopicSpec(TOPIC, 1)], clock=clock) as log:
        await put(log, 0, "a")
        clock.seconds += 1000 * DAY
        await log.maintain()
        assert values(await kept(log, 0)) == ["a"]


async def test_offsets_are_never_given_twice_even_when_nothing_is_left(path: Path, clock: Clock) -> None:
    spec = TopicSpec(TOPIC, 1, retention=DAY)
    async with open_log(path, [spec], clock=clock) as log:
        await put(log, 0, "a", "b", "c")
        clock.seconds += 2 * DAY
        await log.maintain()
        assert await log.ends(TOPIC) == {0: Offsets(3, 3)}
        assert await kept(log, 0) == []
    async with open_log(path, [spec], clock=clock) as log:
        assert await log.ends(TOPIC) == {0: Offsets(3, 3)}
        assert await put(log, 0, "d") == [3]
    async with open_log(path, [spec], clock=clock) as log, log.subscribe([TOPIC], "new") as member:
        assert await log.ends(TOPIC) == {0: Offsets(3, 4)}
        assert values(await take(member, 1)) == ["d"]


async def test_a_topic_keeps_no_more_than_its_size(path: Path, clock: Clock) -> None:
    async with open_log(path, [TopicSpec(TOPIC, 2, retention_size=10_000)], clock=clock) as log:
        for number in range(40):
            await put(log, number % 2, "x" * 997)  # and the key: 1,000 bytes
            clock.seconds += 1
        await log.maintain()
        assert await log.ends(TOPIC) == {0: Offsets(15, 20), 1: Offsets(15, 20)}
    async with open_log(path, [TopicSpec(TOPIC, 2, retention_size=5_000)], clock=clock) as log:
        await log.maintain()
        assert await log.ends(TOPIC) == {0: Offsets(18, 20), 1: Offsets(17, 20)}


async def test_size_retention_drops_the_oldest_of_all_partitions(path: Path, clock: Clock) -> None:
    async with open_log(path, [TopicSpec(TOPIC, 2, retention_size=10_000)], clock=clock) as log:
        for partition in (0, 1):
            for _ in range(10):
                await put(log, partition, "x" * 997)
            clock.seconds += 10
        await log.maintain()
        assert await log.ends(TOPIC) == {0: Offsets(10, 10), 1: Offsets(0, 10)}


async def test_much_is_dropped_in_steps_between_which_appends_go_on(path: Path, clock: Clock) -> None:
    async with open_log(path, [TopicSpec(TOPIC, 1, retention=DAY)], clock=clock) as log:
        for _ in range(500):
            await put(log, 0, "x")
        clock.seconds += 2 * DAY
        cleaning = asyncio.ensure_future(log.maintain())
        later = [await put(log, 0, "y") for _ in range(5)]
        await cleaning
        assert later == [[500], [501], [502], [503], [504]]
        assert values(await kept(log, 0)) == ["y"] * 5


async def test_a_clock_that_was_wrong_for_a_while_loses_nothing_young(path: Path, clock: Clock) -> None:
    async with open_log(path, [TopicSpec(TOPIC, 1, retention=DAY)], clock=clock) as log:
        await put(log, 0, "a")
        right, clock.seconds = clock.seconds, 60  # a board without a battery, before it knows the time
        await put(log, 0, "in 1970")
        await log.maintain()
        clock.seconds = right + 1
        await put(log, 0, "b")
        await log.maintain()
        assert values(await kept(log, 0)) == ["a", "in 1970", "b"]


async def test_readers_that_retention_overtakes_are_told(path: Path, clock: Clock) -> None:
    async with open_log(path, [TopicSpec(TOPIC, 1, retention=DAY)], clock=clock) as log:
        await put(log, 0, "a", "b")
        async with log.subscribe([TOPIC], "g") as member:
            entries = await member.batch(1, 1000, 0)
            await member.commit(entries)
            reader = log.read(TOPIC, 0, 0, follow=True)
            await anext(reader)
            clock.seconds += 2 * DAY
            await put(log, 0, "c", "d")
            clock.seconds += 2 * DAY
            await log.maintain()
            with pytest.raises(OffsetOutOfRange):
                await anext(reader)
            assert values(await member.batch(1, 1000, 0)) == ["b"]  # it had that in hand
            with pytest.raises(OffsetOutOfRange):
                await member.batch(1, 1000, 0)
        async with log.subscribe([TOPIC], "g") as again:
            with pytest.raises(OffsetOutOfRange, match="offset 1 is gone"):
                await again.batch(1, 1000, 0)


async def test_a_reader_beside_that_retention_overtakes_is_told(path: Path, clock: Clock) -> None:
    async with (
        open_log(path, [TopicSpec(TOPIC, 1, retention=DAY)], clock=clock) as log,
        open_log_readonly(path) as beside,
    ):
        await put(log, 0, *("x" * 8_000))
        reader = beside.read(TOPIC, 0, 0)
        assert len(await anext(reader)) < 8_000
        clock.seconds += 2 * DAY
        await log.maintain()
        with pytest.raises(OffsetOutOfRange, match="is gone"):
            await anext(reader)


async def test_a_group_near_to_losing_entries_is_seen(path: Path, clock: Clock) -> None:
    async with open_log(path, [TopicSpec(TOPIC, 2, retention=DAY, retention_size=10_000)], clock=clock) as log:
        await put(log, 0, "a")
        await put(log, 1, "a")
        async with log.subscribe([TOPIC], "g") as member:
            await member.commit(await take(member, 2))
        assert await log.lags() == []
        await put(log, 0, "b" * 997)
        clock.seconds += 6 * 3600
        (lag,) = await log.lags()
        assert lag[:4] == ("g", TOPIC, 0, 1)
        assert (lag.age, lag.share) == (6 * 3600, 0.25)
        await put(log, 0, "c" * 1997)
        (lag,) = await log.lags()
        assert (lag.behind, lag.share) == (2, 0.6)  # 3,000 bytes wait in one of two partitions, 10,000 are kept
        clock.seconds += 2 * DAY
        await log.maintain()
        (lag,) = await log.lags()
        assert lag.share == 1.0


async def test_maintenance_runs_again_and_again(path: Path, clock: Clock) -> None:
    async with open_log(path, [TopicSpec(TOPIC, 1, retention=DAY)], clock=clock) as log:
        await put(log, 0, "a")
        running = asyncio.ensure_future(log.run_maintenance(0.01))
        await asyncio.sleep(0.05)
        assert values(await kept(log, 0)) == ["a"]
        clock.seconds += 2 * DAY
        async with asyncio.timeout(5):
            while await kept(log, 0):
                await asyncio.sleep(0.01)
        running.cancel()


COMPACT = TopicSpec("registry", 1, compact=True)


async def _found(log: SqliteLog) -> dict[int, tuple[bytes, bytes | None]]:
    return {entry.offset: (entry.key, entry.value) for entry in await kept(log, 0, "registry")}


async def test_a_compacted_topic_keeps_the_newest_of_each_key_at_its_offset(path: Path, clock: Clock) -> None:
    async with open_log(path, [COMPACT], clock=clock) as log:
        for number in range(6):
            entries = [NewEntry(0, b"k%d" % (number % 2), b"%d" % number), NewEntry(0, b"one", b"%d" % number)]
            await log.append("registry", entries)
        await log.maintain()
    async with open_log(path, [COMPACT], clock=clock) as log:
        assert await _found(log) == {8: (b"k0", b"4"), 10: (b"k1", b"5"), 11: (b"one", b"5")}
        assert await log.ends("registry") == {0: Offsets(0, 12)}
        async with log.subscribe(["registry"], "g") as member:
            assert [entry.offset for entry in await take(member, 3)] == [8, 10, 11]
        assert [e.offset async for batch in log.read("registry", 0, 9) for e in batch] == [10, 11]


async def test_tombstones_go_after_a_while_and_their_offsets_with_them(path: Path, clock: Clock) -> None:
    async with open_log(path, [COMPACT], clock=clock, tombstones=DAY) as log:
        await log.append("registry", [NewEntry(0, b"k", b"here")])
        await log.append("registry", [NewEntry(0, b"k", None)])
        await log.maintain()
        clock.seconds += DAY
        await log.maintain()
    async with open_log(path, [COMPACT], clock=clock, tombstones=DAY) as log:
        assert await _found(log) == {1: (b"k", None)}
        await log.maintain()
        clock.seconds += 1
        await log.maintain()
    async with open_log(path, [COMPACT], clock=clock, tombstones=DAY) as log:
        assert await _found(log) == {}
        assert await log.ends("registry") == {0: Offsets(0, 2)}
        async with log.subscribe(["registry"], "g") as member:
            waiting = asyncio.ensure_future(take(member, 1))
            await asyncio.sleep(0.02)
            assert list(await log.append("registry", [NewEntry(0, b"k", b"again")])) == [2]
            assert [entry.offset for entry in await waiting] == [2]


@settings(max_examples=25, deadline=None)
@given(
    rounds=st.lists(
        st.lists(st.lists(st.tuples(st.integers(0, 4), st.booleans()), min_size=1, max_size=6), max_size=4), max_size=4
    )
)
async def test_compaction_never_changes_what_the_newest_of_a_key_is(
    tmp_path_factory: pytest.TempPathFactory, rounds: list[list[list[tuple[int, bool]]]]
) -> None:
    newest: dict[bytes, tuple[int, bytes | None]] = {}
    clock, path = Clock(), tmp_path_factory.mktemp("compact") / "log.sqlite"
    async with open_log(path, [COMPACT], clock=clock) as log:
        for calls in rounds:
            for number, call in enumerate(calls):
                entries = [NewEntry(0, b"%d" % key, b"%d" % number if kept else None) for key, kept in call]
                for entry, offset in zip(entries, await log.append("registry", entries), strict=True):
                    assert isinstance(offset, int)
                    newest[entry.key] = (offset, entry.value)
            await log.maintain()
        async with open_log_readonly(path) as beside:
            found = [entry async for batch in beside.read("registry", 0, 0) for entry in batch]
    assert {entry.key: (entry.offset, entry.value) for entry in found} == newest
    if rounds:
        assert len(found) == len(newest)


async def test_a_start_that_retention_has_dropped_is_out_of_range(path: Path, clock: Clock) -> None:
    async with open_log(path, [TopicSpec(TOPIC, 1, retention=DAY)], clock=clock) as log:
        await put(log, 0, "a", "b", "c")
        clock.seconds += 2 * DAY
        await log.maintain()
        async with log.subscribe([TOPIC], "g", Recorder({at(0): 1})) as member:
            with pytest.raises(OffsetOutOfRange):
                await member.batch(10, 1000, 0)

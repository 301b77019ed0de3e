"""The selector on a real log with real checkpoints: what it emits, what survives a crash, who owns a partition."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from consumers.selection import Selection
from consumers.selector import Selector
from headwater import failpoints
from headwater.config import Selection as Settings
from headwater.config import Workers
from headwater.config_models import Select
from headwater.errors import Unavailable
from headwater.log import CANDIDATES, MESSAGES, Entry
from headwater.message import Candidate, Clock, Message, Rules, decode_candidate, decode_control, encode
from headwater.metrics import Metrics
from storage import sqlite_log_member
from storage.contract import Checkpoint, Checkpoints
from storage.sqlite_checkpoints import open_checkpoints
from storage.sqlite_log import SqliteLog
from tests.consumers.kit import START, Body, chosen, clock, message, rules
from tests.consumers.logs import contents, put, real_log, running, until

QUICK = Workers(retry_first=0.001, retry_most=0.004)
RARELY = Settings(checkpoint_every=3600, clock=3600)
MODEL = rules(Select(change=1, silence=60))


class Bench:
    """A log, checkpoints, and selectors that begin as after a restart of the program."""

    def __init__(self, log: SqliteLog, checkpoints: Checkpoints) -> None:
        self.log = log
        self.checkpoints = checkpoints
        self.metrics = Metrics()

    def selector(
        self,
        config: Settings = RARELY,
        *,
        workers: Workers = QUICK,
        rules: Rules | None = None,
        monotonic: Callable[[], float] | None = None,
    ) -> Selector:
        wall = lambda: START + 500_000_000  # noqa: E731
        if monotonic is None:
            return Selector(self.log, self.checkpoints, config, workers, self.metrics, rules=rules, clock=wall)
        return Selector(
            self.log, self.checkpoints, config, workers, self.metrics, rules=rules, clock=wall, monotonic=monotonic
        )

    async def emitted(self, partition: int = 0) -> list[Candidate]:
        return [decode_candidate(one.value or b"") for one in await contents(self.log, CANDIDATES, partition)]

    async def saved(self, partition: int = 0) -> Checkpoint | None:
        return (await self.checkpoints.load(partition))[0]

    async def complete(self, bodies: Sequence[Body]) -> bool:
        """What is emitted is what an undisturbed run emits, apart from repetitions."""
        return {encode(x) for x in await self.emitted()} == {encode(x) for x in straight(bodies)}

    def taken(self) -> int:
        return round(self.metrics.sample("selector_taken_total"))


@pytest.fixture(autouse=True)
def an_idle_log_says_so_quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite_log_member, "IDLE", 0.02)


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncGenerator[Bench, None]:
    async with real_log(tmp_path) as log, open_checkpoints(tmp_path / "checkpoints.sqlite") as checkpoints:
        yield Bench(log, checkpoints)


def walk(count: int) -> list[Message]:
    """Readings of three devices, of which some are worth keeping."""
    return [message(n, {"x": n * n % 11 / 4}, device=f"d{n % 3}", time=n) for n in range(count)]


def straight(bodies: Sequence[Body], partition: int = 0) -> list[Candidate]:
    """What an undisturbed selection says of them."""
    log = [
        Entry(MESSAGES, partition, n, START, b"" if not isinstance(x, Message) else b"k", encode(x))
        for n, x in enumerate(bodies)
    ]
    return Selection(partition).apply(log)


async def test_candidates_go_to_their_sources_partition_and_are_those_of_the_stage(bench: Bench) -> None:
    bodies: list[Body] = [MODEL, *walk(300)]
    await put(bench.log, bodies, partition=1)
    expected = straight(bodies, 1)
    async with running(bench.selector()):
        await until(lambda: bench.taken() == 300)
    assert await bench.emitted(1) == expected
    assert await bench.emitted(0) == []
    assert bench.metrics.sample("selected_total", rule="default") == len(expected) > 30
    assert [one.key for one in await contents(bench.log, CANDIDATES, 1)] == [x.device.encode() for x in expected]


async def test_a_restarted_selector_goes_on_from_its_last_checkpoint(bench: Bench) -> None:
    bodies: list[Body] = [MODEL, *walk(200)]
    await put(bench.log, bodies[:101])
    async with running(bench.selector()):
        await until(lambda: bench.taken() == 100)
    saved = await bench.saved()
    assert saved is not None
    assert (saved.next_offset, saved.log_id, saved.rule_version) == (101, bench.log.id, 1)
    assert await bench.log.committed("selector", MESSAGES) == {0: 101}
    await put(bench.log, bodies[101:])
    async with running(bench.selector()):
        await until(lambda: bench.taken() == 200)
    assert await bench.emitted() == straight(bodies)


async def test_a_checkpoint_is_written_after_so_many_messages(bench: Bench) -> None:
    await put(bench.log, [MODEL, *walk(50)])
    async with running(bench.selector(Settings(checkpoint_every=3600, checkpoint_messages=50, clock=3600))):
        await until(lambda: bench.metrics.sample("checkpoints_total") == 1)
        found = await bench.saved()
        assert found is not None
        assert found.next_offset == 51


async def test_a_checkpoint_is_written_after_so_much_time(bench: Bench) -> None:
    seconds = 0.0
    await put(bench.log, [MODEL, *walk(5)])
    async with running(bench.selector(Settings(checkpoint_every=10, clock=3600), monotonic=lambda: seconds)):
        await until(lambda: bench.taken() == 5)
        seconds = 9.0
        await put(bench.log, walk(6)[5:])
        await until(lambda: bench.taken() == 6)
        assert bench.metrics.sample("checkpoints_total") == 0
        seconds = 11.0
        await until(lambda: bench.metrics.sample("checkpoints_total") == 1)


@pytest.mark.parametrize("place", ["selector.emitted", "selector.checkpointed"])
async def test_after_a_failure_anywhere_the_same_candidates_come_again_under_the_same_ids(
    bench: Bench, place: str
) -> None:
    bodies: list[Body] = [MODEL, *walk(400)]
    await put(bench.log, bodies)
    failpoints.arm(f"{place}=fail@2")
    try:
        config = Settings(checkpoint_every=3600, checkpoint_messages=90, clock=3600)
        selector = bench.selector(config, workers=Workers(retry_first=0.001, retry_most=0.004, batch=40))
        async with running(selector):
            await until(lambda: "failpoint" in selector.state.error)
            failpoints.arm("")
            await until(lambda: bench.complete(bodies))
    finally:
        failpoints.arm("")
    if place == "selector.emitted":
        assert len(await bench.emitted()) > len(straight(bodies))


async def test_whoever_loses_the_race_for_a_checkpoint_begins_where_the_winner_is(bench: Bench) -> None:
    """A paused process that wakes up: its partition went on without it."""
    bodies: list[Body] = [MODEL, *walk(20)]
    await put(bench.log, bodies[:11])
    selector = bench.selector(Settings(checkpoint_every=3600, checkpoint_messages=15, clock=3600))
    async with running(selector):
        await until(lambda: bench.taken() == 10)
        winner = Selection(0)
        winner.apply([Entry(MESSAGES, 0, n, START, b"k" if n else b"", encode(x)) for n, x in enumerate(bodies[:6])])
        await bench.checkpoints.save(0, Checkpoint(bench.log.id, 6, 1, winner.state()), "")
        await put(bench.log, bodies[11:])
        await until(lambda: "Stale" in selector.state.error)
        await until(lambda: bench.taken() == 20 + 15)
    assert {encode(x) for x in await bench.emitted()} == {encode(x) for x in straight(bodies)}
    found = await bench.saved()
    assert found is not None
    assert found.next_offset == 21


async def test_a_checkpoint_of_another_log_is_not_believed(bench: Bench) -> None:
    await bench.checkpoints.save(0, Checkpoint("another", 9, 1, Selection(0).state()), "")
    bodies: list[Body] = [MODEL, *walk(30)]
    await put(bench.log, bodies)
    async with running(bench.selector()):
        await until(lambda: bench.taken() == 30)
    assert await bench.emitted() == straight(bodies)
    found = await bench.saved()
    assert found is not None
    assert (found.log_id, found.next_offset) == (bench.log.id, 31)


async def test_a_checkpoint_that_cannot_be_read_means_to_begin_anew(bench: Bench) -> None:
    await bench.checkpoints.save(0, Checkpoint(bench.log.id, 5, 1, b"\xc1"), "")
    bodies: list[Body] = [MODEL, *walk(30)]
    await put(bench.log, bodies)
    async with running(bench.selector()):
        await until(lambda: bench.taken() == 30)
    assert await bench.emitted() == straight(bodies)


async def test_a_checkpoint_beyond_the_log_stops_the_selector_with_a_message(bench: Bench) -> None:
    await bench.checkpoints.save(0, Checkpoint(bench.log.id, 1000, 1, Selection(0).state()), "")
    selector = bench.selector()
    async with running(selector):
        await until(lambda: selector.state.failed)
    assert "1000" in selector.state.reason


async def test_a_clock_entry_is_appended_where_nothing_came_and_shows_a_silence(bench: Bench) -> None:
    seconds = 0.0
    await put(bench.log, [MODEL, message(1, {"x": 1})], partition=0)
    selector = bench.selector(Settings(checkpoint_every=3600, clock=5), monotonic=lambda: seconds)
    async with running(selector):
        await until(lambda: bench.taken() == 1)
        assert len(await contents(bench.log, MESSAGES, 0)) == 2
        seconds = 6.0

        async def seen() -> bool:
            return len(await bench.emitted()) == 2

        await until(seen)
        seconds = 8.0
        await asyncio.sleep(0.05)
    for partition, before in ((0, 2), (1, 0)):
        (only,) = (await contents(bench.log, MESSAGES, partition))[before:]
        assert (only.key, decode_control(only.value or b"")) == (b"", Clock(START + 500_000_000))
    assert [x.reasons for x in await bench.emitted()] == [["first"], ["silent"]]


async def test_a_busy_partition_whose_log_and_checkpoint_have_lost_the_rules_selects_by_the_current_ones(
    bench: Bench,
) -> None:
    """It is never idle, so nothing would be appended to it, and nothing selected."""
    selector = bench.selector(Settings(checkpoint_every=3600, clock=3600), rules=MODEL)
    async with running(selector):
        await put(bench.log, [message(1, {"x": 1})])
        await until(lambda: bench.taken() == 1)
    assert [x.reasons for x in await bench.emitted()] == [["first"]]


async def test_rules_that_the_log_has_lost_are_appended_again_before_the_clock(bench: Bench) -> None:
    seconds = 0.0
    selector = bench.selector(Settings(checkpoint_every=3600, clock=5), rules=MODEL, monotonic=lambda: seconds)
    async with running(selector):
        await until(lambda: selector.state.state == "running")
        seconds = 6.0

        async def there() -> bool:
            return len(await contents(bench.log, MESSAGES, 0)) == 2

        await until(there)
        await put(bench.log, [message(1, {"x": 1})])
        await until(lambda: bench.taken() == 1)
    assert [x.reasons for x in await bench.emitted()] == [["first"]]


async def test_a_log_that_takes_no_candidates_for_a_while_gets_them_all_in_order(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bodies: list[Body] = [MODEL, *walk(200)]
    await put(bench.log, bodies)
    append, failures = bench.log.append, [Unavailable("disk full")] * 3

    async def sometimes(topic: str, entries: Sequence[object]) -> object:
        if topic == CANDIDATES and failures:
            raise failures.pop()
        return await append(topic, entries)  # type: ignore[arg-type]

    monkeypatch.setattr(bench.log, "append", sometimes)
    selector = bench.selector()
    async with running(selector):
        await until(lambda: bench.taken() == 200 and not failures)
        await until(lambda: selector.state.state == "running")
    assert await bench.emitted() == straight(bodies)
    assert selector.state.error == "disk full"


async def test_stopping_while_the_log_takes_nothing_leaves_the_checkpoint_older(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bodies: list[Body] = [MODEL, *walk(50)]
    await put(bench.log, bodies)
    with monkeypatch.context() as patch:

        async def never(topic: str, entries: object) -> object:
            raise Unavailable("disk full")

        patch.setattr(bench.log, "append", never)
        selector = bench.selector(workers=Workers(retry_first=30, retry_most=30))
        async with running(selector):
            await until(lambda: selector.state.state == "resting")
    assert await bench.saved() is None
    async with running(bench.selector()):
        await until(lambda: bench.taken() == 100)
    assert await bench.emitted() == straight(bodies)


class NoCheckpoints:
    """A place for checkpoints that is out of order."""

    async def load(self, partition: int) -> tuple[Checkpoint | None, str]:
        return None, ""

    async def save(self, partition: int, checkpoint: Checkpoint, expected: str) -> str:
        raise Unavailable("no space")


async def test_without_checkpoints_selection_goes_on(bench: Bench) -> None:
    bench.checkpoints = NoCheckpoints()
    bodies: list[Body] = [MODEL, *walk(100)]
    await put(bench.log, bodies)
    selector = bench.selector(Settings(checkpoint_every=3600, checkpoint_messages=1, clock=3600))
    async with running(selector):
        await until(lambda: bench.taken() == 100 and "no checkpoint" in selector.state.error)
        assert selector.state.state == "running"
    assert await bench.emitted() == straight(bodies)


async def test_poison_is_passed_over(bench: Bench) -> None:
    await put(bench.log, [MODEL, message(1, {"x": 1}), b"poison", message(2, {"x": 9})])
    async with running(bench.selector()):
        await until(lambda: bench.taken() == 2)
    assert chosen(await bench.emitted()) == [1, 2]


async def test_two_selectors_share_the_partitions_and_hand_over_by_checkpoint(bench: Bench) -> None:
    bodies: list[Body] = [MODEL, *walk(60)]
    for partition in (0, 1):
        await put(bench.log, bodies[:31], partition)
    async with running(bench.selector()):
        await until(lambda: bench.taken() == 60)
        async with running(bench.selector()):

            async def handed_over() -> bool:
                return await bench.saved(1) is not None or await bench.saved(0) is not None

            await until(handed_over)
            for partition in (0, 1):
                await put(bench.log, bodies[31:], partition)
            await until(lambda: bench.taken() == 120)
    for partition in (0, 1):
        assert await bench.emitted(partition) == straight(bodies, partition)


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(kills=st.lists(st.integers(1, 12), max_size=4), batch=st.integers(5, 60), every=st.integers(10, 80))
async def test_however_often_it_dies_the_candidates_are_those_of_an_undisturbed_run(
    tmp_path_factory: pytest.TempPathFactory, kills: list[int], batch: int, every: int
) -> None:
    """Dies at the n-th batch emitted, without a last checkpoint."""
    folder = tmp_path_factory.mktemp("log")
    bodies: list[Body] = [MODEL, *walk(150), clock(400), *walk(3)]
    config = Settings(checkpoint_every=3600, checkpoint_messages=every, clock=3600)
    workers = Workers(retry_first=0.001, retry_most=0.002, batch=batch)
    async with real_log(folder) as log, open_checkpoints(folder / "checkpoints.sqlite") as checkpoints:
        bench = Bench(log, checkpoints)
        await put(log, bodies)
        selector = bench.selector(config, workers=workers)

        async def died_or_done() -> bool:
            return bool(selector.state.error) or await bench.complete(bodies)

        try:
            async with running(selector):
                for kill in kills:
                    selector.state.error = ""
                    failpoints.arm(f"selector.emitted=fail@{kill}")
                    await until(died_or_done)
                failpoints.arm("")
                await until(lambda: bench.complete(bodies))
        finally:
            failpoints.arm("")
        order = [(x.origin.offset, x.origin.n) for x in await bench.emitted()]
        highest = (-1, -1)
        first_seen: list[tuple[int, int]] = []
        for one in order:
            if one > highest:
                highest = one
                first_seen.append(one)
        assert first_seen == sorted(set(order))  # nothing new ever comes behind something later

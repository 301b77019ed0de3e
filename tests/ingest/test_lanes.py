"""Lanes: one append in flight, order kept whatever the log does, every receipt settled once."""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Self

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headwater import failpoints
from headwater.metrics import Metrics
from ingest import lanes as lanes_module
from ingest.lanes import Fate, Lane, Lanes, Terms, Waiting
from tests.ingest.intake_kit import Owner, ScriptedLog, Step, until

METRICS = Metrics()
FATE = Fate(METRICS.accepted.labels("test"), METRICS.failed.labels("test"))


@dataclass
class Desk:
    """One lane on a scripted log, and what came of its entries."""

    log: ScriptedLog
    append_time: float = 5
    durable: list[int] = field(default_factory=list[int])
    failed: list[int] = field(default_factory=list[int])
    flushes: int = 0
    settled_size: int = 0
    remembered: list[str] = field(default_factory=list[str])

    def __post_init__(self) -> None:
        self.owner = Owner()
        self.lanes = Lanes(Terms(self.log, 0, self.append_time, METRICS.append_seconds, self.remember, self.settle))

    @property
    def lane(self) -> Lane:
        return self.lanes.lane("messages", 0)

    def remember(self, names: Iterable[str]) -> None:
        self.remembered += names

    def settle(self, durable: Sequence[Waiting], failed: Sequence[Waiting], size: int) -> None:
        self.flushes += 1
        self.settled_size += size
        self.durable += [waiting.receipt.tag for waiting in durable]
        self.failed += [waiting.receipt.tag for waiting in failed]

    def send(self, *numbers: int, size: int = 0) -> None:
        for number in numbers:
            value = b"%d" % number + b" " * size
            self.lane.add(Waiting(b"k", value, self.owner.receipt(number), FATE, f"n{number}"), len(value))

    @property
    def kept(self) -> list[int]:
        return [int(value) for value in self.log.values()]

    async def settled(self, count: int) -> None:
        await until(lambda: len(self.durable) + len(self.failed) >= count)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.lanes.stop()


async def test_what_comes_while_an_append_is_in_flight_is_the_next_batch() -> None:
    gate = asyncio.Event()
    async with Desk(ScriptedLog(gate)) as desk:
        desk.send(1, 2)
        await until(lambda: desk.log.calls == 1)
        desk.send(3, 4, 5)
        await asyncio.sleep(0.01)
        assert desk.log.calls == 1
        gate.set()
        await desk.settled(5)

    assert desk.kept == desk.durable == [1, 2, 3, 4, 5]
    assert desk.log.calls == 2
    assert desk.remembered == ["n1", "n2", "n3", "n4", "n5"]


async def test_a_batch_is_bounded_in_entries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lanes_module, "BATCH_ENTRIES", 3)
    async with Desk(ScriptedLog()) as desk:
        desk.send(*range(8))
        await desk.settled(8)

    assert desk.kept == list(range(8))
    assert desk.log.calls == 3


async def test_a_batch_is_bounded_in_bytes_and_a_larger_entry_goes_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lanes_module, "BATCH_SIZE", 100)
    async with Desk(ScriptedLog()) as desk:
        desk.send(1, 2, size=39)
        desk.send(3, size=500)
        desk.send(4, size=60)
        await desk.settled(4)

    assert desk.kept == [1, 2, 3, 4]
    assert desk.log.calls == 3
    assert desk.settled_size == 40 + 40 + 501 + 61


async def test_what_fails_behind_a_bounded_batch_is_counted_in_bytes_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lanes_module, "BATCH_SIZE", 100)
    async with Desk(ScriptedLog("refuse")) as desk:
        desk.send(1, 2, 3, size=59)
        await desk.settled(3)

    assert desk.failed == [1, 2, 3]
    assert desk.settled_size == 180


async def test_an_idle_lane_does_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lanes_module, "BATCH_SIZE", 100)
    naps: list[float] = []
    real_sleep = asyncio.sleep

    async def sleep(seconds: float) -> None:
        naps.append(seconds)
        await real_sleep(0)

    async with Desk(ScriptedLog()) as desk:
        monkeypatch.setattr(lanes_module.asyncio, "sleep", sleep)
        desk.send(1, size=500)
        while not desk.durable:
            await real_sleep(0)
        naps.clear()
        for _ in range(20):
            await real_sleep(0)

    assert naps == []


@pytest.mark.parametrize("step", ["raise", "break", "refuse"])
async def test_when_an_append_fails_all_that_is_queued_behind_it_fails_and_the_lane_goes_on(step: Step) -> None:
    async with Desk(ScriptedLog(step)) as desk:
        desk.log.gate = asyncio.Event()
        desk.send(1, 2)
        await until(lambda: desk.log.calls == 1)
        desk.send(3)
        desk.log.gate.set()
        await desk.settled(3)
        desk.send(4)
        await desk.settled(4)

    assert desk.failed == [1, 2, 3]
    assert desk.durable == desk.kept == [4]
    assert desk.remembered == ["n4"]


async def test_what_the_log_took_before_it_refused_is_acknowledged_and_the_rest_fails() -> None:
    async with Desk(ScriptedLog(("take first", 2))) as desk:
        desk.log.gate = asyncio.Event()
        desk.send(1, 2, 3, 4)
        await until(lambda: desk.log.calls == 1)
        desk.send(5)
        desk.log.gate.set()
        await desk.settled(5)

    assert desk.durable == desk.kept == [1, 2]
    assert desk.failed == [3, 4, 5]
    assert desk.flushes == 1


async def test_an_append_that_takes_too_long_fails_and_none_is_begun_until_it_has_ended() -> None:
    gate = asyncio.Event()
    async with Desk(ScriptedLog(gate), append_time=0.02) as desk:
        desk.send(1)
        await until(lambda: desk.log.calls == 1)
        desk.send(2)
        await desk.settled(2)
        assert desk.failed == [1, 2]
        assert desk.lane.stuck

        gate.set()  # it did succeed, late
        await until(lambda: not desk.lane.stuck)
        desk.send(3)
        await desk.settled(3)

    assert desk.failed == [1, 2]
    assert desk.durable == [3]
    assert desk.kept == [1, 3]
    assert desk.remembered == ["n1", "n3"], "a retry of 1 is known to be a duplicate"
    assert desk.log.most_in_flight == 1


async def test_stopping_fails_what_waits_and_what_is_in_flight() -> None:
    async with Desk(ScriptedLog(asyncio.Event())) as desk:
        desk.send(1)
        await until(lambda: desk.log.calls == 1)
        desk.send(2)

    assert desk.failed == [1, 2]
    assert desk.lane.stuck


async def test_stopping_before_the_lane_has_begun_fails_what_waits() -> None:
    async with Desk(ScriptedLog()) as desk:
        desk.send(1)

    assert desk.failed == [1]


async def test_stopping_a_stuck_lane_settles_nothing_twice() -> None:
    async with Desk(ScriptedLog(asyncio.Event()), append_time=0.01) as desk:
        desk.send(1)
        await desk.settled(1)

    assert desk.failed == [1]
    assert desk.lanes.lane("messages", 1).stuck, "one that is made after the stop takes nothing"


async def test_a_death_between_log_and_acknowledgement_acknowledges_nothing() -> None:
    failpoints.arm("ingest.appended=fail")
    try:
        async with Desk(ScriptedLog()) as desk:
            desk.send(1)
            await desk.settled(1)
    finally:
        failpoints.arm("")

    assert desk.kept == desk.failed == [1]
    assert desk.durable == []


async def test_a_log_whose_call_is_cancelled_fails_the_batch_and_not_the_lane() -> None:
    async with Desk(ScriptedLog("cancel")) as desk:
        desk.send(1)
        await desk.settled(1)
        desk.send(2)
        await desk.settled(2)

    assert desk.failed == [1]
    assert desk.durable == [2]


STEPS: list[Step] = ["take", "take", "take", "raise", "refuse", "break", "cancel", ("take first", 1), ("take first", 2)]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from(STEPS), max_size=8), st.lists(st.integers(1, 4), min_size=1, max_size=10))
def test_acknowledged_is_durable_and_in_order_whatever_the_log_does(script: list[Step], groups: list[int]) -> None:
    async def run() -> Desk:
        async with Desk(ScriptedLog(*script)) as desk:
            sent = 0
            for group in groups:
                desk.send(*range(sent, sent + group))
                sent += group
                await asyncio.sleep(0)
                await asyncio.sleep(0)
            await desk.settled(sent)
            assert sorted(desk.durable + desk.failed) == list(range(sent)), "each is settled once"
        return desk

    desk = asyncio.run(run())

    assert desk.durable == sorted(desk.durable)
    assert set(desk.durable) <= set(desk.kept)
    assert desk.kept == sorted(desk.kept)
    assert desk.log.most_in_flight <= 1

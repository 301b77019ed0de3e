"""Several processes as one flow: what they tell each other, what stays of those that end, how many are wanted."""

import asyncio
from collections.abc import Callable

import pytest

from consumers.worker_state import WorkerState
from headwater.config import Workers
from headwater.log import MESSAGES, STATUS, Entry
from headwater.message import Message
from headwater.metrics import Metrics
from query.flow import Flow
from query.flow_share import Counting, WorkerShare
from query.lags import OF_SELECTOR, Group, group_of
from query.others import EXPIRES, Others, farewell, tell
from query.scaling import Scaling, Wanted
from tests.query.fakes import MemoryLog

LIVE = group_of("live", MESSAGES)


class Process:
    """One of the installation's, as far as the others know it."""

    def __init__(self, kind: str, clock: Callable[[], float], *groups: Group) -> None:
        self.metrics = Metrics()
        self.states = [WorkerState(group.store, group.topic, group.name, "running") for group in groups]
        self.counting = Counting(self.metrics, kind, self.states, clock)


class Clock:
    at = 0.0

    def __call__(self) -> float:
        return self.at


class Installation:
    """An API that listens to others, whose words reach it at once."""

    def __init__(self, *groups: Group) -> None:
        self.clock = Clock()
        self.log = MemoryLog(partitions=2)
        self.api = Process("api", self.clock)
        self.others = Others(self.log, self.api.counting.process, self.clock)
        self.flow = Flow(self.log, self.api.counting, self.others, groups)

    def process(self, kind: str, *groups: Group) -> Process:
        return Process(kind, self.clock, *groups)

    def hear(self, process: Process) -> None:
        self.others.hear(process.counting.share())


async def test_counts_are_of_all_processes_and_stay_when_one_ends() -> None:
    site = Installation(LIVE)
    gateways = [site.process("gateway"), site.process("gateway")]
    for number, gateway in enumerate(gateways):
        gateway.metrics.received.labels("mqtt").inc(10 + number)
        gateway.metrics.rejected.labels("mqtt", "bad_json").inc(2)
        gateway.metrics.connections.labels("mqtt").set(5)
        site.hear(gateway)
    site.hear(gateways[0])  # what it says again is not more
    answer = await site.flow.answer()
    assert (answer["received"], answer["rejected_by_reason"], answer["connections"]) == (
        21,
        {"bad_json": 4},
        {"mqtt": 10},
    )
    assert answer["processes"] == {"api": 1, "gateway": 2}
    site.clock.at = EXPIRES + 1
    site.hear(gateways[1])
    answer = await site.flow.answer()
    assert (answer["received"], answer["connections"], answer["processes"]) == (
        21,
        {"mqtt": 5},
        {"api": 1, "gateway": 1},
    )
    site.hear(gateways[0])  # it was only frozen
    assert (await site.flow.answer())["received"] == 21


async def test_many_that_ended_are_remembered_as_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("query.others.MOST", 3)
    site = Installation()
    for _ in range(10):
        gateway = site.process("gateway")
        gateway.metrics.received.labels("http").inc(7)
        share = gateway.counting.share()
        share.ended = True
        site.others.hear(share)
    assert (await site.flow.answer())["received"] == 70


async def test_a_group_is_as_ill_as_its_worst_worker_and_stopped_where_nobody_works() -> None:
    site = Installation(OF_SELECTOR, LIVE)
    answer = await site.flow.answer()
    assert (answer["stores"]["live.messages"]["state"], answer["selector"]["state"]) == ("stopped", "stopped")
    assert "no consumer" in answer["stores"]["live.messages"]["reason"]
    consumers = [site.process("consumer", OF_SELECTOR, LIVE) for _ in range(3)]
    consumers[1].states[1].move("resting", "Redis: no answer")
    for consumer in consumers:
        consumer.metrics.written.labels("live", MESSAGES).inc(4)
        site.hear(consumer)
    answer = await site.flow.answer()
    live = answer["stores"]["live.messages"]
    assert (live["state"], live["reason"], live["written"]) == ("resting", "1 of 3: Redis: no answer", 12)
    assert answer["selector"]["state"] == "running"
    site.clock.at = EXPIRES + 1
    live = (await site.flow.answer())["stores"]["live.messages"]
    assert (live["state"], live["written"]) == ("stopped", 12)


async def test_what_waits_is_known_from_the_log_and_from_where_workers_are() -> None:
    site = Installation(OF_SELECTOR, LIVE)
    for number in range(40):
        device = f"d{number}"
        site.log.put(MESSAGES, Message(device, f"m{number}", 1, 1))
    ends = {number: end.next for number, end in (await site.log.ends(MESSAGES)).items()}
    site.log.commits[LIVE.name, MESSAGES] = {0: 3}
    assert (await site.flow.answer())["stores"]["live.messages"]["waiting"] == 37
    consumer = site.process("consumer", LIVE)
    consumer.states[0].positions = {0: ends[0], 1: 5}
    site.hear(consumer)
    site.clock.at = 2.0
    again = Flow(site.log, site.api.counting, site.others, [LIVE])
    assert (await again.answer())["stores"]["live.messages"]["waiting"] == ends[1] - 5
    looked = await again.lags(again.now())
    assert looked.lags == {LIVE.name: {0: 0, 1: ends[1] - 5}}


async def test_a_process_is_heard_over_the_log_until_it_says_farewell() -> None:
    site = Installation()
    site.log.entries[STATUS, 0] = []
    site.log.entries[STATUS, 1] = []
    site.log.entries[STATUS, 0].append(Entry(STATUS, 0, 0, 0, b"x", b"of another version"))
    gateway = site.process("gateway")
    gateway.metrics.received.labels("http").inc(3)
    stop = asyncio.Event()
    async with asyncio.timeout(20), asyncio.TaskGroup() as tasks:
        tasks.create_task(site.others.run(stop))
        telling = tasks.create_task(tell(site.log, gateway.counting, stop))
        while not site.others.running():
            await asyncio.sleep(0.01)
        site.log.entries[STATUS, 0].append(Entry(STATUS, 0, len(site.log.entries[STATUS, 0]), 0, b"x", b"{broken"))
        telling.cancel()
        await farewell(site.log, gateway.counting)
        while site.others.running():
            await asyncio.sleep(0.01)
        stop.set()
    answer = await site.flow.answer()
    assert (answer["received"], answer["processes"]) == (3, {"api": 1})


async def test_telling_fails_nobody_where_the_log_is_away() -> None:
    site = Installation()
    site.log.down = True
    stop = asyncio.Event()
    async with asyncio.timeout(10), asyncio.TaskGroup() as tasks:
        tasks.create_task(tell(site.log, site.api.counting, stop))
        tasks.create_task(farewell(site.log, site.api.counting))
        await asyncio.sleep(0.05)
        stop.set()


def worker(pace: float = 0.0, members: int = 1, resting: int = 0) -> WorkerShare:
    return WorkerShare("live", MESSAGES, members=members, resting=resting, pace=pace)


def test_wanted_covers_arrivals_and_works_the_lag_off_in_time() -> None:
    wanted = Wanted(catch_up=60, patience=0)
    for second in range(0, 61, 5):
        wanted.look(second, second * 1000, dict.fromkeys(range(12), 0), worker(pace=400))
    assert wanted.answer == 3  # 1000 a second, 400 each
    assert wanted.look(65, 65_000, dict.fromkeys(range(12), 5000), worker(pace=400)) == 5  # and 1000 a second of lag
    assert (
        wanted.look(70, 70_000, dict.fromkeys(range(12), 10**6), worker(pace=400)) == 12
    )  # never above the partitions


def test_fewer_are_wanted_only_when_fewer_were_enough_for_long() -> None:
    wanted = Wanted(catch_up=60, patience=300)
    no_lag = dict.fromkeys(range(12), 0)
    wanted.look(0, 0, no_lag, worker(pace=100))
    assert wanted.look(5, 2_500, no_lag, worker(pace=100)) == 5
    answers = [wanted.look(at, 2_500, no_lag, worker(pace=100)) for at in range(10, 500, 5)]
    assert answers[57] == 5
    assert answers[-1] == 1


def test_a_store_that_is_away_is_not_helped_by_more_workers() -> None:
    wanted = Wanted(catch_up=60, patience=300)
    for at in range(0, 60, 5):
        wanted.look(at, at * 100, {0: 0, 1: 0, 2: 0}, worker(pace=80, members=2))
    assert wanted.answer == 2
    for at in range(60, 600, 5):
        lag = dict.fromkeys(range(3), (at - 60) * 34)
        assert wanted.look(at, at * 100, lag, worker(members=2, resting=2)) == 2
    assert wanted.look(600, 60_000, dict.fromkeys(range(3), 18000), worker(members=2, resting=1)) == 3


def test_nobody_at_work_wants_one_and_unknown_speed_wants_what_is_there() -> None:
    wanted = Wanted(catch_up=60, patience=0)
    assert wanted.look(0, 100, {0: 100, 1: 0}, None) == 1
    assert wanted.look(5, 100, {0: 100, 1: 0}, worker(members=2)) == 2


async def test_the_gauges_say_it_of_each_group() -> None:
    site = Installation(OF_SELECTOR, LIVE)
    for number in range(10):
        site.log.put(MESSAGES, Message(f"d{number}", f"m{number}", 1, 1))
    consumer = site.process("consumer", LIVE)
    site.hear(consumer)
    metrics = Metrics()
    await Scaling(site.flow, Workers(), metrics, site.clock).look()
    assert metrics.sample("group_lag", group=LIVE.name) == 10
    assert metrics.sample("group_members", group=LIVE.name) == 1
    assert metrics.sample("group_members", group=OF_SELECTOR.name) == 0
    assert metrics.sample("consumers_wanted", group=OF_SELECTOR.name) == 1

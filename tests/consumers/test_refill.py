"""A store that lacks what the log has no more gets it from the lake, before it goes on from the log."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from pathlib import Path

import pytest

from consumers.worker import Writer
from headwater.errors import Unavailable
from headwater.log import CANDIDATES, MESSAGES, REJECTED, TopicSpec
from headwater.metrics import Metrics
from storage.contract import Record
from storage.sqlite_log import SqliteLog, open_log
from tests.consumers.kit import message
from tests.consumers.logs import QUICK, positions, put, running, until
from tests.consumers.stores import ScriptedStore

DAY = 86_400 * 10**6


class Time:
    now = 1_763_700_000 * 10**6

    def __call__(self) -> int:
        return self.now


class OldRecords:
    """A lake that has the first so many messages of partition 0."""

    def __init__(self, count: int) -> None:
        self.records = [Record(MESSAGES, 0, n, n, message(n)) for n in range(count)]
        self.asked: list[tuple[int, int]] = []
        self.away = 0
        self.slow = 0.0
        self.at_each: Callable[[], None] = lambda: None

    async def __call__(self, topic: str, partition: int, above: int) -> AsyncGenerator[Sequence[Record], None]:
        assert topic == MESSAGES
        self.asked.append((partition, above))
        if self.away:
            self.away -= 1
            raise Unavailable("the lake is away")
        await asyncio.sleep(self.slow)
        kept = [one for one in self.records if one.partition == partition and one.position > above]
        for start in range(0, len(kept), 4):
            self.at_each()
            yield kept[start : start + 4]


@pytest.fixture
def clock() -> Time:
    return Time()


@pytest.fixture
async def log(tmp_path: Path, clock: Time) -> AsyncGenerator[SqliteLog, None]:
    """Offsets 0 to 9 of partition 0 are gone, 10 to 14 are there. The lake has taken twelve."""
    topics = [TopicSpec(MESSAGES, 2, retention=86_400), TopicSpec(CANDIDATES, 2), TopicSpec(REJECTED, 2)]
    async with open_log(tmp_path / "log.sqlite", topics, clock=clock, session=1.0) as opened:
        await put(opened, [message(n) for n in range(10)])
        clock.now += 2 * DAY
        await put(opened, [message(n) for n in range(10, 15)])
        await opened.maintain()
        assert (await opened.ends(MESSAGES))[0] == (10, 15)
        await committed(opened, 12)
        yield opened


async def committed(log: SqliteLog, upto: int) -> None:
    """The lake has taken this many of partition 0, or whatever is there."""
    async with log.subscribe([MESSAGES], "lake.messages") as subscription:
        entries = [one for one in await subscription.batch(1000, 2**20, 0) if one.offset < upto]
        await subscription.commit(entries)
    assert (await log.committed("lake.messages", MESSAGES))[0] == upto


async def drop_all_but_one_more(log: SqliteLog, clock: Time) -> None:
    clock.now += 2 * DAY
    await put(log, [message(15)])
    await log.maintain()
    assert (await log.ends(MESSAGES))[0] == (15, 16)


def worker(log: SqliteLog, store: ScriptedStore, lake: OldRecords, batch: int = 1000) -> Writer:
    return Writer(store, MESSAGES, log, QUICK, Metrics(), batch=batch, size=2**20, wait=0.001, refill=lake)


@pytest.mark.parametrize("overlap", [0, 3])
async def test_a_store_that_is_empty_gets_all_from_the_lake_and_then_the_log(log: SqliteLog, overlap: int) -> None:
    store, lake = ScriptedStore(), OldRecords(10 + overlap)
    async with running(worker(log, store, lake)):
        await until(lambda: len(store.rows) == 15)
    assert store.rows == positions(0, range(15))
    assert [one.body for one in store.records] == [message(n) for n in range(15)]
    assert lake.asked == [(0, -1)]
    assert (await log.committed("shelf.messages", MESSAGES))[0] == 15


async def test_a_store_that_was_away_for_too_long_gets_what_it_lacks(log: SqliteLog) -> None:
    store, lake = ScriptedStore(), OldRecords(10)
    store.ledgers[MESSAGES] = {0: 6}
    async with running(worker(log, store, lake)):
        await until(lambda: len(store.rows) == 8)
    assert store.rows == positions(0, range(7, 15))
    assert lake.asked == [(0, 6)]


async def test_a_store_that_has_all_asks_the_lake_for_nothing(log: SqliteLog) -> None:
    store, lake = ScriptedStore(), OldRecords(10)
    store.ledgers[MESSAGES] = {0: 11}
    async with running(worker(log, store, lake)):
        await until(lambda: len(store.rows) == 3)
    assert lake.asked == []


async def test_filling_goes_on_where_it_was_interrupted(log: SqliteLog) -> None:
    store, lake = ScriptedStore(), OldRecords(10)
    first = worker(log, store, lake)
    store.script.extend(["unavailable", "unavailable"])
    async with running(first):
        await until(lambda: len(store.rows) >= 4)
    async with running(worker(log, store, lake)):
        await until(lambda: len(store.rows) == 15)
    assert store.rows == positions(0, range(15))


async def test_a_lake_that_is_away_is_waited_for_and_nothing_is_written_before(log: SqliteLog) -> None:
    store, lake = ScriptedStore(), OldRecords(10)
    lake.away = 3
    async with running(worker(log, store, lake)):
        await until(lambda: len(store.rows) == 15)
    assert store.rows == positions(0, range(15))
    assert len(lake.asked) == 4


async def test_a_lake_that_is_slower_than_the_session_costs_the_worker_no_partition(log: SqliteLog) -> None:
    store, lake = ScriptedStore(), OldRecords(10)
    lake.slow = 1.6
    async with running(worker(log, store, lake)):
        await until(lambda: len(store.rows) == 15)
    assert lake.asked == [(0, -1)]
    assert store.rows == positions(0, range(15))


async def test_entries_that_neither_the_lake_nor_the_log_has_stop_the_worker_with_a_reason(
    log: SqliteLog, clock: Time
) -> None:
    await drop_all_but_one_more(log, clock)  # the lake has taken 12
    store, lake = ScriptedStore(), OldRecords(12)
    writer = worker(log, store, lake)
    async with running(writer):
        await until(lambda: writer.state.failed)
    assert "the lake has messages up to 12 in partition 0, the log begins at 15" in writer.state.reason
    assert store.rows == []


async def test_entries_that_the_log_drops_while_the_lake_fills_the_store_are_not_asked_of_the_log(
    log: SqliteLog, clock: Time
) -> None:
    await committed(log, 15)
    store, lake = ScriptedStore(), OldRecords(15)
    dropping: list[asyncio.Task[None]] = []

    def drop_once() -> None:
        if not dropping:
            dropping.append(asyncio.create_task(drop_all_but_one_more(log, clock)))

    lake.at_each = drop_once
    lake.slow = 0.1
    writer = worker(log, store, lake, batch=2)
    async with running(writer):
        await until(lambda: len(store.rows) == 16)
        assert "goes on behind that" in writer.state.error
    await asyncio.gather(*dropping)
    assert store.rows == positions(0, range(16))

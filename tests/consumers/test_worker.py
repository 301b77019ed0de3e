"""The worker shell between a real log and stores that do what stores do: refuse, fail, hang, forget."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from hashlib import sha256
from itertools import repeat
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from consumers import delivery, lag
from headwater import failpoints
from headwater.config import Workers
from headwater.errors import LogError
from headwater.log import MESSAGES, REJECTED, NewEntry
from headwater.message import Origin, RejectedMessage, encode
from storage.sqlite_log import SqliteLog
from tests.consumers.kit import clock, message
from tests.consumers.logs import QUICK, Desk, contents, positions, put, quarantined, real_log, running, until
from tests.consumers.stores import Act, ScriptedStore
from tests.taking import within


@pytest.fixture
async def log(tmp_path: Path) -> AsyncGenerator[SqliteLog, None]:
    async with real_log(tmp_path) as opened:
        yield opened


@pytest.fixture
def store() -> ScriptedStore:
    return ScriptedStore()


@pytest.fixture
def desk(log: SqliteLog, store: ScriptedStore) -> Desk:
    return Desk(log, store)


def away(times: int) -> list[Act]:
    return ["unavailable"] * times


async def test_what_is_on_the_topic_reaches_the_store_once_and_in_order(desk: Desk) -> None:
    await put(desk.log, [message(n, {"x": n}) for n in range(50)], partition=0)
    async with running(desk.writer):
        await until(lambda: len(desk.store.rows) == 50)
        await put(desk.log, [message(n) for n in range(30)], partition=1)
        await until(lambda: len(desk.store.rows) == 80)
        assert desk.writer.state.state == "running"
    assert [row for row in desk.store.rows if row[0] == 0] == positions(0, range(50))
    assert desk.store.records[7].body == message(7, {"x": 7})
    assert (await desk.committed(0), await desk.committed(1)) == (50, 30)
    assert desk.balanced
    assert (desk.writer.state.state, desk.writer.state.reason, desk.writer.state.failed) == ("stopped", "", False)


async def test_a_restarted_worker_goes_on_behind_the_ledger(desk: Desk) -> None:
    await put(desk.log, [message(n) for n in range(10)])
    desk.store.ledgers[MESSAGES] = {0: 6}
    async with running(desk.writer):
        await until(lambda: len(desk.store.rows) == 3)
    assert desk.store.rows == positions(0, [7, 8, 9])
    assert desk.count("offered") == 3


async def test_control_entries_are_nobodys_records_but_are_committed(desk: Desk) -> None:
    await put(desk.log, [clock(1), message(1), clock(2), clock(3)])
    async with running(desk.writer):
        await until(lambda: len(desk.store.rows) == 1)
    assert await desk.committed() == 4
    assert desk.count("offered") == 1


async def test_a_store_that_is_out_of_order_gets_the_same_batch_again_and_nothing_is_read_meanwhile(desk: Desk) -> None:
    desk.batch = 10
    desk.store.script.extend(away(4))
    await put(desk.log, [message(n) for n in range(25)])
    seen: list[str] = []
    async with running(desk.again()):
        while len(desk.store.rows) < 25:
            seen.append(desk.writer.state.state)
            assert desk.balanced
            await asyncio.sleep(0.0005)
    assert desk.store.writes == [10, 10, 10, 10, 10, 10, 5]
    assert desk.store.rows == positions(0, range(25))
    assert desk.count("retries") == 4
    assert "resting" in seen
    assert desk.writer.state.error == "out of order"


@pytest.mark.parametrize("act", ["lose the answer", "write and hang"])
async def test_a_write_that_happened_without_an_answer_is_not_done_twice(desk: Desk, act: Act) -> None:
    desk.store.script.append(act)
    await put(desk.log, [message(n) for n in range(5)])
    async with running(desk.writer):
        await until(lambda: desk.count("written") == 5)
    assert desk.store.writes == [5]
    assert desk.store.rows == positions(0, range(5))
    assert desk.balanced


async def test_a_store_that_hangs_is_cut_off_and_asked_again(desk: Desk) -> None:
    desk.store.script.extend(["hang", "hang"])
    await put(desk.log, [message(n) for n in range(5)])
    async with running(desk.writer):
        await until(lambda: desk.writer.state.state == "resting")
        assert "did not finish a write within 0.1 s" in desk.writer.state.reason
        await until(lambda: desk.count("written") == 5)
        assert desk.store.writing == 0
    assert desk.store.writes == [5, 5, 5]


async def test_a_store_that_is_too_slow_for_a_large_batch_gets_it_in_parts_and_larger_ones_when_it_is_quick(
    desk: Desk,
) -> None:
    desk.store.slow_beyond = 30
    await put(desk.log, [message(n) for n in range(200)])
    async with running(desk.writer):
        await until(lambda: desk.count("written") == 200)
        assert desk.balanced
        desk.store.slow_beyond = 1000
        before = len(desk.store.writes)
        for start in range(200, 1000, 100):
            await put(desk.log, [message(n) for n in range(start, start + 100)])
            await until(lambda at=start: desk.count("written") == at + 100)  # type: ignore[misc]
    assert desk.store.writes[:4] == [200, 100, 50, 25]
    assert 100 in desk.store.writes[before:], "in one piece again"
    assert desk.store.rows == positions(0, range(1000))


async def test_a_store_that_hangs_past_the_session_keeps_its_partitions(
    tmp_path: Path, store: ScriptedStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivery, "PATIENCE", 0.02)
    store.script.append("hang")
    async with real_log(tmp_path, session=0.15) as log:
        desk = Desk(log, store, config=Workers(write_time=0.5, retry_first=0.001, retry_most=0.001))
        moves: list[object] = []
        monkeypatch.setattr(desk.writer, "revoked", moves.append)
        await put(log, [message(n) for n in range(5)])
        async with running(desk.writer):
            await until(lambda: store.writes == [5, 5])
            assert moves == []
            await until(lambda: desk.count("written") == 5)
    assert (desk.count("offered"), desk.count("retries"), desk.balanced) == (5, 1, True)


async def test_a_store_whose_ledger_does_not_answer_is_waited_for(desk: Desk) -> None:
    desk.store.ledger_script.extend(["unavailable", "hang", "unavailable"])
    await put(desk.log, [message(1)])
    async with running(desk.writer):
        await until(lambda: desk.store.rows == positions(0, [0]))
    assert "did not say" in desk.writer.state.error or "no ledger" in desk.writer.state.error


@pytest.mark.parametrize("late", [False, True])
async def test_refused_records_go_to_quarantine_and_the_others_are_written(desk: Desk, late: bool) -> None:
    desk.store.refuses_late = late
    desk.store.refuse = lambda record: record.offset in {2, 9}
    await put(desk.log, [message(n, {"x": n}) for n in range(10)], partition=1)
    async with running(desk.writer):
        await until(lambda: desk.count("written") == 8)
    assert desk.store.rows == positions(1, [0, 1, 3, 4, 5, 6, 7, 8])
    assert desk.count("quarantined") == 2
    assert desk.balanced
    assert await desk.committed(1) == 10
    one, two = await quarantined(desk.log)
    payload = encode(message(2, {"x": 2}))
    assert (one.stage, one.reason, one.detail) == ("shelf", "refused_by_store", "too strange")
    assert (one.origin, two.origin) == (Origin(1, 2, 0), Origin(1, 9, 0))
    assert (one.device, one.topic, one.payload) == ("pump-7", MESSAGES, payload)
    assert (one.size, one.sha256) == (len(payload), sha256(payload).hexdigest())


async def test_what_is_refused_again_after_a_crash_has_the_same_id_in_quarantine(desk: Desk) -> None:
    desk.store.refuse = lambda record: record.offset == 3
    await put(desk.log, [message(n) for n in range(4)])
    async with running(desk.writer):
        await until(lambda: desk.count("quarantined") == 1)
    async with running(desk.again()):
        await until(lambda: desk.count("quarantined") == 2)
    one, two = await quarantined(desk.log)
    assert one.id == two.id


async def test_nothing_is_committed_before_quarantine_is_durable(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    append, failures = desk.log.append, [LogError("disk full")] * 3

    async def sometimes(topic: str, entries: Sequence[NewEntry]) -> Sequence[int | LogError]:
        return [failures.pop()] * len(entries) if failures else await append(topic, entries)

    desk.store.refuse = lambda record: record.offset == 1
    await put(desk.log, [message(n) for n in range(3)])
    monkeypatch.setattr(desk.log, "append", sometimes)
    async with running(desk.writer):
        while desk.count("quarantined") == 0:
            assert (desk.store.rows, await desk.committed(), desk.balanced) == ([], 0, True)
            await asyncio.sleep(0)
        await until(lambda: desk.store.rows == positions(0, [0, 2]))
    assert len(await quarantined(desk.log)) == 1
    assert desk.count("retries") == 3


async def test_a_store_that_refuses_nearly_everything_stops_its_worker_and_fills_no_quarantine(desk: Desk) -> None:
    desk.store.refuse = lambda record: record.offset != 50
    await put(desk.log, [message(n) for n in range(120)])
    async with running(desk.writer):
        await until(lambda: desk.writer.state.failed)
        assert desk.writer.state.reason == "shelf refuses 119 of 120 records; none is quarantined: too strange"
    assert desk.writer.state.failed
    assert (await quarantined(desk.log), await desk.committed(), desk.writer.state.waiting) == ([], 0, 120)
    assert desk.balanced
    desk.store.refuse = lambda record: False  # mended
    async with running(desk.again()):
        await until(lambda: desk.store.rows == positions(0, range(120)))


async def test_a_small_batch_that_is_refused_whole_goes_to_quarantine(desk: Desk) -> None:
    desk.store.refuse = lambda record: True
    await put(desk.log, [message(n) for n in range(99)])
    async with running(desk.writer):
        await until(lambda: desk.count("quarantined") == 99)
    assert len(await quarantined(desk.log)) == 99
    assert await desk.committed() == 99


async def test_a_stale_worker_drops_its_batch_and_begins_behind_the_ledger(desk: Desk) -> None:
    desk.store.script.append("stale")
    await put(desk.log, [message(n) for n in range(5)])
    async with running(desk.writer):
        await until(lambda: desk.store.writes == [5])
        desk.store.ledgers[MESSAGES] = {0: 1}  # the other owner's
        await until(lambda: len(desk.store.rows) == 3)
    assert desk.store.rows == positions(0, [2, 3, 4])
    assert desk.balanced


async def test_what_was_dropped_and_taken_again_is_offered_once(desk: Desk) -> None:
    desk.store.script.extend(("stale", "stale"))
    await put(desk.log, [message(n) for n in range(5)])
    async with running(desk.writer):
        await until(lambda: desk.count("written") == 5)
        assert (desk.count("offered"), desk.writer.state.waiting) == (5, 0)


async def test_a_store_that_comes_back_empty_is_filled_again(desk: Desk) -> None:
    await put(desk.log, [message(n) for n in range(20)])
    async with running(desk.writer):
        await until(lambda: len(desk.store.rows) == 20)
        desk.store.script.append("forget all")
        await put(desk.log, [message(20)])
        await until(lambda: desk.store.rows == positions(0, range(21)))


async def test_what_the_log_has_dropped_unseen_stops_the_worker_with_a_message(desk: Desk) -> None:
    await put(desk.log, [message(n) for n in range(5)])
    desk.store.ledgers[MESSAGES] = {0: 1000}
    async with running(desk.writer):
        await until(lambda: desk.writer.state.failed)
    assert "entries are gone that this worker has not seen" in desk.writer.state.reason
    assert "1001" in desk.writer.state.reason


NESTED = b'{"x":' + b"[" * 100_000


@pytest.mark.parametrize("poison", [b"", b"not json", b'{"device":"a"}', b'{"device":"\xff"}', NESTED])
async def test_an_entry_that_nobody_can_read_is_quarantined_once_and_does_not_stop_the_rest(
    desk: Desk, poison: bytes
) -> None:
    await put(desk.log, [message(0), poison])
    async with running(desk.writer):
        await until(lambda: desk.count("quarantined") == 1)
        assert desk.balanced
    async with running(desk.again()):  # the ledger is before it, the commit behind
        await until(lambda: desk.count("skipped") == 1)
        await put(desk.log, [message(2)])
        await until(lambda: desk.store.rows == positions(0, [0, 2]))
    (found,) = await quarantined(desk.log)
    assert (found.reason, found.stage, found.payload, found.origin) == ("bad_shape", "shelf", poison, Origin(0, 1, 0))
    assert desk.balanced


async def test_what_is_refused_on_rejected_is_in_quarantine_already(log: SqliteLog, store: ScriptedStore) -> None:
    desk = Desk(log, store, topic=REJECTED)
    store.refuse = lambda record: record.offset == 0
    await put(log, [RejectedMessage(str(n), 1, "bad_json", "") for n in range(2)] + [b"poison"], topic=REJECTED)
    async with running(desk.writer):
        await until(lambda: desk.count("quarantined") == 2 and desk.count("written") == 1)
    assert len(await contents(log, REJECTED)) == 3


async def test_stopping_does_not_wait_for_a_store_that_is_away(desk: Desk) -> None:
    desk.config = Workers(retry_first=30, retry_most=30, write_time=0.1)
    desk.store.script.append("unavailable")
    await put(desk.log, [message(n) for n in range(5)])
    with within(5):
        async with running(desk.again()):
            await until(lambda: desk.writer.state.state == "resting")
    assert await desk.committed() == 0
    assert (desk.writer.state.waiting, desk.balanced) == (5, True)
    async with running(desk.again()):
        await until(lambda: desk.store.rows == positions(0, range(5)))


async def test_a_failure_between_write_and_commit_writes_nothing_twice(desk: Desk) -> None:
    failpoints.arm("writer.written=fail")
    try:
        await put(desk.log, [message(n) for n in range(5)])
        async with running(desk.writer):
            await until(lambda: desk.count("retries") == 1)
            failpoints.arm("")
            await until(lambda: desk.count("written") == 5)
    finally:
        failpoints.arm("")
    assert desk.store.rows == positions(0, range(5))
    assert desk.balanced


async def test_two_members_share_the_work_and_a_store_that_is_away_holds_up_no_move(
    log: SqliteLog, store: ScriptedStore
) -> None:
    """The second comes while the first rests: it gets its partitions at once, and each record is written once."""
    slow = Workers(retry_first=0.2, retry_most=0.2, write_time=0.1)
    one = Desk(log, store, config=slow)
    two = Desk(log, store, config=slow)
    store.script.extend(away(2))
    for partition in range(2):
        await put(log, [message(n) for n in range(20)], partition=partition)
    async with running(one.writer):
        await until(lambda: one.writer.state.state == "resting")
        async with running(two.writer):
            with within(3):
                await until(lambda: two.count("written") == 20)
            await until(lambda: len(store.rows) == 40)
            assert one.balanced  # what it dropped waits, for whoever takes it
            assert two.balanced
    assert sorted(store.rows) == [*positions(0, range(20)), *positions(1, range(20))]


async def test_the_lag_is_shown_by_partition(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lag, "EVERY", 0.01)
    desk.config = Workers(retry_first=30, retry_most=30, write_time=0.1)
    desk.store.script.append("unavailable")
    await put(desk.log, [message(n) for n in range(7)], partition=1)
    async with running(desk.again()):
        await until(lambda: desk.metrics.sample("lag", group="shelf.messages", partition="1") == 7)


async def test_the_lag_is_shown_while_the_store_does_not_say_what_it_has(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lag, "EVERY", 0.01)
    await put(desk.log, [message(n) for n in range(7)], partition=1)
    async with running(desk.writer):
        await until(lambda: len(desk.store.rows) == 7)
    desk.store.ledger_script.extend(repeat("unavailable", 10_000))
    await put(desk.log, [message(n) for n in range(7, 12)], partition=1)
    async with running(desk.again()):
        await until(lambda: desk.metrics.sample("lag", group="shelf.messages", partition="1") == 5)


async def test_the_lag_of_a_partition_that_went_to_another_is_not_shown_here(
    log: SqliteLog, store: ScriptedStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lag, "EVERY", 0.01)
    one, two = Desk(log, store), Desk(log, store)

    def shown(desk: Desk) -> int:
        return desk.metrics.text().count(b"headwater_lag{")

    async with running(one.writer):
        await until(lambda: shown(one) == 2)
        async with running(two.writer):
            await until(lambda: (shown(one), shown(two)) == (1, 1))


acts = st.sampled_from(["write", "unavailable", "lose the answer", "stale", "hang", "write and hang", "forget all"])


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    script=st.lists(acts, max_size=6),
    refused=st.sets(st.integers(0, 39), max_size=4),
    late=st.booleans(),
    batch=st.integers(1, 40),
)
async def test_whatever_a_store_does_each_record_has_one_fate(
    tmp_path_factory: pytest.TempPathFactory,
    script: list[Act],
    refused: set[int],
    late: bool,
    batch: int,
) -> None:
    store = ScriptedStore()
    store.script.extend(script)
    store.refuse = lambda record: int(record.offset) in refused
    store.refuses_late = late
    async with real_log(tmp_path_factory.mktemp("log")) as log:
        desk = Desk(log, store, config=QUICK.model_copy(update={"write_time": 0.02}), batch=batch)
        await put(log, [message(n) for n in range(40)])
        expected = [n for n in range(40) if n not in refused]
        async with running(desk.writer):
            await until(lambda: [position for _, position in store.rows] == expected)
            assert desk.balanced
        assert {one.origin.offset for one in await quarantined(log) if one.origin} == refused

"""Where writers start: behind what the ledger covers, and never behind what it does not."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from consumers.start import position_of, start_of
from headwater.log import CANDIDATES, MESSAGES, Offsets
from headwater.message import Candidate, Origin
from tests.consumers.kit import message
from tests.consumers.logs import Desk, positions, put, real_log, running, until
from tests.consumers.stores import ScriptedStore


def candidate(position: int, n: int = 0) -> Candidate:
    body = message(position)
    return Candidate(f"c{position}", body.device, body.time, "rule", 1, ["every"], Origin(0, position, n), body)


def at(offset: int) -> int:
    return position_of(candidate(offset))


@pytest.mark.parametrize(
    ("applied", "commit", "ends", "start"),
    [
        (None, None, Offsets(3, 9), 3),  # a new store
        (None, 8, Offsets(3, 9), 3),  # came back empty
        (6, 5, Offsets(3, 9), 7),
        (6, 9, Offsets(3, 9), 7),
        (1, 9, Offsets(5, 9), 5),  # the entries between were controls: the commit is behind them
        (1, 4, Offsets(5, 9), 2),  # nobody has seen them: the log will refuse
        (1, None, Offsets(5, 9), 2),
    ],
)
async def test_topics_with_offsets_start_behind_the_ledger(
    tmp_path: Path, applied: int | None, commit: int | None, ends: Offsets, start: int
) -> None:
    async with real_log(tmp_path) as log:
        assert await start_of(log, MESSAGES, 0, applied, commit, ends) == start


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    crashes=st.lists(st.tuples(st.integers(1, 30), st.integers(0, 30)), max_size=5),
    applied=st.integers(0, 60),
    commit=st.one_of(st.none(), st.integers(0, 100)),
)
async def test_no_candidate_that_is_not_applied_lies_only_before_the_start(
    tmp_path_factory: pytest.TempPathFactory, crashes: list[tuple[int, int]], applied: int, commit: int | None
) -> None:
    """Candidates grow, and after each crash begin again a little before. A commit says at most what the ledger says,
    unless the store lost something.
    """
    emitted: list[int] = []
    begin = 0
    for count, back in crashes:
        emitted += range(begin, begin + count)
        begin = max(0, emitted[-1] + 1 - back)
    emitted += range(begin, max([0, *emitted]) + 10)  # the last run passes all that was emitted before
    async with real_log(tmp_path_factory.mktemp("log")) as log:
        await put(log, [candidate(position) for position in emitted], topic=CANDIDATES)
        ends = (await log.ends(CANDIDATES))[0]
        known = None if commit is None else min(commit, ends.next)
        start = await start_of(log, CANDIDATES, 0, at(applied), known, ends)
    assert {one for one in emitted if one > applied} <= set(emitted[start:])


async def test_a_store_that_lost_nothing_starts_at_the_commit_and_another_is_found_its_place(tmp_path: Path) -> None:
    async with real_log(tmp_path) as log:
        await put(log, [candidate(n) for n in range(100)], topic=CANDIDATES)
        ends = (await log.ends(CANDIDATES))[0]
        assert await start_of(log, CANDIDATES, 0, at(80), 70, ends) == 70
        assert await start_of(log, CANDIDATES, 0, at(99), 100, ends) == 100
        assert await start_of(log, CANDIDATES, 0, at(30), 100, ends) == 31


async def test_candidates_emitted_again_are_written_once(tmp_path: Path) -> None:
    store = ScriptedStore()
    async with real_log(tmp_path) as log:
        desk = Desk(log, store, topic=CANDIDATES)
        await put(log, [candidate(n) for n in (1, 2, 3, 2, 3, 4)] + [candidate(4, n=1)], topic=CANDIDATES)
        async with running(desk.writer):
            await until(lambda: len(store.rows) == 5)
        await put(log, [candidate(n) for n in (3, 4, 5)], topic=CANDIDATES)
        async with running(desk.again()):
            await until(lambda: len(store.rows) == 6)
        assert [position for _, position in store.rows] == [at(1), at(2), at(3), at(4), at(4) + 1, at(5)]
        assert desk.count("skipped") == 4
        assert desk.balanced


async def test_a_store_that_is_filled_again_and_killed_half_way_is_filled_to_the_end(tmp_path: Path) -> None:
    """Its ledger is then behind the group's commit, which never goes back."""
    store = ScriptedStore()
    async with real_log(tmp_path) as log:
        desk = Desk(log, store, topic=CANDIDATES)
        await put(log, [candidate(n) for n in range(50)], topic=CANDIDATES)
        async with running(desk.writer):
            await until(lambda: len(store.rows) == 50)
        assert await desk.committed() == 50
        store.rows, store.ledgers = [], {CANDIDATES: {0: at(19)}}
        async with running(desk.again()):
            await until(lambda: len(store.rows) == 30)
    assert store.rows == positions(0, [at(n) for n in range(20, 50)])

"""What one gateway learned all know: the later word counts, a log that is away loses nothing, and room is bounded."""

import asyncio
from collections.abc import Callable

import pytest

from headwater.log import LEARNED, NewEntry
from headwater.saying import capture_logs
from ingest.decoders.knowledge import Knowledge
from ingest.decoders.learned import Learned
from ingest.decoders.learning import Reader, learning
from tests.ingest.mqtt.log_kit import MemoryLog

KEY = "sparkplug_b.births/plant/edge"


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not true():
            await asyncio.sleep(0.005)


def written(log: MemoryLog) -> list[bytes]:
    return [entry.key for entry in log.entries.get(LEARNED, [])]


async def test_what_one_has_learned_the_other_knows_and_one_that_comes_later_too() -> None:
    log, one, other, late = MemoryLog(), Learned(100), Learned(100), Learned(100)
    async with learning(log, one), learning(log, other):
        assert one.learn("edge", KEY, {"names": [["a", 1]]}, 5)
        await until(lambda: other.recall(KEY) == {"names": [["a", 1]]})
    async with learning(log, late):
        assert late.recall(KEY) == {"names": [["a", 1]]}
        assert late.learn("edge", KEY, {"names": [["a", 1]]}, 9)
        await asyncio.sleep(0.1)
    assert written(log) == [b"edge/" + KEY.encode()], "what was known is not written again"


async def test_of_two_words_on_one_key_the_later_counts_whichever_came_first_on_the_log() -> None:
    log, one, other, third = MemoryLog(), Learned(100), Learned(100), Learned(100)
    async with learning(log, third), learning(log, one), learning(log, other):
        one.learn("edge", KEY, "new", 8)
        await until(lambda: bool(written(log)))
        await until(lambda: third.recall(KEY) == "new")
        await log.append(LEARNED, [NewEntry(0, b"edge/" + KEY.encode(), b'{"at":7,"value":"old"}')])
        one.learn("edge", "next", 1, 9)
        await until(lambda: other.recall("next") == third.recall("next") == 1)
        assert {one.recall(KEY), other.recall(KEY), third.recall(KEY)} == {"new"}


async def test_while_the_log_is_away_it_waits_and_only_the_newest_is_written() -> None:
    log, one = MemoryLog(), Learned(100)
    with capture_logs() as said:
        async with learning(log, one):
            log.failing = True
            for n in range(5):
                one.learn("edge", KEY, n, n)
                await asyncio.sleep(0.03)
            log.failing = False
            await until(lambda: bool(written(log)))
            await asyncio.sleep(0.1)
    assert [entry.value for entry in log.entries[LEARNED]] == [b'{"at":4,"value":4}']
    assert [line["event"] for line in said] == ["what devices told once is not on the log yet"]


async def test_what_changes_while_it_is_being_written_is_written_again() -> None:
    log, one, other = MemoryLog(), Learned(100), Learned(100)
    async with learning(log, one), learning(log, other):
        log.gate.clear()
        one.learn("edge", KEY, "first", 1)
        await asyncio.sleep(0.15)
        one.learn("edge", KEY, "second", 2)
        log.gate.set()
        await until(lambda: other.recall(KEY) == "second")


async def test_what_was_learned_last_is_written_before_it_ends() -> None:
    log, one = MemoryLog(), Learned(100)
    async with learning(log, one):
        one.learn("edge", KEY, 1, 1)
    assert written(log) == [b"edge/" + KEY.encode()]


async def test_an_entry_that_nobody_understands_stops_none_behind_it() -> None:
    log, one = MemoryLog(), Learned(100)
    for value in (b"{", b'{"at":"x"}', b'{"at":1,"value":2}'):
        await log.append(LEARNED, [NewEntry(0, b"edge/" + KEY.encode(), value)])
    with capture_logs() as said:
        async with learning(log, one):
            assert one.recall(KEY) == 2
    assert len(said) == 2


async def test_whoever_reads_now_and_then_reads_what_is_new_and_begins_again_where_the_log_has_lost_its_end() -> None:
    log, one, reading = MemoryLog(), Learned(100), Learned(100)
    reader = Reader(log, reading)
    async with learning(log, one):
        await reader.read()
        for n in (1, 2):
            one.learn("edge", KEY, n, n)
            await until(lambda n=n: len(written(log)) == n)
            await reader.read()
            assert reading.recall(KEY) == n
    del log.entries[LEARNED][1:]
    await reader.read()
    await log.append(LEARNED, [NewEntry(0, b"edge/" + KEY.encode(), b'{"at":3,"value":3}')])
    await reader.read()
    assert reading.recall(KEY) == 3


def test_a_key_that_is_forgotten_is_gone_and_so_is_its_place_in_what_is_below() -> None:
    table = Learned(2)
    for part in ("a", "b"):
        assert table.learn(part, f"{KEY}/{part}", 1, 1)
    assert table.below(KEY) == ["a", "b"]
    table.apply(f"a/{KEY}/a".encode(), None)
    assert (table.recall(f"{KEY}/a"), table.below(KEY)) == (None, ["b"])
    assert table.learn("c", f"{KEY}/c", 1, 1), "there is room again"


@pytest.mark.parametrize(
    ("table", "value"), [(Learned(1), 1), (Learned(100, 500), "x" * 200), (Learned(9), "x" * 2**18)]
)
def test_what_there_is_no_room_for_is_not_kept_and_said_once(table: Learned, value: object) -> None:
    assert table.learn("edge", "first", 1, 1)
    with capture_logs() as said:
        assert [table.learn("edge", f"k{n}", value, 2) for n in range(3)] == [False] * 3
    assert (len(said), table.recall("k1")) == (1, None)
    assert table.learn("edge", "first", 2, 3), "what is there may change"


def test_without_room_a_process_still_remembers_by_itself_and_shares_when_there_is() -> None:
    knowledge = Knowledge(most=1)
    knowledge.learn("edge", "first", 1, 1)
    knowledge.learn("edge", "other", 2, 1)
    assert (knowledge.recall("other"), knowledge.learned.recall("other")) == (2, None)
    knowledge.learned.apply(b"edge/first", None)
    knowledge.learn("edge", "other", 3, 2)
    assert (knowledge.recall("other"), knowledge.learned.recall("other")) == (3, 3)

"""Appending, whatever the log is made of."""

import asyncio

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from headwater.errors import ConfigError, LogError, Unavailable
from headwater.log import Entry, NewEntry
from headwater.times import now
from tests.log.kit import TOPIC, Logs, kept, new, put, topic, values


async def test_what_was_appended_is_read_back_as_it_was(logs: Logs) -> None:
    async with logs.open(topic(2)) as log:
        before = now() - logs.tick
        entries = [NewEntry(1, b"", b"no key"), NewEntry(1, b"\x00\xff", b""), NewEntry(1, b"gone", None)]
        assert list(await log.append(TOPIC, entries)) == [0, 1, 2]
        found = await kept(log, 1)
        assert [(entry.key, entry.value) for entry in found] == [(entry.key, entry.value) for entry in entries]
        assert [entry[:3] for entry in found] == [(TOPIC, 1, offset) for offset in range(3)]
        assert all(before <= entry.time <= now() for entry in found)
        assert all(type(entry) is Entry for entry in found)


async def test_each_entry_gets_the_offset_of_its_own_partition(logs: Logs) -> None:
    async with logs.open(topic(3)) as log:
        await put(log, 2, "before")
        mixed = [*new(0, "a"), *new(2, "b"), *new(0, "c"), *new(1, "d"), *new(2, "e")]
        assert list(await log.append(TOPIC, mixed)) == [0, 1, 1, 0, 2]
        assert values(await kept(log, 2)) == ["before", "b", "e"]


async def test_nothing_appended_is_nothing(logs: Logs) -> None:
    async with logs.open(topic(1)) as log:
        assert list(await log.append(TOPIC, [])) == []
        assert (await log.ends(TOPIC))[0] == (0, 0)


async def test_many_and_large_entries_in_one_call_keep_their_order(logs: Logs) -> None:
    entries = [NewEntry(0, b"k%d" % number, b"%d" % number * (1 + number % 50)) for number in range(5_000)]
    entries += [NewEntry(0, b"large", bytes(900_000)), NewEntry(0, b"last", b"!")]
    async with logs.open(topic(1)) as log:
        assert list(await log.append(TOPIC, entries)) == list(range(5_002))
        assert [(entry.key, entry.value) for entry in await kept(log, 0)] == [
            (entry.key, entry.value) for entry in entries
        ]


async def test_unknown_topics_and_partitions_are_refused_by_name(logs: Logs) -> None:
    async with logs.open(topic(2)) as log:
        with pytest.raises(ConfigError, match="nowhere"):
            await log.append("nowhere", new(0, "x"))
        with pytest.raises(ValueError, match="partitions 0 to 1"):
            await log.append(TOPIC, new(2, "x"))
        with pytest.raises(ValueError, match="partitions 0 to 1"):
            await log.append(TOPIC, new(-1, "x"))
        assert await put(log, 0, "fine") == [0]


async def test_what_was_appended_is_there_after_a_restart_and_offsets_go_on(logs: Logs) -> None:
    async with logs.open(topic(2)) as log:
        log_id = log.id
        await put(log, 1, "a", "b")
    async with logs.open(topic(2)) as log:
        assert log.id == log_id
        assert await put(log, 1, "c") == [2]
        assert values(await kept(log, 1)) == ["a", "b", "c"]
        assert (await log.ends(TOPIC))[0] == (0, 0)


async def test_topics_can_be_added_later(logs: Logs) -> None:
    async with logs.open(topic(2)) as log:
        await put(log, 1, "a")
    more = topic(2), topic(3).__class__("alerts", 3)
    async with logs.open(*more) as log:
        assert log.partitions("alerts") == 3
        assert list(await log.append("alerts", new(2, "x"))) == [0]
        assert values(await kept(log, 1)) == ["a"]


async def test_every_log_has_an_id_of_its_own(logs: Logs) -> None:
    async with logs.open(topic(1)) as one, logs.fresh().open(topic(1)) as other:
        assert one.id != other.id


async def test_ping_says_whether_an_append_could_succeed(logs: Logs) -> None:
    async with logs.open(topic(1)) as log:
        await log.ping()
    with pytest.raises(Unavailable):
        await log.ping()
    assert all(isinstance(result, LogError) for result in await log.append(TOPIC, new(0, "x", "y")))


_calls = st.lists(st.lists(st.integers(0, 2), max_size=5), max_size=8)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(appenders=st.lists(_calls, min_size=1, max_size=6), pauses=st.lists(st.integers(0, 4), min_size=1, max_size=20))
async def test_partitions_keep_the_order_of_calls_under_any_interleaving(
    logs: Logs, appenders: list[list[list[int]]], pauses: list[int]
) -> None:
    if logs.enough():
        return
    called: dict[int, list[bytes]] = {0: [], 1: [], 2: []}
    given: list[tuple[int, int, bytes]] = []

    async def append(who: int, calls: list[list[int]]) -> None:
        for number, partitions in enumerate(calls):
            for _ in range(pauses[(who * 7 + number) % len(pauses)]):
                await asyncio.sleep(0)
            entries = [
                NewEntry(partition, b"", b"%d.%d.%d" % (who, number, n)) for n, partition in enumerate(partitions)
            ]
            for entry in entries:
                called[entry.partition].append(entry.value or b"")
            offsets = await log.append(TOPIC, entries)
            for entry, offset in zip(entries, offsets, strict=True):
                assert not isinstance(offset, LogError)
                given.append((entry.partition, offset, entry.value or b""))

    async with logs.fresh().open(topic(3)) as log:
        await asyncio.gather(*(append(who, calls) for who, calls in enumerate(appenders)))
        for partition in range(3):
            found = await kept(log, partition)
            assert [entry.value for entry in found] == called[partition]
            assert [entry.offset for entry in found] == list(range(len(found)))
            assert {(partition, entry.offset, entry.value) for entry in found} == {
                one for one in given if one[0] == partition
            }

"""Reading without a group, whatever the log is made of."""

import asyncio

import pytest

from headwater.errors import OffsetOutOfRange, Unavailable
from headwater.log import Entry
from tests.log.kit import TOPIC, Logs, put, topic, values


async def test_reading_begins_where_it_is_told_and_ends_at_the_present_end(logs: Logs) -> None:
    async with logs.open(topic(2)) as log:
        for value in "abcdef":
            await put(log, 0, value)
        found: list[str] = []
        async for batch in log.read(TOPIC, 0, 2):
            found += values(batch)
            await put(log, 0, "later")
        assert found[:4] == ["c", "d", "e", "f"]
        assert [batch async for batch in log.read(TOPIC, 1, 0)] == []


async def test_reading_in_the_middle_of_what_was_appended_together(logs: Logs) -> None:
    async with logs.open(topic(1)) as log:
        await put(log, 0, *(str(number) for number in range(3_000)))
        for start in (0, 1, 999, 1_000, 1_001, 2_999, 3_000):
            found = [entry for batch in [b async for b in log.read(TOPIC, 0, start)] for entry in batch]
            assert [entry.offset for entry in found] == list(range(start, 3_000))
            assert values(found) == [str(number) for number in range(start, 3_000)]


@pytest.mark.parametrize("start", [-1, 4])
async def test_an_offset_that_is_not_there_is_out_of_range(logs: Logs, start: int) -> None:
    async with logs.open(topic(1)) as log:
        await put(log, 0, "a", "b", "c")
        with pytest.raises(OffsetOutOfRange):
            await anext(log.read(TOPIC, 0, start))


async def test_a_following_reader_wakes_up_at_once(logs: Logs) -> None:
    async with logs.open(topic(2)) as log:
        await put(log, 0, "a")
        reader = log.read(TOPIC, 0, 0, follow=True)
        assert values(await anext(reader)) == ["a"]
        waiting = asyncio.ensure_future(anext(reader))
        await asyncio.sleep(0.02)
        await put(log, 1, "elsewhere")
        assert not waiting.done()
        await put(log, 0, "b", "c")
        async with asyncio.timeout(1):
            assert values(await waiting) == ["b", "c"]
        await reader.aclose()


async def test_a_following_reader_ends_with_the_log(logs: Logs) -> None:
    async with logs.open(topic(1)) as log:
        reader = log.read(TOPIC, 0, 0, follow=True)
        waiting = asyncio.ensure_future(anext(reader))
        await asyncio.sleep(0.02)
    async with asyncio.timeout(1):
        with pytest.raises(Unavailable):
            await waiting


async def test_many_readers_see_the_same_while_it_is_appended(logs: Logs) -> None:
    async def read_all(partition: int) -> list[Entry]:
        found: list[Entry] = []
        async for batch in log.read(TOPIC, partition, 0, follow=True):
            found += batch
            if len(found) == 400:
                return found
        raise AssertionError

    async with logs.open(topic(1)) as log, asyncio.timeout(20):
        readers = [asyncio.ensure_future(read_all(0)) for _ in range(3)]
        for number in range(0, 400, 4):
            await put(log, 0, *(str(number + n) for n in range(4)))
        for reader in readers:
            assert values(await reader) == [str(number) for number in range(400)]

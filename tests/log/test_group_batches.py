"""Groups: how much a batch takes, how long it waits, and what ends it."""

import asyncio
import time
from contextlib import AsyncExitStack

import pytest

from headwater.errors import Unavailable
from tests.log.kit import TOPIC, Logs, put, take, topic, values
from tests.taking import within


async def test_a_batch_returns_as_soon_as_it_has_the_records_or_the_bytes(logs: Logs) -> None:
    async with logs.open(topic(1)) as log, log.subscribe([TOPIC], "g") as member:
        await put(log, 0, *("x" * 100 for _ in range(50)))
        async with asyncio.timeout(5):
            assert [e.offset for e in await member.batch(7, 2**20, 60)] == list(range(7))
            by_size = await member.batch(1000, 1000, 60)
            assert [e.offset for e in by_size] == list(range(7, 7 + len(by_size)))
            assert 9 <= len(by_size) <= 11
            assert len(await member.batch(1, 1, 60)) == 1
            rest = await member.batch(50 - 8 - len(by_size), 2**20, 60)
            assert rest[-1].offset == 49


async def test_a_batch_waits_for_company_but_not_longer_than_told(logs: Logs) -> None:
    async with logs.open(topic(2)) as log, log.subscribe([TOPIC], "g") as member:
        await member.batch(1, 1, 0)
        waiting = asyncio.ensure_future(member.batch(100, 10_000, 0.3))
        await asyncio.sleep(0.02)
        began = time.monotonic()
        with within(1):
            for value in "abc":
                await put(log, ord(value) % 2, value)
                await asyncio.sleep(0.02)
            assert sorted(values(await waiting)) == ["a", "b", "c"]
        assert time.monotonic() - began > 0.25
        await put(log, 0, "d")
        await asyncio.sleep(1)
        with within(0.8):  # it had waited already
            assert values(await member.batch(100, 10_000, 1)) == ["d"]


async def test_a_batch_wakes_up_for_the_first_entry_and_sleeps_without_one(logs: Logs) -> None:
    async with logs.open(topic(1)) as log, log.subscribe([TOPIC], "g") as member:
        began = time.monotonic()
        assert await member.batch(10, 1000, 0.005) == []
        assert 0.9 < (time.monotonic() - began) / logs.idle < 3
        waiting = asyncio.ensure_future(member.batch(10, 1000, 0))
        await asyncio.sleep(0.02)
        await put(log, 0, "a")
        async with asyncio.timeout(0.5):
            assert values(await waiting) == ["a"]


async def test_a_cancelled_batch_has_taken_nothing(logs: Logs) -> None:
    async with logs.open(topic(1)) as log, log.subscribe([TOPIC], "g") as member:
        await put(log, 0, "a", "b", "c")
        assert values(await member.batch(1, 1000, 0)) == ["a"]
        waiting = asyncio.ensure_future(member.batch(100, 10_000, 30))
        await asyncio.sleep(0.05)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert values(await take(member, 2)) == ["b", "c"]


async def test_a_backlog_of_one_partition_does_not_starve_another(logs: Logs) -> None:
    async with logs.open(topic(2)) as log:
        for _ in range(10):
            await put(log, 0, *(["x"] * 2_000))
        await put(log, 1, "here")
        async with log.subscribe([TOPIC], "g") as member:
            taken = [await member.batch(1_500, 2**20, 0) for _ in range(5)]
        assert "here" in {value for batch in taken for value in values(batch)}


async def test_a_closed_log_says_so_to_its_members(logs: Logs) -> None:
    async with AsyncExitStack() as stack:
        async with logs.open(topic(1)) as log:
            member = await stack.enter_async_context(log.subscribe([TOPIC], "g"))
            await put(log, 0, "a")
            entries = await take(member, 1)
            waiting = asyncio.ensure_future(member.batch(1, 1, 0))
            await asyncio.sleep(0.02)
        with pytest.raises(Unavailable):
            await waiting
        with pytest.raises(Unavailable):
            await member.commit(entries)

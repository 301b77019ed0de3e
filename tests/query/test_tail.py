"""The tail goes on following while the lake is away, or has come back with less."""

import asyncio
from collections.abc import Mapping

import pytest

from headwater.errors import HeadwaterError, Stale, Unavailable
from headwater.log import MESSAGES
from headwater.message import Message
from query import tail as tail_module
from query.tail import Tail
from tests.query.fakes import MemoryLog


@pytest.mark.parametrize("error", [Unavailable("away"), Stale("replaced by one that has less")])
async def test_a_lake_that_cannot_say_what_it_has_does_not_stop_it(
    error: HeadwaterError, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tail_module, "_LOOK", 0.001)
    log, stop, failed = MemoryLog(), asyncio.Event(), asyncio.Event()
    started = asyncio.Event()

    async def covered(_: str) -> Mapping[int, int]:
        if started.is_set():
            failed.set()
            raise error
        return {}

    tail = Tail(log, covered, size=2**20)
    running = asyncio.create_task(tail.run(stop))
    async with asyncio.timeout(5):
        while not await tail.reach(MESSAGES, 1):
            await asyncio.sleep(0.001)
        started.set()
        await failed.wait()
        entry = log.put(MESSAGES, Message(device="pump", id="1", received=1, time=1))
        await log.grown()
        assert await tail.reach(MESSAGES, 1)
        assert await tail.above(MESSAGES, {}) == [entry]
        stop.set()
        await running

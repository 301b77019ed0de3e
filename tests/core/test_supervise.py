"""A failing task is reported, started again, and never takes another down."""

import asyncio

from headwater.errors import Stale, Unavailable
from headwater.saying import capture_logs
from headwater.supervise import Supervisor


async def test_a_task_that_fails_is_started_again_and_others_go_on():
    supervisor = Supervisor(first_pause=0.001, longest_pause=0.002)
    runs: list[int] = []
    steady = asyncio.Event()

    async def fails_twice(stop: asyncio.Event) -> None:
        runs.append(len(runs))
        if len(runs) < 3:
            raise RuntimeError("broken")
        await stop.wait()

    async def goes_on(stop: asyncio.Event) -> None:
        while not stop.is_set() and len(runs) < 3:
            await asyncio.sleep(0.001)
        steady.set()
        await stop.wait()

    supervisor.add("fails", fails_twice)
    supervisor.add("steady", goes_on)
    await asyncio.wait_for(steady.wait(), 5)
    assert supervisor.failures == {}
    await supervisor.stop(5)
    assert runs == [0, 1, 2]


async def test_while_it_waits_to_be_started_again_its_error_is_known():
    supervisor = Supervisor(first_pause=60)

    async def fails(stop: asyncio.Event) -> None:
        raise ValueError("no")

    supervisor.add("bad", fails)
    await asyncio.sleep(0.01)
    assert supervisor.failures == {"bad": "ValueError: no"}
    await supervisor.stop(5)


async def test_of_what_failed_together_the_cause_is_named_and_what_is_only_away_is_no_fault():
    supervisor = Supervisor(first_pause=60)

    async def away(stop: asyncio.Event) -> None:
        raise ExceptionGroup("tasks", [Unavailable("the store is away"), ExceptionGroup("more", [Stale("too")])])

    async def faulty(stop: asyncio.Event) -> None:
        raise ExceptionGroup("tasks", [Unavailable("the store is away"), ValueError("no")])

    supervisor.add("away", away)
    supervisor.add("faulty", faulty)
    with capture_logs() as lines:
        await asyncio.sleep(0.01)
    assert supervisor.failures == {"away": "Unavailable: the store is away", "faulty": "ValueError: no"}
    assert {line["task"]: line["level"] for line in lines} == {"away": "warning", "faulty": "error"}
    await supervisor.stop(5)


async def test_a_task_that_does_not_stop_is_cancelled():
    supervisor = Supervisor()

    async def deaf(stop: asyncio.Event) -> None:
        await asyncio.sleep(3600)

    supervisor.add("deaf", deaf)
    await asyncio.wait_for(supervisor.stop(0.01), 5)

"""An alarm goes by the wall clock: never before its moment, whatever the event loop's clock says."""

import asyncio
from collections.abc import Callable

from headwater.alarm import Alarm


class Wall:
    """A clock that passes only when it is looked at, and then by one `step`: it goes slower than the loop's."""

    def __init__(self, step: int) -> None:
        self.now = 1_000_000
        self.step = step

    def __call__(self) -> int:
        self.now += self.step
        return self.now


async def rung(moment: int, clock: Callable[[], int]) -> None:
    ended = asyncio.Event()
    Alarm(moment, ended.set, clock)
    await asyncio.wait_for(ended.wait(), 5)


async def test_it_never_rings_before_its_moment() -> None:
    wall = Wall(step=100)
    await rung(1_003_000, wall)
    assert wall.now >= 1_003_000


async def test_a_moment_that_is_over_rings_at_once() -> None:
    wall = Wall(step=0)
    await rung(5, wall)


async def test_it_rings_no_more_once_it_is_cancelled() -> None:
    rings: list[int] = []
    wall = Wall(step=0)
    alarm = Alarm(1_010_000, lambda: rings.append(1), wall)
    alarm.cancel()
    wall.now = 2_000_000
    await rung(2_000_000, wall)
    await asyncio.sleep(0.02)
    assert not rings


async def test_it_still_can_be_cancelled_after_the_loop_was_early() -> None:
    rings: list[int] = []
    wall = Wall(step=0)
    alarm = Alarm(1_001_000, lambda: rings.append(1), wall)
    await asyncio.sleep(0.01)  # the loop's clock has been there; the wall clock has not
    alarm.cancel()
    wall.now = 2_000_000
    await asyncio.sleep(0.01)
    assert not rings

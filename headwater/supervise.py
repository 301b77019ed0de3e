"""Long-running tasks that must not die in silence: started together, restarted when they fail, stopped in order.

In: coroutines that run until they are told to stop. A task that raises is reported in one line and started again after
a growing, jittered pause; one that returns has ended on purpose.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable
from contextlib import suppress

from headwater.errors import Stale, Unavailable
from headwater.saying import get_logger

log = get_logger()

Run = Callable[[asyncio.Event], Awaitable[None]]
"""Runs until the event is set, then finishes what is in hand and returns."""


_PASSING = (Stale, Unavailable)
"""What passes by itself: no fault of the program."""


class Supervisor:
    """Tasks in the order they were added; `stop` ends them together and waits, at most so long.

    `failures`: name → the latest error of a task that is waiting to be started again.
    """

    def __init__(self, first_pause: float = 0.5, longest_pause: float = 30.0) -> None:
        self._first = first_pause
        self._longest = longest_pause
        self._stop = asyncio.Event()
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self.failures: dict[str, str] = {}

    def add(self, name: str, run: Run) -> None:
        """Start it now."""
        self._tasks[name] = asyncio.create_task(self._keep(name, run), name=name)

    async def stop(self, seconds: float) -> None:
        """Tell all of them to finish; those that have not after `seconds` are cancelled and named."""
        self._stop.set()
        if not self._tasks:
            return
        _, late = await asyncio.wait(self._tasks.values(), timeout=seconds)
        for task in late:
            log.warning("did not stop in time, cancelled", task=task.get_name(), seconds=seconds)
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    async def _keep(self, name: str, run: Run) -> None:
        pause = self._first
        loop = asyncio.get_running_loop()
        while not self._stop.is_set():
            began = loop.time()
            try:
                await run(self._stop)
            except Exception as error:  # whatever it is, the others go on
                if loop.time() - began > 10 * self._longest:
                    pause = self._first
                why = _first(error)
                self.failures[name] = f"{type(why).__name__}: {why}"
                if isinstance(why, _PASSING):  # it says itself what it is
                    log.warning("waits for what is away", task=name, seconds=round(pause, 1), error=str(why))
                else:
                    log.exception("failed, will be started again", task=name, seconds=round(pause, 1))
            else:
                self.failures.pop(name, None)
                return
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stop.wait(), pause * random.uniform(0.5, 1.0))  # noqa: S311
            pause = min(pause * 2, self._longest)
            self.failures.pop(name, None)


def _first(error: Exception) -> Exception:
    """What failed in a group of tasks: what was away, if that is all there was."""
    if not isinstance(error, ExceptionGroup):
        return error
    away, others = error.split(_PASSING)
    found = others or away
    while isinstance(found, ExceptionGroup):
        found = found.exceptions[0]
    return found or error

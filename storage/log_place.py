"""Where log files go, for the event loop: one thread of their own, and patience while the place is away.

In: work on `LogFiles`, which blocks. Out: its result, or `Unavailable`. A place that hangs holds up that thread alone.
"""

import asyncio
import random
from collections.abc import AsyncGenerator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from typing import TypeVar

from headwater.errors import Unavailable
from headwater.saying import get_logger
from storage.log_files import LogFiles

log = get_logger()

T = TypeVar("T")
_FIRST_PAUSE = 0.5
_LONGEST_PAUSE = 30.0


class LogPlace:
    """Use `log_place`."""

    def __init__(self, files: LogFiles, thread: ThreadPoolExecutor) -> None:
        self._files = files
        self._thread = thread

    async def run(self, work: Callable[[LogFiles], T]) -> T:
        """Its result; one work after the other. Raises `Unavailable`."""
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, work, self._files)
        except OSError as error:
            raise Unavailable(f"the place of the logs: {error}") from error


@asynccontextmanager
async def log_place(files: LogFiles) -> AsyncGenerator[LogPlace]:
    """Below the yield nothing waits for a call that hangs: it ends by its own limit."""
    thread = ThreadPoolExecutor(1, "log-files")
    try:
        yield LogPlace(files, thread)
    finally:
        thread.shutdown(wait=False, cancel_futures=True)


async def patiently(what: str, once: Callable[[], Awaitable[object]], every: float, stop: asyncio.Event) -> None:
    """Call `once` every so many seconds until `stop`; while it is `Unavailable`, with growing, jittered pauses.

    It never raises `Unavailable`: a place for logs that is away makes no process unwell.
    """
    pause = _FIRST_PAUSE
    while not stop.is_set():
        try:
            await once()
        except Unavailable as error:
            if pause == _FIRST_PAUSE:
                log.warning("logs wait for the lake's place", what=what, error=str(error))
            await resting(stop, pause * random.uniform(0.5, 1))  # noqa: S311 -- jitter, no secret
            pause = min(2 * pause, _LONGEST_PAUSE)
        else:
            pause = _FIRST_PAUSE
            await resting(stop, every)


async def resting(stop: asyncio.Event, seconds: float) -> None:
    """Wait so long, or until `stop`."""
    with suppress(TimeoutError):
        await asyncio.wait_for(stop.wait(), seconds)

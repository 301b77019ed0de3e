"""What this process says, and who changed what, into the lake's place; and how long it stays there.

In: the place, and what is said. Out: files, while the block runs. A place that is away hurts nothing else.
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from functools import partial

from headwater.config import Logging
from headwater.log_lines import LogLines
from headwater.metrics import Metrics
from headwater.times import now
from storage.log_files import SERVICE, LogFiles, drop_days
from storage.log_place import LogPlace, log_place, patiently
from storage.service_log import keeping_service_log

_RETENTION_SECONDS = 3600.0


@asynccontextmanager
async def keeping_logs(
    opening: AbstractAsyncContextManager[LogFiles], config: Logging, lines: LogLines | None, metrics: Metrics, part: str
) -> AsyncGenerator[LogPlace]:
    """Keep the service log (None: there is none to keep); gives the place where logs go: those files."""
    async with AsyncExitStack() as stack:
        files = await stack.enter_async_context(opening)
        place = await stack.enter_async_context(log_place(files))
        if lines is not None and config.keep:
            await stack.enter_async_context(keeping_service_log(place, lines, config, metrics, part))
        yield place


async def maintain_logs(place: LogPlace, kept: float, stop: asyncio.Event) -> None:
    """Drop days of the service log that ended more than `kept` seconds ago, until `stop`."""

    def drop(files: LogFiles) -> None:
        drop_days(files, SERVICE, kept, now())

    await patiently("the service log's retention", partial(place.run, drop), _RETENTION_SECONDS, stop)

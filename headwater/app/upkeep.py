"""What has to be looked after while the program runs: the log's retention and who is behind, and whether tasks live.

In: the log, the supervisor. Out: one line in time when a group is about to lose entries; a probe.
"""

import asyncio
from contextlib import suppress

from headwater.app.events import Events
from headwater.errors import Unavailable
from headwater.saying import get_logger
from headwater.supervise import Supervisor

log = get_logger()

LOG_MAINTENANCE_SECONDS = 60.0
LAG_ALARM = 0.5
"""The share of the log's retention at which a group that is behind is reported."""


async def well(supervisor: Supervisor) -> None:
    """A probe: no task is waiting to be started again."""
    if supervisor.failures:
        raise Unavailable("; ".join(f"{name}: {error}" for name, error in supervisor.failures.items()))


async def maintain_log(events: Events, stop: asyncio.Event) -> None:
    """Retention and compaction, and a word in time when a group is about to lose entries it has not taken."""
    while not stop.is_set():
        await events.maintain()
        for lag in await events.lags():
            if lag.share >= LAG_ALARM:
                log.warning(
                    "a group is behind and will lose entries: see why it does not take them",
                    group=lag.group, topic=lag.topic, partition=lag.partition, behind=lag.behind,
                    share_of_retention=round(lag.share, 2),
                )  # fmt: skip
        with suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), LOG_MAINTENANCE_SECONDS)

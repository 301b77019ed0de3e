"""The writers of each role, the same in both profiles.

In: an open store. Out: its workers, one a topic.
"""

import asyncio
from contextlib import suppress
from typing import Literal

import structlog

from consumers.refill import Refill
from consumers.worker import Writer
from headwater.app.backends import Kept
from headwater.config import Config
from headwater.errors import HeadwaterError
from headwater.log import CANDIDATES, MESSAGES, REJECTED, Log
from headwater.metrics import Metrics
from storage.contract import Store

Role = Literal["live", "documents", "search", "reports", "lake"]

MAINTAIN_SECONDS = 600.0

log = structlog.get_logger()


def writers_of(
    role: Role, store: Store, events: Log, config: Config, metrics: Metrics, refill: Refill | None = None
) -> list[Writer]:
    """One worker a topic. `refill`: where a store that is empty gets what the log has no more."""

    def writer(topic: str, batch: int, size: int, wait: float) -> Writer:
        return Writer(store, topic, events, config.workers, metrics, batch=batch, size=size, wait=wait, refill=refill)

    size = config.workers.batch_size
    match role:
        case "live":
            return [writer(MESSAGES, config.live.batch, size, config.live.wait)]
        case "documents":
            return [writer(CANDIDATES, config.documents.batch, size, config.documents.wait)]
        case "search":
            return [writer(CANDIDATES, config.search.batch, size, config.search.wait)]
        case "reports":
            return [writer(MESSAGES, config.reports.batch, size, config.reports.wait)]
        case "lake":
            large = config.lake
            return [
                writer(topic, large.flush_messages, large.flush_size, large.flush_every)
                for topic in (MESSAGES, CANDIDATES, REJECTED)
            ]


async def maintain(store: Kept, stop: asyncio.Event) -> None:
    """Drop what retention no longer reaches, now and then until `stop`."""
    while not stop.is_set():
        try:
            await store.maintain()
        except HeadwaterError as error:
            log.warning("retention was not applied; it is tried again", error=str(error))
        with suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), MAINTAIN_SECONDS)

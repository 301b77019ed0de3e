"""The writers of each role, the same in both profiles.

In: an open store. Out: its workers, one a topic.
"""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Literal

from consumers.refill import Refill
from consumers.worker import Writer
from headwater.app.backends import Kept
from headwater.config import Config
from headwater.errors import HeadwaterError
from headwater.log import CANDIDATES, MESSAGES, REJECTED, Log
from headwater.metrics import Metrics
from headwater.saying import get_logger
from query.lags import OF_SELECTOR, Group, group_of
from storage.contract import Store

Role = Literal["live", "documents", "search", "reports", "lake"]

TAKES: Mapping[Role, Sequence[str]] = {
    "live": (MESSAGES,),
    "documents": (CANDIDATES,),
    "search": (CANDIDATES,),
    "reports": (MESSAGES,),
    "lake": (MESSAGES, CANDIDATES, REJECTED),
}
"""Role → the topics that it takes, each in a group of its own."""

MAINTAIN_SECONDS = 600.0

log = get_logger()


def writers_of(
    role: Role, store: Store, events: Log, config: Config, metrics: Metrics, refill: Refill | None = None
) -> list[Writer]:
    """One worker a topic. `refill`: where a store that is empty gets what the log has no more."""

    def writers(batch: int, size: int, wait: float) -> list[Writer]:
        return [
            Writer(store, topic, events, config.workers, metrics, batch=batch, size=size, wait=wait, refill=refill)
            for topic in TAKES[role]
        ]

    size = config.workers.batch_size
    match role:
        case "live":
            return writers(config.live.batch, size, config.live.wait)
        case "documents":
            return writers(config.documents.batch, size, config.documents.wait)
        case "search":
            return writers(config.search.batch, size, config.search.wait)
        case "reports":
            return writers(config.reports.batch, size, config.reports.wait)
        case "lake":
            return writers(config.lake.flush_messages, config.lake.flush_size, config.lake.flush_every)


def groups() -> list[Group]:
    """Every group that should be at work in an installation."""
    return [OF_SELECTOR, *(group_of(role, topic) for role, topics in TAKES.items() for topic in topics)]


def groups_by_topic() -> Mapping[str, Sequence[str]]:
    """Topic → the groups in which stores take it."""
    return {
        topic: [group_of(role, topic).name for role, topics in TAKES.items() if topic in topics]
        for topic in (MESSAGES, CANDIDATES, REJECTED)
    }


async def maintain(store: Kept, stop: asyncio.Event) -> None:
    """Drop what retention no longer reaches, now and then until `stop`."""
    while not stop.is_set():
        try:
            await store.maintain()
        except HeadwaterError as error:
            log.warning("retention was not applied; it is tried again", error=str(error))
        with suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), MAINTAIN_SECONDS)

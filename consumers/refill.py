"""Filling a store from the lake: what the log has no more, a store that is new or came back empty gets from there.

In: records of the lake, in the order of their positions. Out: entries as they stood on the log, so that all the rest of
a worker (ledger, retry, quarantine) is the same for them.
"""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from typing import Protocol

from headwater.errors import OffsetOutOfRange
from headwater.log import Entry, Log, Partition, Subscription
from headwater.message import encode
from headwater.saying import get_logger
from storage.contract import Record

_LOOK = 0.2
"""Seconds between two looks at the group while the lake is asked: a day of it may take longer than a session."""


class Refill(Protocol):
    """The lake's records of a topic's partition above a position, in that order, in batches that fit into memory."""

    def __call__(self, topic: str, partition: int, above: int) -> AsyncGenerator[Sequence[Record], None]:
        """Raises `Unavailable`."""
        ...


def entries_of(records: Sequence[Record]) -> list[Entry]:
    """The records as entries of the log."""
    return [
        Entry(one.topic, one.partition, one.offset, 0, one.body.device.encode() or b"?", encode(one.body))
        for one in records
    ]


async def lacking(log: Log, topic: str, partition: Partition, *, new: bool) -> None:
    """Raises `OffsetOutOfRange` unless the lake has taken all that the log has dropped.

    `new`: the store has nothing yet. Where there is no lake at all such a store begins with what the log has.
    """
    done = (await log.committed(f"lake.{topic}", topic)).get(partition)
    first = (await log.ends(topic))[partition].first
    if done is not None and done >= first:
        return
    if done is None and new:
        get_logger().warning(
            "no lake has taken this topic: a new store begins with what the log has", topic=topic, partition=partition
        )
        return
    raise OffsetOutOfRange(
        f"the lake has {topic} up to {done or 0} in partition {partition}, the log begins at {first}"
    )


async def next_of(
    batches: AsyncGenerator[Sequence[Record], None], subscription: Subscription, stop: asyncio.Event
) -> Sequence[Record]:
    """The lake's next batch, empty at its end or at `stop`; the group hears of this member meanwhile."""
    task = asyncio.create_task(_first(batches))
    try:
        while not task.done() and not stop.is_set():
            await asyncio.wait({task}, timeout=_LOOK)
            await subscription.rest(0)
        return task.result() if task.done() else ()
    finally:
        if not task.done():
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


async def _first(batches: AsyncGenerator[Sequence[Record], None]) -> Sequence[Record]:
    async for batch in batches:
        return batch
    return ()

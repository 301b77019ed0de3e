"""Filling a store from the lake: what the log has no more, a store that is new or came back empty gets from there.

In: records of the lake, in the order of their positions. Out: entries as they stood on the log, so that all the rest of
a worker (ledger, retry, quarantine) is the same for them.
"""

from collections.abc import AsyncGenerator, Sequence
from typing import Protocol

from headwater.log import Entry
from headwater.message import encode
from storage.contract import Record


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

"""Quarantine for what a store will never take: to the topic `rejected`, with the reason, durably.

In: records that a store refused, entries that nobody can read. Out: `RejectedMessage` entries. Their ids follow from
where they stand on the log, so that one which is quarantined twice, after a crash, is one.
"""

from collections.abc import Callable, Sequence
from hashlib import sha256
from typing import NamedTuple

from headwater.errors import LogError, Reason
from headwater.ids import hashed
from headwater.log import REJECTED, Entry, Log, NewEntry
from headwater.message import Candidate, Message, Origin, RejectedMessage, encode
from storage.contract import Record

KEPT = 128 * 2**10
"""Bytes of a payload that are kept."""
_DETAIL = 500


class Condemned(NamedTuple):
    """Something a store will never take, and why."""

    topic: str
    partition: int
    offset: int
    reason: Reason
    detail: str
    payload: bytes
    device: str = ""
    via: str = ""


def refused(record: Record, detail: str) -> Condemned:
    """A record that the store refused."""
    body = record.body
    message = body.message if isinstance(body, Candidate) else body
    via = message.via if isinstance(message, Message) else ""
    at = (record.topic, record.partition, record.offset)
    return Condemned(*at, "refused_by_store", detail, encode(body), body.device, via)


def unreadable(entry: Entry, detail: str) -> Condemned:
    """An entry that is not what its topic holds."""
    return Condemned(entry.topic, entry.partition, entry.offset, "bad_shape", detail, entry.value or b"")


class Quarantine:
    """One store's way to the topic `rejected`."""

    def __init__(self, log: Log, store: str, clock: Callable[[], int]) -> None:
        self._log = log
        self._store = store
        self._clock = clock

    async def put(self, condemned: Sequence[Condemned]) -> None:
        """Durable on return; raises `Unavailable` (then put all of them again: doubles have the same id)."""
        received = self._clock()
        count = self._log.partitions(REJECTED)
        entries = [
            NewEntry(one.partition % count, one.device.encode() or b"?", encode(self._rejected(one, received)))
            for one in condemned
            if one.topic != REJECTED  # is there already
        ]
        for result in await self._log.append(REJECTED, entries) if entries else ():
            if isinstance(result, LogError):
                raise result

    def _rejected(self, one: Condemned, received: int) -> RejectedMessage:
        place = f"{self._log.id}/{one.topic}/{one.partition}/{one.offset}"
        return RejectedMessage(
            id=hashed(self._store.encode(), place.encode()),
            received=received,
            reason=one.reason,
            detail=one.detail[:_DETAIL],
            via=one.via,
            device=one.device,
            topic=one.topic,
            size=len(one.payload),
            sha256=sha256(one.payload).hexdigest(),
            payload=one.payload[:KEPT],
            stage=self._store,
            origin=Origin(one.partition, one.offset, 0),
        )

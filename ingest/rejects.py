"""Messages that were not valid: the receipt is told, and quarantine keeps a record, bounded in every part.

In: a payload, where it came from, and why not. Out: a rejection in the receipt, an entry for the topic `rejected`.
"""

from hashlib import sha256

from headwater.errors import Rejected
from headwater.ids import fresh
from headwater.log import REJECTED, partition_for
from headwater.message import Message, RejectedMessage, encode
from ingest.contract import Receipt, Rejection
from ingest.lanes import AppendLog, Lanes, Waiting
from ingest.pressure import Pressure
from ingest.routes import Route

_TEXT = 512
_KEPT_PARTS = 8
"""Of one receipt, the payloads of so many messages that were parts are kept: it may be the same one each time."""
PART = "#"
"""In the id of a record, before the number of the payload's message that was rejected alone."""


class Rejects:
    """`kept`: at most so many bytes of a payload are kept. `silent`: the receipt is told, and nothing is kept."""

    def __init__(self, log: AppendLog, lanes: Lanes, pressure: Pressure, kept: int) -> None:
        self._lanes = lanes
        self._pressure = pressure
        self._kept = kept
        self.silent = False
        self._partitions = log.partitions(REJECTED)
        self._hashed: tuple[bytes, str] = (b"", sha256().hexdigest())

    def add(
        self,
        route: Route,
        receipt: Receipt,
        index: int,
        data: bytes,
        error: Rejected,
        received: int,
        message: Message | None = None,
        *,
        part: int | None = None,
    ) -> None:
        """The receipt waits for the record. Nothing is kept of a sender without a name.

        `message`: what it decoded to, if it did; `part`: which of the payload's messages it was, if there are several.
        """
        if receipt.rejections is None:
            receipt.rejections = []
        receipt.rejections.append(Rejection(index, error.reason, error.detail))
        if self.silent:
            return
        fate = route.transport.rejected(error.reason)
        if not route.identity.name:
            fate.durable.inc()
            return
        if data is not self._hashed[0]:  # thousands of messages may be parts of one payload
            self._hashed = (data, sha256(data).hexdigest())
        record = _record(route, data, self._hashed[1], error, received, message)
        if part is not None:
            record.id = f"{fresh()}{PART}{part}"
        if part is None or len(receipt.rejections) <= _KEPT_PARTS:
            record.payload = data[: self._kept]
        key = (record.device or record.peer).encode()
        lane = self._lanes.lane(REJECTED, partition_for(key, self._partitions))
        if lane.stuck:
            route.fail(receipt)
            return
        value = encode(record)
        lane.add(Waiting(key, value, receipt, fate), len(value))
        receipt.waiting += 1
        self._pressure.count += 1
        self._pressure.size += len(value)


def _record(
    route: Route, data: bytes, digest: str, error: Rejected, received: int, message: Message | None
) -> RejectedMessage:
    """All of it but the payload. Its id is the message's own, where that is one: a retry is then the same record."""
    source = route.source
    device = message.device if message else source.device
    own = message.id if message and error.reason != "bad_id" else ""
    return RejectedMessage(
        id=own or fresh(),
        received=received,
        reason=error.reason,
        detail=_clean(error.detail),
        via="" if route.speaker == device else _clean(route.speaker),
        device=_clean(device),
        transport=source.transport,
        topic=_clean(source.topic),
        peer=_clean(source.peer),
        decoder=_clean(source.decoder),
        size=len(data),
        sha256=digest,
    )


def _clean(text: str) -> str:
    """At most 512 characters, and none that UTF-8 has not."""
    return text[:_TEXT].encode("utf-8", "replace").decode()

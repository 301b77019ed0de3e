"""What was rejected is decoded again and sent on as if it had just come: its own time, the same id, whoever sent it.

In: records of the topic `rejected`, with what now decodes them. Out: entries on `messages`; nothing on `rejected`. Ids
follow from the record alone, so that sending twice is sending once.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from headwater.config import Config
from headwater.errors import Rejected
from headwater.ids import hashed
from headwater.message import Message, RejectedMessage
from headwater.metrics import Metrics
from headwater.registry import ANONYMOUS, Identity
from ingest.contract import Receipt, Source
from ingest.decoders.catalogue import Catalogue
from ingest.decoders.family import Family
from ingest.intake import LogIntake
from ingest.lanes import AppendLog
from ingest.rejects import PART
from ingest.routes import Route

TRANSPORT = "retry"
RETRIED = "retried"
"""The `stage` of a record that says: that one was sent on. Its `detail` is the other's id."""


class Decoded(NamedTuple):
    """What a record would become now: messages, or why not."""

    decoder: str
    messages: Sequence[Message]
    reason: Rejected | None = None


class Again(LogIntake):
    """An intake for records, one after the other. `sender`: a name's identity, None if there is no such any more."""

    def __init__(
        self,
        log: AppendLog,
        config: Config,
        metrics: Metrics,
        catalogue: Catalogue,
        model_of: Callable[[str], str],
        sender: Callable[[str], Identity | None],
    ) -> None:
        self._received = 0
        self._record: RejectedMessage | None = None
        self._sender = sender
        super().__init__(log, config, metrics, model_of, lambda: self._received, catalogue)
        self._rejects.silent = True

    def look(self, record: RejectedMessage) -> Decoded:
        """What it would become. Nothing is sent."""
        try:
            self._check(record)
            family, made = self._whole(record, self._route(record))
        except Rejected as error:
            return Decoded("", (), error)
        part = part_of(record)
        chosen = made if part is None else made[part : part + 1]
        bad = next((one for one in chosen if isinstance(one, Rejected)), None)
        if bad is None and not chosen:
            bad = Rejected("no_fields", "there is nothing in it")
        return Decoded(family.name, [one for one in chosen if isinstance(one, Message)], bad)

    def send(self, record: RejectedMessage, receipt: Receipt) -> None:
        """Send it on. Whether it could be is in the receipt, as for any other payload. Raises `Rejected`."""
        self._check(record)
        identity = self._identity(record)
        self._received, self._record = record.received, record
        self._moments.latest = 0  # its own, whatever came before
        source = source_of(record)
        self._routes.find(identity, source).plain = False  # an id that follows from the record: no short way
        try:
            self.accept(identity, source, [record.payload], receipt)
        finally:
            self._record = None

    def _check(self, record: RejectedMessage) -> None:
        if len(record.payload) < record.size:
            raise Rejected("too_large", f"of its {record.size:,} bytes {len(record.payload):,} are kept")
        self._identity(record)

    def _identity(self, record: RejectedMessage) -> Identity:
        name = record.via or record.device
        found = self._sender(name) if name else None
        if found is None and record.via:
            raise Rejected("not_authorized", f"{record.via} is not in the registry any more")
        return ANONYMOUS if found is None else found

    def _route(self, record: RejectedMessage) -> Route:
        return self._routes.find(self._identity(record), source_of(record))

    def _whole(self, record: RejectedMessage, route: Route) -> tuple[Family, Sequence[Message | Rejected]]:
        return super()._decode(route, record.payload, record.received)

    def _decode(self, route: Route, data: bytes, received: int) -> tuple[Family, Sequence[Message | Rejected]]:
        family, made = super()._decode(route, data, received)
        part = part_of(self._record)
        return family, made if part is None else made[part : part + 1]

    def _queue(self, route: Route, message: Message, data: bytes, number: bytes, receipt: Receipt) -> None:
        record = self._record
        part = part_of(record)
        if part:
            number = b"%d" % part
        if record is not None and not message.id and message.at is None and message.seq is None:
            message.id = hashed(record.id.encode(), number)
        super()._queue(route, message, data, number, receipt)


def source_of(record: RejectedMessage) -> Source:
    """Where it came from, as the record has it. The decoder of its topic is looked for anew."""
    decoder = "" if record.topic else record.decoder
    return Source(TRANSPORT, record.topic, record.device if not record.topic else "", decoder, peer=record.peer)


def part_of(record: RejectedMessage | None) -> int | None:
    """Which of its payload's messages was rejected, None if the payload was."""
    _, mark, number = ("", "", "") if record is None else record.id.rpartition(PART)
    return int(number) if mark and number.isdecimal() else None

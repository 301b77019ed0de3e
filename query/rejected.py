"""What was rejected and waits: grouped by shape of topic and cause, and sent on once something reads it.

In: the history of `rejected`; decoders of now. Out: groups; messages on the log, and for each record that was sent on a
mark beside it, so that it is sent once. Ids follow from the record: where a mark is lost (killed in between), sending
again changes nothing but rollups of messages older than the reports' rows.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

import msgspec

from headwater import failpoints
from headwater.config import Config
from headwater.directory import Directory
from headwater.errors import Rejected, Unavailable
from headwater.ids import hashed
from headwater.log import REJECTED, Log, NewEntry, partition_for
from headwater.message import RejectedMessage, encode
from headwater.metrics import Metrics
from headwater.saying import get_logger
from ingest.again import RETRIED, Again, Decoded
from ingest.contract import Receipt
from ingest.decoders.learning import Reader
from ingest.decoders.living import open_decoders, take
from ingest.decoders.propose import propose, shape_of
from query.history import Ask, History
from storage.contract import Span

_PAGE = 500
_MOST = 200_000
_MOST_BYTES = 64 * 2**20
"""Of payloads in one request: a record keeps up to 128 KiB."""
_TOPICS = 20
_LATER = {"not_authorized", "refused_by_store", "device_mismatch"}
"""Reasons that no decoder can change."""


class Choice(msgspec.Struct, frozen=True):
    """Which records. Empty: any. `shape`: a topic's shape, `tele/+/SENSOR`."""

    span: Span
    reason: str = ""
    shape: str = ""
    device: str = ""
    id: str = ""

    def has(self, record: RejectedMessage) -> bool:
        """True if this record is one of them."""
        return (
            record.stage == "ingest"
            and (not self.reason or record.reason == self.reason)
            and (not self.shape or shape_of(record.topic) == self.shape)
            and (not self.device or record.device == self.device)
            and (not self.id or record.id == self.id)
        )


@dataclass
class Group:
    """Records of one cause that came the same way. `sample`: the newest; `readable`: its decoder by now."""

    reason: str
    shape: str
    decoder: str
    count: int = 0
    first: int = 0
    last: int = 0
    topics: set[str] = field(default_factory=set[str])
    sample: RejectedMessage | None = None
    readable: str = ""
    mapping: str = ""


@dataclass
class Retried:
    """What a retry did. `still`: reason → records that nothing reads yet; `left`: more of them wait."""

    sent: int = 0
    messages: int = 0
    still: Counter[str] = field(default_factory=Counter[str])
    left: bool = False

    def count(self, receipt: Receipt) -> bool:
        """Count what became of one record; true if it was sent on."""
        self.still.update(one.reason for one in receipt.rejections or ())
        if receipt.rejections and not receipt.accepted:
            return False
        self.sent += 1
        self.messages += receipt.accepted
        return True


class _Owner:
    def __init__(self) -> None:
        self.settled = asyncio.Event()

    def release(self) -> None:
        self.settled.set()


class Waiting:
    """One retry at a time in a process. `sent` records are marked on the log, beside the record itself."""

    def __init__(
        self, config: Config, log: Log, history: History, directory: Directory, model_of: Callable[[str], str]
    ) -> None:
        self._config = config
        self._log = log
        self._history = history
        self._directory = directory
        self._model_of = model_of
        self._living = open_decoders(config.decoders)
        self._learned = Reader(log, self._living.knowledge.learned)
        self._one = asyncio.Lock()

    async def groups(self, choice: Choice) -> list[Group]:
        """Those that wait, the largest group first."""
        found: dict[tuple[str, str, str], Group] = {}
        async for record in self._records(choice):
            shape = shape_of(record.topic)
            decoder = "" if record.topic else record.decoder
            group = found.setdefault((record.reason, shape, decoder), Group(record.reason, shape, decoder))
            group.count += 1
            group.first = record.received
            group.last = group.last or record.received
            if len(group.topics) < _TOPICS:
                group.topics.add(record.topic)
            group.sample = group.sample or record
        again = await self._again()
        for group in found.values():
            if group.sample is not None:
                made = again.look(group.sample)
                group.readable = made.decoder if made.reason is None else ""
                if not group.readable and group.reason in {"no_decoder", "bad_shape", "missing_device"}:
                    group.mapping = propose(sorted(group.topics), group.sample.payload)
        return sorted(found.values(), key=lambda group: -group.count)

    async def look(self, choice: Choice) -> tuple[RejectedMessage, Decoded] | None:
        """The newest of them, and what it would become now."""
        async for record in self._records(choice):
            return record, (await self._again()).look(record)
        return None

    async def retry(self, choice: Choice, most: int) -> Retried:
        """Send on what decodes now, at most so many records. Raises `Unavailable` if the log does not take it."""
        if self._one.locked():
            raise Unavailable("another retry is under way", retry_after=5)
        async with self._one:
            done = Retried()
            chosen: list[RejectedMessage] = []
            size = 0
            again = await self._again()
            async for record in self._records(choice):
                why = record.reason if record.reason in _LATER else _unread(again.look(record))
                if why:
                    done.still[why] += 1
                elif len(chosen) == most or size >= _MOST_BYTES:
                    done.left = True
                    break
                else:
                    chosen.append(record)
                    size += len(record.payload)
            chosen.reverse()
            async with again:
                for start in range(0, len(chosen), _PAGE):
                    await self._send(again, chosen[start : start + _PAGE], done)
            return done

    async def _send(self, again: Again, records: list[RejectedMessage], done: Retried) -> None:
        """These, oldest first; then their marks."""
        owner = _Owner()
        waiting: list[tuple[RejectedMessage, Receipt]] = []
        for record in records:
            receipt = Receipt(owner)
            try:
                again.send(record, receipt)
            except Rejected as error:
                done.still[error.reason] += 1
                continue
            waiting.append((record, receipt))
        try:
            async with asyncio.timeout(self._config.ingest.append_time * 2):
                while any(receipt.waiting for _, receipt in waiting):
                    owner.settled.clear()
                    await owner.settled.wait()
        except TimeoutError:
            raise Unavailable("the log has not answered in time", retry_after=5) from None
        if any(receipt.failed for _, receipt in waiting):
            raise Unavailable("the log does not take it now", retry_after=5)
        failpoints.passing("rejected.sent")
        await self._sent([record for record, receipt in waiting if done.count(receipt)])

    async def _sent(self, records: list[RejectedMessage]) -> None:
        marks = [self._mark(record) for record in records]
        if marks:
            outcomes = await self._log.append(REJECTED, marks)
            if any(not isinstance(outcome, int) for outcome in outcomes):
                raise Unavailable("not all is marked as sent: try again", retry_after=5)
            get_logger().info("what was rejected is sent on", records=len(marks))

    def _mark(self, record: RejectedMessage) -> NewEntry:
        mark = RejectedMessage(
            id=hashed(RETRIED.encode(), record.id.encode(), b"%d" % record.received),
            received=record.received,
            reason=record.reason,
            detail=record.id,
            device=record.device,
            topic=record.topic,
            transport=record.transport,
            stage=RETRIED,
        )
        key = (record.device or record.peer).encode()
        return NewEntry(partition_for(key, self._log.partitions(REJECTED)), key, encode(mark))

    async def _records(self, choice: Choice) -> AsyncIterator[RejectedMessage]:
        """Those of the choice that were not sent on yet, newest first. A mark stands at its record's own time."""
        span, seen = choice.span, 0
        while seen < _MOST:
            page = await self._history.rejected(
                Ask(_PAGE, span), reason=choice.reason or None, device=choice.device or None
            )
            rows = page.rows
            lowest = rows[-1].received if rows else 0
            whole = len(rows) < _PAGE or rows[0].received == lowest  # else more of the lowest time may follow
            marked = {row.detail for row in rows if row.stage == RETRIED}
            for row in rows:
                if (whole or row.received > lowest) and choice.has(row) and row.id not in marked:
                    yield row
            if len(rows) < _PAGE:
                return
            seen += len(rows)
            span = Span(span.start, lowest if whole else lowest + 1)

    async def _again(self) -> Again:
        """With the decoders of now, and what gateways have learned.

        What it counts is its own: these messages were received before.
        """
        await self._learned.read()
        take(self._living, self._directory.decoders(), self._config.decoders)
        return Again(
            self._log, self._config, Metrics(), self._living.catalogue, self._model_of, self._directory.identity_of
        )


def _unread(made: Decoded) -> str:
    """Why nothing reads it by now, or ""."""
    return "" if made.reason is None else made.reason.reason

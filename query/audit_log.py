"""What the log holds, as the audit needs it: where each record is, the newest values, the rollups' fingerprint.

In: the log, and the offsets between which to look. Out: `Messages`, `Chosen` candidates, `Condemned` records. Each
record once, however often it is on the log.
"""

from array import array
from collections.abc import AsyncGenerator, Container, Iterable, Iterator, Mapping
from contextlib import aclosing
from typing import NamedTuple, TypeVar

import msgspec

from headwater.log import CANDIDATES, MESSAGES, REJECTED, Entry, Offsets, ReadableLog
from headwater.message import Message, Number, decode_candidate, decode_message, decode_rejected, read
from query.audit_findings import NAMED, Finding
from query.audit_rollups import Prints
from storage.report_rollups import refusal

T = TypeVar("T")
Ends = Mapping[int, Offsets]
Order = tuple[int, int, str]
"""(time, received, id): the order of values of a field."""

_OFFSET_BITS = 48


class Where(NamedTuple):
    """A place on the log."""

    partition: int
    offset: int

    def __str__(self) -> str:
        return f"partition {self.partition} offset {self.offset}"


class Newest(NamedTuple):
    """The value of a field that must be in the live state."""

    order: Order
    value: Number | str


class Chosen(NamedTuple):
    """The newest revision of a candidate, and where on the log it is first."""

    revision: int
    time: int
    where: Where


class Refusal(NamedTuple):
    """That a store (`stage`) has refused for ever what is at this place of the log."""

    stage: str
    topic: str
    partition: int
    offset: int


class Rejections(msgspec.Struct):
    """`where`: id → the first place of a rejected message. `refused`: what no store has to have."""

    where: dict[str, Where] = {}
    refused: set[Refusal] = set()


class Messages:
    """The messages between `ends`, about 150 bytes each: of names only the hash is kept; the rest is read again."""

    def __init__(self, log: ReadableLog, ends: Ends, prints: Prints) -> None:
        self._log = log
        self.ends = ends
        self.prints = prints
        self.newest: dict[str, dict[str, Newest]] = {}
        self.repeated = 0
        self.last: dict[int, int] = {}
        """Partition → the offset of its last message: what a ledger must have reached."""
        self._where: dict[int, int] = {}  # hash → partition and offset, in one number
        self._received = {partition: array("q", bytes(8 * (end.next - end.first))) for partition, end in ends.items()}

    def __contains__(self, named: tuple[str, str]) -> bool:
        return hash(named) in self._where

    def __len__(self) -> int:
        return len(self._where)

    async def read(self) -> None:
        """Read them all."""
        async for entry in entries(self._log, MESSAGES, self.ends):
            if (message := message_of(entry)) is not None:
                self._note(message, entry.partition, entry.offset)

    def _note(self, message: Message, partition: int, offset: int) -> None:
        self.last[partition] = offset
        self._note_values(message)
        named = hash((message.device, message.id))
        if named in self._where:
            self.repeated += 1
            return
        self._where[named] = partition << _OFFSET_BITS | offset
        if refusal(message) is None:
            self._received[partition][offset - self.ends[partition].first] = message.received
            self.prints.add(message)

    def _note_values(self, message: Message) -> None:
        newest = self.newest.setdefault(message.device, {})
        order = (message.time, message.received, message.id)
        for values in (message.fields, message.texts):
            for field, value in values.items():
                known = newest.get(field)
                if known is None or order > known.order:
                    newest[field] = Newest(order, value)

    def received(self, where: Where) -> int:
        """When the message there was received; 0 for one that makes no row."""
        return self._received[where.partition][where.offset - self.ends[where.partition].first]

    def marks(self) -> "Marks":
        """To tick off what is found elsewhere."""
        return Marks(self)

    def place(self, named: tuple[str, str]) -> Where | None:
        """Where the message of that device with that id is first."""
        place = self._where.get(hash(named))
        return None if place is None else Where(place >> _OFFSET_BITS, place & (1 << _OFFSET_BITS) - 1)

    def places(self) -> Iterator[Where]:
        """Where each is."""
        for place in self._where.values():
            yield Where(place >> _OFFSET_BITS, place & (1 << _OFFSET_BITS) - 1)

    async def lacks(self, lacking: Iterable[Where], place: str, finding: Finding) -> None:
        """Say that the messages there are not in that place; the first of them by name."""
        for number, where in enumerate(lacking):
            name = await self._named(where) if number < NAMED else "a message"
            finding.lacks(f"{name} {place}; on the log at {where}")

    async def _named(self, where: Where) -> str:
        here = {where.partition: Offsets(where.offset, where.offset + 1)}
        async for entry in entries(self._log, MESSAGES, here):
            if (message := message_of(entry)) is not None:
                return f"message {message.id} of device {message.device}"
        return "a message"


class Marks:
    """Which of the log's messages are somewhere else, too: a byte each."""

    def __init__(self, messages: Messages) -> None:
        self._messages = messages
        self._seen = {partition: bytearray(end.next - end.first) for partition, end in messages.ends.items()}

    def mark(self, named: tuple[str, str]) -> bool | None:
        """True the first time, False when it is repeated, None if the log has no such message."""
        where = self._messages.place(named)
        if where is None:
            return None
        seen, at = self._seen[where.partition], where.offset - self._messages.ends[where.partition].first
        first = not seen[at]
        seen[at] = 1
        return first

    def unmarked(self) -> Iterator[Where]:
        """Where the messages are that were not marked."""
        for where in self._messages.places():
            if not self._seen[where.partition][where.offset - self._messages.ends[where.partition].first]:
                yield where


async def entries(log: ReadableLog, topic: str, ends: Ends) -> AsyncGenerator[Entry, None]:
    """Those between the ends."""
    for partition, end in ends.items():
        if end.first >= end.next:
            continue
        async with aclosing(log.read(topic, partition, end.first)) as batches:
            async for batch in batches:
                for entry in batch:
                    if entry.offset < end.next:
                        yield entry
                if (
                    batch[-1].offset >= end.next
                ):  # where it can, it ends by itself: what is broken off costs Kafka a client
                    break


def message_of(entry: Entry) -> Message | None:
    """The message there; None for a control entry, and for what nobody can read: that is in quarantine."""
    return read(decode_message, entry.value) if entry.key else None


async def first_ones(
    log: ReadableLog, ends: Ends, known: Container[tuple[str, str]] = ()
) -> AsyncGenerator[tuple[Message, Where], None]:
    """Messages between the ends that are not known, each once, with where it is first."""
    seen: set[int] = set()
    async for entry in entries(log, MESSAGES, ends):
        if (message := message_of(entry)) is not None:
            named = (message.device, message.id)
            if named not in known and hash(named) not in seen:
                seen.add(hash(named))
                yield message, Where(entry.partition, entry.offset)


async def read_candidates(log: ReadableLog, ends: Ends) -> dict[str, Chosen]:
    """Id → the newest revision of each candidate."""
    found: dict[str, Chosen] = {}
    async for entry in entries(log, CANDIDATES, ends):
        if (candidate := read(decode_candidate, entry.value)) is not None:
            known = found.get(candidate.id)
            if known is None or candidate.revision > known.revision:
                where = Where(entry.partition, entry.offset)
                found[candidate.id] = Chosen(candidate.revision, candidate.time, where)
    return found


async def read_rejections(log: ReadableLog, ends: Ends) -> Rejections:
    """What was rejected, by the front door and by stores."""
    found = Rejections()
    async for entry in entries(log, REJECTED, ends):
        if (one := read(decode_rejected, entry.value)) is not None:
            found.where.setdefault(one.id, Where(entry.partition, entry.offset))
            if one.origin is not None:
                found.refused.add(Refusal(one.stage, one.topic, one.origin.partition, one.origin.offset))
    return found


async def since(log: ReadableLog, topic: str, ends: Ends) -> Ends:
    """From those ends to the present ones."""
    return {partition: Offsets(ends[partition].next, end.next) for partition, end in (await log.ends(topic)).items()}

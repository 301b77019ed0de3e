"""What every store promises, and what its readers give to `query`. The worker does all the rest.

In: batches of `Record`, already filtered by the store's own ledger. Out: durable data, and the ledger with it, in one
atomic step. A store holds no queue, does not retry, and counts nothing: `consumers.worker` does that for all.
"""

from collections.abc import AsyncGenerator, Mapping, Sequence
from decimal import Decimal
from typing import Literal, NamedTuple, Protocol

import msgspec

from headwater.message import Body, Candidate, Heard, Message, Number, Position, RejectedMessage

ORIGIN_BITS = 20
"""A candidate's ledger position is `offset << ORIGIN_BITS | n` of its origin; `n` stays below 2**20."""


class Record(NamedTuple):
    """An entry, decoded. `position` is what the ledger counts by: the offset, for candidates that of the origin."""

    topic: str
    partition: int
    offset: int
    position: int
    body: Body


class Store(Protocol):
    """One destination with one role."""

    name: str

    async def write(self, batch: Sequence[Record]) -> None:
        """Write the batch and move the ledger to its highest positions, atomically; return when that is durable.

        Records at or below the ledger must have no effect, whoever wrote them. Raises `PartialWrite` (those records
        can never be stored, all others are durable; where the ledger has not moved, the others come again without
        them), `Unavailable` (nothing is known to be written), `Stale`.
        """
        ...

    async def ledger(self, topic: str) -> Mapping[int, int]:
        """Partition → highest position applied, for this log; empty for a store that is new or came back empty."""
        ...

    async def ping(self) -> None:
        """Raises `Unavailable` unless a write could succeed now."""
        ...


class Erasable(Protocol):
    """What can forget a device."""

    async def erase(self, device: str, before: int) -> int:
        """Remove all of the device that was received before (microseconds); how many rows. Raises `Unavailable`.

        Again, or begun and killed, does no harm. What the log brings after it stands as if it were the first.
        """
        ...


class LiveValue(msgspec.Struct, omit_defaults=True, frozen=True):
    """The newest value of one field: by (time, received, id), never by arrival."""

    value: Number | str
    time: int
    received: int
    id: str


class LiveDevice(msgspec.Struct, omit_defaults=True):
    """What is known of a device now. `seen`: `received` of its latest message. Times in microseconds.

    `entries`: how many of the log it is made of; a message that came again around a crash counts again. `decoder`: of
    its newest message.
    """

    device: str
    seen: int
    time: int
    via: str = ""
    kind: str = ""
    values: dict[str, LiveValue] = {}
    position: Position | None = None
    position_time: int | None = None
    heard_by: list[Heard] = []
    entries: int = 0
    decoder: str = ""


class LiveReader(Protocol):
    """Reads the live state."""

    async def device(self, device: str) -> LiveDevice | None:
        """The device with all its newest values, or None if it never sent."""
        ...

    async def device_as_of(self, device: str) -> tuple[LiveDevice | None, Mapping[int, int]]:
        """The same, and the ledger of exactly what was read. What it does not cover is the caller's to add."""
        ...

    async def devices(self, after: str, limit: int, prefix: str = "") -> Sequence[LiveDevice]:
        """By name, those after `after`, at most `limit`."""
        ...

    async def near(self, circle: "Circle", limit: int) -> Sequence[LiveDevice]:
        """Devices whose newest position lies in the circle (great-circle distance, edge included), nearest first."""
        ...

    def everything(self) -> AsyncGenerator[Sequence[LiveDevice], None]:
        """All of them, by name, in batches: for the audit."""
        ...


class Circle(NamedTuple):
    """A place on the map: WGS 84 degrees and metres, by the great circle of a sphere of 6,371,008.8 m radius."""

    lat: float
    lon: float
    radius: float


class Span(NamedTuple):
    """A half-open interval of `time` (microseconds); None is open."""

    start: int | None = None
    end: int | None = None


class LakeRow(NamedTuple):
    """A message as the lake has it, with where it stood on the log."""

    partition: int
    offset: int
    message: Message


class LakeReader(Protocol):
    """Reads the lake at one pinned version of each table; one row an id."""

    async def history(
        self,
        device: str,
        span: Span,
        limit: int,
        *,
        field: str | None = None,
        newest_first: bool = True,
        after: tuple[int, int, str] | None = None,
    ) -> tuple[Sequence[LakeRow], Mapping[int, int]]:
        """Messages of the device in the order (time, received, id), and the ledger of exactly what was read.

        `after`: go on behind this (time, received, id). What the ledger does not cover is the caller's to add.
        """
        ...

    async def candidates(
        self,
        device: str | None,
        span: Span,
        limit: int,
        *,
        newest_first: bool = True,
        after: tuple[int, str] | None = None,
    ) -> tuple[Sequence[Candidate], Mapping[int, int]]:
        """Candidates in the order (time, id), and the ledger (positions by origin) of what was read."""
        ...

    async def rejected(
        self, span: Span, limit: int, *, reason: str | None = None, device: str | None = None
    ) -> tuple[Sequence[RejectedMessage], Mapping[int, int]]:
        """What was rejected, newest `received` first, and the ledger of what was read."""
        ...

    def ids(self, topic: str) -> AsyncGenerator[Sequence[tuple[int, int, str, str]], None]:
        """(partition, offset, device, id) of every row of the topic's table, doubles included, for the audit."""
        ...


class CandidateReader(Protocol):
    """Reads candidates where they are hot: the documents store. The lake answers the same way."""

    async def candidates(
        self,
        device: str | None,
        span: Span,
        limit: int,
        *,
        newest_first: bool = True,
        after: tuple[int, str] | None = None,
    ) -> tuple[Sequence[Candidate], Mapping[int, int]]:
        """Candidates in the order (time, id), and a ledger (positions by origin) that was true before the read."""
        ...

    def ids(self) -> AsyncGenerator[Sequence[tuple[str, int]], None]:
        """(id, revision) of every candidate there, for the audit."""
        ...


class Term(NamedTuple):
    """One condition of a search, lower-cased: a word, or the value of a field. `prefix`: it only begins so."""

    text: str
    field: str = ""
    prefix: bool = False


class SearchReader(Protocol):
    """Finds candidates by what they say, where and when; every backend the same set: see `storage.search_words`."""

    async def search(
        self,
        terms: Sequence[Term],
        span: Span,
        limit: int,
        *,
        within: Circle | None = None,
        newest_first: bool = True,
        after: tuple[int, str] | None = None,
    ) -> tuple[Sequence[Candidate], Mapping[int, int]]:
        """Candidates that meet all the terms, in the order (time, id), and a ledger that was true before the read."""
        ...

    def ids(self) -> AsyncGenerator[Sequence[tuple[str, int]], None]:
        """(id, revision) of every candidate there, for the audit."""
        ...


Period = Literal["minute", "hour", "day"]
"""How long a rollup is; UTC."""


class Rollup(msgspec.Struct, frozen=True):
    """One field of one device over one period of `time`, beginning at `start` (microseconds).

    `sum` is exact: the sum of the decimals that the values are written as. `last`: by (time, received, id).
    """

    device: str
    field: str
    start: int
    count: int
    sum: Decimal
    min: float
    max: float
    last: float


class ReportReader(Protocol):
    """Reads the reports: rollups for ever, and every message of the last day."""

    async def rollups(
        self,
        period: Period,
        device: str | None,
        field: str | None,
        span: Span,
        limit: int,
        *,
        after: tuple[int, str, str] | None = None,
    ) -> tuple[Sequence[Rollup], Mapping[int, int]]:
        """Rollups that begin within the span, in the order (start, device, field), and the ledger of what was read."""
        ...

    async def rows(
        self, device: str | None, span: Span, limit: int, *, after: tuple[int, int, str, str] | None = None
    ) -> tuple[Sequence[Message], Mapping[int, int]]:
        """Messages of the last day in the order (time, received, id, device), and the ledger of what was read.

        Each once; the device is in the order because an id is unique within it only.
        """
        ...

    def ids(self) -> AsyncGenerator[Sequence[tuple[str, str]], None]:
        """(device, id) of every row there, for the audit."""
        ...


class Checkpoint(msgspec.Struct):
    """One partition's selection state, as of before `next_offset` of log `log_id`."""

    log_id: str
    next_offset: int
    rule_version: int
    state: bytes


class Checkpoints(Protocol):
    """Where the selector's owners keep their state; whoever loses the race has lost the partition."""

    async def load(self, partition: int) -> tuple[Checkpoint | None, str]:
        """The newest checkpoint and its version token ("" if there is none)."""
        ...

    async def save(self, partition: int, checkpoint: Checkpoint, expected: str) -> str:
        """Replace the one with the version `expected`, durably; return the new version. Raises `Stale`."""
        ...

"""What a device said, what was selected, what was rejected: the lake's rows and what is not in the lake yet, as one.

In: a question. Out: a page of rows, each id once, in a fixed order, and the cursor behind them. The lake tells which
ledger its answer goes with; exactly what lies above that is added from the tail.
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from math import inf
from typing import Generic, NamedTuple, TypeVar

from headwater.errors import Unavailable
from headwater.log import CANDIDATES, MESSAGES, REJECTED, Entry, partition_for
from headwater.message import (
    Candidate,
    Message,
    RejectedMessage,
    decode_candidate,
    decode_message,
    decode_rejected,
    read,
)
from query.cursor import Cursors
from query.tail import Tail
from storage.contract import CandidateReader, LakeReader, LakeRow, Span

R = TypeVar("R")
Order = tuple[int, int, str]
"""(time, received, id)."""

FRESH_SECONDS = 0.25
"""How long an answer waits for what was on the log when it was asked."""

_REPEATED_AMONG = 1_000
"""Rows of the lake that are looked through for an earlier sending."""


class Ask(NamedTuple):
    """A question: how many rows, of which times, in which order, and from which cursor on ("": from the first)."""

    limit: int
    span: Span = Span()
    newest_first: bool = True
    cursor: str = ""

    @property
    def order(self) -> str:
        """As in `order=`."""
        return "desc" if self.newest_first else "asc"

    def within(self, time: int) -> bool:
        """True if the time lies in the span."""
        return (self.span.start is None or time >= self.span.start) and (self.span.end is None or time < self.span.end)

    def behind(
        self, key: tuple[int, int, str] | tuple[int, str], after: tuple[int, int, str] | tuple[int, str] | None
    ) -> bool:
        """True if the key comes behind `after` in this order."""
        return after is None or (key < after if self.newest_first else key > after)


class Page(NamedTuple, Generic[R]):
    """Rows, and the cursor for those behind them: None if there are no more."""

    rows: Sequence[R]
    next: str | None = None


class History:
    """Answers from lake and tail. `log_id` goes into cursors; `partitions` of the topic `messages`.

    `documents`: where candidates are hot; the lake is asked where that has not all, or is away.

    `repeated_within`: microseconds in which a device's retry is recognised.
    """

    def __init__(
        self,
        lake: LakeReader,
        tail: Tail,
        *,
        log_id: str,
        partitions: int,
        repeated_within: int,
        documents: CandidateReader | None = None,
    ) -> None:
        self._lake = lake
        self._documents = documents
        self._tail = tail
        self._partitions = partitions
        self._repeated_within = repeated_within
        self._of_messages = Cursors("history", tuple[int, int, str], log_id)
        self._of_candidates = Cursors("candidates", tuple[int, str], log_id)

    async def messages(self, device: str, ask: Ask, field: str | None = None) -> Page[LakeRow]:
        """Messages of a device, those with this field or all, by (time, received, id). Of what was sent twice: one."""
        after = self._of_messages.read(ask.order, ask.cursor) if ask.cursor else None
        where = (partition_for(device.encode(), self._partitions),)
        await self._tail.reach(MESSAGES, FRESH_SECONDS, where)
        known, ledger = await self._lake.history(
            device, ask.span, ask.limit + 1, field=field, newest_first=ask.newest_first, after=after
        )
        entries = await self._tail.above(MESSAGES, ledger, numbers=where, key=device.encode())
        fresh = [
            row
            for row in _first_of_each(entries, {row.message.id for row in known})
            if ask.within(row.message.time)
            and (field is None or field in row.message.fields or field in row.message.texts)
            and ask.behind(_order(row), after)
        ]
        rows = await self._merged(device, ask, known, fresh)
        cut = rows[: ask.limit]
        more = len(rows) > ask.limit
        return Page(cut, self._of_messages.write(ask.order, _order(cut[-1])) if more else None)

    async def _merged(self, device: str, ask: Ask, known: Sequence[LakeRow], fresh: list[LakeRow]) -> list[LakeRow]:
        """One more row than asked for, if there are so many; fresh ones only if the lake has not their id."""
        checked: set[str] = set()
        while True:
            rows = sorted([*known, *fresh], key=_order, reverse=ask.newest_first)[: ask.limit + 1]
            new = {row.message.id: row for row in rows} if fresh else {}
            for row in known:
                new.pop(row.message.id, None)
            for ident in checked & new.keys():
                del new[ident]
            if not new:
                return rows
            repeated = await self._repeated(device, new, _complete_from(ask, known))
            checked |= new.keys()
            fresh = [row for row in fresh if row.message.id not in repeated]

    async def _repeated(self, device: str, fresh: dict[str, LakeRow], complete_from: float) -> set[str]:
        """Those ids that the lake has from another entry of the log: the device sent them again."""
        spans = [self._sent_before(row.message) for row in fresh.values()]
        start, end = min(start for start, _ in spans), max(end for _, end in spans)
        if complete_from <= start:
            return set()
        rows, _ = await self._lake.history(device, Span(start, end), _REPEATED_AMONG)
        return {
            row.message.id
            for row in rows
            if row.message.id in fresh and (row.partition, row.offset) != fresh[row.message.id][:2]
        }

    def _sent_before(self, message: Message) -> tuple[int, int]:
        """Where the first sending stands, if this is a repetition: at the device's own time, or else not long ago."""
        around = 0 if message.flag == "" else self._repeated_within
        return message.time - around, message.time + around + 1

    async def candidates(self, device: str | None, ask: Ask) -> Page[Candidate]:
        """Candidates by (time, id), each in its newest revision."""
        after = self._of_candidates.read(ask.order, ask.cursor) if ask.cursor else None
        where = None if device is None else (partition_for(device.encode(), self._partitions),)
        await self._tail.reach(CANDIDATES, FRESH_SECONDS, where)
        known, ledger = await self._selected(device, ask, after)
        newest = {row.id: row for row in known}
        for entry in await self._tail.above(CANDIDATES, ledger, numbers=where):
            row = read(decode_candidate, entry.value)
            if row is None or (device is not None and row.device != device) or not ask.within(row.time):
                continue
            if ask.behind((row.time, row.id), after) and _revision(newest.get(row.id)) < row.revision:
                newest[row.id] = row
        rows = sorted(newest.values(), key=lambda row: (row.time, row.id), reverse=ask.newest_first)
        cut = rows[: ask.limit]
        more = len(rows) > ask.limit
        return Page(cut, self._of_candidates.write(ask.order, (cut[-1].time, cut[-1].id)) if more else None)

    async def _selected(
        self, device: str | None, ask: Ask, after: tuple[int, str] | None
    ) -> tuple[Sequence[Candidate], Mapping[int, int]]:
        """From documents where they fill the page, newest first; what expired there, only the lake has."""
        if self._documents is not None and ask.newest_first:
            with suppress(Unavailable):
                known, ledger = await self._documents.candidates(
                    device, ask.span, ask.limit + 1, newest_first=True, after=after
                )
                if len(known) > ask.limit:
                    return known, ledger
        return await self._lake.candidates(device, ask.span, ask.limit + 1, newest_first=ask.newest_first, after=after)

    async def rejected(
        self, ask: Ask, *, reason: str | None = None, device: str | None = None
    ) -> Page[RejectedMessage]:
        """What was rejected, newest `received` first; the span is of `received`. There is no cursor."""
        await self._tail.reach(REJECTED, FRESH_SECONDS)
        known, ledger = await self._lake.rejected(ask.span, ask.limit, reason=reason, device=device)
        rows = {row.id: row for row in known}
        for entry in await self._tail.above(REJECTED, ledger):
            row = read(decode_rejected, entry.value)
            if row is None:
                continue
            if ask.within(row.received) and reason in {None, row.reason} and device in {None, row.device}:
                rows.setdefault(row.id, row)
        newest = sorted(rows.values(), key=lambda row: (row.received, row.id), reverse=True)
        return Page(newest[: ask.limit])


def _order(row: LakeRow) -> Order:
    message = row.message
    return message.time, message.received, message.id


def _complete_from(ask: Ask, known: Sequence[LakeRow]) -> float:
    """From this time on, the lake has no rows but the known ones: the common case, where nothing more need be asked."""
    if not ask.newest_first or ask.cursor or ask.span.end is not None:
        return inf
    if len(known) > ask.limit:
        return known[-1].message.time + 1
    return -inf if ask.span.start is None else ask.span.start


def _revision(row: Candidate | None) -> int:
    return -1 if row is None else row.revision


def _first_of_each(entries: Sequence[Entry], known: set[str]) -> list[LakeRow]:
    """Rows of the entries, without ids that are known, and of those that stand there twice only the first."""
    rows: dict[str, LakeRow] = {}
    for entry in entries:
        message = read(decode_message, entry.value)
        if message is not None and message.id not in known:
            rows.setdefault(message.id, LakeRow(entry.partition, entry.offset, message))
    return list(rows.values())

"""A log and a lake in memory, for laws that need thousands of runs; the same tests run on the real ones as well.

In: what a test appends and commits. Out: the protocols `Log` (without groups) and `LakeReader`, said as simply as can be.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager

from headwater.errors import LogError, OffsetOutOfRange, Unavailable
from headwater.log import (
    CANDIDATES,
    MESSAGES,
    REJECTED,
    Entry,
    Hooks,
    NewEntry,
    Offset,
    Offsets,
    Partition,
    Subscription,
    partition_for,
)
from headwater.message import (
    Body,
    Candidate,
    Message,
    RejectedMessage,
    decode_candidate,
    decode_message,
    decode_rejected,
    encode,
)
from query.tail_part import position
from storage.contract import LakeRow, Span

PARTITIONS = 3


class MemoryLog:
    """Entries in lists. `first` is what retention has left over: set it to make old entries vanish."""

    id = "log-1"

    def __init__(self, partitions: int = PARTITIONS) -> None:
        self._partitions = partitions
        self.entries: dict[tuple[str, int], list[Entry]] = {
            (topic, number): [] for topic in (MESSAGES, CANDIDATES, REJECTED) for number in range(partitions)
        }
        self.first: dict[tuple[str, int], int] = {}
        self.commits: dict[tuple[str, str], dict[int, int]] = {}
        self.down = False
        self._grown = asyncio.Condition()

    def partitions(self, topic: str) -> int:
        return self._partitions

    def put(self, topic: str, body: Body) -> Entry:
        """Append a record at once, where the intake would put it."""
        key = body.device.encode()
        return self._append(topic, NewEntry(partition_for(key, self._partitions), key, encode(body)))

    def _append(self, topic: str, entry: NewEntry) -> Entry:
        entries = self.entries[topic, entry.partition]
        made = Entry(topic, entry.partition, len(entries), 0, entry.key, entry.value)
        entries.append(made)
        return made

    async def append(self, topic: str, entries: Sequence[NewEntry]) -> Sequence[Offset | LogError]:
        await self.ping()
        made = [self._append(topic, entry).offset for entry in entries]
        await self.grown()
        return made

    async def grown(self) -> None:
        """Wake who follows."""
        async with self._grown:
            self._grown.notify_all()

    def subscribe(
        self, topics: Sequence[str], group: str, hooks: Hooks | None = None
    ) -> AbstractAsyncContextManager[Subscription]:
        raise NotImplementedError

    async def read(
        self, topic: str, partition: Partition, start: Offset, *, follow: bool = False
    ) -> AsyncGenerator[Sequence[Entry], None]:
        entries = self.entries[topic, partition]
        if not self.first.get((topic, partition), 0) <= start <= len(entries):
            raise OffsetOutOfRange(f"{start}")
        end = len(entries)
        while follow or start < end:
            batch = entries[start : start + 3]
            start += len(batch)
            if batch:
                yield batch
            else:
                async with self._grown:
                    if len(entries) <= start:
                        await self._grown.wait()

    async def ends(self, topic: str) -> Mapping[Partition, Offsets]:
        if self.down:
            raise Unavailable("the log is down")
        return {
            number: Offsets(self.first.get((of, number), 0), len(entries))
            for (of, number), entries in self.entries.items()
            if of == topic
        }

    async def committed(self, group: str, topic: str) -> Mapping[Partition, Offset]:
        return self.commits.get((group, topic), {})

    async def ping(self) -> None:
        if self.down:
            raise Unavailable("the log is down")


class MemoryLake:
    """Has what `commit` brought it; each entry once, and of an id what stood first on the log.

    `race` is awaited between the moment an answer is taken and the moment the caller gets it.
    """

    def __init__(self, log: MemoryLog) -> None:
        self._log = log
        self._ledger: dict[str, dict[int, int]] = {MESSAGES: {}, CANDIDATES: {}, REJECTED: {}}
        self._rows: dict[str, list[Entry]] = {MESSAGES: [], CANDIDATES: [], REJECTED: []}
        self.down = False
        self.asked = 0
        self.race: Callable[[], Awaitable[None]] | None = None

    def commit(self, topic: str, partition: int, count: int) -> None:
        """Take the next so many entries of the partition from the log."""
        ledger = self._ledger[topic]
        taken = [e for e in self._log.entries[topic, partition] if e.key and position(e) > ledger.get(partition, -1)][
            :count
        ]
        self._rows[topic] += taken
        if taken:
            ledger[partition] = max(position(entry) for entry in taken)

    async def ledger(self, topic: str) -> Mapping[int, int]:
        self._check()
        return dict(self._ledger[topic])

    def _check(self) -> None:
        if self.down:
            raise Unavailable("the lake is down")

    async def _answer(self, topic: str) -> tuple[list[Entry], dict[int, int]]:
        self._check()
        self.asked += 1
        answer = sorted(self._rows[topic], key=lambda entry: (entry.partition, entry.offset)), dict(self._ledger[topic])
        if self.race is not None:
            await self.race()
        return answer

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
        entries, ledger = await self._answer(MESSAGES)
        rows: dict[str, LakeRow] = {}
        for entry in entries:
            message = decode_message(entry.value or b"")
            if message.device == device:
                rows.setdefault(message.id, LakeRow(entry.partition, entry.offset, message))
        found = [row for row in rows.values() if within(span, row.message.time) and has(row.message, field)]
        found.sort(key=order, reverse=newest_first)
        if after is not None:
            found = [row for row in found if (order(row) < after if newest_first else order(row) > after)]
        return found[:limit], ledger

    async def candidates(
        self,
        device: str | None,
        span: Span,
        limit: int,
        *,
        newest_first: bool = True,
        after: tuple[int, str] | None = None,
    ) -> tuple[Sequence[Candidate], Mapping[int, int]]:
        entries, ledger = await self._answer(CANDIDATES)
        rows: dict[str, Candidate] = {}
        for entry in entries:
            row = decode_candidate(entry.value or b"")
            if device in {None, row.device} and within(span, row.time):
                rows[row.id] = max(row, rows.get(row.id, row), key=lambda one: one.revision)
        found = sorted(rows.values(), key=lambda row: (row.time, row.id), reverse=newest_first)
        if after is not None:
            found = [r for r in found if ((r.time, r.id) < after if newest_first else (r.time, r.id) > after)]
        return found[:limit], ledger

    async def rejected(
        self, span: Span, limit: int, *, reason: str | None = None, device: str | None = None
    ) -> tuple[Sequence[RejectedMessage], Mapping[int, int]]:
        entries, ledger = await self._answer(REJECTED)
        rows = {row.id: row for row in (decode_rejected(entry.value or b"") for entry in entries)}
        found = [
            r
            for r in rows.values()
            if within(span, r.received) and reason in {None, r.reason} and device in {None, r.device}
        ]
        return sorted(found, key=lambda row: (row.received, row.id), reverse=True)[:limit], ledger

    async def ids(self, topic: str) -> AsyncGenerator[Sequence[tuple[int, int, str, str]], None]:
        entries, _ = await self._answer(topic)
        yield [(entry.partition, entry.offset, entry.key.decode(), "") for entry in entries]


def within(span: Span, time: int) -> bool:
    return (span.start is None or time >= span.start) and (span.end is None or time < span.end)


def has(message: Message, field: str | None) -> bool:
    return field is None or field in message.fields or field in message.texts


def order(row: LakeRow) -> tuple[int, int, str]:
    return row.message.time, row.message.received, row.message.id

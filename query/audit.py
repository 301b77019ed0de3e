"""The audit: are the records of the log in every store, once, and nothing else? By sets of ids, not by counters.

In: the log, and a reader of each store, or why there is none. Out: a `Finding` a comparison, with the records that are
missing, extra or wrong by name. It looks at what was on the log when it began; a store that has not applied that much
yet is waited for. Records that came later are neither missing nor extra, those that a store's own retention has dropped
are not missing, those that a store has refused for ever are in quarantine instead. One store that is away costs only
its own comparisons.

Memory: about 150 bytes a message on the log, and as much a candidate. Reads all once, or twice where rollups differ.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing, suppress
from functools import partial
from typing import NamedTuple, Protocol, TypeVar

from headwater import times
from headwater.errors import HeadwaterError
from headwater.log import CANDIDATES, MESSAGES, REJECTED, ReadableLog
from headwater.times import SECOND
from query.audit_compare import (
    compare_documents,
    compare_lake_candidates,
    compare_lake_messages,
    compare_lake_rejected,
    compare_live,
    compare_search,
)
from query.audit_findings import Finding
from query.audit_log import Ends, Messages, entries, first_ones, read_candidates, read_rejections, since
from query.audit_reports import compare_rollups, compare_rows
from query.audit_rollups import Prints
from query.audit_round import FIRST_PAUSE, Doubts, Limits, Patience, Round
from storage.contract import CandidateReader, LakeReader, LiveReader, ReportReader, SearchReader

R = TypeVar("R")
_CLOCKS = 600 * SECOND
"""How far apart the clocks of those who append may be."""
_NO_FLOOR = -(2**63)


class _Ledgered(Protocol):
    async def ledger(self, topic: str) -> Mapping[int, int]: ...


class LedgeredLive(LiveReader, _Ledgered, Protocol):
    """Live state that can be waited for."""


class LedgeredReports(ReportReader, _Ledgered, Protocol):
    """Reports that can be waited for."""


class LedgeredLake(LakeReader, _Ledgered, Protocol):
    """A lake that can be waited for."""


class Stores(NamedTuple):
    """A reader of each store, or why there is none."""

    live: LedgeredLive | HeadwaterError
    documents: CandidateReader | HeadwaterError
    search: SearchReader | HeadwaterError
    reports: LedgeredReports | HeadwaterError
    lake: LedgeredLake | HeadwaterError


class Audit:
    """Use `run`. `now`: microseconds since 1970 UTC."""

    def __init__(self, log: ReadableLog, stores: Stores, limits: Limits, now: Callable[[], int] = times.now) -> None:
        self._log = log
        self._stores = stores
        self._limits = limits
        self._now = now

    async def run(self, patience: float = 30.0) -> Sequence[Finding]:
        """All comparisons. `patience`: seconds to wait for stores that are behind. Raises where the log is away."""
        waits = Patience(patience)
        ends = await self._log.ends(MESSAGES)
        candidate_ends = await self._log.ends(CANDIDATES)
        messages = Messages(self._log, ends, Prints(await self._floors(ends)))
        await messages.read()
        candidates = await read_candidates(self._log, candidate_ends)
        behind = await self._wait(messages, waits)
        rejections = await read_rejections(self._log, await self._log.ends(REJECTED))
        of = Round(
            self._log, messages, candidate_ends, candidates, rejections, waits, Doubts(), self._limits, self._now
        )
        return [behind, *await self._compare(of)]

    async def _compare(self, of: Round) -> Sequence[Finding]:
        """The lake last: what another store has, the lake has by then, or the log still."""
        stores = self._stores
        findings = [
            await _made("live: newest value of each field", stores.live, partial(compare_live, of)),
            await _made("documents: candidates", stores.documents, partial(compare_documents, of)),
            await _made("search: candidates", stores.search, partial(compare_search, of)),
            await _made("reports: rows", stores.reports, partial(compare_rows, of)),
            await _made("reports: count and sum of rollups", stores.reports, partial(compare_rollups, of)),
            await _made("messages: log and lake", stores.lake, partial(compare_lake_messages, of)),
            await _made("candidates: log and lake", stores.lake, partial(compare_lake_candidates, of)),
            await _made("rejected: log and lake", stores.lake, partial(compare_lake_rejected, of)),
        ]
        lake_is_away = any(finding.trouble for finding in findings[-3:])
        if not (lake_is_away and any(end.first for end in of.messages.ends.values())):
            await self._forgive(of)
            of.doubts.settle()
        return findings

    async def _forgive(self, of: Round) -> None:
        """What came since the audit began is not extra."""
        if of.doubts.messages:
            async for message, _ in first_ones(self._log, await since(self._log, MESSAGES, of.messages.ends)):
                of.doubts.messages.pop((message.device, message.id), None)
        if of.doubts.candidates:
            for one in await read_candidates(self._log, await since(self._log, CANDIDATES, of.candidate_ends)):
                of.doubts.candidates.pop(one, None)

    async def _wait(self, messages: Messages, waits: Patience) -> Finding:
        finding = Finding("live, reports and lake have applied what was on the log")
        for name, store in self._stores._asdict().items():
            if name in {"live", "reports", "lake"} and not isinstance(store, HeadwaterError):
                finding.compared += 1
                with suppress(HeadwaterError):  # its own comparison will say so
                    if behind := await _waited(messages.last, store.ledger, waits):
                        finding.lacks(f"{name} is behind on partitions {', '.join(map(str, behind))}")
        return finding

    async def _floors(self, ends: Ends) -> Mapping[int, int]:
        """Partition → the time from which on the log has every message: retention has dropped what came first."""
        floors = dict.fromkeys(ends, _NO_FLOOR)
        for partition, end in ends.items():
            if end.first > 0:
                oldest = self._now()
                async with aclosing(entries(self._log, MESSAGES, {partition: end})) as kept:
                    async for entry in kept:
                        oldest = entry.time
                        break
                floors[partition] = oldest + round(self._limits.ahead * SECOND) + _CLOCKS
        return floors


async def _waited(
    last: Mapping[int, int], ledger: Callable[[str], Awaitable[Mapping[int, int]]], waits: Patience
) -> Sequence[int]:
    """Partitions of which the ledger does not cover the last message, when patience is over."""
    pause = FIRST_PAUSE
    while True:
        applied = await ledger(MESSAGES)
        behind = [partition for partition, offset in sorted(last.items()) if applied.get(partition, -1) < offset]
        if not behind or waits.over:
            return behind
        pause = await waits.pause(pause)


async def _made(what: str, reader: R | HeadwaterError, compare: Callable[[R, Finding], Awaitable[None]]) -> Finding:
    """The comparison, or why there is none."""
    finding = Finding(what)
    if isinstance(reader, HeadwaterError):
        finding.trouble = str(reader)
        return finding
    try:
        await compare(reader, finding)
    except HeadwaterError as error:
        finding.trouble = str(error)
    return finding

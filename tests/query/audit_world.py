"""A log, a lake in memory and the embedded stores, for tests of the audit.

In: what is put on the log, and what the stores are given of it. Out: what the audit finds.
"""

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from headwater.log import CANDIDATES, MESSAGES, REJECTED, Entry
from headwater.message import Body, decode_candidate, decode_message, decode_rejected
from query.audit import Audit, Stores
from query.audit_findings import Finding
from query.audit_round import Limits
from query.tail_part import position
from storage.contract import Record
from storage.sqlite_documents import SqliteDocuments, open_sqlite_documents
from storage.sqlite_live import SqliteLive, open_live
from storage.sqlite_reports import SqliteReports, open_sqlite_reports
from storage.sqlite_search import SqliteSearch, open_sqlite_search
from tests.query.fakes import MemoryLake, MemoryLog
from tests.storage.factory import DAY, T

KEPT = Limits(documents=90 * 86_400, search=30 * 86_400, rows=86_400, ahead=300)
_DECODE = {MESSAGES: decode_message, CANDIDATES: decode_candidate, REJECTED: decode_rejected}


class NamedLake(MemoryLake):
    """With the ids, too."""

    async def ids(self, topic: str) -> AsyncGenerator[Sequence[tuple[int, int, str, str]], None]:
        entries, _ = await self._answer(topic)
        yield [(entry.partition, entry.offset, entry.key.decode(), record(entry).body.id) for entry in entries]


class World:
    """Use `world`. `now` is its clock."""

    def __init__(
        self, live: SqliteLive, documents: SqliteDocuments, search: SqliteSearch, reports: SqliteReports, log: MemoryLog
    ) -> None:
        self.now = T + 3_600_000_000
        self.log = log
        self.lake = NamedLake(log)
        self.live, self.documents, self.search, self.reports = live, documents, search, reports

    def put(self, *bodies: Body, topic: str = "") -> list[Entry]:
        """Onto the log."""
        return [self.log.put(topic or _topic(body), body) for body in bodies]

    async def give(self, *stores: str) -> None:
        """Bring these stores (all, if none is named) what the log holds."""
        records = [record(entry) for entries in self.log.entries.values() for entry in entries]
        for name, store, topic in (
            ("live", self.live, MESSAGES),
            ("documents", self.documents, CANDIDATES),
            ("search", self.search, CANDIDATES),
            ("reports", self.reports, MESSAGES),
        ):
            if not stores or name in stores:
                await store.write([one for one in records if one.topic == topic])
        if not stores or "lake" in stores:
            for topic, partition in self.log.entries:
                self.lake.commit(topic, partition, 1_000_000)

    def stores(self) -> Stores:
        return Stores(self.live, self.documents, self.search, self.reports, self.lake)

    async def audit(self, stores: Stores | None = None, patience: float = 0) -> dict[str, Finding]:
        """Comparison → what it found, where it is not clean."""
        audit = Audit(self.log, stores or self.stores(), KEPT, lambda: self.now)
        return {one.what: one for one in await audit.run(patience) if not one.clean}


def _topic(body: Body) -> str:
    return {"Message": MESSAGES, "Candidate": CANDIDATES, "RejectedMessage": REJECTED}[type(body).__name__]


def record(entry: Entry) -> Record:
    """As a worker offers it to a store."""
    body = _DECODE[entry.topic](entry.value or b"")
    return Record(entry.topic, entry.partition, entry.offset, position(entry), body)


@asynccontextmanager
async def world(folder: Path) -> AsyncGenerator[World, None]:
    """Empty; an hour after T."""
    made: list[World] = []

    def clock() -> int:
        return made[0].now

    log = MemoryLog()
    async with (
        open_live(folder / "live.sqlite", log.id) as live,
        open_sqlite_documents(folder / "documents.sqlite", log.id, retention=KEPT.documents, clock=clock) as documents,
        open_sqlite_search(folder / "search.sqlite", log.id, retention=KEPT.search, now=clock) as search,
        open_sqlite_reports(folder / "reports.sqlite", log.id, rows=KEPT.rows, now=clock) as reports,
    ):
        made.append(World(live, documents, search, reports, log))
        yield made[0]


__all__ = ["DAY", "KEPT", "World", "record", "world"]

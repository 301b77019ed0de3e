"""A log and a lake in memory, and the history over both, as the tests of history want them."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from headwater.log import CANDIDATES, MESSAGES
from headwater.message import Message
from query.history import Ask, History
from query.tail import Tail
from storage.contract import LakeRow
from tests.query.fakes import PARTITIONS, MemoryLake, MemoryLog
from tests.storage.factory import SECOND

MINUTE = 60 * SECOND


@dataclass
class Site:
    """A log, a lake, a tail that follows, and the history made of them."""

    log: MemoryLog = field(default_factory=MemoryLog)
    size: int = 2**20
    clock: float = 0.0
    grace: float = 0.0

    def __post_init__(self) -> None:
        self.lake = MemoryLake(self.log)
        self.tail = self.new_tail()
        self.history = self.asking(self.lake, self.tail)

    def new_tail(self) -> Tail:
        return Tail(
            self.log,
            self.lake.ledger,
            size=self.size,
            groups={CANDIDATES: "lake.candidates"},
            grace=self.grace,
            clock=lambda: self.clock,
        )

    def asking(self, lake: MemoryLake, tail: Tail) -> History:
        return History(lake, tail, log_id="log-1", partitions=PARTITIONS, repeated_within=10 * MINUTE)

    def say(self, *messages: Message) -> None:
        for one in messages:
            self.log.put(MESSAGES, one)

    def flush(self, topic: str = MESSAGES, count: int = 10**6) -> None:
        for number in range(PARTITIONS):
            self.lake.commit(topic, number, count)

    async def caught_up(self) -> None:
        await self.log.grown()
        assert await self.tail.reach(MESSAGES, 5)

    async def all(self, device: str = "pump-7", **parts: object) -> list[LakeRow]:
        """All pages."""
        rows: list[LakeRow] = []
        cursor: str | None = ""
        while cursor is not None:
            page = await self.history.messages(device, Ask(**({"limit": 100, "cursor": cursor} | parts)))  # type: ignore[arg-type]
            rows += page.rows
            cursor = page.next
        return rows


@asynccontextmanager
async def following(site: Site) -> AsyncGenerator[Site, None]:
    stop = asyncio.Event()
    run = asyncio.create_task(site.tail.run(stop))
    await asyncio.sleep(0)
    try:
        yield site
    finally:
        stop.set()
        await run


def ids(rows: Sequence[LakeRow]) -> list[str]:
    return [row.message.id for row in rows]

"""A store in memory that keeps the contract, and does what a test's script says instead of just writing."""

import asyncio
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Literal

from headwater.errors import PartialWrite, Stale, Unavailable
from storage.contract import Record

Act = Literal["write", "unavailable", "lose the answer", "hang", "write and hang", "stale", "forget all"]
Refuse = Callable[[Record], bool]


class ScriptedStore:
    """`script`: what the next writes do; then it just writes. `refuse`: which records it never takes.

    `refuses_late`: it makes the others of such a batch durable, and moves the ledger, before it says so.
    `slow_beyond`: larger batches take it for ever.
    `writes`: the size of every batch it was given; `rows`: (partition, position) of what it has, in order.
    """

    def __init__(self, name: str = "shelf") -> None:
        self.name = name
        self.script: deque[Act] = deque()
        self.refuse: Refuse = lambda record: False
        self.refuses_late = False
        self.ledger_script: deque[Literal["unavailable", "hang"]] = deque()
        self.writes: list[int] = []
        self.rows: list[tuple[int, int]] = []
        self.records: list[Record] = []
        self.ledgers: dict[str, dict[int, int]] = {}
        self.writing = 0
        self.slow_beyond = 10**9

    async def write(self, batch: Sequence[Record]) -> None:
        self.writing += 1
        try:
            await self._write(batch)
        finally:
            self.writing -= 1

    async def ledger(self, topic: str) -> Mapping[int, int]:
        act = self.ledger_script.popleft() if self.ledger_script else "answer"
        if act == "hang":
            await asyncio.Event().wait()
        if act == "unavailable":
            raise Unavailable("no ledger now")
        return dict(self.ledgers.get(topic, {}))

    async def ping(self) -> None:
        return

    async def _write(self, batch: Sequence[Record]) -> None:
        self.writes.append(len(batch))
        act = self.script.popleft() if self.script else "write"
        if len(batch) > self.slow_beyond:
            act = "hang"
        await asyncio.sleep(0)
        match act:
            case "unavailable":
                raise Unavailable("out of order")
            case "stale":
                raise Stale("someone else writes here")
            case "hang":
                await asyncio.Event().wait()
            case "forget all":
                self.rows, self.records, self.ledgers = [], [], {}
                raise Unavailable("restarted, empty")
            case _:
                self._apply(batch)
        if act == "lose the answer":
            raise Unavailable("connection reset")
        if act == "write and hang":
            await asyncio.Event().wait()

    def _apply(self, batch: Sequence[Record]) -> None:
        reasons = {index: "too strange" for index, record in enumerate(batch) if self.refuse(record)}
        if reasons and not self.refuses_late:
            raise PartialWrite(reasons)
        ledger = self.ledgers.setdefault(batch[0].topic, {})
        before = dict(ledger)
        for index, record in enumerate(batch):
            if record.position <= before.get(record.partition, -1):
                continue
            ledger[record.partition] = max(record.position, ledger.get(record.partition, -1))
            if index not in reasons:
                self.rows.append((record.partition, record.position))
                self.records.append(record)
        if reasons:
            raise PartialWrite(reasons)

"""What the tests of lanes and intake need: a log that follows a script, owners that note when they are released."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from headwater.errors import LogError
from headwater.log import NewEntry, Offset
from ingest.contract import Receipt

Step = Literal["take", "raise", "break", "cancel", "refuse"] | tuple[Literal["take first"], int] | asyncio.Event
"""What an append does: take all; raise LogError; raise what no log may; be cancelled; answer LogError for each entry; take the
first n and answer LogError for the others; wait for the event, then take all."""


class ScriptedLog:
    """Follows its script, an entry an append, then takes everything. `kept` is what is durable, in order."""

    def __init__(self, *script: Step, partitions: int = 4) -> None:
        self.script: list[Step] = list(script)
        self.kept: dict[tuple[str, int], list[bytes]] = {}
        self.calls = 0
        self.in_flight: dict[tuple[str, int], int] = {}
        self.most_in_flight = 0
        self.gate: asyncio.Event | None = None  # if set, each append waits for it first
        self._partitions = partitions

    def partitions(self, topic: str) -> int:
        return self._partitions

    def values(self, topic: str = "messages") -> list[bytes]:
        return [value for (name, _), kept in sorted(self.kept.items()) if name == topic for value in kept]

    async def append(self, topic: str, entries: Sequence[NewEntry]) -> Sequence[Offset | LogError]:
        self.calls += 1
        lane = topic, entries[0].partition
        self.in_flight[lane] = self.in_flight.get(lane, 0) + 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight[lane])
        try:
            return await self._follow(lane, entries)
        finally:
            self.in_flight[lane] -= 1

    async def _follow(self, lane: tuple[str, int], entries: Sequence[NewEntry]) -> Sequence[Offset | LogError]:
        step = self.script.pop(0) if self.script else "take"
        await asyncio.sleep(0)
        if self.gate is not None:
            await self.gate.wait()
        if isinstance(step, asyncio.Event):
            await step.wait()
            step = "take"
        match step:
            case "raise":
                raise LogError("scripted")
            case "break":
                raise ZeroDivisionError
            case "cancel":
                raise asyncio.CancelledError
            case "refuse":
                return [LogError("scripted") for _ in entries]
            case ("take first", count):
                return [*self._keep(lane, entries[:count]), *(LogError("scripted") for _ in entries[count:])]
            case _:
                return self._keep(lane, entries)

    def _keep(self, lane: tuple[str, int], entries: Sequence[NewEntry]) -> list[Offset]:
        kept = self.kept.setdefault(lane, [])
        start = len(kept)
        kept += [entry.value or b"" for entry in entries]
        return list(range(start, len(kept)))


@dataclass(eq=False)
class Owner:
    """Notes its releases, and the tags of its receipts that were settled by then."""

    receipts: list[Receipt] = field(default_factory=list[Receipt])
    releases: int = 0
    acknowledged: list[int] = field(default_factory=list[int])
    failed: list[int] = field(default_factory=list[int])

    def receipt(self, tag: int = 0) -> Receipt:
        receipt = Receipt(self, tag)
        self.receipts.append(receipt)
        return receipt

    def release(self) -> None:
        self.releases += 1
        for receipt in [receipt for receipt in self.receipts if not receipt.waiting]:
            self.receipts.remove(receipt)
            (self.failed if receipt.failed else self.acknowledged).append(receipt.tag)


async def until(condition: object, turns: int = 2000) -> None:
    """Let the loop turn until the condition (a callable) holds; fail if it never does."""
    assert callable(condition)
    for _ in range(turns):
        if condition():
            return
        await asyncio.sleep(0.001)
    raise AssertionError("it never came")

"""What the tests of lanes and intake need: a log that follows a script, owners that note when they are released, and a
bench: an intake on such a log.
"""

import asyncio
import json
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

from headwater.config import Config, Ingest
from headwater.config_models import Model
from headwater.errors import LogError
from headwater.log import MESSAGES, REJECTED, NewEntry, Offset, partition_for
from headwater.message import Message, RejectedMessage, decode_message, decode_rejected
from headwater.metrics import Metrics
from headwater.registry import ANONYMOUS, Identity
from ingest.contract import Receipt, Source
from ingest.decoders.catalogue import Catalogue
from ingest.intake import LogIntake

NOW = 1_763_719_000_000_000
MQTT = Source("mqtt", peer="127.0.0.1:5000")
OTHER = next(f"d{n}" for n in range(99) if partition_for(b"d%d" % n, 4) != partition_for(b"pump-7", 4))
PUMP = Identity("pump-7", device="pump-7")

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


class Bench:
    """An intake on a scripted log, its metrics, a clock that is set by hand, and one owner."""

    def __init__(
        self, log: ScriptedLog, config: Config, model_of: Callable[[str], str], catalogue: Catalogue | None
    ) -> None:
        self.log = log
        self.now = NOW
        self.metrics = Metrics()
        self.owner = Owner()
        self.intake = LogIntake(log, config, self.metrics, model_of, lambda: self.now, catalogue)

    def offer(
        self, *payloads: object, identity: Identity = ANONYMOUS, source: Source = MQTT, key: str = "", tag: int = 0
    ) -> Receipt:
        receipt = self.owner.receipt(tag)
        data = [payload if isinstance(payload, bytes) else json.dumps(payload).encode() for payload in payloads]
        self.intake.accept(identity, source, data, receipt, key)
        return receipt

    async def take(self, *payloads: object, **how: Any) -> Receipt:
        """Offer, and wait until the receipt is settled."""
        receipt = self.offer(*payloads, **how)
        await until(lambda: not receipt.waiting)
        return receipt

    @property
    def messages(self) -> list[Message]:
        return [decode_message(value) for value in self.log.values(MESSAGES)]

    @property
    def rejected(self) -> list[RejectedMessage]:
        return [decode_rejected(value) for value in self.log.values(REJECTED)]

    def count(self, name: str, **labels: str) -> float:
        return self.metrics.sample(f"{name}_total", **labels)


def named(*, fields: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    return {"device": "pump-7", "fields": fields or {"x": 1}, **more}


@asynccontextmanager
async def bench(
    *script: Step,
    models: dict[str, Model] | None = None,
    model_of: Callable[[str], str] = lambda _device: "",
    catalogue: Catalogue | None = None,
    **ingest: Any,
) -> AsyncGenerator[Bench]:
    config = Config(ingest=Ingest.model_validate({"linger": 0} | ingest), models=models or {})
    made = Bench(ScriptedLog(*script), config, model_of, catalogue)
    async with made.intake:
        yield made

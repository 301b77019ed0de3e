"""The flow as numbers: how many messages came, what became of them, how fast, and what waits where.

In: the metrics that the parts count in, workers' states, the log's ends. Out: one object for the page and `/flow`.
received = accepted + rejected + duplicate + failed, once nothing is waiting.
"""

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from pydantic import BaseModel, Field

from consumers.worker_state import WorkerState
from headwater.errors import Unavailable
from headwater.log import CANDIDATES, Log, Partition
from headwater.metrics import Metrics

Ledger = Callable[[str], Awaitable[Mapping[Partition, int]]]
"""Topic → partition → highest position applied: `Store.ledger`."""

_EVERY = 1.0
_OVER = 5
"""Rates are means over so many looks, `_EVERY` seconds apart."""

_COUNTS = {
    "received": "received_total",
    "accepted": "accepted_total",
    "rejected": "rejected_total",
    "duplicate": "duplicate_total",
    "failed": "failed_total",
    "refused": "refused_total",
    "selected": "selected_total",
}


class StoreFlow(BaseModel):
    """One store's share of one topic."""

    store: str = Field(examples=["live"])
    topic: str = Field(examples=["messages"])
    written: int = Field(description="Records that it has made durable.")
    quarantined: int = Field(description="Records that it can never take.")
    waiting: int = Field(description="Entries of the log that it has yet to take; known to about a second.")
    state: str = Field(description="`starting`, `running`, `resting` or `stopped`.", examples=["running"])
    reason: str = Field(description="Why it rests or stopped, for people.")
    rate: float = Field(description="Records a second.")


class SelectorFlow(BaseModel):
    """The selector."""

    taken: int = Field(description="Messages it has looked at.")
    duplicate: int = Field(description="Messages it recognised as repeated.")
    waiting: int = Field(description="Entries of the log that it has yet to take; known to about two seconds.")
    state: str = Field(examples=["running"])
    reason: str


class FlowAnswer(BaseModel):
    """Since the program was started: received = accepted + rejected + duplicate + failed, once nothing is waiting."""

    received: int = Field(description="Messages that came in at the front door.")
    accepted: int = Field(description="Messages that are durably on the log.")
    rejected: int = Field(description="Messages that were not valid.")
    rejected_by_reason: dict[str, int]
    duplicate: int = Field(description="Messages recognised as logged before.")
    failed: int = Field(description="Messages that the log could not take in time.")
    refused: int = Field(description="Connections and requests refused for who they are.")
    waiting: int = Field(description="Messages that wait for the log now.")
    connections: dict[str, int] = Field(description="Open connections by transport.")
    selected: int = Field(description="Candidate records emitted.")
    selected_by_rule: dict[str, int]
    selector: SelectorFlow | None
    stores: dict[str, StoreFlow] = Field(description="By group: store and topic.")
    rates: dict[str, float] = Field(description="received, accepted, rejected, duplicate, selected: a second.")


class Flow:
    """Give `run` to a supervisor: it looks once a second, so that there are rates.

    `workers`: the writers' states; `selector`: the selector's. `ledgers`: store → its ledger, where that is cheap to
    ask; without it, what waits is known from commits, a second late. `clock`: seconds that only grow.
    """

    def __init__(
        self,
        metrics: Metrics,
        log: Log,
        workers: Sequence[WorkerState],
        selector: WorkerState | None = None,
        ledgers: Mapping[str, Ledger] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._metrics = metrics
        self._log = log
        self._workers = workers
        self._selector = selector
        self._ledgers = ledgers or {}
        self._clock = clock
        self._looks: deque[tuple[float, Mapping[str, float]]] = deque(maxlen=_OVER + 1)

    async def run(self, stop: asyncio.Event) -> None:
        """Look until `stop` is set."""
        while not stop.is_set():
            self.look()
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), _EVERY)

    def look(self) -> None:
        """Remember the counters as they are now."""
        self._looks.append((self._clock(), self._speeding(_Samples(self._metrics))))

    async def answer(self) -> dict[str, Any]:
        """A `FlowAnswer`. Raises `Unavailable`."""
        samples = _Samples(self._metrics)
        rates = self._rates(self._speeding(samples))
        counts: dict[str, Any] = {name: samples.total(metric) for name, metric in _COUNTS.items()}
        return counts | {
            "rejected_by_reason": samples.by("rejected_total", "reason"),
            "waiting": samples.total("waiting"),
            "connections": samples.by("connections", "transport"),
            "selected_by_rule": samples.by("selected_total", "rule"),
            "selector": None if self._selector is None else self._of_selector(self._selector, samples),
            "stores": {one.group: await self._of_store(one, samples, rates) for one in self._workers},
            "rates": {name: rates.get(name, 0.0) for name in _COUNTS if name not in {"failed", "refused"}},
        }

    def _speeding(self, samples: "_Samples") -> Mapping[str, float]:
        speeds: dict[str, float] = {name: samples.total(metric) for name, metric in _COUNTS.items()}
        for one in self._workers:
            speeds[one.group] = samples.total("store_written_total", store=one.name, topic=one.topic)
        return speeds

    def _rates(self, now: Mapping[str, float]) -> Mapping[str, float]:
        if not self._looks:
            return {}
        at, before = self._looks[0]
        passed = self._clock() - at
        if passed < _EVERY / 2:
            return {}
        return {name: round((value - before.get(name, 0)) / passed, 2) for name, value in now.items()}

    def _of_selector(self, state: WorkerState, samples: "_Samples") -> dict[str, Any]:
        return {
            "taken": samples.total("selector_taken_total"),
            "duplicate": samples.total("selector_duplicate_total"),
            "waiting": samples.total("lag", group=state.group),
            "state": state.state,
            "reason": state.reason,
        }

    async def _of_store(self, state: WorkerState, samples: "_Samples", rates: Mapping[str, float]) -> dict[str, Any]:
        return {
            "store": state.name,
            "topic": state.topic,
            "written": samples.total("store_written_total", store=state.name, topic=state.topic),
            "quarantined": samples.total("store_quarantined_total", store=state.name, topic=state.topic),
            "waiting": await self._waiting(state),
            "state": state.state,
            "reason": state.reason,
            "rate": rates.get(state.group, 0.0),
        }

    async def _waiting(self, state: WorkerState) -> int:
        """Exact when all is written, and never less than what is waiting."""
        try:
            ends = await self._log.ends(state.topic)
            done = dict(await self._log.committed(state.group, state.topic))
            if state.name in self._ledgers and state.topic != CANDIDATES:  # whose ledger does not count offsets
                for number, applied in (await self._ledgers[state.name](state.topic)).items():
                    done[number] = max(done.get(number, 0), applied + 1)
        except Unavailable:
            return state.waiting
        return sum(max(0, end.next - max(end.first, done.get(number, 0))) for number, end in ends.items())


class _Samples:
    """All metrics, collected once."""

    def __init__(self, metrics: Metrics) -> None:
        self._found: dict[str, list[tuple[Mapping[str, str], float]]] = {}
        for family in metrics.registry.collect():
            for sample in family.samples:
                name = sample.name.removeprefix("headwater_")
                self._found.setdefault(name, []).append((sample.labels, sample.value))

    def total(self, name: str, **labels: str) -> int:
        """The sum over all label sets that contain these."""
        return round(sum(value for its, value in self._found.get(name, ()) if labels.items() <= its.items()))

    def by(self, name: str, label: str) -> dict[str, int]:
        """The sum for each value of a label."""
        sums: dict[str, int] = {}
        for its, value in self._found.get(name, ()):
            sums[its[label]] = sums.get(its[label], 0) + round(value)
        return sums

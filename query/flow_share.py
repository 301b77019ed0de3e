"""One process's share of the flow: what it has counted, how fast, and how its workers are.

In: the metrics that its parts count in, its workers' states. Out: a `Share`, small enough to be told to other processes
once a second, and one `Share` made of many.
"""

import asyncio
import os
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any

import msgspec

from consumers.worker_state import WorkerState
from headwater.metrics import Metrics

EVERY = 1.0
_OVER = 5
"""Rates are means over so many looks, `EVERY` seconds apart."""
_TELLING = 0.02
"""Seconds of work that say something about how fast a worker is."""

COUNTS = {
    "received": "received_total",
    "accepted": "accepted_total",
    "rejected": "rejected_total",
    "duplicate": "duplicate_total",
    "failed": "failed_total",
    "refused": "refused_total",
    "selected": "selected_total",
    "taken": "selector_taken_total",
    "repeated": "selector_duplicate_total",
}
SELECTOR = "selector"
_WORST = ("stopped", "resting", "starting", "running")


class WorkerShare(msgspec.Struct, omit_defaults=True):
    """The workers of one group. `members`: how many of them run now, and of those how many are `resting`.

    `rate`: records a second; `pace`: entries a second of work, or 0 if it did next to none; `positions`: partition →
    the next offset that is not done, of the partitions that these workers have. What is past has counted, and has no
    members.
    """

    store: str
    topic: str
    written: int = 0
    quarantined: int = 0
    waiting: int = 0
    members: int = 0
    resting: int = 0
    state: str = ""
    reason: str = ""
    rate: float = 0.0
    pace: float = 0.0
    positions: dict[int, int] = {}


class Share(msgspec.Struct, omit_defaults=True):
    """What one process, or many, have counted. `process` tells processes apart; `ended`: this is its last word."""

    process: str = ""
    kinds: dict[str, int] = {}
    counts: dict[str, int] = {}
    rejected_by_reason: dict[str, int] = {}
    selected_by_rule: dict[str, int] = {}
    connections: dict[str, int] = {}
    waiting: int = 0
    rates: dict[str, float] = {}
    workers: dict[str, WorkerShare] = {}
    ended: bool = False
    v: int = 1


class Counting:
    """A process's own share. Give `run` to a supervisor: it looks once a second, so that there are rates.

    `kind`: gateway, consumer, …; `workers`: the states of those that run, looked at again each time; `clock`: seconds
    that only grow.
    """

    def __init__(
        self,
        metrics: Metrics,
        kind: str,
        workers: Sequence[WorkerState] = (),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.process = f"{kind}-{os.urandom(6).hex()}"
        self._kind = kind
        self._metrics = metrics
        self._workers = workers
        self._clock = clock
        self._looks: deque[tuple[float, Mapping[str, float]]] = deque(maxlen=_OVER + 1)

    async def run(self, stop: asyncio.Event) -> None:
        """Look until `stop` is set."""
        while not stop.is_set():
            self.look()
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), EVERY)

    def look(self) -> None:
        """Remember the counters as they are now."""
        self._looks.append((self._clock(), self._speeding(_Samples(self._metrics))))

    def share(self) -> Share:
        """What it comes to now."""
        samples = _Samples(self._metrics)
        grown = self._grown(self._speeding(samples))
        return Share(
            self.process,
            {self._kind: 1},
            {name: samples.total(metric) for name, metric in COUNTS.items()},
            samples.by("rejected_total", "reason"),
            samples.by("selected_total", "rule"),
            samples.by("connections", "transport"),
            samples.total("waiting"),
            {name: round(grown.get(name, 0.0), 2) for name in COUNTS},
            {one.group: self._worker(one, samples, grown) for one in self._workers},
        )

    def _worker(self, state: WorkerState, samples: "_Samples", grown: Mapping[str, float]) -> WorkerShare:
        labels = {"store": state.name, "topic": state.topic}
        busy = grown.get(f"{state.group} busy", 0.0)
        return WorkerShare(
            state.name,
            state.topic,
            samples.total("store_written_total", **labels),
            samples.total("store_quarantined_total", **labels),
            state.waiting,
            1,
            int(state.state == "resting"),
            state.state,
            state.reason,
            round(grown.get(state.group, 0.0), 2),
            round(grown.get(f"{state.group} done", 0.0) / busy, 2) if busy > _TELLING else 0.0,
            dict(state.positions),
        )

    def _speeding(self, samples: "_Samples") -> Mapping[str, float]:
        speeds: dict[str, float] = {name: samples.total(metric) for name, metric in COUNTS.items()}
        for one in self._workers:
            labels = {"store": one.name, "topic": one.topic}
            written = samples.total("store_written_total", **labels)
            passed = [samples.total(f"store_{fate}_total", **labels) for fate in ("skipped", "quarantined")]
            speeds[one.group] = written
            speeds[f"{one.group} done"] = written + sum(passed) if one.group != SELECTOR else speeds["taken"]
            speeds[f"{one.group} busy"] = samples.sum("worker_busy_seconds_total", group=one.group)
        return speeds

    def _grown(self, now: Mapping[str, float]) -> Mapping[str, float]:
        """By how much a second."""
        if not self._looks:
            return {}
        at, before = self._looks[0]
        passed = self._clock() - at
        if passed < EVERY / 2:
            return {}
        return {name: (value - before.get(name, 0)) / passed for name, value in now.items()}


def summed(shares: Sequence[Share]) -> Share:
    """All of them as one."""
    return Share(
        "",
        _added(share.kinds for share in shares),
        _added(share.counts for share in shares),
        _added(share.rejected_by_reason for share in shares),
        _added(share.selected_by_rule for share in shares),
        _added(share.connections for share in shares),
        sum(share.waiting for share in shares),
        {name: round(sum(share.rates.get(name, 0.0) for share in shares), 2) for name in COUNTS},
        together(share.workers for share in shares),
    )


def past(share: Share) -> Share:
    """What has been counted stays so when the process has ended; the rest is no more."""
    workers = {
        group: WorkerShare(one.store, one.topic, one.written, one.quarantined) for group, one in share.workers.items()
    }
    return Share(
        share.process,
        counts=share.counts,
        rejected_by_reason=share.rejected_by_reason,
        selected_by_rule=share.selected_by_rule,
        workers=workers,
    )


def together(many: Iterable[Mapping[str, WorkerShare]]) -> dict[str, WorkerShare]:
    """Group → its workers as one: the worst state, with the reason and how many are in it where they differ."""
    groups: dict[str, list[WorkerShare]] = {}
    for workers in many:
        for group, one in workers.items():
            groups.setdefault(group, []).append(one)
    return {group: found[0] if len(found) == 1 else _as_one(found) for group, found in groups.items()}


def _as_one(found: Sequence[WorkerShare]) -> WorkerShare:
    running = [one for one in found if one.members]
    state = next((state for state in _WORST if any(one.state == state for one in running)), "")
    like = [one for one in running if one.state == state]
    members, ill = sum(one.members for one in running), sum(one.members for one in like)
    reason = next((one.reason for one in like if one.reason), "")
    paces = [one.pace for one in running if one.pace]
    positions: dict[int, int] = {}
    for one in running:
        for number, position in one.positions.items():
            positions[number] = max(position, positions.get(number, 0))
    return WorkerShare(
        found[0].store,
        found[0].topic,
        sum(one.written for one in found),
        sum(one.quarantined for one in found),
        sum(one.waiting for one in running),
        members,
        sum(one.resting for one in running),
        state,
        reason if not reason or ill == members else f"{ill} of {members}: {reason}",
        round(sum(one.rate for one in running), 2),
        round(sum(paces) / len(paces), 2) if paces else 0.0,
        positions,
    )


def _added(many: Iterable[Mapping[str, int]]) -> dict[str, int]:
    total: Counter[str] = Counter()
    for one in many:
        total.update(one)
    return dict(total)


class _Samples:
    """All metrics, collected once."""

    def __init__(self, metrics: Metrics) -> None:
        self._found: dict[str, list[tuple[Mapping[str, Any], float]]] = {}
        for family in metrics.registry.collect():
            for sample in family.samples:
                name = sample.name.removeprefix("headwater_")
                self._found.setdefault(name, []).append((sample.labels, sample.value))

    def sum(self, name: str, **labels: str) -> float:
        """Over all label sets that contain these."""
        return sum(value for its, value in self._found.get(name, ()) if labels.items() <= its.items())

    def total(self, name: str, **labels: str) -> int:
        """The same, of what is counted one by one."""
        return round(self.sum(name, **labels))

    def by(self, name: str, label: str) -> dict[str, int]:
        """The sum for each value of a label."""
        sums: dict[str, int] = {}
        for its, value in self._found.get(name, ()):
            sums[its[label]] = sums.get(its[label], 0) + round(value)
        return sums

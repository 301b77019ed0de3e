"""The flow as numbers: how many messages came, what became of them, how fast, and what waits where.

In: what this process and the others of the installation have counted, the log's ends and commits. Out: one object for
the page and `/flow`. received = accepted + rejected + duplicate + failed, once nothing is waiting.
"""

from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel, Field

from headwater.log import ReadableLog
from query.flow_share import SELECTOR, Counting, Share, WorkerShare, summed
from query.lags import Group, Lags, Looked
from query.others import Others

_IN_ALL = ("received", "accepted", "rejected", "duplicate", "failed", "refused", "selected")
_RATES = ("received", "accepted", "rejected", "duplicate", "selected")
_NOBODY = "no consumer does this work"
_FRESH = 1.0


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
    waiting: int = Field(description="Entries of the log that it has yet to take; known to about a second.")
    state: str = Field(examples=["running"])
    reason: str


class FlowAnswer(BaseModel):
    """Since the program was started: received = accepted + rejected + duplicate + failed, once nothing is waiting.

    Where there are several processes: counted by those that run since each was started, and by those that ended while
    this one looked.
    """

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
    processes: dict[str, int] = Field(description="Processes that run, by what they are.", examples=[{"gateway": 2}])
    rates: dict[str, float] = Field(description="received, accepted, rejected, duplicate, selected: a second.")


class Flow:
    """`own`: this process's counting, which must be running. `others`: the other processes, if there are any.

    `groups`: those that should be at work somewhere; without it, those that this process works for.
    """

    def __init__(
        self, log: ReadableLog, own: Counting, others: Others | None = None, groups: Sequence[Group] = ()
    ) -> None:
        self._own = own
        self._others = others
        self._groups = groups
        self._lags = Lags(log, fresh=0.0 if others is None else _FRESH)

    def now(self) -> Share:
        """What the processes that run say, as one."""
        return summed([self._own.share(), *(self._others.running() if self._others is not None else ())])

    def groups(self, now: Share) -> Sequence[Group]:
        """All groups that should be at work, or are."""
        known = {group.name for group in self._groups}
        more = [Group(name, one.store, one.topic) for name, one in now.workers.items() if name not in known]
        return [*self._groups, *more]

    async def lags(self, now: Share) -> Looked:
        """How far each group is behind. Raises `Unavailable`."""
        return await self._lags.look(self.groups(now), now.workers)

    async def answer(self) -> dict[str, Any]:
        """A `FlowAnswer`. Where the log is away, what waits is what waited when it was seen last."""
        now = self.now()
        in_all = now if self._others is None else summed([now, self._others.ended()])
        groups = self.groups(now)
        looked = await self._lags.latest(groups, now.workers)
        stores: dict[str, Any] = {}
        selector: dict[str, Any] | None = None
        for group in groups:
            one = in_all.workers.get(group.name) or WorkerShare(group.store, group.topic)
            lag = looked.lags.get(group.name)
            waiting = one.waiting if lag is None else sum(lag.values())
            if group.name == SELECTOR:
                selector = _of_selector(one, in_all, waiting)
            else:
                stores[group.name] = _of_store(one, waiting)
        return {name: in_all.counts.get(name, 0) for name in _IN_ALL} | {
            "rejected_by_reason": in_all.rejected_by_reason,
            "waiting": now.waiting,
            "connections": now.connections,
            "selected_by_rule": in_all.selected_by_rule,
            "selector": selector,
            "stores": stores,
            "processes": now.kinds,
            "rates": {name: now.rates.get(name, 0.0) for name in _RATES},
        }


def _of_selector(one: WorkerShare, in_all: Share, waiting: int) -> dict[str, Any]:
    return {
        "taken": in_all.counts.get("taken", 0),
        "duplicate": in_all.counts.get("repeated", 0),
        "waiting": waiting,
        **_state(one),
    }


def _of_store(one: WorkerShare, waiting: int) -> dict[str, Any]:
    return {
        "store": one.store,
        "topic": one.topic,
        "written": one.written,
        "quarantined": one.quarantined,
        "waiting": waiting,
        **_state(one),
        "rate": one.rate,
    }


def _state(one: WorkerShare) -> dict[str, str]:
    return {"state": one.state, "reason": one.reason} if one.members else {"state": "stopped", "reason": _NOBODY}

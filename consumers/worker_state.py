"""How a worker is doing: for readiness, the page, and whoever has to do something about it."""

from typing import Literal

import msgspec

from headwater.times import now

Doing = Literal["starting", "running", "resting", "stopped"]


class WorkerState(msgspec.Struct):
    """One worker's. `since`: when `state` began (microseconds UTC). `waiting`: records taken and not yet settled.

    `reason`: why it rests or stopped, for a person; `error`: the latest error, also after it has passed.
    `positions`: of the partitions that it has, the next offset that is not done.
    """

    name: str
    topic: str
    group: str
    state: Doing = "starting"
    reason: str = ""
    error: str = ""
    since: int = msgspec.field(default_factory=now)
    waiting: int = 0
    positions: dict[int, int] = {}

    @property
    def failed(self) -> bool:
        """True if it stopped by itself: a person must act, and start it again."""
        return self.state == "stopped" and bool(self.reason)

    def move(self, state: Doing, reason: str = "") -> bool:
        """Note what it does now; True if that is something else than before."""
        changed = state != self.state
        if changed:
            self.since = now()
        self.state = state
        self.reason = reason
        self.error = reason or self.error
        return changed

"""How many consumers the load asks for: metrics for an autoscaler.

In: what arrives on the log, how far groups are behind, how fast their workers are while they work. Out: the gauges
`group_lag`, `group_members` and `consumers_wanted`.

wanted = (arrivals a second + lag / `catch_up`) / what one worker does a second when it has enough to do, at least 1,
at most the partitions. More are wanted at once, fewer when fewer were enough for `scale_down_after`. While all of a
group's workers rest, because their store is away, more of them would not help: what was wanted stays.
"""

import asyncio
import math
import time
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress

from headwater.config import Workers
from headwater.errors import Unavailable
from headwater.metrics import Metrics
from query.flow import Flow
from query.flow_share import WorkerShare

EVERY = 5.0
_ARRIVALS_OVER = 12
"""Looks over which arrivals are averaged: a minute."""
_FADING = 0.999
"""What is left of the best pace after a look: half of it after an hour, so that a store that became slow is noticed."""


class Wanted:
    """Of one group: the arithmetic. `catch_up`, `patience`: seconds."""

    def __init__(self, catch_up: float, patience: float) -> None:
        self._catch_up = catch_up
        self._patience = patience
        self._pace = 0.0
        self._arrivals: deque[tuple[float, int]] = deque(maxlen=_ARRIVALS_OVER + 1)
        self._lately: deque[tuple[float, int]] = deque()
        self.answer = 1

    def look(self, at: float, end: int, lag: Mapping[int, int], workers: WorkerShare | None) -> int:
        """`at`: seconds that only grow; `end`: the sum of the next offsets; `lag`: by partition; their workers now."""
        self._arrivals.append((at, end))
        self._pace = max(self._pace * _FADING, 0.0 if workers is None else workers.pace)
        members = 0 if workers is None else workers.members
        if workers is not None and 0 < members == workers.resting:
            self._lately.append((at, self.answer))
        else:
            self._lately.append((at, self._needed(sum(lag.values()), members, len(lag))))
        while self._lately[0][0] < at - self._patience:
            self._lately.popleft()
        self.answer = max(count for _, count in self._lately)
        return self.answer

    def _needed(self, lag: int, members: int, most: int) -> int:
        (began, first), (at, last) = self._arrivals[0], self._arrivals[-1]
        arriving = max(0, last - first) / (at - began) if at > began else 0.0
        load = arriving + lag / self._catch_up
        # Until one has shown how fast a worker is, those that there are must do.
        needed = math.ceil(load / self._pace) if self._pace else members
        return min(max(needed, 1), most)


class Scaling:
    """Give `run` to a supervisor, in one process that answers for all."""

    def __init__(
        self, flow: Flow, config: Workers, metrics: Metrics, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._flow = flow
        self._config = config
        self._metrics = metrics
        self._clock = clock
        self._wanted: dict[str, Wanted] = {}

    async def run(self, stop: asyncio.Event) -> None:
        """Look until `stop` is set. Where the log is away, the gauges stay as they are."""
        while not stop.is_set():
            with suppress(Unavailable):
                await self.look()
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), EVERY)

    async def look(self) -> None:
        """Set the gauges. Raises `Unavailable`."""
        now = self._flow.now()
        looked = await self._flow.lags(now)
        at = self._clock()
        for group in self._flow.groups(now):
            lag, workers = looked.lags.get(group.name, {}), now.workers.get(group.name)
            for number, behind in lag.items():
                self._metrics.group_lag.labels(group.name, group.topic, str(number)).set(behind)
            wanted = self._wanted.setdefault(group.name, Wanted(self._config.catch_up, self._config.scale_down_after))
            end = sum(ends.next for ends in looked.ends.get(group.topic, {}).values())
            self._metrics.members.labels(group.name).set(0 if workers is None else workers.members)
            if lag:
                self._metrics.wanted.labels(group.name).set(wanted.look(at, end, lag, workers))

"""How far each group is behind, as the log itself says it.

In: the log's ends and the groups' commits, and where workers say that they are. Out: group → partition → entries that
it has yet to take; also of partitions that nobody works on. Never less than what is waiting.
"""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from headwater.errors import Unavailable
from headwater.log import MESSAGES, Offsets, Partition, ReadableLog
from query.flow_share import SELECTOR, WorkerShare


class Group(NamedTuple):
    """A group and the one topic that it takes. `store` is empty for the selector."""

    name: str
    store: str
    topic: str


def group_of(store: str, topic: str) -> Group:
    """The group in which a store takes a topic."""
    return Group(f"{store}.{topic}", store, topic)


OF_SELECTOR = Group(SELECTOR, SELECTOR, MESSAGES)


class Looked(NamedTuple):
    """`ends`: topic → partition → first and next offset; `lags`: group → partition → entries."""

    ends: Mapping[str, Mapping[Partition, Offsets]]
    lags: Mapping[str, Mapping[Partition, int]]


class Lags:
    """`fresh`: seconds for which an answer is good, however many ask."""

    def __init__(self, log: ReadableLog, *, fresh: float = 0.0, clock: Callable[[], float] = time.monotonic) -> None:
        self._log = log
        self._fresh = fresh
        self._clock = clock
        self._at = float("-inf")
        self._latest = Looked({}, {})
        self._looking = asyncio.Lock()

    async def look(self, groups: Sequence[Group], workers: Mapping[str, WorkerShare]) -> Looked:
        """Raises `Unavailable`."""
        async with self._looking:
            if self._clock() - self._at >= self._fresh:
                self._latest = await self._look(groups, workers)
                self._at = self._clock()
            return self._latest

    async def latest(self, groups: Sequence[Group], workers: Mapping[str, WorkerShare]) -> Looked:
        """The same, or what was seen last where the log cannot say."""
        try:
            return await self.look(groups, workers)
        except Unavailable:
            return self._latest

    async def _look(self, groups: Sequence[Group], workers: Mapping[str, WorkerShare]) -> Looked:
        topics = list(dict.fromkeys(group.topic for group in groups))
        commits = await asyncio.gather(*(self._log.committed(group.name, group.topic) for group in groups))
        found = await asyncio.gather(*(self._log.ends(topic) for topic in topics))
        ends = dict(zip(topics, found, strict=True))
        lags: dict[str, Mapping[Partition, int]] = {}
        for group, commit in zip(groups, commits, strict=True):
            done = workers[group.name].positions if group.name in workers else {}
            lags[group.name] = {
                number: max(0, end.next - max(end.first, commit.get(number, 0), done.get(number, 0)))
                for number, end in ends[group.topic].items()
            }
        return Looked(ends, lags)

"""How far a group is behind: the gauge `lag`, by partition."""

import asyncio
from collections.abc import Mapping
from contextlib import suppress

from consumers.stopping import pause
from headwater.errors import Unavailable
from headwater.log import Log, Offset, Partition
from headwater.metrics import Metrics

EVERY = 2.0
"""Seconds between two looks at the log's ends."""


class Lag:
    """`positions`: of the partitions that are ours now, the next offset to be done. Kept by the worker."""

    def __init__(self, log: Log, topic: str, group: str, metrics: Metrics) -> None:
        self.positions: dict[Partition, Offset] = {}
        self._log = log
        self._topic = topic
        self._group = group
        self._gauge = metrics.lag
        self._shown: set[Partition] = set()

    async def watch(self, stop: asyncio.Event) -> None:
        """Set the gauge now and then until `stop`."""
        while not stop.is_set():
            with suppress(Unavailable):  # the log's own state says so
                self.show({at: ends.next for at, ends in (await self._log.ends(self._topic)).items()})
            await pause(stop, EVERY)

    def show(self, ends: Mapping[Partition, Offset]) -> None:
        """Set the gauge for the partitions that are ours, and drop it for those that were."""
        for partition in self._shown - self.positions.keys():
            self._gauge.remove(self._group, self._topic, str(partition))
        self._shown = set(self.positions)
        for partition, position in self.positions.items():
            behind = max(0, ends.get(partition, position) - position)
            self._gauge.labels(self._group, self._topic, str(partition)).set(behind)

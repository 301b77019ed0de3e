"""What the log forgets: blocks too old or too many for their topic, and what newer entries of the same key replaced.

In: the topics' rules and the time. Out: fewer blocks, in transactions so small that no append waits long for one. The
file does not shrink; its free pages are used again. Groups that lag are not waited for: `lags` tells who is near.
"""

import heapq
import sqlite3
from collections.abc import Callable, Generator, Mapping, Sequence
from functools import partial
from itertools import islice
from typing import NamedTuple

from headwater.log import Offset, TopicPartition, TopicSpec
from storage.group_lag import GroupLag
from storage.sqlite_log_blocks import block_id, remember_ends
from storage.sqlite_log_compaction import Compaction
from storage.sqlite_log_state import LogState, PartitionState

_STEP_BLOCKS = 200
_STEP_SIZE = 4 * 2**20
_SECOND = 1_000_000


class Retention:
    """`tombstones`: seconds that an entry without a value stays on a compacted topic."""

    def __init__(
        self, state: LogState, specs: Sequence[TopicSpec], clock: Callable[[], int], tombstones: float
    ) -> None:
        self._state = state
        self._specs = {spec.name: spec for spec in specs}
        self._clock = clock
        self._compaction = Compaction(state.file, clock, tombstones)

    async def maintain(self) -> None:
        """One pass over all topics. Raises `Unavailable`; what was done until then stays done."""
        for spec in self._specs.values():
            partitions = {at: self._state.at[at] for at in self._state.at if at.topic == spec.name}
            if spec.retention is not None:
                await self._drop_old(list(partitions.values()), self._clock() - int(spec.retention * _SECOND))
            if spec.retention_size is not None:
                await self._drop_excess(list(partitions.values()), spec.retention_size)
            if spec.compact:
                for at, partition in partitions.items():
                    await self._compaction.compact(at, partition)

    async def lags(self) -> Sequence[GroupLag]:
        """All partitions that groups are behind on, those nearest to losing entries first."""
        found: list[GroupLag] = []
        # Groups commit while this reads: what they had when it began is what is looked at.
        commits = {group: dict(positions) for group, positions in self._state.commits.items()}
        for group, positions in commits.items():
            for at, start in positions.items():
                partition = self._state.at[at]
                if start < partition.next:
                    row = await self._state.file.read(partial(_block_at, number=partition.number, start=start))
                    found.append(self._lag(group, at, partition, start, row))
        return sorted(found, key=lambda lag: -lag.share)

    def _lag(
        self, group: str, at: TopicPartition, partition: PartitionState, start: Offset, row: tuple[int, int, int] | None
    ) -> GroupLag:
        spec = self._specs.get(at.topic)
        behind = partition.next - start
        if start < partition.first or row is None or spec is None:
            return GroupLag(group, at.topic, at.partition, behind, 0.0, 1.0 if start < partition.first else 0.0)
        time, size, total = row
        age = max(0.0, (self._clock() - time) / _SECOND)
        by_age = age / spec.retention if spec.retention else 0.0
        # A topic's size is shared by its partitions; those of one topic fill at about the same rate.
        newer = (partition.total - total + size) * spec.partitions
        by_size = newer / spec.retention_size if spec.retention_size else 0.0
        return GroupLag(group, at.topic, at.partition, behind, age, max(by_age, by_size))

    async def _drop_old(self, partitions: Sequence[PartitionState], latest: int) -> None:
        """Drop what is older than `latest`, of each partition up to the first block that is not."""
        while await self._drop(partitions, latest, _STEP_SIZE):
            pass

    async def _drop_excess(self, partitions: Sequence[PartitionState], most: int) -> None:
        """Drop the topic's oldest blocks until `most` bytes are left."""
        while (excess := sum(partition.size for partition in partitions) - most) > 0:
            if not await self._drop(partitions, None, min(excess, _STEP_SIZE)):
                return

    async def _drop(self, partitions: Sequence[PartitionState], latest: int | None, size: int) -> bool:
        """Drop a few blocks; True if there were any."""
        bounds = await self._state.file.write(partial(_drop_oldest, partitions=partitions, latest=latest, size=size))
        for partition in partitions:
            if partition.number in bounds:
                partition.first, partition.dropped = bounds[partition.number]
        return bool(bounds)


def _block_at(connection: sqlite3.Connection, number: int, start: Offset) -> tuple[int, int, int] | None:
    """Time, size and total of the block that holds `start`, or of the one after it."""
    low, end = block_id(number, 0), block_id(number + 1, 0)
    return connection.execute(
        "SELECT time, size, total FROM blocks WHERE id >="
        " coalesce((SELECT max(id) FROM blocks WHERE id >= ? AND id <= ?), ?)"
        " AND id < ? AND next > ? ORDER BY id LIMIT 1",
        (low, block_id(number, start), low, end, start),
    ).fetchone()


def _drop_oldest(
    connection: sqlite3.Connection, partitions: Sequence[PartitionState], latest: int | None, size: int
) -> Mapping[int, tuple[Offset, int]]:
    """Drop the oldest blocks of these partitions, oldest first, until `size` bytes are gone.

    Returns for each partition's number: its new first offset, and the bytes ever dropped from it.
    """
    oldest = heapq.merge(*(_oldest(connection, partition.number, latest) for partition in partitions))
    bounds: dict[int, tuple[Offset, int]] = {}
    gone = 0
    for block in islice(oldest, _STEP_BLOCKS):
        bounds[block.number] = (block.next, block.total)
        gone += block.size
        if gone >= size:
            break
    for number, (first, _) in bounds.items():
        low = block_id(number, 0)
        connection.execute("DELETE FROM blocks WHERE id >= ? AND id < ?", (low, low + first))
        remember_ends(connection, number, first, first)
    return bounds


class _Oldest(NamedTuple):
    """Ordered by time first: what is to be dropped before what."""

    time: int
    number: int
    next: Offset
    size: int
    total: int


def _oldest(connection: sqlite3.Connection, number: int, latest: int | None) -> Generator[_Oldest, None, None]:
    rows = connection.execute(
        "SELECT time, next, size, total FROM blocks WHERE id >= ? AND id < ? ORDER BY id LIMIT ?",
        (block_id(number, 0), block_id(number + 1, 0), _STEP_BLOCKS),
    )
    for time, after, size, total in rows:
        if latest is not None and time >= latest:
            return
        yield _Oldest(time, number, after, size, total)

"""What the log forgets: blocks too old or too many for their topic, and what newer entries of the same key replaced.

In: the topics' rules and the time. Out: fewer blocks, in transactions so small that no append waits long for one. The
file does not shrink; its free pages are used again. Groups that lag are not waited for: `lags` tells who is near.
"""

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import NamedTuple

from headwater.log import Offset, Partition, TopicPartition, TopicSpec
from storage.sqlite_log_blocks import block_id, remember_ends
from storage.sqlite_log_compaction import Compaction
from storage.sqlite_log_state import LogState, PartitionState

_STEP_BLOCKS = 200
_STEP_SIZE = 4 * 2**20
_SECOND = 1_000_000

Rule = Callable[[int, int], bool]
"""(a block's time, bytes dropped so far in this step) → whether to drop it too."""


class GroupLag(NamedTuple):
    """A partition that a group has not taken all of.

    `behind`: entries. `age`: seconds since the next one was appended. `share`: how much of the way to being dropped by
    age or size that entry has gone: an alarm at 0.5; it is lost at 1.
    """

    group: str
    topic: str
    partition: Partition
    behind: int
    age: float
    share: float


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
                latest = self._clock() - int(spec.retention * _SECOND)
                for partition in partitions.values():
                    while await self._drop(partition, lambda time, _, latest=latest: time < latest):
                        pass
            if spec.retention_size is not None:
                await self._shrink(list(partitions.values()), spec.retention_size)
            if spec.compact:
                for at, partition in partitions.items():
                    await self._compaction.compact(at, partition)

    async def lags(self) -> Sequence[GroupLag]:
        """All partitions that groups are behind on, those nearest to losing entries first."""
        found: list[GroupLag] = []
        for group, positions in self._state.commits.items():
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

    async def _shrink(self, partitions: Sequence[PartitionState], most: int) -> None:
        """Drop the topic's oldest blocks until `most` bytes are left."""
        while (excess := sum(partition.size for partition in partitions) - most) > 0:
            filled = [partition for partition in partitions if partition.size > 0]
            ages = await self._state.file.read(partial(_oldest_times, numbers=[one.number for one in filled]))
            oldest = min(filled, key=lambda partition: ages.get(partition.number, 0))
            if not await self._drop(oldest, lambda _, gone, excess=excess: gone < excess):
                return

    async def _drop(self, partition: PartitionState, rule: Rule) -> bool:
        """Drop the oldest blocks, as long as the rule says so and the step is small; True if any was dropped."""
        end, total = await self._state.file.write(partial(_drop_oldest, partition=partition, rule=rule))
        if end == partition.first:
            return False
        partition.first, partition.dropped = end, total
        return True


def _block_at(connection: sqlite3.Connection, number: int, start: Offset) -> tuple[int, int, int] | None:
    """Time, size and total of the block that holds `start`, or of the one after it."""
    low, end = block_id(number, 0), block_id(number + 1, 0)
    return connection.execute(
        "SELECT time, size, total FROM blocks WHERE id >="
        " coalesce((SELECT max(id) FROM blocks WHERE id >= ? AND id <= ?), ?)"
        " AND id < ? AND next > ? ORDER BY id LIMIT 1",
        (low, block_id(number, start), low, end, start),
    ).fetchone()


def _oldest_times(connection: sqlite3.Connection, numbers: Sequence[int]) -> Mapping[int, int]:
    found: dict[int, int] = {}
    for number in numbers:
        row = connection.execute(
            "SELECT time FROM blocks WHERE id >= ? AND id < ? ORDER BY id LIMIT 1",
            (block_id(number, 0), block_id(number + 1, 0)),
        ).fetchone()
        if row is not None:
            found[number] = row[0]
    return found


def _drop_oldest(connection: sqlite3.Connection, partition: PartitionState, rule: Rule) -> tuple[Offset, int]:
    """The partition's new first offset, and the bytes ever dropped from it."""
    low, high = block_id(partition.number, 0), block_id(partition.number + 1, 0)
    end, total, gone = partition.first, partition.dropped, 0
    rows = connection.execute(
        "SELECT next, time, size, total FROM blocks WHERE id >= ? AND id < ? ORDER BY id LIMIT ?",
        (low, high, _STEP_BLOCKS),
    )
    for after, time, size, so_far in rows:
        if gone >= _STEP_SIZE or not rule(time, gone):
            break
        end, total = after, so_far
        gone += size
    if end > partition.first:
        connection.execute("DELETE FROM blocks WHERE id >= ? AND id < ?", (low, low + end))
        remember_ends(connection, partition.number, end, end)
    return end, total

"""Compaction: of each key of a compacted topic, the newest entry stays.

In: a partition. Out: its blocks without the entries that newer ones replaced, and without old tombstones. Offsets stay
as they were; blocks get gaps. The keys of one partition must fit in memory.
"""

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import islice

from headwater.log import Offset, TopicPartition
from storage.sqlite_file import SqliteFile
from storage.sqlite_log_blocks import StoredBlock, pack, remember_ends, stored
from storage.sqlite_log_state import PartitionState

_STEP_BLOCKS = 200
_STEP_SIZE = 4 * 2**20
_END = 2**62


class Compaction:
    """`tombstones`: seconds that an entry without a value stays, so that every reader has seen it."""

    def __init__(self, file: SqliteFile, clock: Callable[[], int], tombstones: float) -> None:
        self._file = file
        self._clock = clock
        self._tombstones = int(tombstones * 1_000_000)
        self._done: dict[TopicPartition, tuple[Offset, int]] = {}  # up to where, and the oldest tombstone left

    async def compact(self, at: TopicPartition, partition: PartitionState) -> None:
        """Compact what is there now; what is appended meanwhile waits for the next pass. Raises `Unavailable`."""
        end = partition.next
        latest = self._clock() - self._tombstones
        done, tombstone = self._done.get(at, (-1, _END))
        if done == end and tombstone >= latest:
            return
        newest: dict[bytes, Offset] = {}
        position = partition.first
        while position < end:
            position = await self._file.read(partial(_note_newest, partition.number, position, newest))
        position, tombstone = partition.first, _END
        while position < end:
            step = partial(_rewrite, partition.number, position, end, newest, latest)
            position, oldest = await self._file.write(step)
            tombstone = min(tombstone, oldest)
        self._done[at] = (end, tombstone)


def _note_newest(number: int, start: Offset, newest: dict[bytes, Offset], connection: sqlite3.Connection) -> Offset:
    """Add each key's newest offset in the next few blocks; returns where to go on."""
    blocks = _few(connection, number, start)
    for block in blocks:
        newest.update(zip(block.keys, block.offsets, strict=True))
    return blocks[-1].next if blocks else _END


def _rewrite(
    number: int,
    start: Offset,
    end: Offset,
    newest: Mapping[bytes, Offset],
    latest: int,
    connection: sqlite3.Connection,
) -> tuple[Offset, int]:
    """Rewrite the next few blocks, up to `end`. Returns where to go on, and the time of the oldest tombstone kept."""
    tombstone = _END
    blocks = [block for block in _few(connection, number, start) if block.next <= end]
    for block in blocks:
        kept = [
            index
            for index, (key, value, offset) in enumerate(zip(block.keys, block.values, block.offsets, strict=True))
            if newest[key] <= offset and (value is not None or block.time >= latest)
        ]
        if any(block.values[index] is None for index in kept):
            tombstone = min(tombstone, block.time)
        if len(kept) < len(block.keys):
            _replace(connection, block, kept)
            remember_ends(connection, number, 0, block.next)
    return (blocks[-1].next if blocks else _END), tombstone


def _few(connection: sqlite3.Connection, number: int, start: Offset) -> Sequence[StoredBlock]:
    blocks: list[StoredBlock] = []
    size = 0
    for block in islice(stored(connection, number, start), _STEP_BLOCKS):
        blocks.append(block)
        size += block.size
        if size >= _STEP_SIZE:
            break
    return blocks


def _replace(connection: sqlite3.Connection, block: StoredBlock, kept: Sequence[int]) -> None:
    if not kept:
        connection.execute("DELETE FROM blocks WHERE id = ?", (block.id,))
        return
    keys = [block.keys[index] for index in kept]
    values = [block.values[index] for index in kept]
    size = sum(map(len, keys)) + sum(map(len, filter(None, values)))
    body = pack(keys, values, [block.offsets[index] for index in kept])
    connection.execute("UPDATE blocks SET size = ?, body = ? WHERE id = ?", (size, body, block.id))

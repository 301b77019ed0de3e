"""The log's file: its tables, and blocks, the unit in which entries are written, read and dropped.

A block is one row: up to 1,000 entries of a partition that were appended in one transaction, keys and values as two
columns in MessagePack. That costs a quarter of the time of a row an entry, and retention drops a row, not a thousand.
In: entries. Out: rows, and chunks of `Entry` read back.
"""

import sqlite3
from bisect import bisect_left
from collections.abc import Callable, Generator, Iterable, Sequence
from functools import partial
from itertools import repeat
from typing import Any, NamedTuple, cast

import msgspec

from headwater.errors import OffsetOutOfRange
from headwater.log import Entry, Offset, TopicPartition

FORMAT = "1"
BLOCK_ENTRIES = 1_000
BLOCK_SIZE = 256 * 2**10

_OFFSET_BITS = 48  # 90 years of 100,000 entries a second in one partition; 15 bits are left for the partition's number

SCHEMA = """
CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS topics (topic TEXT PRIMARY KEY, partitions INTEGER NOT NULL) WITHOUT ROWID;
-- first: the oldest offset kept. next: at least this is the next offset, also where no block is left to tell.
CREATE TABLE IF NOT EXISTS partitions (
  number INTEGER PRIMARY KEY, topic TEXT NOT NULL, partition INTEGER NOT NULL,
  first INTEGER NOT NULL, next INTEGER NOT NULL, UNIQUE (topic, partition));
-- id: the partition's number and the block's first offset. total: bytes ever appended to the partition, up to here.
CREATE TABLE IF NOT EXISTS blocks (
  id INTEGER PRIMARY KEY, next INTEGER NOT NULL, time INTEGER NOT NULL,
  size INTEGER NOT NULL, total INTEGER NOT NULL, body BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS commits (
  name TEXT NOT NULL, number INTEGER NOT NULL, next INTEGER NOT NULL, PRIMARY KEY (name, number)) WITHOUT ROWID;
"""
INSERT = "INSERT INTO blocks (id, next, time, size, total, body) VALUES (?, ?, ?, ?, ?, ?)"
_FROM = """
SELECT id, next, time, size, body FROM blocks WHERE id < :end AND id >=
  coalesce((SELECT max(id) FROM blocks WHERE id >= :low AND id <= :start), :start) ORDER BY id
"""

_Body = tuple[Sequence[bytes], Sequence[bytes | None], Sequence[int] | None]
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(tuple[list[bytes], list[bytes | None], list[int] | None]).decode
# Entry's own constructor is a Python function; this one is not, and makes entries three times as fast.
_entry = cast("Callable[[Iterable[object]], Entry]", partial(cast("Any", tuple.__new__), Entry))


class Chunk(NamedTuple):
    """Entries of one partition in offset order; `next`: the offset to go on from; `size`: bytes of keys and values."""

    entries: Sequence[Entry]
    next: Offset
    size: int


class Block(NamedTuple):
    """Entries of one partition, appended together. `number`: the partition's; `total`: see the table."""

    at: TopicPartition
    number: int
    first: Offset
    next: Offset
    time: int
    size: int
    total: int
    keys: Sequence[bytes]
    values: Sequence[bytes | None]

    def row(self) -> tuple[int, int, int, int, int, bytes]:
        """The values of `INSERT`."""
        body = pack(self.keys, self.values)
        return block_id(self.number, self.first), self.next, self.time, self.size, self.total, body

    def chunk(self) -> Chunk:
        """The entries as readers get them."""
        offsets = range(self.first, self.next)
        return Chunk(_entries(self.at, offsets, self.time, self.keys, self.values), self.next, self.size)


class StoredBlock(NamedTuple):
    """A block read back; a compacted one has gaps between its offsets."""

    id: int
    next: Offset
    time: int
    size: int
    offsets: Sequence[Offset]
    keys: Sequence[bytes]
    values: Sequence[bytes | None]


def block_id(number: int, offset: Offset) -> int:
    """The row id of the block of that partition that begins at that offset."""
    return number << _OFFSET_BITS | offset


def pack(keys: Sequence[bytes], values: Sequence[bytes | None], offsets: Sequence[Offset] | None = None) -> bytes:
    """A block's body; `offsets` only where they have gaps."""
    body: _Body = (keys, values, offsets)
    return _encode(body)


def stored(connection: sqlite3.Connection, number: int, start: Offset) -> Generator[StoredBlock, None, None]:
    """The blocks of a partition from the one that holds `start` on."""
    low = block_id(number, 0)
    rows = connection.execute(_FROM, {"low": low, "start": block_id(number, start), "end": block_id(number + 1, 0)})
    for row_id, after, time, size, body in rows:
        if after <= start:
            continue
        keys, values, offsets = _decode(body)
        yield StoredBlock(row_id, after, time, size, offsets or range(row_id - low, after), keys, values)


def read_chunk(
    connection: sqlite3.Connection, at: TopicPartition, number: int, start: Offset, records: int, size: int
) -> Chunk:
    """Entries from `start` on: whole blocks, until `records` or `size` (bytes) is reached; none at the end.

    Raises `OffsetOutOfRange` if retention has dropped `start`.
    """
    first, after = connection.execute("SELECT first, next FROM partitions WHERE number = ?", (number,)).fetchone()
    if start < first:
        raise dropped(at, start, first)
    entries: list[Entry] = []
    taken, position = 0, max(start, after)
    for block in stored(connection, number, start):
        found = _entries(at, block.offsets, block.time, block.keys, block.values)
        if block.offsets[0] < start:
            found = found[bisect_left(block.offsets, start) :]
        entries += found
        position = block.next
        taken += block.size
        if len(entries) >= records or taken >= size:
            break
    return Chunk(entries, position, taken)


def remember_ends(connection: sqlite3.Connection, number: int, first: Offset, after: Offset) -> None:
    """Note them where blocks are dropped, so that no offset is ever given twice."""
    connection.execute(
        "UPDATE partitions SET first = max(first, ?), next = max(next, ?) WHERE number = ?", (first, after, number)
    )


def dropped(at: TopicPartition, start: Offset, first: Offset) -> OffsetOutOfRange:
    """The error for an offset that retention has dropped."""
    return OffsetOutOfRange(f"{at.topic}/{at.partition}: offset {start} is gone; the oldest kept is {first}")


def _entries(
    at: TopicPartition, offsets: Sequence[Offset], time: int, keys: Sequence[bytes], values: Sequence[bytes | None]
) -> list[Entry]:
    return list(map(_entry, zip(repeat(at.topic), repeat(at.partition), offsets, repeat(time), keys, values)))

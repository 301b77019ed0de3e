"""What the parts of the log share: where each partition stands, the newest entries in memory, and who waits for more.

In: blocks that have just become durable. Out: chunks, from memory where possible, else from the file; and wake-ups.
All of it belongs to the event loop's thread.
"""

import asyncio
import sqlite3
from collections import OrderedDict
from collections.abc import Mapping
from functools import partial

from headwater.errors import ConfigError, OffsetOutOfRange, Unavailable
from headwater.log import Offset, Offsets, TopicPartition
from storage.sqlite_file import SqliteFile
from storage.sqlite_log_blocks import FORMAT, Block, Chunk, block_id, dropped, read_chunk

_TAIL_SIZE = 16 * 2**20
_ENTRY_SIZE = 220  # what an entry costs in memory beyond its bytes


class PartitionState:
    """Where a partition stands. `total`: bytes ever appended; `dropped`: how many of them retention has dropped."""

    __slots__ = ("dropped", "first", "next", "number", "total")

    def __init__(self, number: int, first: Offset, after: Offset, total: int, gone: int) -> None:
        self.number = number
        self.first = first
        self.next = after
        self.total = total
        self.dropped = gone

    @property
    def size(self) -> int:
        """Bytes of keys and values that are kept (compaction not counted)."""
        return self.total - self.dropped


class Listener:
    """Wakes one task when enough has been appended to what it listens to, or when it is poked."""

    def __init__(self) -> None:
        self._count = 0
        self._size = 0
        self._poked = False
        self._need = (1, 1)
        self._waiter: asyncio.Future[None] | None = None

    def clear(self) -> None:
        """Forget what came so far: call it before looking, so that nothing falls between looking and waiting."""
        self._count = self._size = 0
        self._poked = False

    def notice(self, count: int, size: int) -> None:
        """So many entries came."""
        self._count += count
        self._size += size
        if self._waiter is not None and (self._count >= self._need[0] or self._size >= self._need[1]):
            self._wake()

    def poke(self) -> None:
        """Wake the task whatever came."""
        self._poked = True
        self._wake()

    async def wait(self, count: int, size: int, seconds: float) -> None:
        """Return once `count` entries or `size` bytes came since `clear`, or poked, or after `seconds`."""
        if self._poked or self._count >= count or self._size >= size:
            return
        loop = asyncio.get_running_loop()
        self._need = (count, size)
        self._waiter = loop.create_future()
        timer = loop.call_later(seconds, self._wake)
        try:
            await self._waiter
        finally:
            timer.cancel()
            self._waiter = None

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


class Tail:
    """The newest blocks, by the offset they begin at, so that readers that keep up never read the file."""

    def __init__(self, size: int = _TAIL_SIZE) -> None:
        self._most = size
        self._size = 0
        self._blocks: OrderedDict[tuple[TopicPartition, Offset], Block] = OrderedDict()
        self._chunks: dict[tuple[TopicPartition, Offset], Chunk] = {}

    def push(self, block: Block) -> None:
        """Add the newest block of its partition; the oldest of all go."""
        self._blocks[block.at, block.first] = block
        self._size += _weight(block)
        while self._size > self._most:
            key, old = self._blocks.popitem(last=False)
            self._chunks.pop(key, None)
            self._size -= _weight(old)

    def get(self, at: TopicPartition, start: Offset) -> Chunk | None:
        """The block that begins there; its entries are made once, for all readers."""
        key = (at, start)
        chunk = self._chunks.get(key)
        if chunk is None:
            block = self._blocks.get(key)
            if block is not None:
                chunk = self._chunks[key] = block.chunk()
        return chunk


def _weight(block: Block) -> int:
    return block.size + _ENTRY_SIZE * len(block.keys)


class LogState:
    """One per open log. `commits`: group → partition → next offset."""

    def __init__(
        self,
        file: SqliteFile,
        log_id: str,
        topics: Mapping[str, int],
        at: dict[TopicPartition, PartitionState],
        commits: dict[str, dict[TopicPartition, Offset]],
    ) -> None:
        self.file = file
        self.id = log_id
        self.topics = topics
        self.at = at
        self.commits = commits
        self.closed = False
        self._tail = Tail()
        self._listeners: dict[TopicPartition, set[Listener]] = {at: set() for at in self.at}

    def listen(self, at: TopicPartition, listener: Listener) -> None:
        """Tell it of what is appended there."""
        self._listeners[at].add(listener)

    def unlisten(self, at: TopicPartition, listener: Listener) -> None:
        """No longer."""
        self._listeners[at].discard(listener)

    def landed(self, block: Block) -> None:
        """The block is durable: readers may have it."""
        partition = self.at[block.at]
        partition.next, partition.total = block.next, block.total
        self._tail.push(block)
        for listener in self._listeners[block.at]:
            listener.notice(len(block.keys), block.size)

    def close(self) -> None:
        """Everyone who waits wakes up and finds the log closed."""
        self.closed = True
        for listeners in self._listeners.values():
            for listener in listeners:
                listener.poke()

    def check_open(self) -> None:
        """Raises `Unavailable` once the log is closed."""
        if self.closed:
            raise Unavailable("the log is closed")

    def check_start(self, at: TopicPartition, start: Offset) -> None:
        """Raises `OffsetOutOfRange` unless a reader may begin there."""
        partition = self.at[at]
        if start < partition.first:
            raise dropped(at, start, partition.first)
        if start > partition.next:
            raise OffsetOutOfRange(
                f"{at.topic}/{at.partition}: offset {start} was never given; next is {partition.next}"
            )

    async def fetch(self, at: TopicPartition, start: Offset, records: int, size: int) -> Chunk:
        """What begins at `start`: a block from memory, or `records` or `size` bytes of blocks from the file.

        Raises `OffsetOutOfRange`, `Unavailable`.
        """
        self.check_open()
        partition = self.at[at]
        if start < partition.first:
            raise dropped(at, start, partition.first)
        chunk = self._tail.get(at, start)
        if chunk is None:
            chunk = await self.file.read(
                partial(read_chunk, at=at, number=partition.number, start=start, records=records, size=size)
            )
        return chunk


def load_state(connection: sqlite3.Connection, file: SqliteFile) -> LogState:
    """What the file says now. Raises `ConfigError` for a file of another format."""
    meta = dict(connection.execute("SELECT name, value FROM meta"))
    if meta["format"] != FORMAT:
        raise ConfigError(f"{file.path} has the format {meta['format']}; this program knows {FORMAT}")
    topics = dict(connection.execute("SELECT topic, partitions FROM topics"))
    numbers: dict[int, TopicPartition] = {}
    at: dict[TopicPartition, PartitionState] = {}
    for number, topic, partition, first, after in connection.execute("SELECT * FROM partitions").fetchall():
        numbers[number] = TopicPartition(topic, partition)
        at[numbers[number]] = _load_partition(connection, number, first, after)
    commits: dict[str, dict[TopicPartition, Offset]] = {}
    for group, number, after in connection.execute("SELECT name, number, next FROM commits"):
        commits.setdefault(group, {})[numbers[number]] = after
    return LogState(file, meta["log id"], topics, at, commits)


def _load_partition(connection: sqlite3.Connection, number: int, first: Offset, after: Offset) -> PartitionState:
    span = (block_id(number, 0), block_id(number + 1, 0))
    blocks = "SELECT next, size, total FROM blocks WHERE id >= ? AND id < ? ORDER BY id "
    oldest = connection.execute(blocks + "LIMIT 1", span).fetchone()
    newest = connection.execute(blocks + "DESC LIMIT 1", span).fetchone()
    if oldest is None:
        return PartitionState(number, first, after, 0, 0)
    return PartitionState(number, first, max(after, newest[0]), newest[2], oldest[2] - oldest[1])


def ends(state: LogState, topic: str) -> dict[int, Offsets]:
    """First and next offset of each partition of a topic."""
    return {
        at.partition: Offsets(partition.first, partition.next)
        for at, partition in state.at.items()
        if at.topic == topic
    }

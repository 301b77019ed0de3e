"""Group commit: appends and commits that arrive while a transaction runs are written together in the next one.

In: entries per call, and groups' commits. Out: their offsets, once the transaction is on disk. One transaction runs
at a time, in the file's writing thread. Where one fails, everything that waited behind it fails too, so that an
entry that is sent again never lands behind one that came later.
"""

import asyncio
import sqlite3
from collections import deque
from collections.abc import Callable, Generator, Mapping, Sequence
from functools import partial

from headwater.errors import HeadwaterError, LogError, Unavailable
from headwater.failpoints import passing
from headwater.log import NewEntry, Offset, TopicPartition
from storage.sqlite_folder import Folder
from storage.sqlite_log_blocks import BLOCK_ENTRIES, BLOCK_SIZE, INSERT, Block
from storage.sqlite_log_state import LogState, PartitionState

_TRANSACTION_ENTRIES = 20_000
_TRANSACTION_SIZE = 16 * 2**20
_WAITING_SIZE = 128 * 2**20
_PATIENCE = 30.0  # seconds that a transaction may take before its callers are told so
_COMMIT = "INSERT INTO commits VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET next = max(next, excluded.next)"


class _Append:
    """One call. `partition` is that of all its entries, or None where they go to several."""

    __slots__ = ("done", "keys", "offsets", "partition", "partitions", "size", "topic", "values")

    def __init__(self, topic: str, entries: Sequence[NewEntry], count: int) -> None:
        self.topic = topic
        self.partitions: Sequence[int]
        self.keys: Sequence[bytes]
        self.values: Sequence[bytes | None]
        self.partitions, self.keys, self.values = zip(*entries, strict=True)
        kinds = set(self.partitions)
        if min(kinds) < 0 or max(kinds) >= count:
            raise ValueError(f"{topic} has the partitions 0 to {count - 1}, not {sorted(kinds)}")
        self.partition = self.partitions[0] if len(kinds) == 1 else None
        self.size = sum(map(len, self.keys)) + sum(map(len, filter(None, self.values)))
        self.offsets: Sequence[Offset] = ()
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()


class _Commit:
    """A group's commit."""

    __slots__ = ("done", "group", "positions")

    def __init__(self, group: str, positions: Mapping[TopicPartition, Offset]) -> None:
        self.group = group
        self.positions = positions
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()


class _Column:
    """What a transaction adds to one partition."""

    __slots__ = ("at", "keys", "size", "state", "values")

    def __init__(self, at: TopicPartition, state: PartitionState) -> None:
        self.at = at
        self.state = state
        self.keys: list[bytes] = []
        self.values: list[bytes | None] = []
        self.size = 0

    def blocks(self, time: int) -> Generator[Block, None, None]:
        """Cut it into blocks of about the same size."""
        count, first, total = len(self.keys), self.state.next, self.state.total
        step = max(1, min(BLOCK_ENTRIES, count * BLOCK_SIZE // max(1, self.size)))
        for start in range(0, count, step):
            keys, values = self.keys[start : start + step], self.values[start : start + step]
            size = self.size if count <= step else sum(map(len, keys)) + sum(map(len, filter(None, values)))
            total += size
            begin = first + start
            yield Block(self.at, self.state.number, begin, begin + len(keys), time, size, total, keys, values)


class Appender:
    """The only one who adds to the log. `most_waiting`: entries that may wait for a transaction."""

    def __init__(self, state: LogState, clock: Callable[[], int], most_waiting: int) -> None:
        self._state = state
        self._clock = clock
        self._most = most_waiting
        self._waiting: deque[_Append] = deque()
        self._waiting_entries = 0
        self._waiting_size = 0
        self._commits: list[_Commit] = []
        self._folder = Folder(state.file)
        self._work = asyncio.Event()
        self._closed = False
        self._timer: asyncio.TimerHandle
        self._task = asyncio.get_running_loop().create_task(self._run())

    async def append(self, topic: str, entries: Sequence[NewEntry]) -> Sequence[Offset | LogError]:
        """Queue, wait, and return an offset an entry, or the same error for each."""
        if not entries:
            return []
        call = _Append(topic, entries, self._state.topics[topic])
        try:
            self._admit(len(entries), call.size)
            self._waiting.append(call)
            self._work.set()
            await call.done
        except LogError as error:
            return [error] * len(entries)
        return call.offsets

    async def commit(self, group: str, positions: Mapping[TopicPartition, Offset]) -> None:
        """Write a group's positions with the next transaction; they only ever grow. Raises `Unavailable`."""
        if self._closed:
            raise Unavailable("the log is closed")
        call = _Commit(group, positions)
        self._commits.append(call)
        self._work.set()
        await call.done

    @property
    def overloaded(self) -> bool:
        """True if an append would be refused for what already waits."""
        return self._waiting_entries >= self._most or self._waiting_size >= _WAITING_SIZE

    async def close(self) -> None:
        """Write what waits, then stop. Takes no more from now on."""
        self._closed = True
        self._work.set()
        await asyncio.wait({self._task}, timeout=_PATIENCE)
        await self._folder.close()

    def _admit(self, count: int, size: int) -> None:
        if self._closed:
            raise LogError("the log is closed")
        # One call alone is taken whatever its size: its caller has bounded it.
        if self._waiting_entries and (
            self._waiting_entries + count > self._most or self._waiting_size + size > _WAITING_SIZE
        ):
            raise LogError(f"{self._waiting_entries} entries wait for the log already", retry_after=1.0)
        self._waiting_entries += count
        self._waiting_size += size

    async def _run(self) -> None:
        while self._waiting or self._commits or not self._closed:
            await self._work.wait()
            if not self._closed:
                self._work.clear()
            while self._waiting or self._commits:
                await self._write(*self._take())

    def _take(self) -> tuple[list[_Append], list[_Commit]]:
        appends: list[_Append] = []
        entries = size = 0
        while self._waiting and entries < _TRANSACTION_ENTRIES and size < _TRANSACTION_SIZE:
            call = self._waiting.popleft()
            entries += len(call.keys)
            size += call.size
            if not call.done.done():  # else its caller has given up, and told its sender so
                appends.append(call)
        self._waiting_entries -= entries
        self._waiting_size -= size
        commits, self._commits = self._commits, []
        return appends, commits

    async def _write(self, appends: Sequence[_Append], commits: Sequence[_Commit]) -> None:
        self._watch(appends, commits)
        try:
            blocks = await self._state.file.write(partial(self._transaction, appends, commits))
        except Exception as error:  # noqa: BLE001 whatever it was, nothing is known to be durable
            self._fail(appends, commits, error if isinstance(error, HeadwaterError) else Unavailable(repr(error)))
        else:
            self._landed(blocks, appends, commits)
        finally:
            self._timer.cancel()

    def _transaction(
        self, appends: Sequence[_Append], commits: Sequence[_Commit], connection: sqlite3.Connection
    ) -> Sequence[Block]:
        columns: dict[TopicPartition, _Column] = {}
        for call in appends:
            self._place(call, columns)
        time = self._clock()
        blocks = [block for column in columns.values() for block in column.blocks(time)]
        connection.executemany(INSERT, map(Block.row, blocks))
        numbers = self._state.at
        connection.executemany(
            _COMMIT,
            [(call.group, numbers[at].number, after) for call in commits for at, after in call.positions.items()],
        )
        passing("log.transaction")
        return blocks

    def _place(self, call: _Append, columns: dict[TopicPartition, _Column]) -> None:
        """Put a call's entries behind those of the calls before it, and note their offsets."""
        if call.partition is not None:
            column = self._column(TopicPartition(call.topic, call.partition), columns)
            start = column.state.next + len(column.keys)
            column.keys.extend(call.keys)
            column.values.extend(call.values)
            column.size += call.size
            call.offsets = list(range(start, start + len(call.keys)))
            return
        ours = {kind: self._column(TopicPartition(call.topic, kind), columns) for kind in set(call.partitions)}
        offsets: list[Offset] = []
        for kind, key, value in zip(call.partitions, call.keys, call.values, strict=True):
            column = ours[kind]
            offsets.append(column.state.next + len(column.keys))
            column.keys.append(key)
            column.values.append(value)
            column.size += len(key) + (len(value) if value is not None else 0)
        call.offsets = offsets

    def _column(self, at: TopicPartition, columns: dict[TopicPartition, _Column]) -> _Column:
        column = columns.get(at)
        if column is None:
            column = columns[at] = _Column(at, self._state.at[at])
        return column

    def _landed(self, blocks: Sequence[Block], appends: Sequence[_Append], commits: Sequence[_Commit]) -> None:
        for block in blocks:
            self._state.landed(block)
        self._folder.wrote(sum(block.size for block in blocks))
        for call in commits:
            known = self._state.commits.setdefault(call.group, {})
            for at, after in call.positions.items():
                known[at] = max(after, known.get(at, 0))
        for call in (*appends, *commits):
            if not call.done.done():
                call.done.set_result(None)

    def _fail(self, appends: Sequence[_Append], commits: Sequence[_Commit], error: Exception) -> None:
        behind, more = list(self._waiting), self._commits
        self._waiting.clear()
        self._commits = []
        self._waiting_entries = self._waiting_size = 0
        for call in (*appends, *behind):
            if not call.done.done():
                call.done.set_exception(LogError(str(error)))
        for call in (*commits, *more):
            if not call.done.done():
                call.done.set_exception(Unavailable(str(error)))

    def _watch(self, appends: Sequence[_Append], commits: Sequence[_Commit]) -> None:
        self._timer = asyncio.get_running_loop().call_later(_PATIENCE, self._lose_patience, appends, commits)

    def _lose_patience(self, appends: Sequence[_Append], commits: Sequence[_Commit]) -> None:
        """The transaction still runs and may yet succeed; nobody waits for that any longer."""
        self._fail(appends, commits, Unavailable(f"the disk has not answered for {_PATIENCE:.0f} s"))
        self._watch((), ())

"""Reading the log without a group, in the process that appends or beside it.

In: a topic, a partition, an offset. Out: batches of entries. The reader beside (`open_log_readonly`: the audit, tools)
takes no lock and changes nothing; it sees what was durable at each call.
"""

import asyncio
import sqlite3
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

from headwater.errors import ConfigError, Unavailable
from headwater.log import Entry, Offset, Offsets, Partition, TopicPartition
from storage.sqlite_file import open_sqlite_readonly
from storage.sqlite_log_state import Listener, LogState, ends, load_state

_CHUNK_ENTRIES = 5_000
_CHUNK_SIZE = 2**20
_POLL = 0.2


class LogReader(ABC):
    """The part of `headwater.log.Log` that only reads."""

    def __init__(self, state: LogState) -> None:
        self._state = state

    @property
    def id(self) -> str:
        """The log's id."""
        return self._state.id

    def partitions(self, topic: str) -> int:
        """See `headwater.log.Log`."""
        self._known(topic)
        return self._state.topics[topic]

    async def ends(self, topic: str) -> Mapping[Partition, Offsets]:
        """See `headwater.log.Log`."""
        self._known(topic)
        await self._refresh()
        return ends(self._state, topic)

    async def committed(self, group: str, topic: str) -> Mapping[Partition, Offset]:
        """See `headwater.log.Log`."""
        self._known(topic)
        await self._refresh()
        commits = self._state.commits.get(group, {})
        return {at.partition: after for at, after in commits.items() if at.topic == topic}

    async def read(
        self, topic: str, partition: Partition, start: Offset, *, follow: bool = False
    ) -> AsyncGenerator[Sequence[Entry], None]:
        """See `headwater.log.Log`."""
        self._known(topic)
        await self._refresh()
        at = TopicPartition(topic, partition)
        self._state.check_start(at, start)
        end = self._state.at[at].next
        position = start
        while follow or position < end:
            if position >= self._state.at[at].next:
                await self._more(at, position)
                continue
            chunk = await self._state.fetch(at, position, _CHUNK_ENTRIES, _CHUNK_SIZE)
            position = chunk.next
            if chunk.entries:
                yield chunk.entries

    def _known(self, topic: str) -> None:
        if topic not in self._state.topics:
            raise ConfigError(f"the log has no topic {topic!r}; it has {', '.join(sorted(self._state.topics))}")

    @abstractmethod
    async def _refresh(self) -> None:
        """Bring the state up to date."""

    @abstractmethod
    async def _more(self, at: TopicPartition, position: Offset) -> None:
        """Return when the partition may have got beyond `position`. Raises `Unavailable`."""


class OwnReader(LogReader):
    """Reads in the process that appends: its state is always up to date."""

    async def _refresh(self) -> None:
        self._state.check_open()

    async def _more(self, at: TopicPartition, position: Offset) -> None:
        listener = Listener()
        self._state.listen(at, listener)
        try:
            while not self._state.closed and self._state.at[at].next <= position:
                listener.clear()
                await listener.wait(1, 1, 3600)
        finally:
            self._state.unlisten(at, listener)
        self._state.check_open()


class BesideReader(LogReader):
    """Reads beside the process that appends, or while none does."""

    async def _refresh(self) -> None:
        self._state = await self._state.file.read(partial(load_state, file=self._state.file))

    async def _more(self, at: TopicPartition, position: Offset) -> None:
        await self._refresh()
        if self._state.at[at].next <= position:
            await asyncio.sleep(_POLL)


@asynccontextmanager
async def open_log_readonly(path: Path) -> AsyncGenerator[LogReader, None]:
    """Open a log that another process may be appending to. Raises `ConfigError` if there is none."""
    if not await asyncio.to_thread(path.exists):
        raise ConfigError(f"{path}: there is no log")
    async with open_sqlite_readonly(path) as file:
        try:
            reader = BesideReader(await file.read(partial(load_state, file=file)))
        except (Unavailable, sqlite3.DatabaseError) as error:
            raise ConfigError(f"{path} is not a log: {error}") from None
        yield reader

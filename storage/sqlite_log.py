"""The log in one SQLite file, for one process: `headwater.log.Log` with nothing to install.

In: topics to make or find, entries to append. Out: offsets that are durable (WAL, synchronous=FULL), subscriptions,
readers. This file puts the parts together: appending, reading, groups, retention.
"""

import asyncio
import os
import sqlite3
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

from headwater.errors import ConfigError, LogError, Unavailable
from headwater.log import Hooks, NewEntry, Offset, Subscription, TopicSpec
from headwater.saying import get_logger
from headwater.times import now
from storage.group_lag import GroupLag
from storage.process_lock import process_lock
from storage.sqlite_file import make_folder, open_sqlite
from storage.sqlite_folder import LATEST
from storage.sqlite_log_append import Appender
from storage.sqlite_log_blocks import FORMAT, SCHEMA
from storage.sqlite_log_group import Group
from storage.sqlite_log_member import Member
from storage.sqlite_log_reader import OwnReader
from storage.sqlite_log_retention import Retention
from storage.sqlite_log_state import LogState, load_state

_PRAGMAS = ("page_size=8192", "secure_delete=OFF", LATEST)
_MOST_PARTITIONS = 2**15 - 1


class SqliteLog(OwnReader):
    """Use `open_log`."""

    def __init__(self, state: LogState, appender: Appender, retention: Retention, session: float) -> None:
        super().__init__(state)
        self._appender = appender
        self._retention = retention
        self._session = session
        self._groups: dict[str, Group] = {}

    async def append(self, topic: str, entries: Sequence[NewEntry]) -> Sequence[Offset | LogError]:
        """See `headwater.log.Log`. Raises `ValueError` for a partition that the topic does not have."""
        self._known(topic)
        return await self._appender.append(topic, entries)

    @asynccontextmanager
    async def subscribe(
        self, topics: Sequence[str], group: str, hooks: Hooks | None = None
    ) -> AsyncGenerator[Subscription, None]:
        """See `headwater.log.Log`."""
        for topic in topics:
            self._known(topic)
        members = self._groups.get(group)
        if members is None:
            members = self._groups[group] = Group(self._state.topics, self._session)
        member = Member(self._state, self._appender, members, group, topics, hooks)
        members.join(member)
        try:
            yield member
        finally:
            member.leave()

    async def ping(self) -> None:
        """See `headwater.log.Log`: writes a page to the disk."""
        if self._appender.overloaded:
            raise Unavailable("too much waits for the log already")
        await self._state.file.write(_touch)

    async def maintain(self) -> None:
        """Apply retention and compaction once. Raises `Unavailable`."""
        await self._retention.maintain()

    async def run_maintenance(self, every: float) -> None:
        """Apply them every so many seconds, for ever."""
        while True:
            try:
                await self.maintain()
            except Unavailable as error:
                get_logger().warning("the log could not drop old entries", error=str(error))
            await asyncio.sleep(every)

    async def lags(self) -> Sequence[GroupLag]:
        """Where groups are behind, nearest to losing entries first: `share` 0.5 is the time to warn."""
        return await self._retention.lags()

    def close(self) -> None:
        """Let go of all members and readers; appends that wait are still written."""
        for group in self._groups.values():
            group.close()
        self._state.close()


@asynccontextmanager
async def open_log(
    path: Path,
    topics: Sequence[TopicSpec],
    *,
    session: float = 30.0,
    most_waiting: int = 100_000,
    tombstones: float = 86_400.0,
    clock: Callable[[], int] = now,
) -> AsyncGenerator[SqliteLog, None]:
    """Open or make the log; only one process can, until it ends.

    `session`: seconds of silence after which a member of a group loses its partitions; `most_waiting`: entries that
    may wait to be written; `tombstones`: seconds that an entry without a value stays on a compacted topic; `clock`:
    microseconds since 1970 UTC. Raises `ConfigError` (another process has it, a topic was made with another number of
    partitions), `Unavailable`.
    """
    _check(topics)
    await asyncio.to_thread(make_folder, path.parent)
    with process_lock(path.with_name(path.name + ".lock"), f"the log {path}"):
        async with open_sqlite(path, SCHEMA, _PRAGMAS) as file:
            await file.write(partial(_prepare, topics=topics))
            state = await file.read(partial(load_state, file=file))
            appender = Appender(state, clock, most_waiting)
            log = SqliteLog(state, appender, Retention(state, topics, clock, tombstones), session)
            try:
                yield log
            finally:
                log.close()
                await appender.close()


def _check(topics: Sequence[TopicSpec]) -> None:
    for spec in topics:
        if not 1 <= spec.partitions <= _MOST_PARTITIONS:
            raise ConfigError(f"topic {spec.name}: {spec.partitions} partitions; 1 to {_MOST_PARTITIONS} are possible")
        if spec.compact and (spec.retention is not None or spec.retention_size is not None):
            raise ConfigError(f"topic {spec.name} keeps the newest entry of each key: it can have no retention")


def _prepare(connection: sqlite3.Connection, topics: Sequence[TopicSpec]) -> None:
    """Make what is missing; refuse what differs."""
    for name, value in (("format", FORMAT), ("log id", os.urandom(8).hex()), ("touched", "")):
        connection.execute("INSERT INTO meta VALUES (?, ?) ON CONFLICT DO NOTHING", (name, value))
    made = dict(connection.execute("SELECT topic, partitions FROM topics"))
    for spec in topics:
        if spec.name not in made:
            _make(connection, spec)
        elif made[spec.name] != spec.partitions:
            raise ConfigError(
                f"topic {spec.name} was made with {made[spec.name]} partitions, and {spec.partitions} are configured: "
                "set log.partitions back, or start with another data folder"
            )


def _make(connection: sqlite3.Connection, spec: TopicSpec) -> None:
    connection.execute("INSERT INTO topics VALUES (?, ?)", (spec.name, spec.partitions))
    (number,) = connection.execute("SELECT coalesce(max(number) + 1, 0) FROM partitions").fetchone()
    if number + spec.partitions > _MOST_PARTITIONS:
        raise ConfigError(f"topic {spec.name}: all topics together can have {_MOST_PARTITIONS} partitions")
    connection.executemany(
        "INSERT INTO partitions (number, topic, partition, first, next) VALUES (?, ?, ?, 0, 0)",
        [(number + partition, spec.name, partition) for partition in range(spec.partitions)],
    )


def _touch(connection: sqlite3.Connection) -> None:
    connection.execute("UPDATE meta SET value = ? WHERE name = 'touched'", (str(now()),))

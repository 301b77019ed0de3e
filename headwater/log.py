"""The log: partitioned, ordered, durable. What the front door appends to and every worker reads from.

As in Kafka, in both profiles: topic, partition, offset, group. Implementations: `storage.sqlite_log` (one process).
"""

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import NamedTuple, Protocol
from zlib import crc32

import msgspec

from headwater.errors import LogError

MESSAGES = "messages"
CANDIDATES = "candidates"
REJECTED = "rejected"
REGISTRY = "registry"
ALERTS = "alerts"
STATUS = "status"
ROUTED = "routed"
RETAINED = "retained"
SESSIONS = "sessions"
COMMANDS = "commands"
SHADOWS = "shadows"
LEARNED = "learned"

Offset = int
Partition = int


class TopicPartition(NamedTuple):
    topic: str
    partition: Partition


class NewEntry(NamedTuple):
    """An entry to append: `value` None on a compacted topic means: forget this key."""

    partition: Partition
    key: bytes
    value: bytes | None


class Entry(NamedTuple):
    """An entry as read. `time`: when it was appended, microseconds since 1970 UTC, by the appender's clock."""

    topic: str
    partition: Partition
    offset: Offset
    time: int
    key: bytes
    value: bytes | None


class Offsets(NamedTuple):
    """The offset of the oldest entry kept, and the one that the next entry will get."""

    first: Offset
    next: Offset


class TopicSpec(msgspec.Struct, frozen=True):
    """How a topic is made. Retention in seconds and bytes (a topic); `compact` keeps the newest entry of each key."""

    name: str
    partitions: int
    retention: float | None = None
    retention_size: int | None = None
    compact: bool = False


class Hooks(Protocol):
    """What a group's member is told. Both are awaited before the subscription hands out or gives up a partition."""

    async def assigned(self, partitions: Sequence[TopicPartition]) -> Mapping[TopicPartition, Offset]:
        """Say where to start; a partition left out starts at the group's commit, or at the first offset kept."""
        ...

    async def revoked(self, partitions: Sequence[TopicPartition]) -> None:
        """Finish or drop the batch in hand (5 seconds at most): after this the partitions are someone else's."""
        ...


class Subscription(Protocol):
    """One member of a group. One task uses it."""

    async def batch(self, records: int, size: int, wait: float) -> Sequence[Entry]:
        """Up to `records` entries or about `size` bytes: as soon as there is that much, else what came in time.

        In time: within `wait` seconds from when the first of them was appended, so what has waited long enough already
        is returned at once. Where nothing comes at all, nothing is returned after about a second, whatever `wait` is:
        callers may loop. Entries of a partition are in offset order. A call that raises, or is cancelled, has taken
        nothing. A member that was silent for too long rejoins here. Raises `OffsetOutOfRange`, `Unavailable`, and what
        `Hooks.assigned` raises (it is asked again by the next call).
        """
        ...

    async def commit(self, entries: Sequence[Entry]) -> None:
        """Note that everything up to these entries is done, durably. Raises `Stale` if a partition was lost."""
        ...

    async def rest(self, seconds: float) -> None:
        """Stay in the group and take nothing for that long. Returns early when a partition is revoked."""
        ...


class ReadableLog(Protocol):
    """A log as a reader without a group sees it. `Unavailable` says: try again."""

    @property
    def id(self) -> str:
        """Made with the log, never changes; every ledger and cursor carries it."""
        ...

    def partitions(self, topic: str) -> int:
        """How many partitions the topic was made with."""
        ...

    def read(
        self, topic: str, partition: Partition, start: Offset, *, follow: bool = False
    ) -> AsyncGenerator[Sequence[Entry], None]:
        """Batches from `start` on, without a group: up to the present end, or for ever with `follow`.

        Raises `OffsetOutOfRange` if `start` is below the first offset kept or beyond the next one.
        """
        ...

    async def ends(self, topic: str) -> Mapping[Partition, Offsets]:
        """First and next offset of each partition."""
        ...

    async def committed(self, group: str, topic: str) -> Mapping[Partition, Offset]:
        """The next offset each partition of the group would start at; partitions never committed are left out."""
        ...


class Log(ReadableLog, Protocol):
    """Every wait has a limit; `Unavailable` (and `LogError` for an append) says: try again."""

    async def append(self, topic: str, entries: Sequence[NewEntry]) -> Sequence[Offset | LogError]:
        """One result an entry, in order; an offset means durable. Entries of a partition keep their order."""
        ...

    def subscribe(
        self, topics: Sequence[str], group: str, hooks: Hooks | None = None
    ) -> AbstractAsyncContextManager[Subscription]:
        """Join a group: its members share the partitions of the topics."""
        ...

    async def ping(self) -> None:
        """Raises `Unavailable` unless an append could succeed now."""
        ...


def partition_for(key: bytes, partitions: int) -> Partition:
    """CRC-32 of the key modulo the count: librdkafka's `consistent` partitioner, so other producers can agree."""
    return crc32(key) % partitions

"""The log as the audit has to see it: without what was received of devices that were erased since.

In: a log, and the erasures on its topic `registry`. Out: a log that says nothing of it, although retention has not yet
dropped it.
"""

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing

from headwater.directory import changes_in
from headwater.log import CANDIDATES, MESSAGES, REGISTRY, REJECTED, Entry, Offset, Offsets, Partition, ReadableLog
from headwater.message import UNREADABLE, decode_candidate, decode_message, decode_rejected
from headwater.registry import Erasure

_TOPICS = {MESSAGES, CANDIDATES, REJECTED}


async def without_erased(log: ReadableLog) -> ReadableLog:
    """The log itself, where nothing was erased. Raises `Unavailable`."""
    newest: dict[str, Erasure] = {}
    for partition, end in (await log.ends(REGISTRY)).items():
        async for entries in log.read(REGISTRY, partition, end.first):
            for change in changes_in(entries):
                if isinstance(change, Erasure) and change.version >= newest.get(change.name, change).version:
                    newest[change.name] = change
    erased = {name: one.before for name, one in newest.items() if not one.removed}
    return _Without(log, erased) if erased else log


class _Without:
    """See `ReadableLog`."""

    def __init__(self, log: ReadableLog, erased: Mapping[str, int]) -> None:
        self._log = log
        self._erased = {name.encode(): before for name, before in erased.items()}

    @property
    def id(self) -> str:
        return self._log.id

    def partitions(self, topic: str) -> int:
        return self._log.partitions(topic)

    async def ends(self, topic: str) -> Mapping[Partition, Offsets]:
        return await self._log.ends(topic)

    async def committed(self, group: str, topic: str) -> Mapping[Partition, Offset]:
        return await self._log.committed(group, topic)

    def read(
        self, topic: str, partition: Partition, start: Offset, *, follow: bool = False
    ) -> AsyncGenerator[Sequence[Entry], None]:
        found = self._log.read(topic, partition, start, follow=follow)
        return self._left(found) if topic in _TOPICS else found

    async def _left(self, batches: AsyncGenerator[Sequence[Entry], None]) -> AsyncGenerator[Sequence[Entry], None]:
        async with aclosing(batches):
            async for entries in batches:
                if left := [entry for entry in entries if not self._is_erased(entry)]:
                    yield left

    def _is_erased(self, entry: Entry) -> bool:
        before = self._erased.get(entry.key)
        if before is None or entry.value is None:
            return False
        try:
            return _received(entry.topic, entry.value) < before
        except UNREADABLE:
            return False


def _received(topic: str, value: bytes) -> int:
    match topic:
        case "messages":
            return decode_message(value).received
        case "candidates":
            return decode_candidate(value).message.received
        case _:
            return decode_rejected(value).received

"""All shadows, in the memory of every process that follows topic `shadows`.

In: entries of the topic, in the order of the log, from its beginning. Out: the shadow of a device; which entries count;
what is to be forgotten.

Of a device the entry with the highest version counts, of those the first. Whoever reads the topic from the beginning
comes to the same shadow as one who has followed it, whatever compaction has taken out: an entry that counts is only
forgotten once a higher version has followed it, and a deletion only when nobody can still write against an older view.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from headwater.errors import Rejected
from headwater.log import Entry
from headwater.message import UNREADABLE
from headwater.saying import get_logger
from headwater.shadow import Shadow, decode_shadow, device_of

log = get_logger()

NONE = Shadow()


class Change(NamedTuple):
    """An entry that counted."""

    key: bytes
    device: str
    before: Shadow
    after: Shadow


class _Kept(NamedTuple):
    key: bytes
    shadow: Shadow
    size: int


class ShadowTable:
    """`count`, `size`: of all that are there."""

    def __init__(self) -> None:
        self.count = self.size = 0
        self._kept: dict[str, _Kept] = {}
        self._left: set[bytes] = set()

    def get(self, device: str) -> Shadow:
        """The shadow; version 0 where there is none."""
        kept = self._kept.get(device)
        return NONE if kept is None else kept.shadow

    def apply(self, entries: Sequence[Entry]) -> list[Change]:
        """Take what came on the log; returns what of it counts."""
        changes: list[Change] = []
        for entry in entries:
            try:
                change = self._apply(entry)
            except (Rejected, *UNREADABLE) as error:
                log.warning("no shadow", offset=entry.offset, error=str(error))
                continue
            if change is not None:
                changes.append(change)
        return changes

    def forgettable(self, now: int, keep: int) -> Iterator[bytes]:
        """Keys of entries that do not count, and of shadows that were deleted more than `keep` microseconds ago."""
        yield from list(self._left)
        for kept in list(self._kept.values()):
            if kept.shadow.removed and kept.shadow.changed + keep <= now:
                yield kept.key

    def _apply(self, entry: Entry) -> Change | None:
        device = device_of(entry.key)
        known = self._kept.get(device)
        if entry.value is None:
            self._left.discard(entry.key)
            if known is not None and known.key == entry.key:
                self._drop(device, known)
            return None
        shadow = decode_shadow(entry.value)
        if known is not None and shadow.version <= known.shadow.version:
            if entry.key != known.key:
                self._left.add(entry.key)
            return None
        if known is not None:
            self._left.add(known.key)
            self._drop(device, known)
        self._kept[device] = _Kept(entry.key, shadow, len(entry.value) + 500)
        self.count += 1
        self.size += len(entry.value) + 500
        return Change(entry.key, device, NONE if known is None else known.shadow, shadow)

    def _drop(self, device: str, kept: _Kept) -> None:
        del self._kept[device]
        self.count -= 1
        self.size -= kept.size

"""One partition that the selector owns: its selection, and the checkpoint it came from.

In: the partition's entries. Out: candidates, and now and then a checkpoint, by compare-and-set. A checkpoint says
"everything before `next_offset` is selected and durably emitted", so it is never taken between the two.
"""

import asyncio
from collections.abc import Callable, Sequence

from consumers.selection import Selection
from headwater.config import Selection as Settings
from headwater.errors import ConfigError
from headwater.log import Entry, Log, Offset
from headwater.message import Candidate
from headwater.saying import get_logger
from storage.contract import Checkpoint, Checkpoints

_CLOCKS_ONLY = 30  # times `checkpoint_every` where nothing but clock entries came
_SHARE = 20  # times what the last checkpoint took, at least, until the next: large states are written less often

logger = get_logger()


class OwnedPartition:
    """Use `load`. `heard_at`: when its latest entry was taken, by `monotonic` seconds. `last`: that entry.

    `emitted`: the candidates of all entries applied are on the log.
    """

    def __init__(self, selection: Selection, next_offset: Offset, version: str, monotonic: Callable[[], float]) -> None:
        self.selection = selection
        self.next_offset = next_offset
        self.last: Entry | None = None
        self.emitted = True
        self.heard_at = monotonic()
        self._monotonic = monotonic
        self._version = version
        self._saved_at = monotonic()
        self._took = 0.0
        self._messages = 0

    @property
    def partition(self) -> int:
        return self.selection.partition

    def apply(self, entries: Sequence[Entry]) -> list[Candidate]:
        """Their candidates. Until these are emitted there is no checkpoint."""
        self.emitted = False
        self.heard_at = self._monotonic()
        before = self.selection.taken
        candidates = self.selection.apply(entries)
        self._messages += self.selection.taken - before
        self.last = entries[-1]
        self.next_offset = self.last.offset + 1
        return candidates

    def due(self, settings: Settings) -> bool:
        """True if it is time for a checkpoint."""
        if self.last is None or not self.emitted:
            return False
        age = self._monotonic() - self._saved_at
        if age < _SHARE * self._took:
            return False
        every = settings.checkpoint_every * (1 if self._messages else _CLOCKS_ONLY)
        return age >= every or self._messages >= settings.checkpoint_messages

    async def save(self, checkpoints: Checkpoints, log_id: str) -> bool:
        """Write a checkpoint; False if there is nothing to write. Raises `Stale`, `Unavailable`.

        The state is encoded in pieces of about a millisecond, between which others run; nothing may be applied
        meanwhile.
        """
        if self.last is None or not self.emitted:
            return False
        began = self._monotonic()
        making = self.selection.chunks()
        while True:
            try:
                next(making)
            except StopIteration as end:
                state: bytes = end.value
                break
            await asyncio.sleep(0)
        checkpoint = Checkpoint(log_id, self.next_offset, self.selection.rule_version, state)
        try:
            self._version = await checkpoints.save(self.partition, checkpoint, self._version)
        finally:
            self._saved_at = self._monotonic()
            self._took = self._saved_at - began
        self._messages = 0
        self.last = None
        return True


async def load(
    log: Log, checkpoints: Checkpoints, partition: int, first: Offset, monotonic: Callable[[], float]
) -> OwnedPartition:
    """The partition as of its checkpoint, or new from the first offset kept where there is none for this log."""
    checkpoint, version = await checkpoints.load(partition)
    if checkpoint is not None and checkpoint.log_id == log.id:
        try:
            selection = await asyncio.to_thread(Selection.restored, partition, checkpoint.state)
        except ConfigError as error:
            logger.warning("selection starts anew", partition=partition, offset=first, reason=str(error))
        else:
            return OwnedPartition(selection, checkpoint.next_offset, version, monotonic)
    return OwnedPartition(Selection(partition), first, version, monotonic)

"""Where a writer starts in a partition: behind what its store has applied, as the store's own ledger says."""

from headwater.log import CANDIDATES, Log, Offset, Offsets, Partition
from headwater.message import UNREADABLE, Candidate, decode_candidate
from storage.contract import ORIGIN_BITS


def position_of(candidate: Candidate) -> int:
    """What ledgers count candidates by: where their messages stand, which emitting them again does not change."""
    return candidate.origin.offset << ORIGIN_BITS | candidate.origin.n


async def start_of(
    log: Log, topic: str, partition: Partition, applied: int | None, commit: Offset | None, ends: Offsets
) -> Offset:
    """The first offset to offer to a store that has applied this position, by a group that has committed that far.

    A store that is new, or came back empty, gets all there is. The result may lie below the first offset kept: then
    entries are gone that the store has not seen, and the log refuses to start there.
    """
    if applied is None:
        return ends.first
    if topic == CANDIDATES:
        return await _behind(log, partition, applied, commit, ends)
    if applied + 1 < ends.first and commit is not None and commit >= ends.first:
        # Handled without the store, as control entries are, and dropped by retention since.
        return ends.first
    return applied + 1


async def _behind(log: Log, partition: Partition, applied: int, commit: Offset | None, ends: Offsets) -> Offset:
    """The offset behind a candidate that is applied, such that nothing which is not is only before it.

    That is the commit, unless the store lost something since. Then it is found by halving. Positions grow with the
    offsets, but for candidates emitted again after a crash; where the search ends among those, all that came after them
    the first time comes after them the second time too.
    """
    low, high = ends
    if commit is not None:
        if commit < low or commit == low or await _position(log, partition, commit - 1) <= applied:
            return commit
        high = commit
    while low < high:
        middle = (low + high) // 2
        if await _position(log, partition, middle) <= applied:
            low = middle + 1
        else:
            high = middle
    return low


async def _position(log: Log, partition: Partition, offset: Offset) -> int:
    """The position of the candidate at this offset; what cannot be read counts as applied."""
    reading = log.read(CANDIDATES, partition, offset)
    try:
        async for entries in reading:
            for entry in entries[:1]:
                return _read(entry.value or b"")
    finally:
        await reading.aclose()
    return -1


def _read(value: bytes) -> int:
    try:
        return position_of(decode_candidate(value))
    except UNREADABLE:
        return -1

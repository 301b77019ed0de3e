"""The batch in hand: what a writer has taken and not yet settled. All the backpressure there is.

In: entries of one topic. Out: records that the store has not applied, decoded once, in log order.
"""

import asyncio
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import partial
from itertools import groupby
from operator import itemgetter
from typing import Any, cast

from consumers.quarantine import Condemned, refused, unreadable
from consumers.start import position_of
from headwater.log import CANDIDATES, MESSAGES, REJECTED, Entry, Offset, Partition
from headwater.message import UNREADABLE, Body, Candidate, decode_candidate, decode_message, decode_rejected
from storage.contract import Record

_SLICE = 1_000  # entries decoded in one go: under a millisecond, so that who shares the loop is not kept waiting

_DECODERS: Mapping[str, Callable[[bytes], Body]] = {
    MESSAGES: decode_message,
    CANDIDATES: decode_candidate,
    REJECTED: decode_rejected,
}


# Record's own constructor is a Python function; this one is not, and takes a third of the time.
_record = cast("Callable[[Iterable[object]], Record]", partial(cast("Any", tuple.__new__), Record))


class Hand:
    """`records` wait to be written, `condemned` for quarantine; `last`: of each partition the entry to commit.

    `offered` = `skipped` + what is in `records` and `condemned` after decoding. `dropped` counts those of revoked
    partitions. `uncertain`: a write was tried, and only the store's ledger knows what became of it.
    """

    def __init__(self, entries: Sequence[Entry]) -> None:
        self.records: list[Record] = []
        self.condemned: list[Condemned] = []
        self.last: dict[Partition, Entry] = {}
        self.offered = self.skipped = self.dropped = 0
        self.uncertain = False
        self._entries = entries
        self._free = asyncio.Event()  # not set while a store or the quarantine has the records
        self._lost: set[Partition] = set()

    async def decode(self, ledger: Mapping[Partition, int], committed: Mapping[Partition, Offset]) -> None:
        """Make records of the entries that the ledger does not cover. Control entries are nobody's records.

        `committed`: next offsets; what is unreadable below them was quarantined when they were committed.
        """
        entries, self._entries = self._entries, ()
        highest = dict(ledger)
        for start in range(0, len(entries), _SLICE):
            if start:
                await asyncio.sleep(0)
            for partition, run in groupby(entries[start : start + _SLICE], itemgetter(1)):
                highest[partition] = self._decode(list(run), highest.get(partition, -1), committed.get(partition, 0))

    def hold(self) -> None:
        """Begin to settle: partitions revoked from now on wait for the end of it."""
        self._free.clear()
        self._drop(self._lost)

    def let_go(self) -> None:
        """Nothing is being done with the records now."""
        self._free.set()

    async def release(self, partitions: Collection[Partition], seconds: float) -> None:
        """These are revoked: wait for what is being done with them, at most so long, then drop what is left."""
        try:
            async with asyncio.timeout(seconds):
                await self._free.wait()
        except TimeoutError:
            self._lost.update(partitions)
        else:
            self._drop(partitions)

    @property
    def open(self) -> int:
        """How many are not settled."""
        return len(self.records) + len(self.condemned)

    @property
    def positions(self) -> dict[Partition, int]:
        """The highest position of each partition's records."""
        return {record.partition: record.position for record in self.records}

    def condemn(self, reasons: Mapping[int, str]) -> None:
        """The store refused these records, by index."""
        self.condemned += [refused(self.records[index], reason) for index, reason in sorted(reasons.items())]
        self.records = [record for index, record in enumerate(self.records) if index not in reasons]

    def applied(self, ledger: Mapping[Partition, int]) -> int:
        """Let go of the records that the ledger covers; returns how many."""
        before = len(self.records)
        self.records = [record for record in self.records if record.position > ledger.get(record.partition, -1)]
        return before - len(self.records)

    def _drop(self, partitions: Collection[Partition]) -> None:
        if partitions:
            before = self.open
            self.last = {at: entry for at, entry in self.last.items() if at not in partitions}
            self.records = [record for record in self.records if record.partition not in partitions]
            self.condemned = [one for one in self.condemned if one.partition not in partitions]
            self.dropped += before - self.open

    def _decode(self, run: Sequence[Entry], applied: int, committed: Offset) -> int:
        """Take over entries of one partition; returns the highest position applied or taken over."""
        topic, partition = run[0][:2]
        decode, by_origin = _DECODERS[topic], topic == CANDIDATES
        self.last[partition] = run[-1]
        for entry in run:
            _, _, offset, _, key, value = entry
            if not key and topic == MESSAGES:
                continue
            self.offered += 1
            if offset <= applied and not by_origin:
                self.skipped += 1
                continue
            try:
                body = decode(value or b"")
            except UNREADABLE as error:
                self._not_readable(entry, str(error), committed)
                continue
            position = position_of(body) if isinstance(body, Candidate) else offset
            if position > applied:
                applied = position
                self.records.append(_record((topic, partition, offset, position, body)))
            else:  # a candidate that was emitted again after a crash
                self.skipped += 1
        return applied

    def _not_readable(self, entry: Entry, why: str, committed: Offset) -> None:
        if entry.offset < committed:
            self.skipped += 1
        else:
            self.condemned.append(unreadable(entry, why))

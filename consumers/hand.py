"""The batch in hand: what a writer has taken and not yet settled. All the backpressure there is.

In: entries of one topic. Out: records that the store has not applied, decoded once, in log order.
"""

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence

import msgspec

from consumers.quarantine import Condemned, refused, unreadable
from consumers.start import position_of
from headwater.log import CANDIDATES, MESSAGES, REJECTED, Entry
from headwater.message import Body, Candidate, decode_candidate, decode_message, decode_rejected
from storage.contract import Record

_SLICE = 1_000  # entries decoded in one go: under a millisecond, so that who shares the loop is not kept waiting

_DECODERS: Mapping[str, Callable[[bytes], Body]] = {
    MESSAGES: decode_message,
    CANDIDATES: decode_candidate,
    REJECTED: decode_rejected,
}


class Hand:
    """`records` wait to be written, `condemned` for quarantine. `entries`: everything taken, to be committed.

    `offered` = `skipped` + what is in `records` and `condemned` after decoding. `dropped` counts those of revoked
    partitions. `uncertain`: a write was tried, and only the store's ledger knows what became of it.
    """

    def __init__(self, entries: Sequence[Entry]) -> None:
        self.entries = entries
        self.records: list[Record] = []
        self.condemned: list[Condemned] = []
        self.offered = self.skipped = self.dropped = 0
        self.uncertain = False
        self._free = asyncio.Event()  # not set while a store or the quarantine has the records
        self._lost: set[int] = set()

    async def decode(self, ledger: Mapping[int, int], committed: Mapping[int, int]) -> None:
        """Make records of the entries that the ledger does not cover. Control entries are nobody's records.

        `committed`: next offsets; what is unreadable below them was quarantined when they were committed.
        """
        highest = dict(ledger)
        for start in range(0, len(self.entries), _SLICE):
            if start:
                await asyncio.sleep(0)
            for entry in self.entries[start : start + _SLICE]:
                self._decode_one(entry, highest, committed)

    def hold(self) -> None:
        """Begin to settle: partitions revoked from now on wait for the end of it."""
        self._free.clear()
        self._drop(self._lost)

    def let_go(self) -> None:
        """Nothing is being done with the records now."""
        self._free.set()

    async def release(self, partitions: Collection[int], seconds: float) -> None:
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

    def condemn(self, reasons: Mapping[int, str]) -> None:
        """The store refused these records, by index."""
        self.condemned += [refused(self.records[index], reason) for index, reason in sorted(reasons.items())]
        self.records = [record for index, record in enumerate(self.records) if index not in reasons]

    def applied(self, ledger: Mapping[int, int]) -> int:
        """Let go of the records that the ledger covers; returns how many."""
        before = len(self.records)
        self.records = [record for record in self.records if record.position > ledger.get(record.partition, -1)]
        return before - len(self.records)

    def _drop(self, partitions: Collection[int]) -> None:
        if partitions:
            before = self.open
            self.entries = [entry for entry in self.entries if entry.partition not in partitions]
            self.records = [record for record in self.records if record.partition not in partitions]
            self.condemned = [one for one in self.condemned if one.partition not in partitions]
            self.dropped += before - self.open

    def _decode_one(self, entry: Entry, highest: dict[int, int], committed: Mapping[int, int]) -> None:
        topic, partition, offset, _, key, value = entry
        if not key and topic == MESSAGES:
            return
        self.offered += 1
        applied = highest.get(partition, -1)
        position = offset
        if topic == CANDIDATES or position > applied:
            try:
                body = _DECODERS[topic](value or b"")
            except msgspec.DecodeError as error:
                if offset >= committed.get(partition, 0):
                    self.condemned.append(unreadable(entry, str(error)))
                    return
            else:
                if isinstance(body, Candidate):
                    position = position_of(body)
                if position > applied:  # else a candidate that was emitted again after a crash
                    highest[partition] = position
                    self.records.append(Record(topic, partition, offset, position, body))
                    return
        self.skipped += 1

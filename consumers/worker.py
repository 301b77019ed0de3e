"""The worker shell: everything between a topic and a store that is not the store itself.

In: a topic of the log. Out: `Store.write`, once in effect for each record. Retry, time limits, resting, quarantine,
commits and counting are here, once, for all stores. One batch in hand is the whole backpressure.

offered = written + skipped + quarantined + waiting, at every moment: `waiting` is the batch in hand, and what was
dropped from a hand unsettled until it is taken again.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import aclosing
from time import perf_counter

from consumers.backoff import Backoff
from consumers.delivery import Delivery, Refusing
from consumers.hand import Hand
from consumers.lag import Lag
from consumers.membership import Membership
from consumers.quarantine import Quarantine
from consumers.refill import Refill, entries_of, lacking, next_of
from consumers.start import start_of
from consumers.stopping import unless_stopped
from consumers.worker_state import WorkerState
from headwater.config import Workers
from headwater.errors import Stale, Unavailable
from headwater.log import Entry, Log, Subscription, TopicPartition
from headwater.metrics import Metrics
from headwater.saying import get_logger
from headwater.times import now
from storage.contract import Store

logger = get_logger()

REVOKE_TIME = 5.0
"""Seconds a batch may take to end when its partitions are revoked."""
COMMIT_EVERY = 1.0
"""Seconds between two commits: the ledger says where to go on, so commits are for the lag and can wait."""


class Writer:
    """The worker of one store and one topic. `state` says how it is doing.

    `batch`, `size`, `wait`: records, bytes and seconds to take at most at once. `group`: the store's name and the
    topic's, unless given. `refill`: the lake, from which a store that is new, came back empty or was away for too long
    gets what the log has no more. `clock`: microseconds since 1970 UTC.
    """

    def __init__(  # noqa: PLR0913 the parts of a worker, each named by its caller
        self,
        store: Store,
        topic: str,
        log: Log,
        config: Workers,
        metrics: Metrics,
        *,
        batch: int,
        size: int,
        wait: float,
        group: str | None = None,
        refill: Refill | None = None,
        clock: Callable[[], int] = now,
    ) -> None:
        self.state = WorkerState(store.name, topic, group or f"{store.name}.{topic}")
        self._topic = topic
        self._log = log
        self._bounds = (batch, size, wait)
        self._refill = refill
        self._gaps: set[int] = set()  # partitions that begin below what the log keeps, with what the lake has of them
        self._membership = Membership(log, self.state, self, Backoff(config.retry_first, config.retry_most))
        quarantine = Quarantine(log, store.name, clock)
        self._delivery = Delivery(store, topic, quarantine, self._membership, config, metrics)
        self._lag = Lag(log, topic, self.state.group, metrics)
        self.state.positions = self._lag.positions
        self._busy = metrics.busy.labels(self.state.group)
        self._offered = metrics.offered.labels(store.name, topic)
        self._skipped = metrics.skipped.labels(store.name, topic)
        self._batch_records = metrics.batch_records.labels(store.name)
        self._committed: dict[int, int] = {}  # partition → the group's commit when it was assigned
        self._done: dict[int, Entry] = {}  # partition → the last entry done and not yet committed
        self._commit_at = 0.0
        self._hand: Hand | None = None
        self._revoked: set[int] = set()  # partitions that were ours
        self._owed = 0  # records offered once, then dropped: they will be taken again

    async def run(self, stop: asyncio.Event) -> None:
        """Work until `stop`, then finish the batch in hand; or until a person must act: see `state`."""
        lag = asyncio.create_task(self._lag.watch(stop))
        try:
            await self._membership.keep(lambda subscription: self._work(subscription, stop), stop)
        finally:
            lag.cancel()
            await asyncio.gather(lag, return_exceptions=True)

    async def assigned(self, partitions: Sequence[TopicPartition]) -> Mapping[TopicPartition, int]:
        """Start behind what the store has applied; see `headwater.log.Hooks`."""
        ends = await self._log.ends(self._topic)
        commits = await self._log.committed(self.state.group, self._topic)
        for number in (at.partition for at in partitions):  # the lag, until the store says what it has
            self._lag.positions[number] = max(ends[number].first, commits.get(number, 0))
        ledger = await self._delivery.ledger()
        starts: dict[TopicPartition, int] = {}
        for at in partitions:
            number = at.partition
            applied, commit = ledger.get(number), commits.get(number)
            first = ends[number].first
            starts[at] = await start_of(self._log, self._topic, number, applied, commit, ends[number])
            self._gaps.discard(number)
            if self._refill is not None and first > 0 and (applied is None or starts[at] < first):
                self._gaps.add(number)
                starts[at] = first
            self._delivery.applied.pop(number, None)
            if applied is not None:
                self._delivery.applied[number] = applied
            self._committed[number] = commit or 0
            self._lag.positions[number] = starts[at]
            self._revoked.discard(number)
        if self.state.state == "starting":  # ready: a first batch may be long in coming
            self._membership.well()
        return starts

    async def revoked(self, partitions: Sequence[TopicPartition]) -> None:
        """Let a write end, at most so long, and drop what is not written; see `headwater.log.Hooks`."""
        gone = {at.partition for at in partitions}
        self._revoked |= gone
        self._gaps -= gone
        if self._hand is not None:
            await self._hand.release(gone, REVOKE_TIME)
        for number in gone:
            self._lag.positions.pop(number, None)
            self._delivery.applied.pop(number, None)
            self._done.pop(number, None)

    async def _work(self, subscription: Subscription, stop: asyncio.Event) -> None:
        for memory in (self._done, self._lag.positions, self._delivery.applied):
            memory.clear()
        self._gaps.clear()
        settled = True
        while settled and not stop.is_set():
            entries = await unless_stopped(stop, subscription.batch(*self._bounds)) or ()
            self._membership.well()
            if entries and self._revoked:  # it was, between taking the batch and seeing it
                entries = [entry for entry in entries if entry.partition not in self._revoked]
            if self._gaps:
                settled = await self._fill(subscription, stop)
                entries = [entry for entry in entries if entry.partition not in self._revoked]
            if entries and settled:
                settled = await self._deliver(subscription, entries, stop)
            if not entries or asyncio.get_running_loop().time() >= self._commit_at:
                await self._commit(subscription)
        await self._commit(subscription)

    async def _fill(self, subscription: Subscription, stop: asyncio.Event) -> bool:
        """Give the store what only the lake has; False if that could not be ended and the worker has to.

        Raises `Stale` where something was filled: the log may have dropped the next entries meanwhile, so the start is
        asked for again. Raises `OffsetOutOfRange` where the lake has not got all that the log dropped.
        """
        filled = False
        while self._gaps and self._refill is not None:
            number = min(self._gaps)
            await lacking(self._log, self._topic, number, new=number not in self._delivery.applied)
            above = self._delivery.applied.get(number, -1)
            logger.info(
                "filled from the lake", worker=self.state.name, topic=self._topic, partition=number, above=above
            )
            async with aclosing(self._refill(self._topic, number, above)) as batches:
                while records := await next_of(batches, subscription, stop):
                    if number not in self._gaps:  # revoked meanwhile
                        break
                    filled = True
                    if not await self._deliver(subscription, entries_of(records), stop, filling=True):
                        return False
            if stop.is_set():
                return False
            self._gaps.discard(number)
        if filled:
            raise Stale("filled from the lake; goes on behind that")
        return True

    async def _deliver(
        self, subscription: Subscription, entries: Sequence[Entry], stop: asyncio.Event, *, filling: bool = False
    ) -> bool:
        """Give the batch to the store; False if it could not be settled and the worker has to end.

        `filling`: these are not from the log, and nothing is to be committed.
        """
        self._hand = hand = Hand(entries)
        settled, began = False, perf_counter()
        try:
            await hand.decode(self._delivery.applied, self._committed)
            self._count(hand)
            settled = await self._delivery.settle(subscription, hand, stop)
        except Refusing as error:
            self._membership.give_up(str(error))
        finally:
            hand.let_go()
            self._hand = None
            self._busy.inc(perf_counter() - began)
            self._owed += hand.open + hand.dropped
            self.state.waiting = self._owed
        if settled and not filling:
            self._done |= hand.last
            self._lag.positions.update({at: entry.offset + 1 for at, entry in self._done.items()})
        return settled

    def _count(self, hand: Hand) -> None:
        again = min(self._owed, hand.offered)
        self._owed -= again
        self._offered.inc(hand.offered - again)
        self._skipped.inc(hand.skipped)
        self._batch_records.set(len(hand.records))
        self.state.waiting = self._owed + hand.open

    async def _commit(self, subscription: Subscription) -> None:
        self._commit_at = asyncio.get_running_loop().time() + COMMIT_EVERY
        if not self._done:
            return
        try:
            await subscription.commit(list(self._done.values()))
        except Unavailable as error:
            self.state.error = str(error)
        else:
            self._done.clear()

"""One store's delivery: from a batch in hand to the fate of each of its records.

In: a `Hand`. Out: records written, or in quarantine; whatever can pass is waited for. The store's ledger decides what a
write did that did not return.
"""

import asyncio
from collections.abc import Mapping, Sequence
from time import perf_counter

from prometheus_client import Counter

from consumers.backoff import Backoff
from consumers.hand import Hand
from consumers.membership import Membership
from consumers.quarantine import Quarantine
from consumers.stopping import unless_stopped
from headwater.config import Workers
from headwater.errors import HeadwaterError, PartialWrite, Stale, Unavailable
from headwater.failpoints import passing
from headwater.log import Subscription
from headwater.metrics import Metrics
from storage.contract import Record, Store

PATIENCE = 1.0  # seconds after which a write is waited for by resting, which keeps the membership
_LOOK = 0.1  # seconds between two looks at such a write
_ALL = 2**30  # records: more than any batch has
_FEW = 10  # records: so many are never too much for a store's limits
_TELLING = 100  # records: a smaller batch says nothing about the share that a store refuses


class Refusing(HeadwaterError):
    """The store refuses nearly everything: something is wrong that is not the records. Nothing was quarantined."""


class Delivery:
    """`applied`: partition → the highest position that the store is known to have. Kept by whoever assigns it."""

    def __init__(
        self,
        store: Store,
        topic: str,
        quarantine: Quarantine,
        membership: Membership,
        config: Workers,
        metrics: Metrics,
    ) -> None:
        self.applied: dict[int, int] = {}
        self._store = store
        self._topic = topic
        self._quarantine = quarantine
        self._membership = membership
        self._config = config
        self._backoff = Backoff(config.retry_first, config.retry_most)
        # The most records written at once: half as many after a write that was not done in time, since a store that is
        # slow, but there, would never end one that is too large for its limits; twice as many after a quick one.
        self._most = _ALL
        self._written = metrics.written.labels(store.name, topic)
        self._quarantined = metrics.quarantined.labels(store.name, topic)
        self._retries = metrics.retries.labels(store.name)
        self._seconds = metrics.write_seconds.labels(store.name)

    async def settle(self, subscription: Subscription, hand: Hand, stop: asyncio.Event) -> bool:
        """Try until every record has its fate; False if told to stop before. Raises `Stale`, `Refusing`."""
        while True:
            hand.hold()
            try:
                await self._attempt(subscription, hand)
            except Unavailable as error:
                self._membership.rest(str(error))
                self._retries.inc()
                pause = self._backoff.pause(error.retry_after)
            else:
                self._backoff.reset()
                self._membership.well()
                return True
            hand.let_go()
            if not stop.is_set():
                await unless_stopped(stop, subscription.rest(pause))
            if stop.is_set():
                return False

    async def ledger(self) -> Mapping[int, int]:
        """What the store has applied; raises `Unavailable`, also where it does not answer in time."""
        limit = self._config.write_time
        try:
            async with asyncio.timeout(limit):
                return await self._store.ledger(self._topic)
        except TimeoutError:
            raise Unavailable(f"{self._store.name} did not say within {limit:g} s what it has") from None

    async def _attempt(self, subscription: Subscription, hand: Hand) -> None:
        """Settle all of the hand, or raise; what is settled by then stays so.

        A store that refuses some records is asked again for the rest, unless its ledger says that the rest is there.
        """
        while True:
            if hand.condemned:
                await self._quarantine.put(hand.condemned)
                self._count(self._quarantined, len(hand.condemned))
                hand.condemned = []
            if hand.uncertain:
                await self._reconcile(hand)
            if not hand.records:
                return
            hand.uncertain = True
            records = hand.records[: self._most]
            try:
                await self._write(subscription, records)
            except PartialWrite as refusal:
                self._judge(refusal, len(records))
                hand.condemn(refusal.reasons)
                continue
            passing("writer.written")
            self.applied.update({record.partition: record.position for record in records})
            self._count(self._written, len(records))
            hand.records = hand.records[len(records) :]
            hand.uncertain = False
            hand.hold()

    async def _reconcile(self, hand: Hand) -> None:
        """An earlier write of this hand may have happened, whatever it seemed."""
        ledger = await self.ledger()
        if any(ledger.get(partition, -1) < position for partition, position in self.applied.items()):
            raise Stale(f"{self._store.name} came back without what it had")
        self.applied.update({at: ledger[at] for at in hand.positions.keys() & ledger.keys()})
        self._count(self._written, hand.applied(ledger))
        hand.uncertain = False

    def _count(self, fate: Counter, records: int) -> None:
        fate.inc(records)
        self._membership.state.waiting -= records

    def _judge(self, refusal: PartialWrite, count: int) -> None:
        refused = len(refusal.reasons)
        if not refused:
            raise Unavailable(f"{self._store.name} refused a batch and named no record")
        if count >= _TELLING and refused > self._config.refused_share * count:
            why = next(iter(refusal.reasons.values()))
            raise Refusing(f"{self._store.name} refuses {refused} of {count} records; none is quarantined: {why}")

    async def _write(self, subscription: Subscription, records: Sequence[Record]) -> None:
        """`Store.write` within the time limit; a long one is waited for without losing the membership."""
        began = perf_counter()
        limit = self._config.write_time
        done = False
        write = asyncio.create_task(self._store.write(records))
        try:
            await asyncio.wait((write,), timeout=min(PATIENCE, limit))
            while not write.done() and (left := began + limit - perf_counter()) > 0:
                await subscription.rest(min(_LOOK, left))
            if not write.done():
                raise Unavailable(f"{self._store.name} did not finish a write within {limit:g} s")
            write.result()
            done = True
        finally:
            took = perf_counter() - began
            if not write.done():
                write.add_done_callback(_note_end)
                write.cancel()
                await asyncio.wait((write,), timeout=PATIENCE)
            self._adjust(len(records), took, done=done)
        self._seconds.observe(took)

    def _adjust(self, count: int, took: float, *, done: bool) -> None:
        if not done and took > min(PATIENCE, self._config.write_time):
            self._most = max(_FEW, count // 2)
        elif done and took < PATIENCE:
            self._most = min(2 * self._most, _ALL)


def _note_end(write: "asyncio.Task[None]") -> None:
    """However a cancelled write ends: the ledger tells what it did."""
    if not write.cancelled():
        write.exception()

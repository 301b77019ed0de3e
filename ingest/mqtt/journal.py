"""One topic of the log that belongs to the MQTT endpoint: appended to in order, and followed by every gateway.

In: entries with their receipts. Out: `take(entry)` for whatever any gateway has appended; each receipt counted down
once its entry is durable, and, where the topic is a table, once this gateway has read it back: who is acknowledged
then finds here what was written. What waits too long has failed.
"""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager

import msgspec

from headwater.log import Entry, Log
from headwater.metrics import Metrics
from headwater.registry_follower import RegistryFollower
from headwater.saying import get_logger
from ingest.contract import Receipt
from ingest.lanes import Fate, Lanes, Terms, Waiting, served
from ingest.pressure import Pressure

log = get_logger()

_EACH = 200
"""What an entry that waits costs beside its value, about."""


class JournalTerms(msgspec.Struct, frozen=True, eq=False):
    """What all journals of an endpoint have in common. Seconds; `clock`: seconds that only grow."""

    log: Log
    linger: float
    append_time: float
    check_every: float
    pressure: Pressure
    metrics: Metrics
    clock: Callable[[], float]


class _Told:
    """The owner of one receipt, who wants to know. `ingest.contract.Owner`."""

    __slots__ = ("_done", "receipt")

    def __init__(self, done: Callable[[bool], None]) -> None:
        self._done = done
        self.receipt = Receipt(self)

    def release(self) -> None:
        self._done(not self.receipt.failed)


class Journal:
    """`next`: the offset up to which `take` has been given all. `table`: entries are read back before they count."""

    def __init__(self, topic: str, terms: JournalTerms, take: Callable[[Entry], None], *, table: bool = True) -> None:
        self.next = 0
        self._topic = topic
        self._terms = terms
        self._apply = take
        self._table = table
        metrics = terms.metrics
        self._fate = Fate(metrics.mqtt_appended.labels(topic), metrics.mqtt_append_failed.labels(topic))
        self._lanes = Lanes(
            Terms(
                log=terms.log,
                linger=terms.linger,
                append_time=terms.append_time,
                took=metrics.append_seconds,
                remember=lambda _: None,
                settle=self._settle,
                offsets=True,
            )
        )
        self._follower = RegistryFollower(terms.log, self._take, lambda _: None, terms.clock, terms.check_every, topic)
        self._unread: deque[tuple[float, Waiting]] = deque()  # durable and not read back: when that must be, and what
        self._added = self._done = 0
        self._callbacks: deque[tuple[int, Callable[[], None]]] = deque()

    @asynccontextmanager
    async def running(self, start_time: float) -> AsyncGenerator[None]:
        """Read what is there, within so many seconds; then append and follow. Raises `Unavailable`."""
        if not self._table:
            self.next = (await self._terms.log.ends(self._topic))[0].next
            self._follower.skip_to(0, self.next)
        async with self._follower.running(start_time):
            try:
                yield
            finally:
                await self._lanes.stop()
                self._finish([waiting for _, waiting in self._unread], failed=False)
                self._unread.clear()

    def add(self, key: bytes, value: bytes | None, receipt: Receipt) -> None:
        """Append it; the receipt waits for that. `value` None: forget the key."""
        lane = self._lanes.lane(self._topic, 0)
        if lane.stuck:
            receipt.failed = True
            self._fate.failed.inc()
            return
        self._added += 1
        receipt.waiting += 1
        size = len(value or b"") + _EACH
        lane.add(Waiting(key, value, receipt, self._fate), size)
        pressure = self._terms.pressure
        pressure.count += 1
        pressure.size += size
        if pressure.count >= pressure.most or pressure.size >= pressure.most_size:
            pressure.look()

    def write(self, key: bytes, value: bytes | None, done: Callable[[bool], None]) -> None:
        """Append it, and call `done` when it is settled: True if it is there."""
        told = _Told(done)
        self.add(key, value, told.receipt)
        if not told.receipt.waiting:
            asyncio.get_running_loop().call_soon(told.release)

    def when_done(self, callback: Callable[[], None]) -> None:
        """Call it once everything that was added until now is settled; at once if it is."""
        if self._done == self._added:
            callback()
        else:
            self._callbacks.append((self._added, callback))

    def tick(self, now: float) -> None:
        """Give up what is durable, but cannot be read back."""
        late: list[Waiting] = []
        while self._unread and self._unread[0][0] < now:
            late.append(self._unread.popleft()[1])
        self._finish(late, failed=True)

    def _settle(self, durable: Sequence[Waiting], failed: Sequence[Waiting], size: int) -> None:
        self._fate.durable.inc(len(durable))
        self._fate.failed.inc(len(failed))
        self._terms.pressure.settled(len(durable) + len(failed), size)
        done = durable
        if self._table:
            until = self._terms.clock() + self._terms.append_time
            done = [waiting for waiting in durable if waiting.offset < self.next]
            self._unread += [(until, waiting) for waiting in durable if waiting.offset >= self.next]
        self._finish(done, failed=False)
        self._finish(failed, failed=True)

    def _take(self, entries: Sequence[Entry]) -> None:
        for entry in entries:
            try:
                self._apply(entry)
            except Exception:  # one entry that nobody understands is not to stop all that come behind it
                log.exception("an entry could not be applied", topic=self._topic, offset=entry.offset)
            self.next = entry.offset + 1
        done: list[Waiting] = []
        while self._unread and self._unread[0][1].offset < self.next:
            done.append(self._unread.popleft()[1])
        self._finish(done, failed=False)

    def _finish(self, settled: Sequence[Waiting], *, failed: bool) -> None:
        if not settled:
            return
        for waiting in settled:
            waiting.receipt.failed |= failed
        self._done += len(settled)
        for owner in served(settled):
            try:
                owner.release()
            except Exception:  # the others are not to wait for ever
                log.exception("an owner of receipts failed")
        while self._callbacks and self._callbacks[0][0] <= self._done:
            self._callbacks.popleft()[1]()

"""Lanes: one queue for each partition of the log, in order, with one append in flight.

In: entries with their receipts, one at a time. Out: batches appended to the log, and each entry settled once: durable,
or failed and the sender must send again. If an append fails or takes too long, everything queued behind it in its lane
fails with it, so that nothing overtakes; other lanes go on.
"""

import asyncio
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Protocol

import msgspec
from prometheus_client import Counter, Histogram

from headwater import failpoints
from headwater.errors import LogError, Unavailable
from headwater.log import NewEntry, Offset
from headwater.saying import get_logger
from ingest.contract import Owner, Receipt

log = get_logger()

_new = tuple.__new__  # a named tuple without its constructor in Python
BATCH_ENTRIES = 5_000
BATCH_SIZE = 4 * 2**20


class AppendLog(Protocol):
    """What the front door needs of a `headwater.log.Log`."""

    def partitions(self, topic: str) -> int: ...

    async def append(self, topic: str, entries: Sequence[NewEntry]) -> Sequence[Offset | LogError]: ...


class Fate(msgspec.Struct, gc=False, eq=False, frozen=True):
    """Where entries are counted once they are settled; the same object for all that are counted alike."""

    durable: Counter
    failed: Counter


class Waiting(msgspec.Struct, gc=False, eq=False):
    """One entry that waits. `name`: what to remember once it is durable (device and id), if anything.

    `value` None forgets the key. `offset`: known once it is durable, where the lane's terms ask for it.
    """

    key: bytes
    value: bytes | None
    receipt: Receipt
    fate: Fate
    name: str = ""
    offset: int = -1


class Terms(msgspec.Struct, eq=False):
    """What all lanes have in common. Seconds.

    `remember`: takes the names of durable entries. `settle(durable, failed, size)`: called once a flush; `size` is the
    bytes of all their values. `offsets`: note them in what is durable.
    """

    log: AppendLog
    linger: float
    append_time: float
    took: Histogram
    remember: Callable[[Iterable[str]], None]
    settle: Callable[[Sequence[Waiting], Sequence[Waiting], int], None]
    offsets: bool = False


class Wake:
    """Wakes a lane `linger` seconds after the first entry came into its empty queue."""

    def __init__(self, linger: float) -> None:
        self._linger = linger
        self._waiter: asyncio.Future[None] | None = None
        self._timer: asyncio.TimerHandle | None = None

    def set(self) -> None:
        """Something came. While the lane is awake it sees so by itself."""
        if self._waiter is not None and self._timer is None:
            self._timer = self._waiter.get_loop().call_later(self._linger, self._due)

    async def wait(self) -> None:
        """Until it is time. Called while the queue is empty."""
        self._waiter = asyncio.get_running_loop().create_future()
        try:
            await self._waiter
        finally:
            if self._timer is not None:
                self._timer.cancel()
            self._waiter = self._timer = None

    def _due(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


class Lane:
    """One partition's queue. `run` is its life; `add` is called by the intake, never while `stuck`.

    `queue` and `size` (the bytes of its values) are what waits; the hot path adds to both itself and sets `wake`.

    `stuck`: an append has exceeded its time and has not ended yet. A second one might overtake it, so none is begun:
    what comes must fail at once. A lane that has stopped is stuck too.
    """

    def __init__(self, topic: str, partition: int, terms: Terms) -> None:
        self.topic = topic
        self.partition = partition
        self.stuck = False
        self._terms = terms
        self._took = terms.took.labels(topic)
        self.queue: list[Waiting] = []
        self.size = 0
        self.wake = Wake(terms.linger)
        self._failing = False

    def add(self, waiting: Waiting, size: int) -> None:
        """Queue it. `size`: bytes of its value."""
        if not self.queue:
            self.wake.set()
        self.queue.append(waiting)
        self.size += size

    async def run(self) -> None:
        """Append what comes until this is cancelled; what waits then has failed."""
        try:
            await asyncio.sleep(self._terms.linger)
            while True:
                while self.queue:
                    await self._flush()
                await self.wake.wait()
        finally:
            self.close()

    def close(self) -> None:
        """Take nothing more; what waits has failed."""
        self.stuck = True
        self._fail((), 0)

    async def _flush(self) -> None:
        batch, size = self._take()
        late = asyncio.get_running_loop().call_later(self._terms.append_time, self._late, batch, size)
        try:
            durable = await self._append(batch)
        except asyncio.CancelledError:
            if not self.stuck:
                self._fail(batch, size)
            raise
        finally:
            late.cancel()
        self._remember(batch[:durable])
        if self.stuck:
            self.stuck = False
            log.info("the log has answered at last", **self._name())
        elif durable == len(batch):
            self._terms.settle(batch, (), size)
        else:
            self._fail(batch, size, durable)

    async def _append(self, batch: Sequence[Waiting]) -> int:
        """Append; how many of the first are durable. Never raises."""
        partition = self.partition
        entries = [_new(NewEntry, (partition, waiting.key, waiting.value)) for waiting in batch]
        loop = asyncio.get_running_loop()
        began = loop.time()
        try:
            results = await self._terms.log.append(self.topic, entries)
            failpoints.passing("ingest.appended")
            self._took.observe(loop.time() - began)
        except Unavailable as error:
            return self._failed(error)
        except asyncio.CancelledError as error:
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            return self._failed(error)  # not the lane: what it waited for
        except Exception as error:  # noqa: BLE001  # a lane that dies would take no message ever again
            return self._failed(error)
        durable = len(results)
        if set(map(type, results)) != {int}:
            durable = next((at for at, result in enumerate(results) if not isinstance(result, int)), durable)
        if self._terms.offsets:
            for waiting, result in zip(batch[:durable], results, strict=False):
                waiting.offset = result if isinstance(result, int) else -1
        if durable < len(entries):
            return self._failed(results[durable] if durable < len(results) else None, durable)
        if self._failing:
            self._failing = False
            log.info("the log takes appends again", topic=self.topic, partition=self.partition)
        return durable

    def _failed(self, why: object, durable: int = 0) -> int:
        if not self._failing:
            self._failing = True
            log.error("appending failed; senders are told to send again", **self._name(), error=str(why))
        return durable

    def _late(self, batch: Sequence[Waiting], size: int) -> None:
        """The append takes too long: all that waits has failed. What it does in the end is remembered."""
        self.stuck = True
        log.error(
            "the log has not answered in time; senders are told to send again",
            **self._name(),
            seconds=self._terms.append_time,
        )
        self._fail(batch, size)

    def _name(self) -> dict[str, object]:
        return {"topic": self.topic, "partition": self.partition}

    def _fail(self, batch: Sequence[Waiting], size: int, durable: int = 0) -> None:
        """Settle a batch as failed from `durable` on, and everything behind it."""
        rest, rest_size = self._take_all()
        if batch or rest:
            self._terms.settle(batch[:durable], [*batch[durable:], *rest], size + rest_size)

    def _remember(self, batch: Sequence[Waiting]) -> None:
        self._terms.remember(filter(None, [waiting.name for waiting in batch]))

    def _take_all(self) -> tuple[Sequence[Waiting], int]:
        taken, self.queue = self.queue, []
        size, self.size = self.size, 0
        return taken, size

    def _take(self) -> tuple[Sequence[Waiting], int]:
        """The next batch and its bytes: everything, or as much as one append may have, but at least one entry."""
        if len(self.queue) <= BATCH_ENTRIES and self.size <= BATCH_SIZE:
            return self._take_all()
        size = count = 0
        for waiting in self.queue[:BATCH_ENTRIES]:
            more = len(waiting.value or b"")
            if count and size + more > BATCH_SIZE:
                break
            size += more
            count += 1
        batch = self.queue[:count]
        del self.queue[:count]
        self.size -= size
        return batch, size


def served(settled: Sequence[Waiting]) -> Collection[Owner]:
    """Count these in their receipts; whose receipts wait for nothing more by that."""
    owners: dict[int, Owner] = {}
    for waiting in settled:
        receipt = waiting.receipt
        receipt.waiting -= 1
        if not receipt.waiting:
            owners[id(receipt.owner)] = receipt.owner
    return owners.values()


def _ended(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        log.critical("a lane has ended; its messages are refused from now on", lane=task.get_name(), exc_info=error)


class Lanes:
    """All lanes, each made when it is first needed and running until `stop`."""

    def __init__(self, terms: Terms) -> None:
        self._terms = terms
        self._lanes: dict[tuple[str, int], Lane] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._stopped = False

    def lane(self, topic: str, partition: int) -> Lane:
        """The lane of a partition. After `stop` it is one that takes nothing (`stuck`)."""
        lane = self._lanes.get((topic, partition))
        if lane is None:
            lane = self._lanes[topic, partition] = Lane(topic, partition, self._terms)
            lane.stuck = self._stopped
            if not self._stopped:
                task = asyncio.create_task(lane.run(), name=f"lane {topic}/{partition}")
                task.add_done_callback(_ended)
                self._tasks.append(task)
        return lane

    async def stop(self) -> None:
        """End all lanes; what waits has failed."""
        self._stopped = True
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for lane in self._lanes.values():
            lane.close()  # a task that is cancelled before its first step does not do it itself

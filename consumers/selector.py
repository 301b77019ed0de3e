"""The selector: messages in, candidate records out, each to the partition number of its source.

In: topic `messages`. Out: topic `candidates`, durable before the checkpoint that says so; checkpoints. It goes on from
the checkpoint, not from the group's commit: after a crash it emits some candidates again, with the same ids and
origins. On partitions where nothing comes it appends `Clock` entries, so that silence is seen.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from itertools import groupby
from operator import itemgetter

from consumers.backoff import Backoff
from consumers.lag import Lag
from consumers.membership import Membership
from consumers.owned_partition import OwnedPartition, load
from consumers.stopping import unless_stopped
from consumers.worker_state import WorkerState
from headwater.config import Selection as Settings
from headwater.config import Workers
from headwater.errors import LogError, Stale, Unavailable
from headwater.failpoints import passing
from headwater.log import CANDIDATES, MESSAGES, Entry, Log, NewEntry, Subscription, TopicPartition
from headwater.message import Candidate, Clock, Rules, decode_control, encode, read
from headwater.metrics import Metrics
from headwater.saying import get_logger
from headwater.times import now
from storage.contract import Checkpoints

GROUP = "selector"
REVOKE_TIME = 5.0
"""Seconds that the batch in hand and a last checkpoint may take when a partition is revoked."""
_WAIT = 0.005  # seconds a batch waits for company
_SLICE = 1_000  # entries applied in one go: a few milliseconds, so that who shares the loop is not kept waiting
_MOST = 5_000  # candidates appended at once

logger = get_logger()


class Selector:
    """One member of the group `selector`. `state` says how it is doing.

    `rules`: for an owned partition whose log has none any more (retention dropped them, and the checkpoint is lost):
    they hold from its first message on, or are appended while there is none. `clock`: microseconds since 1970 UTC, for
    `Clock` entries; `monotonic`: seconds.
    """

    def __init__(
        self,
        log: Log,
        checkpoints: Checkpoints,
        config: Settings,
        workers: Workers,
        metrics: Metrics,
        *,
        rules: Rules | None = None,
        clock: Callable[[], int] = now,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.state = WorkerState(GROUP, MESSAGES, GROUP)
        self._log = log
        self._checkpoints = checkpoints
        self._config = config
        self._bounds = (workers.batch, workers.batch_size, _WAIT)
        self._metrics = metrics
        self._rules = rules
        self._clock = clock
        self._monotonic = monotonic
        self._backoff = Backoff(workers.retry_first, workers.retry_most)
        self._membership = Membership(log, self.state, self, self._backoff)
        self._lag = Lag(log, MESSAGES, GROUP, metrics)
        self.state.positions = self._lag.positions
        self._working = metrics.busy.labels(GROUP)
        self._owned: dict[int, OwnedPartition] = {}
        self._busy = asyncio.Lock()  # held while states and what is emitted of them are apart

    async def run(self, stop: asyncio.Event) -> None:
        """Work until `stop`, then write last checkpoints; or until a person must act: see `state`."""
        lag = asyncio.create_task(self._lag.watch(stop))
        try:
            await self._membership.keep(lambda subscription: self._work(subscription, stop), stop)
        finally:
            lag.cancel()
            await asyncio.gather(lag, return_exceptions=True)

    async def assigned(self, partitions: Sequence[TopicPartition]) -> Mapping[TopicPartition, int]:
        """Start where the checkpoint was taken; see `headwater.log.Hooks`."""
        ends = await self._log.ends(MESSAGES)
        for at in partitions:
            first = ends[at.partition].first
            owned = await load(self._log, self._checkpoints, at.partition, first, self._monotonic)
            self._owned[at.partition] = owned
            self._lag.positions[at.partition] = owned.next_offset
        return {at: self._owned[at.partition].next_offset for at in partitions}

    async def revoked(self, partitions: Sequence[TopicPartition]) -> None:
        """Write a last checkpoint if that is quick, then forget; see `headwater.log.Hooks`."""
        with suppress(TimeoutError, Stale, Unavailable):
            async with asyncio.timeout(REVOKE_TIME), self._busy:
                for at in partitions:
                    if at.partition in self._owned:
                        await self._owned[at.partition].save(self._checkpoints, self._log.id)
        for at in partitions:
            self._owned.pop(at.partition, None)
            self._lag.positions.pop(at.partition, None)

    async def _work(self, subscription: Subscription, stop: asyncio.Event) -> None:
        self._owned.clear()
        self._lag.positions.clear()
        while not stop.is_set():
            entries = await unless_stopped(stop, subscription.batch(*self._bounds))
            self._membership.well()
            if entries:
                began = time.perf_counter()
                async with self._busy:
                    await self._select(subscription, entries, stop)
                self._working.inc(time.perf_counter() - began)
            await self._checkpoint(subscription, everything=False)
            await self._tick()
        await self._checkpoint(subscription, everything=True)

    async def _select(self, subscription: Subscription, entries: Sequence[Entry], stop: asyncio.Event) -> None:
        """Apply the entries and emit their candidates. Told to stop before, the checkpoint stays older than them."""
        found: list[Candidate] = []
        touched: list[OwnedPartition] = []
        for partition, group in groupby(entries, itemgetter(1)):
            owned = self._owned.get(partition)
            if owned is None:
                continue
            touched.append(owned)
            mine = list(group)
            if self._rules is not None and not owned.selection.has_rules and _lack_rules(mine):
                logger.warning("rules are lost with log and checkpoint: the current ones hold", partition=partition)
                owned.selection.follow(self._rules)
            for start in range(0, len(mine), _SLICE):
                found += self._apply(owned, mine[start : start + _SLICE])
                await asyncio.sleep(0)
                if len(found) >= _MOST:
                    if not await self._emit(subscription, found, stop):
                        return
                    found = []
        if found and not await self._emit(subscription, found, stop):
            return
        passing("selector.emitted")
        for owned in touched:
            owned.emitted = True
            if owned.partition in self._lag.positions:
                self._lag.positions[owned.partition] = owned.next_offset

    def _apply(self, owned: OwnedPartition, entries: Sequence[Entry]) -> list[Candidate]:
        selection = owned.selection
        taken, duplicates, late = selection.taken, selection.duplicates, selection.late
        undecodable, rules_error = selection.undecodable, selection.rules_error
        candidates = owned.apply(entries)
        self._metrics.selector_taken.inc(selection.taken - taken)
        self._metrics.selector_duplicate.inc(selection.duplicates - duplicates)
        self._metrics.selector_late.inc(selection.late - late)
        for rule, count in Counter(candidate.rule for candidate in candidates).items():
            self._metrics.selected.labels(rule).inc(count)
        if selection.undecodable != undecodable:
            logger.warning(
                "entries that are no messages were passed over; the writers put them in quarantine",
                partition=owned.partition,
                count=selection.undecodable - undecodable,
            )
        if selection.rules_error and selection.rules_error != rules_error:
            logger.error("selection goes on with the rules it had", error=selection.rules_error)
        return candidates

    async def _emit(self, subscription: Subscription, candidates: Sequence[Candidate], stop: asyncio.Event) -> bool:
        """Append until all are durable; False if told to stop before."""
        entries = [NewEntry(one.origin.partition, one.device.encode(), encode(one)) for one in candidates]
        while True:
            try:
                for start in range(0, len(entries), _MOST):
                    for result in await self._log.append(CANDIDATES, entries[start : start + _MOST]):
                        if isinstance(result, LogError):
                            raise result
            except Unavailable as error:
                self._membership.rest(str(error))
                pause = self._backoff.pause(error.retry_after)
            else:
                self._membership.well()
                return True
            if not stop.is_set():
                await unless_stopped(stop, subscription.rest(pause))
            if stop.is_set():
                return False

    async def _checkpoint(self, subscription: Subscription, *, everything: bool) -> None:
        async with self._busy:
            for owned in list(self._owned.values()):
                last = owned.last
                if last is None or not (everything or owned.due(self._config)):
                    continue
                try:
                    if not await owned.save(self._checkpoints, self._log.id):
                        continue
                except Unavailable as error:
                    self._note(f"no checkpoint, a restart takes longer: {error}")
                    continue
                self._metrics.checkpoints.inc()
                passing("selector.checkpointed")
                with suppress(Unavailable):  # the checkpoint says where to go on
                    await subscription.commit([last])

    def _note(self, error: str) -> None:
        """Selection goes on; one line where the error is a new one."""
        if error != self.state.error:
            logger.warning(error)
        self.state.error = error

    async def _tick(self) -> None:
        """Append a `Clock` entry where nothing came for a while; rules too, where there are none."""
        at = self._monotonic()
        entries: list[NewEntry] = []
        for owned in self._owned.values():
            if at - owned.heard_at >= self._config.clock:
                owned.heard_at = at
                if self._rules is not None and not owned.selection.has_rules:
                    entries.append(NewEntry(owned.partition, b"", encode(self._rules)))
                entries.append(NewEntry(owned.partition, b"", encode(Clock(self._clock()))))
        if entries:
            with suppress(Unavailable):
                await self._log.append(MESSAGES, entries)


def _lack_rules(entries: Sequence[Entry]) -> bool:
    """A message comes before any rules."""
    for entry in entries:
        if entry.key:
            return True
        if isinstance(read(decode_control, entry.value), Rules):
            return False
    return False

"""From the registry's outbox to the log: every committed change reaches topic `registry`, whatever dies in between.

In: what `TablesRegistry` has committed. Out: one entry a change on topic `registry`; for selection rules also a
control entry on every partition of `messages`. A change leaves the outbox only once it is durable on the log. Killed
between the two, it is sent again: receivers compare versions.

At start: `await settle(registry, log)`, before directories are built and before anything is changed; then `run_outbox`.
"""

import asyncio
import random
from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager, suppress
from typing import Protocol

from headwater.directory import changes_in
from headwater.errors import LogError, Unavailable
from headwater.failpoints import passing
from headwater.log import MESSAGES, REGISTRY, Log, NewEntry, partition_for
from headwater.message import Rules, encode
from headwater.registry import Change, RulesChange, decode_change
from headwater.saying import get_logger
from storage.registry_tables import Outgoing

_BATCH = 1000
_FIRST_PAUSE = 0.05
_IDLE = 1.0  # seconds; then it looks unasked, for what another process wrote (the first key) or a cancelled caller did
_LONGEST_PAUSE = 2.0  # a revocation waits at most so long behind a log that is back


class Outbox(Protocol):
    """The registry as the pump sees it: see `TablesRegistry`."""

    changed: asyncio.Event

    def turn(self) -> AbstractAsyncContextManager[bool]:
        """True within: of all processes this one may send now. False: there is nothing to send, or another one does.

        One at a time, or the older of two changes of a key could come last on a topic of which the last one is kept.
        """
        ...

    async def emptied(self) -> bool:
        """True if the tables were lost while they were open; then only `settle` makes them usable again."""
        ...

    async def pending(self, limit: int) -> Sequence[Outgoing]: ...

    async def sent(self, number: int) -> None: ...

    async def reconcile(self, on_log: Sequence[Change]) -> Mapping[bytes, int]: ...

    async def send_missing(self, on_log: Mapping[bytes, int]) -> int: ...


async def settle(registry: Outbox, log: Log) -> None:
    """Make the log and the registry say the same, whichever of them was lost, put back from a copy, or killed.

    What only the log has is taken back into the tables; what only the tables have is sent (all of it, if the log is
    new). Raises `Unavailable`.
    """
    on_log: dict[bytes, int] = {}
    for partition, (first, _) in (await log.ends(REGISTRY)).items():
        async for entries in log.read(REGISTRY, partition, first):
            for key, version in (await registry.reconcile(changes_in(entries))).items():
                on_log[key] = max(version, on_log.get(key, 0))
    await registry.send_missing(on_log)
    await drain_outbox(registry, log)
    while await registry.pending(1):  # another process has its turn, or died in it
        await asyncio.sleep(_FIRST_PAUSE)
        await drain_outbox(registry, log)


async def drain_outbox(registry: Outbox, log: Log) -> int:
    """Send what is pending; returns how many changes. Raises `Unavailable`: what was not sent still waits."""
    count = 0
    async with registry.turn() as ours:
        while ours and (pending := await registry.pending(_BATCH)):
            passing("registry.changed")
            await _append(log, pending)
            await registry.sent(pending[-1].number)
            count += len(pending)
    return count


async def run_outbox(registry: Outbox, log: Log, stop: asyncio.Event | None = None) -> None:
    """Send at once whatever is changed, until `stop`; try again with growing, jittered pauses while the log is away."""
    stop = stop or asyncio.Event()
    pause = _FIRST_PAUSE
    while not stop.is_set():
        registry.changed.clear()
        try:
            await (settle if await registry.emptied() else drain_outbox)(registry, log)
        except Unavailable as error:
            if pause == _FIRST_PAUSE:
                get_logger().warning("changes of the registry wait for the log", error=str(error))
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), pause * random.uniform(0.5, 1))  # noqa: S311 - jitter, no secret
            pause = min(2 * pause, _LONGEST_PAUSE)
        else:
            pause = _FIRST_PAUSE
            await _either(registry.changed, stop, seconds=_IDLE)


async def _append(log: Log, pending: Sequence[Outgoing]) -> None:
    # Rules first: an entry on `registry` is what `settle` takes for the proof that all of a change was sent.
    for outgoing in pending:
        change = decode_change(outgoing.value)
        if isinstance(change, RulesChange):
            control = encode(Rules(change.version, change.rules))
            await _durably(log, MESSAGES, [NewEntry(n, b"", control) for n in range(log.partitions(MESSAGES))])
    partitions = log.partitions(REGISTRY)
    await _durably(log, REGISTRY, [NewEntry(partition_for(o.key, partitions), o.key, o.value) for o in pending])


async def _durably(log: Log, topic: str, entries: Sequence[NewEntry]) -> None:
    for result in await log.append(topic, entries):
        if isinstance(result, LogError):
            raise result


async def _either(*events: asyncio.Event, seconds: float) -> None:
    tasks = [asyncio.ensure_future(event.wait()) for event in events]
    try:
        await asyncio.wait(tasks, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()

"""Carries what one gateway's decoders have learned to all others, and to itself when it starts again.

In: what `Learned` has to write; the compacted topic `learned`. Out: entries on it, the newest of each key; all of it in
`Learned`. A process that is killed before it has written forgets: decoders then ask again, as where nothing was said.
"""

import asyncio
import random
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing, asynccontextmanager

import msgspec

from headwater.errors import OffsetOutOfRange, Unavailable
from headwater.log import LEARNED, Entry, Log, LogError, NewEntry, Partition
from headwater.registry_follower import RegistryFollower
from headwater.saying import get_logger
from ingest.decoders.learned import Learned

log = get_logger()

START_TIME = 60.0
_CHECK_EVERY = 5.0
_COLLECT = 0.05
"""Seconds that what was learned waits for company: a device tells much in a row when it starts."""
_BATCH = 500
_MOST = 20_000
"""Keys that wait to be written."""
_FIRST_PAUSE, _LONGEST_PAUSE = 0.2, 10.0
_END_TIME = 5.0


class _Writer:
    """Writes the newest value of each key; tries again while the log is away."""

    def __init__(self, events: Log) -> None:
        self._events = events
        self._waiting: dict[bytes, bytes] = {}
        self._due = asyncio.Event()
        self._failing = False

    def add(self, key: bytes, value: bytes) -> None:
        if key not in self._waiting and len(self._waiting) >= _MOST:
            self._waiting.pop(next(iter(self._waiting)))  # the oldest: other gateways will have to ask
        self._waiting[key] = value
        self._due.set()

    async def run(self) -> None:
        pause = _FIRST_PAUSE
        while True:
            await self._due.wait()
            await asyncio.sleep(_COLLECT)
            if await self.flush():
                pause = _FIRST_PAUSE
            else:
                await asyncio.sleep(pause * random.uniform(0.5, 1))  # noqa: S311 - jitter, no secret
                pause = min(2 * pause, _LONGEST_PAUSE)

    async def flush(self) -> bool:
        """Write what waits; false if the log does not take it: then it waits on."""
        while self._waiting:
            batch = list(self._waiting.items())[:_BATCH]
            try:
                outcomes = await self._events.append(LEARNED, [NewEntry(0, key, value) for key, value in batch])
                refused = next((one for one in outcomes if isinstance(one, LogError)), None)
            except Unavailable as error:
                refused = error
            if refused is not None:
                if not self._failing:
                    log.warning("what devices told once is not on the log yet", error=str(refused))
                self._failing = True
                return False
            self._failing = False
            for key, value in batch:
                if self._waiting.get(key) is value:
                    del self._waiting[key]
        self._due.clear()
        return True


def _apply(learned: Learned, entries: Sequence[Entry]) -> None:
    for entry in entries:
        try:
            learned.apply(entry.key, entry.value)
        except (
            msgspec.MsgspecError,
            ValueError,
        ):  # one entry that nobody understands is not to stop all that come behind it
            log.exception("an entry could not be applied", topic=LEARNED, offset=entry.offset)


@asynccontextmanager
async def learning(events: Log, learned: Learned) -> AsyncGenerator[None]:
    """Read what is there; within the block, write and follow. Raises `Unavailable`."""
    writer = _Writer(events)
    follower = RegistryFollower(
        events, lambda entries: _apply(learned, entries), lambda _: None, time.monotonic, _CHECK_EVERY, LEARNED
    )
    async with follower.running(START_TIME):
        learned.write = writer.add
        task = asyncio.create_task(writer.run(), name="learned")
        try:
            yield
        finally:
            learned.write = None
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            try:
                async with asyncio.timeout(_END_TIME):
                    await writer.flush()
            except TimeoutError:
                log.warning("what devices told last is not on the log")


class Reader:
    """Reads what has come since the last time; for whoever decodes now and then. Nothing is written."""

    def __init__(self, events: Log, learned: Learned) -> None:
        self._events = events
        self._learned = learned
        self._positions: dict[Partition, int] = {}

    async def read(self) -> None:
        """Up to the end as it is now. Raises `Unavailable`."""
        for partition, (first, _) in (await self._events.ends(LEARNED)).items():
            start = max(first, self._positions.get(partition, first))
            try:
                async with aclosing(self._events.read(LEARNED, partition, start)) as batches:
                    async for entries in batches:
                        _apply(self._learned, entries)
                        self._positions[partition] = entries[-1].offset + 1
            except OffsetOutOfRange:
                self._positions.pop(partition, None)  # the log lost its end: all of it, next time

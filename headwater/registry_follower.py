"""Reads a topic that every process needs all of, `registry` first of all: to its end, then on as entries come.

In: the log. Out: `take(entries)` at once for what comes, in the order of a partition's offsets; `caught_up(when)`
whenever nothing that was there at `when` is missing. It never gives up: while the log is away it tries again, after
jittered pauses.
"""

import asyncio
import random
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing, asynccontextmanager

from headwater.errors import OffsetOutOfRange, Unavailable
from headwater.log import REGISTRY, Entry, Log, Partition
from headwater.saying import get_logger

_FIRST_PAUSE = 0.05
_LONGEST_PAUSE = 2.0


class RegistryFollower:
    """`clock`: seconds that only grow. `check_every`: seconds between looks whether anything was missed.

    Entries come again where a log has lost its end.
    """

    def __init__(
        self,
        log: Log,
        take: Callable[[Sequence[Entry]], None],
        caught_up: Callable[[float], None],
        clock: Callable[[], float],
        check_every: float,
        topic: str = REGISTRY,
    ) -> None:
        self._log = log
        self._take = take
        self._caught_up = caught_up
        self._clock = clock
        self._check_every = check_every
        self._topic = topic
        self._positions: dict[Partition, int] = {}

    def skip_to(self, partition: Partition, offset: int) -> None:
        """Begin there. To be called before `running`."""
        self._positions[partition] = offset

    @asynccontextmanager
    async def running(self, start_time: float) -> AsyncGenerator[None, None]:
        """Catch up, within so many seconds; then follow until the end. Raises `Unavailable`."""
        await self._catch_up(start_time)
        tasks = [asyncio.create_task(self._follow(partition)) for partition in self._positions]
        tasks.append(asyncio.create_task(self._check()))
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _catch_up(self, seconds: float) -> None:
        when = self._clock()
        try:
            async with asyncio.timeout(seconds):
                for partition, (first, _) in (await self._log.ends(self._topic)).items():
                    await self._read(partition, max(first, self._positions.get(partition, first)), first)
        except TimeoutError:
            raise Unavailable(f"topic {self._topic} could not be read within {seconds:g} s") from None
        self._caught_up(when)

    async def _read(self, partition: Partition, start: int, first: int) -> None:
        self._positions[partition] = start
        try:
            async with aclosing(self._log.read(self._topic, partition, start)) as batches:
                async for entries in batches:
                    self._apply(partition, entries)
        except OffsetOutOfRange:  # the log lost its end: what is there now is read again, and does no harm
            self._positions[partition] = first
            raise Unavailable(f"topic {self._topic} does not go as far as it did") from None

    async def _follow(self, partition: Partition) -> None:
        pause = _FIRST_PAUSE
        while True:
            try:
                start = self._positions[partition]
                async with aclosing(self._log.read(self._topic, partition, start, follow=True)) as batches:
                    async for entries in batches:
                        self._apply(partition, entries)
                        pause = _FIRST_PAUSE
            except (Unavailable, OffsetOutOfRange):
                pass  # `_check` says it, and finds where to go on
            await asyncio.sleep(pause * random.uniform(0.5, 1))  # noqa: S311 - jitter, no secret
            pause = min(2 * pause, _LONGEST_PAUSE)

    async def _check(self) -> None:
        away = False
        while True:
            await asyncio.sleep(self._check_every)
            try:
                await self._catch_up(max(self._check_every, 1))
            except Unavailable as error:
                if not away:
                    get_logger().warning(f"changes of the {self._topic} cannot be seen", error=str(error))
                away = True
            else:
                if away:
                    get_logger().info(f"changes of the {self._topic} are seen again")
                away = False

    def _apply(self, partition: Partition, entries: Sequence[Entry]) -> None:
        position = self._positions[partition]
        if entries[0].offset < position:  # two readers are at work: the one that follows, and the one that checks
            entries = [entry for entry in entries if entry.offset >= position]
        if entries:
            self._positions[partition] = entries[-1].offset + 1
            self._take(entries)

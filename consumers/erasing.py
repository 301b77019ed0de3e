"""A device is forgotten everywhere: by jobs in the registry, each in three passes, each of them from its beginning.

In: `Erasure`s that are due. Out: no store, large payload or table of the lake has anything that was received of the
device before. The log keeps it until retention drops it, and no store reads that again, unless it comes back empty or
is replayed into: so there is a pass at once, one ten minutes later for what was on its way, and one when the log has it
no more. A pass does no harm where it was done before: a process that is killed anywhere in it leaves it due.
"""

import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import suppress
from typing import NamedTuple, Protocol

import msgspec

from headwater.errors import Stale, Unavailable
from headwater.failpoints import passing
from headwater.log import COMMANDS, LEARNED, RETAINED, SHADOWS, Log, LogError, NewEntry
from headwater.registry import Erasure
from headwater.registry_contract import Registry
from headwater.saying import get_logger
from headwater.times import SECOND
from headwater.times import now as this_moment
from storage.blobs import BlobStore, NoBlob
from storage.contract import Erasable

EVERY = 5.0
"""Seconds between looks at what is due."""
AHEAD = 5 * SECOND
"""What is received so soon after the order is erased too: clocks differ, and sessions take a moment to end."""
_SECOND_PASS = 600 * SECOND
_AFTER_LOG = 3600 * SECOND
_PATIENCE = 60.0
"""Seconds that stores are waited for which have not applied what was on the log."""
_LOOK = 0.2

log = get_logger()


class Lake(Erasable, Protocol):
    """The lake."""

    async def blobs_of(self, device: str, before: int) -> Sequence[str]:
        """Names of large payloads that only messages of the device refer to, received before."""
        ...


class Places(NamedTuple):
    """All that has to forget. `groups`: topic → those that take its entries there."""

    stores: Sequence[Erasable]
    lake: Lake
    blobs: BlobStore
    groups: Mapping[str, Sequence[str]]


class Erasing:
    """One for a process; several do no harm. `retention`: seconds that the log keeps messages."""

    def __init__(
        self, registry: Registry, log: Log, places: Places, retention: float, now: Callable[[], int] = this_moment
    ) -> None:
        self._registry = registry
        self._log = log
        self._places = places
        self._retention = round(retention * SECOND)
        self._now = now

    async def run(self, stop: asyncio.Event) -> None:
        """Do what is due, until `stop`, which cuts a pass short. What is away is waited for."""
        said = ""
        while not stop.is_set():
            with suppress(TimeoutError):  # first: who starts has other work to do
                await asyncio.wait_for(stop.wait(), EVERY)
                break
            try:
                await _unless(stop, self.once())
                said = ""
            except Unavailable as error:
                if str(error) != said:
                    log.warning("a device can't be erased yet; it goes on by itself", error=str(error))
                said = str(error)

    async def once(self) -> int:
        """All that is due; how many passes were made. Raises `Unavailable`."""
        made, after = 0, ""
        while found := await self._registry.page(Erasure, after):
            for erasure in found:
                if 0 < erasure.due <= self._now():
                    await self._pass(erasure)
                    made += 1
            after = found[-1].name
        return made

    async def _pass(self, erasure: Erasure) -> None:
        device, before, places = erasure.name, erasure.before, self._places
        if not erasure.passes:
            await self._settled()
            await self._forget_on_log(device)
        for store in places.stores:
            await store.erase(device, before)
        passing("erase.stores")
        for name in await places.lake.blobs_of(device, before):
            with suppress(NoBlob):
                await places.blobs.remove(name)
        passing("erase.blobs")
        await places.lake.erase(device, before)
        passing("erase.done")
        passes = erasure.passes + 1
        done = msgspec.structs.replace(erasure, passes=passes, due=self._next(passes, before))
        with suppress(Stale):  # another process has made this pass, or it was ordered anew
            await self._registry.put(done, erasure.version, actor="erasure")
        log.info("a device was erased", device=device, passes=passes)

    def _next(self, passes: int, before: int) -> int:
        match passes:
            case 1:
                return before + _SECOND_PASS
            case 2:
                return before + self._retention + _AFTER_LOG
            case _:
                return 0

    async def _settled(self) -> None:
        """Wait until what was on the log is where it goes, so that it does not come after them; not for ever."""
        with suppress(TimeoutError):
            async with asyncio.timeout(_PATIENCE):
                for topic, groups in self._places.groups.items():
                    ends = await self._log.ends(topic)
                    wanted = {partition: end.next for partition, end in ends.items() if end.next > end.first}
                    for group in groups:
                        while not _covers(await self._log.committed(group, topic), wanted):  # noqa: ASYNC110 - others'
                            await asyncio.sleep(_LOOK)

    async def _forget_on_log(self, device: str) -> None:
        """Its commands, its shadow, what decoders learned of it, what is retained under its topics: tables by key."""
        own = f"{device}/"
        for topic, prefix in ((COMMANDS, own), (SHADOWS, own), (LEARNED, own), (RETAINED, f"devices/{own}")):
            keys: dict[bytes, int] = {}
            for partition, end in (await self._log.ends(topic)).items():
                async for entries in self._log.read(topic, partition, end.first):
                    for entry in entries:
                        if entry.key.startswith(prefix.encode()):
                            keys[entry.key] = partition
                            if entry.value is None:
                                del keys[entry.key]
            gone = [NewEntry(partition, key, None) for key, partition in keys.items()]
            for result in await self._log.append(topic, gone) if gone else ():
                if isinstance(result, LogError):
                    raise result


async def _unless(stop: asyncio.Event, work: Coroutine[object, object, object]) -> None:
    """Do it, or leave it where it is when told to stop."""
    doing, stopped = asyncio.create_task(work), asyncio.create_task(stop.wait())
    try:
        await asyncio.wait((doing, stopped), return_when=asyncio.FIRST_COMPLETED)
        if doing.done():
            await doing
    finally:
        for task in (doing, stopped):
            task.cancel()
        await asyncio.gather(doing, stopped, return_exceptions=True)


def _covers(committed: Mapping[int, int], wanted: Mapping[int, int]) -> bool:
    return all(committed.get(partition, 0) >= end for partition, end in wanted.items())

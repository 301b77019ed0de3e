"""The other processes of the installation: what each of them has counted, told once a second on the topic `status`.

In: that topic, from now on. Out: the shares of those that run; what those that ended have counted. A process that says
nothing for `EXPIRES` seconds has ended, until it speaks again. No clock but this process's own decides that.
"""

import asyncio
import time
from collections.abc import Callable
from contextlib import aclosing, suppress

import msgspec

from consumers.stopping import unless_stopped
from headwater.errors import LogError, OffsetOutOfRange, Unavailable
from headwater.log import STATUS, Log, NewEntry, ReadableLog
from query.flow_share import EVERY, Counting, Share, past, summed

EXPIRES = 10.0
MOST = 512
"""Ended processes that may still turn out to live; of those beyond, only what they counted is kept."""
_TELL_SECONDS = 5.0

_encode = msgspec.json.encode
_decode = msgspec.json.Decoder(Share).decode


class Others:
    """Give `run` to a supervisor. `own`: the process that asks, which is not one of the others."""

    def __init__(self, log: ReadableLog, own: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._log = log
        self._own = own
        self._clock = clock
        self._running: dict[str, tuple[float, Share]] = {}
        self._ended: dict[str, Share] = {}
        self._before = Share()

    async def run(self, stop: asyncio.Event) -> None:
        """Listen until `stop` is set. Raises `Unavailable`; run again, it has forgotten nothing."""
        await unless_stopped(stop, self._listen())

    def running(self) -> list[Share]:
        """Those that were heard of lately."""
        at = self._clock()
        for process, (heard, share) in list(self._running.items()):
            if at - heard > EXPIRES:
                self._end(process, share)
        return [share for _, share in self._running.values()]

    def ended(self) -> Share:
        """What all those have counted that run no more."""
        return summed([self._before, *self._ended.values()])

    def hear(self, share: Share) -> None:
        """Take a process's latest word."""
        if share.process == self._own:
            return
        self._ended.pop(share.process, None)
        if share.ended:
            self._end(share.process, share)
        else:
            self._running[share.process] = (self._clock(), share)

    def _end(self, process: str, share: Share) -> None:
        self._running.pop(process, None)
        self._ended[process] = past(share)
        while len(self._ended) > MOST:
            self._before = past(summed([self._before, self._ended.pop(next(iter(self._ended)))]))

    async def _listen(self) -> None:
        while True:
            start = (await self._log.ends(STATUS))[0].next
            with suppress(OffsetOutOfRange):  # slower than the topic's retention: from now on, then
                async with aclosing(self._log.read(STATUS, 0, start, follow=True)) as batches:
                    async for entries in batches:
                        for entry in entries:
                            with suppress(msgspec.DecodeError):  # of another version
                                self.hear(_decode(entry.value or b""))


async def tell(log: Log, counting: Counting, stop: asyncio.Event) -> None:
    """Tell the others about this process once a second, until `stop`. Where the log is away, nothing is told."""
    while not stop.is_set():
        counting.look()
        await _say(log, counting.share())
        with suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), EVERY)


async def farewell(log: Log, counting: Counting) -> None:
    """The last word: what it came to."""
    last = counting.share()
    last.ended = True
    await _say(log, last)


async def _say(log: Log, share: Share) -> None:
    entry = NewEntry(0, share.process.encode(), _encode(share))
    with suppress(Unavailable, LogError, TimeoutError):
        async with asyncio.timeout(_TELL_SECONDS):
            await log.append(STATUS, [entry])

"""The service log: what this process says, into the lake's place, in batches.

In: `LogLines`. Out: files that are this process's own, written every few seconds. A process that is killed loses what
it has said since; one that ends writes the rest. While the place is away lines wait, bounded; what finds no room is
counted.
"""

import asyncio
import os
import re
import secrets
import socket
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from functools import partial

from headwater.config import Logging
from headwater.errors import Unavailable
from headwater.log_lines import Lines, LogLines
from headwater.metrics import Metrics
from headwater.saying import get_logger
from headwater.supervise import Supervisor
from headwater.times import now
from storage.log_files import SERVICE, path_of, put_lines
from storage.log_place import LogPlace, patiently

log = get_logger()

LAST_SECONDS = 5.0
"""How long a process that ends waits for its last lines to be written."""
_LOOK_SECONDS = 1.0


def instance(part: str) -> str:
    """A name that no other process has, or had: host, part, when it began, and something random."""
    host = re.sub(r"[^A-Za-z0-9.]+", "-", socket.gethostname()) or "host"
    return f"{host}-{part}-{now() // 1_000_000}-{os.getpid()}-{secrets.token_hex(4)}"


class ServiceLog:
    """`name`: see `instance`."""

    def __init__(self, place: LogPlace, lines: LogLines, config: Logging, metrics: Metrics, name: str) -> None:
        self._place = place
        self._lines = lines
        self._config = config
        self._metrics = metrics
        self._name = name
        self._files = 0
        self._in_hand: Lines | None = None
        self._dropped = 0
        self._flushed = 0.0

    async def run(self, stop: asyncio.Event) -> None:
        """Write until `stop`, then what is left."""
        await patiently("the service log", self._flush_if_due, min(_LOOK_SECONDS, self._config.flush_every), stop)
        with suppress(Unavailable):  # standard error has had it all
            await self.flush()

    async def flush(self) -> None:
        """Write all that waits. Raises `Unavailable`: what was not written still waits."""
        while lines := self._in_hand or self._lines.take(self._config.flush_size):
            self._in_hand = lines
            path = path_of(SERVICE, lines.day, f"{self._name}-{self._files:06d}")
            written = await self._place.run(partial(put_lines, path=path, lines=lines.lines))
            self._files += 1
            if written:  # else somebody took the name, and the next one is tried
                self._in_hand = None
                self._metrics.service_log_written.inc(len(lines.lines))

    async def _flush_if_due(self) -> None:
        lost = self._lines.dropped - self._dropped
        self._dropped += lost
        self._metrics.service_log_dropped.inc(lost)
        time = asyncio.get_running_loop().time()
        if time - self._flushed >= self._config.flush_every or self._lines.size >= self._config.flush_size:
            await self.flush()
            self._flushed = time


@asynccontextmanager
async def keeping_service_log(
    place: LogPlace, lines: LogLines, config: Logging, metrics: Metrics, part: str
) -> AsyncGenerator[None]:
    """Write it while the block runs, and at its end what is left, for a few seconds at most."""
    supervisor = Supervisor()
    supervisor.add("service log", ServiceLog(place, lines, config, metrics, instance(part)).run)
    try:
        yield
    finally:
        await supervisor.stop(LAST_SECONDS)

"""The agent, joined: sources → buffer → sender.

In: settings. Out: it runs until told to stop, or, with standard input alone, until that has ended and all of it is
acknowledged. What waits stays on the disk for the next run.
"""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from headwater.supervise import Supervisor
from ingest.agent.buffer import Buffer, Full
from ingest.agent.sender import Sender, Server
from ingest.agent.sources import Mqtt, Tail, read_stdin
from ingest.bridge.link import Broker

_STOP_TIME = 10.0


class Settings(NamedTuple):
    """`buffer`: its file; `size`: the bytes of lines it may hold. `broker` None: there is none to be read."""

    server: Server
    buffer: Path
    size: int
    full: Full
    stdin: bool
    files: Sequence[Path]
    broker: Broker | None
    filters: Sequence[str]


async def run_agent(settings: Settings, stop: asyncio.Event) -> None:
    """Raises `ConfigError`."""
    buffer = Buffer(settings.buffer, settings.size, settings.full)
    sources = Supervisor()
    try:
        sender = Sender(settings.server, buffer)
        for path in settings.files:
            sources.add(f"file {path}", Tail(path, buffer).run)
        if settings.broker is not None:
            sources.add("broker", Mqtt(settings.broker, settings.filters, buffer).run)
        ended = asyncio.Event()
        reading = asyncio.create_task(_read_stdin(settings, buffer, ended))
        try:
            await sender.run(stop, ended)
        finally:
            reading.cancel()
            with suppress(asyncio.CancelledError):
                await reading
    finally:
        stop.set()
        await sources.stop(_STOP_TIME)
        buffer.close()


async def _read_stdin(settings: Settings, buffer: Buffer, ended: asyncio.Event) -> None:
    """To its end; that is the agent's, too, if there is nothing else to read."""
    if settings.stdin:
        await read_stdin(buffer)
    if not settings.files and settings.broker is None:
        ended.set()

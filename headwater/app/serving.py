"""A process's own small HTTP server, for health and metrics, where there is no front door.

In: an app and an address. Out: it serves until the block ends.
"""

import asyncio
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager

import uvicorn
from fastapi import FastAPI

from headwater.errors import ConfigError
from ingest.listening import listen

_GRACE = 2


class _Server(uvicorn.Server):
    @contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Signals are the program's."""
        yield


@asynccontextmanager
async def serving(app: FastAPI, address: str) -> AsyncGenerator[str]:
    """Gives HOST:PORT with the real port; raises `ConfigError` if the address cannot be had."""
    sockets, real = listen(address, "--metrics")
    server = _Server(
        uvicorn.Config(app, log_config=None, access_log=False, ws="none", timeout_graceful_shutdown=_GRACE)
    )
    task = asyncio.create_task(server.serve(sockets))
    try:
        while not server.started:
            if task.done():
                raise ConfigError(f"{address}: it could not be served")
            await asyncio.sleep(0.01)
        yield real
    finally:
        server.should_exit = True
        await asyncio.wait((task,), timeout=2 * _GRACE)
        for one in sockets:
            one.close()

"""A TCP proxy in the test's own event loop: a server taken away cheaply. In: a port. Out: `Proxy`, with three modes.

`serve` passes everything on. `refuse` closes the port and every connection: "connection refused". `hang` keeps the port
and the connections, accepts new ones, and passes nothing on: a server that does not answer.
"""

import asyncio
import contextlib
from collections.abc import AsyncGenerator

from tests.services.server import HOST, free_port

_CHUNK = 64 * 1024


class Proxy:
    """Made by `proxied`; serves from the start."""

    def __init__(self, target: int) -> None:
        self.port = free_port()
        self._target = target
        self._passing = asyncio.Event()
        self._listener: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()

    async def serve(self) -> None:
        """Pass everything on; what waited during `hang` first."""
        self._passing.set()
        if self._listener is None:
            self._listener = await asyncio.start_server(self._accept, HOST, self.port)

    async def hang(self) -> None:
        """Answer nothing; connections stay, and new ones are accepted."""
        self._passing.clear()
        if self._listener is None:
            self._listener = await asyncio.start_server(self._accept, HOST, self.port)

    async def refuse(self) -> None:
        """Close the port and every connection."""
        if self._listener is not None:
            self._listener.close()
            self._listener = None
        await asyncio.sleep(0)  # what was accepted in this turn begins
        for task in list(self._connections):
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        try:
            await self._connect(reader, writer)
        except asyncio.CancelledError:
            writer.transport.abort()  # by `refuse`; the stream server would report it
        finally:
            await _closed(writer)
            self._connections.discard(task)

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await self._passing.wait()
        try:
            far_reader, far_writer = await asyncio.open_connection(HOST, self._target)
        except OSError:
            return
        both = [asyncio.create_task(self._pass(*way)) for way in ((reader, far_writer), (far_reader, writer))]
        try:
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in both:
                task.cancel()
            await asyncio.gather(*both, return_exceptions=True)
            await _closed(far_writer)

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Until either side is closed: a half-closed connection counts as closed."""
        with contextlib.suppress(OSError):
            while chunk := await reader.read(_CHUNK):
                await self._passing.wait()
                writer.write(chunk)
                await writer.drain()


async def _closed(writer: asyncio.StreamWriter) -> None:
    """Closed, and not just about to be: a loop that ends before would leave it open."""
    writer.close()
    with contextlib.suppress(OSError, TimeoutError):
        async with asyncio.timeout(1):
            await writer.wait_closed()


@contextlib.asynccontextmanager
async def proxied(port: int) -> AsyncGenerator[Proxy, None]:
    """A proxy before the server on this port of 127.0.0.1."""
    proxy = Proxy(port)
    await proxy.serve()
    try:
        yield proxy
    finally:
        await proxy.refuse()

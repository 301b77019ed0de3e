"""The one HTTP server: ingest below ASGI, everything else through the app. Listens, ticks, and stops in order.

In: configuration, ASGI app, intake and door. Out: an `HttpServer` that serves until the block ends. It runs in the loop
that is running, installs no signal handlers, and opens WebSockets at /mqtt alone, where there is a speaker for them. It
sends no CORS headers: a page of another site can read nothing here, and is nobody to the door, not even on loopback.

Stopping: `stop_accepting` (ingest requests get 503, those in flight are answered), the intake drains, `close`.
"""

import asyncio
import socket
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, suppress

import uvicorn
from uvicorn._types import ASGI3Application
from uvicorn.server import ServerState

from headwater.config import Config
from headwater.errors import ConfigError
from headwater.metrics import Metrics
from headwater.saying import get_logger
from ingest.contract import Door, Intake
from ingest.http.protocol import IngestProtocol
from ingest.http.service import Service
from ingest.http.websocket import Speaker
from ingest.listening import listen
from ingest.quotas import Quotas
from ingest.tls import TlsListener

BACKLOG = 2048
GRACE = 5.0
"""Seconds that `close` gives to requests that are not answered yet, and to the app's own shutdown."""
STREAM_GRACE = 0.5
"""Seconds of it for answers that have begun."""

log = get_logger()


class HttpServer:
    """`address`, `tls_address` ("" without TLS): HOST:PORT as listened on, with the real port.

    `clock`: seconds that only grow. `speaker`: who speaks over WebSockets, if anyone.
    """

    def __init__(
        self,
        config: Config,
        app: ASGI3Application,
        intake: Intake,
        door: Door,
        metrics: Metrics,
        clock: Callable[[], float] = time.monotonic,
        speaker: Speaker | None = None,
        quotas: Quotas | None = None,
    ) -> None:
        self._clock = clock
        self.address = config.http.listen
        self._service = Service(config, intake, door, metrics, speaker, quotas or Quotas(config.quotas, clock))
        self._unwatch = door.watch(self._changed)
        self.tls_address = config.http.tls.listen
        self._tls: TlsListener | None = None
        if self.tls_address:
            self._tls = TlsListener(
                config.http.tls, "http.tls", self._protocol, self._room, metrics, "http", door.blocked
            )
        self._config = uvicorn.Config(
            app, http=IngestProtocol, ws="none", log_config=None, access_log=False, server_header=False
        )
        self._config.load()
        self._lifespan = self._config.lifespan_class(self._config)
        self._state = ServerState()
        self._begun = False
        self._closed = False
        self._sockets: list[socket.socket] = []
        self._listeners: list[asyncio.Server] = []
        self._ticker: asyncio.Task[None] | None = None
        self._period = min(1.0, *(limit / 4 for limit in (config.http.idle, config.http.body_time) if limit))

    @property
    def port(self) -> int:
        """The port of `address`."""
        return int(self.address.rpartition(":")[2])

    async def start(self) -> None:
        """Listen and serve; raises `ConfigError` if the address cannot be had or the app does not start."""
        self._sockets, self.address = listen(self.address, "http.listen")
        await self._lifespan.startup()
        self._begun = True
        if self._lifespan.should_exit:
            raise ConfigError("the API did not start; the log says why")
        self.tick()
        self._ticker = asyncio.create_task(self._run(), name="http ticker")
        loop = asyncio.get_running_loop()
        for found in self._sockets:
            self._listeners.append(await loop.create_server(self._protocol, sock=found, backlog=BACKLOG))
        if self._tls is not None:
            secure, self.tls_address = listen(self.tls_address, "http.tls.listen")
            self._tls.start(secure)

    def stop_accepting(self) -> None:
        """From now on ingest requests get 503. Everything else goes on."""
        self._service.stopping = True

    def tick(self) -> None:
        """Hold all connections to their limits of time, by the clock as it stands now. Done at least every second."""
        clock = self._clock()
        if self._service.tick(clock, time.time()):
            self._state.default_headers = [(b"date", self._service.replies.date)]
        for connection in self._connections():
            connection.tick(clock)

    async def close(self) -> None:
        """Listen no more, answer what is under way for `GRACE` seconds at most, close all connections.

        Answers that have begun and go on, as streams do, are ended after `STREAM_GRACE`.
        """
        if self._closed:
            return
        self._closed = True
        self.stop_accepting()
        for listening in (*self._listeners, *self._sockets):
            listening.close()
        if self._tls is not None:
            self._tls.close()
        await self._end_connections()
        if self._ticker is not None:
            self._ticker.cancel()
            await asyncio.wait((self._ticker,))
        self._service.unwatch()
        self._unwatch()
        if self._begun:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._lifespan.shutdown(), GRACE)

    async def _end_connections(self) -> None:
        for connection in self._connections():
            connection.shutdown()
        if not await self._all_gone(STREAM_GRACE):
            for connection in self._connections():
                connection.end_stream()
        if not await self._all_gone(GRACE - STREAM_GRACE):
            log.warning("requests not answered in time are dropped", requests=len(self._state.tasks), seconds=GRACE)
        for connection in self._connections():
            connection.transport.abort()
        for task in list(self._state.tasks):
            task.cancel()
        await self._all_gone(GRACE)

    async def _all_gone(self, seconds: float) -> bool:
        """Wait until no connection is open and no request under way; False if it is not so by then."""
        deadline = time.monotonic() + seconds
        while self._state.connections or self._state.tasks:
            if time.monotonic() > deadline:
                return False
            await asyncio.sleep(0.01)
        return True

    def _changed(self, name: str) -> None:
        if "/" in name:  # a network, which may be blocked from now on
            for connection in self._connections():
                connection.shut_out()

    def _room(self, arriving: int) -> bool:
        return len(self._state.connections) + arriving < self._service.connections

    def _protocol(self) -> IngestProtocol:
        return IngestProtocol(self._service, self._config, self._state, self._lifespan.state)

    def _connections(self) -> list[IngestProtocol]:
        return [connection for connection in self._state.connections if isinstance(connection, IngestProtocol)]

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(self._period)
            try:
                self.tick()
            except Exception:  # whatever one connection did, the limits of all others must hold
                log.exception("the sweep over HTTP connections failed")


@asynccontextmanager
async def open_http(
    config: Config,
    app: ASGI3Application,
    intake: Intake,
    door: Door,
    metrics: Metrics,
    speaker: Speaker | None = None,
    quotas: Quotas | None = None,
) -> AsyncGenerator[HttpServer, None]:
    """Serve on `config.http.listen`, and with TLS where that is configured, until the block ends."""
    server = HttpServer(config, app, intake, door, metrics, speaker=speaker, quotas=quotas)
    try:
        await server.start()
        yield server
    finally:
        await server.close()

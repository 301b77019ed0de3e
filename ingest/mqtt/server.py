"""The MQTT endpoint: listens, keeps the one timer, and stops in order.

In: configuration, intake, door. Out: an `MqttServer` that serves until the block ends.

Stopping: `stop_accepting` (no new connections, no new messages; clients are still acknowledged), the intake drains,
`close` (those left are told DISCONNECT 0x8B). Each is told here and goes on elsewhere, if its session outlives it.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, suppress

from headwater import times
from headwater.config import Config
from headwater.errors import Rejected
from headwater.log import Log
from headwater.metrics import Metrics
from headwater.saying import get_logger
from ingest.contract import Door, Intake, Origin
from ingest.control import Control
from ingest.listening import listen
from ingest.mqtt import topics
from ingest.mqtt.broker import Broker
from ingest.mqtt.connection import Connection
from ingest.mqtt.courier import Courier
from ingest.mqtt.life import LINGER
from ingest.mqtt.packets import Publish
from ingest.mqtt.plane import Plane
from ingest.mqtt.properties import NONE, Properties
from ingest.mqtt.reasons import MalformedPacket, ReasonCode
from ingest.mqtt.websocket import WebSocketLine
from ingest.quotas import Quotas
from ingest.tls import TlsListener

BACKLOG = 2048
_SWEEP = 1.0
"""Seconds between two looks at whose time is up."""

log = get_logger()


class MqttServer:
    """`address`, `tls_address` ("" without TLS): HOST:PORT as listened on, with the real port.

    `clock`: seconds, monotonic, above 0.
    """

    def __init__(
        self,
        config: Config,
        intake: Intake,
        door: Door,
        metrics: Metrics,
        plane: Plane,
        *,
        listen: str,
        clock: Callable[[], float],
        quotas: Quotas | None = None,
    ) -> None:
        self.address = listen
        self._config = config
        self._plane = plane
        self._broker = Broker(config, intake, door, metrics, plane, clock, quotas)
        self._clock = clock
        self._listeners: list[asyncio.Server] = []
        self.tls_address = config.mqtt.tls.listen
        self._tls: TlsListener | None = None
        if self.tls_address:
            self._tls = TlsListener(
                config.mqtt.tls, "mqtt.tls", self._secure_protocol, self._broker.room, metrics, "mqtt", door.blocked
            )
        self._timer: asyncio.TimerHandle | None = None
        self._closed = False
        self._unwatch = door.watch(self._broker.revoke)

    def attach(self, control: Control) -> None:
        """Say where commands and shadows are, before it starts."""
        self._broker.courier = Courier(control, self._broker.router, self._clock)

    @property
    def alone(self) -> bool:
        """There is no other gateway, as far as this one knows."""
        return self._plane.owner.gateways.only

    def tell(self, topic: str, payload: bytes) -> None:
        """Publish something of ours to those who are connected here and have subscribed to it."""
        self._broker.router.route(Publish(topic, payload))

    @property
    def port(self) -> int:
        """The port of `address`."""
        return int(self.address.rpartition(":")[2])

    async def start(self) -> None:
        """Listen; raises `ConfigError` if the address cannot be had."""
        sockets, self.address = listen(self.address, "mqtt.listen")
        loop = asyncio.get_running_loop()
        for bound in sockets:
            self._listeners.append(await loop.create_server(self._protocol, sock=bound, backlog=BACKLOG))
        if self._tls is not None:
            sockets, self.tls_address = listen(self.tls_address, "mqtt.tls.listen")
            self._tls.start(sockets)
        self._timer = loop.call_later(_SWEEP, self._tick)

    def over_websocket(self, origin: Origin, *, tls: bool) -> asyncio.Protocol:
        """What speaks MQTT over a WebSocket that has just been opened on the HTTP port."""
        certified = self._config.http.tls.identity if tls else "none"
        return WebSocketLine(Connection(self._broker, certified), direct=origin.direct, own=origin.own)

    def publish(self, topic: str, payload: bytes, qos: int = 1, properties: Properties = NONE) -> int:
        """Send a message to everyone subscribed to `topic` now; returns how many of them are connected here.

        Those who are connected elsewhere, or whose sessions wait for them, get it through the log, if that takes it.
        Raises `Rejected("bad_topic")`. To log the message itself is the caller's to do, before.
        """
        try:
            topics.check_name(topic)
        except MalformedPacket as error:
            raise Rejected("bad_topic", error.detail) from None
        return self._broker.publish(Publish(topic, payload, qos << 1, 0, properties))

    def sweep(self) -> None:
        """Look at everyone whose time is up: keep alive, CONNECT that does not come, clients that do not go."""
        self._broker.deadlines.sweep(self._clock())
        self._broker.publish_unsent()

    def stop_accepting(self) -> None:
        """No new connections, no new messages; what is with the intake is still acknowledged."""
        if self._broker.stopping:
            return
        self._broker.stopping = True
        for listener in self._listeners:
            listener.close()
        if self._tls is not None:
            self._tls.close()
        for connection in list(self._broker.connections):
            connection.stop()

    async def close(self) -> None:
        """Tell everyone that this is the end, and wait for them to go, `LINGER` seconds at most. Once is enough."""
        self.stop_accepting()
        if self._closed:
            return
        self._closed = True
        self._unwatch()
        if self._timer is not None:
            self._timer.cancel()
        for connection in list(self._broker.connections):
            connection.end(ReasonCode.SERVER_SHUTTING_DOWN, "")
        await self._emptied()
        for connection in list(self._broker.connections):
            connection.abort()
        await self._emptied()
        self._broker.router.count()

    def _protocol(self) -> Connection:
        return Connection(self._broker)

    def _secure_protocol(self) -> Connection:
        return Connection(self._broker, self._config.mqtt.tls.identity)

    async def _emptied(self) -> None:
        self._broker.when_empty.clear()
        if self._broker.connections:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._broker.when_empty.wait(), LINGER)

    def _tick(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(_SWEEP, self._tick)
        try:
            self.sweep()
            self._plane.tick()
        except Exception:  # whatever one connection did, the limits of all others must hold
            log.exception("the sweep over MQTT connections failed")


@asynccontextmanager
async def open_mqtt(  # noqa: PLR0913 - what differs in tests has names
    config: Config,
    intake: Intake,
    door: Door,
    metrics: Metrics,
    log: Log,
    *,
    listen: str | None = None,
    clock: Callable[[], float] = time.monotonic,
    wall: Callable[[], int] = times.now,
    quotas: Quotas | None = None,
    control: Control | None = None,
) -> AsyncGenerator[MqttServer, None]:
    """Serve on `listen`, or else on `config.mqtt.listen`, until the block ends. Raises `Unavailable`.

    `quotas`: those that other ways in share. `control`: commands and shadows.
    """
    plane = Plane(log, config, metrics, clock, wall)
    where = listen or config.mqtt.listen
    server = MqttServer(config, intake, door, metrics, plane, listen=where, clock=clock, quotas=quotas)
    if control is not None:
        server.attach(control)
    async with plane.running():
        try:
            await server.start()
            yield server
        finally:
            await server.close()

"""What the MQTT tests share: an intake and a door that do as they are told, a client that shows every packet."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import Any, TypeVar, cast

from headwater.config import Config
from headwater.errors import Reason, Refused, Unavailable
from headwater.metrics import Metrics
from headwater.registry import ANONYMOUS, Certificate, Identity
from ingest.contract import Owner, Receipt, Rejection, Source
from ingest.control import Control, open_control
from ingest.decoders.catalogue import Catalogue
from ingest.mqtt.broker import Broker
from ingest.mqtt.connection import Connection
from ingest.mqtt.encoding import encode
from ingest.mqtt.packets import (
    Connack,
    Connect,
    Disconnect,
    Packet,
    Puback,
    Publish,
    Suback,
    Subscribe,
    Subscription,
    Will,
)
from ingest.mqtt.properties import NONE, Properties
from ingest.mqtt.reader import Reader
from ingest.mqtt.server import MqttServer, open_mqtt
from tests.ingest.mqtt.log_kit import MemoryLog

TIMEOUT = 5.0
P = TypeVar("P", bound=Packet)


class Clock:
    """Seconds that pass when the test says so."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now

    def wall(self) -> int:
        """Microseconds since 1970 UTC."""
        return round(self.now * 1_000_000)


class ScriptedIntake:
    """Notes what it is given. `slow`: nothing is settled until `settle` is called. `reject`: payload → reason, or None."""

    def __init__(self) -> None:
        self.full = False
        self.slow = False
        self.failing = False
        self.reject: Callable[[bytes], Reason | None] = lambda _payload: None
        self.accepted: list[tuple[Identity, Source, bytes]] = []
        self.waiting: list[Receipt] = []
        self._counts: dict[int, int] = {}
        self.relieved: list[Callable[[], None]] = []
        self.at_once = False
        self.detail = "so it was told"

    @property
    def payloads(self) -> list[bytes]:
        return [payload for _, _, payload in self.accepted]

    def when_relieved(self, callback: Callable[[], None]) -> None:
        self.relieved.append(callback)

    def relieve(self) -> None:
        self.full = False
        callbacks, self.relieved = self.relieved, []
        for callback in callbacks:
            callback()

    source = staticmethod(Catalogue().source)

    def accept(
        self, identity: Identity, source: Source, payloads: Sequence[bytes], receipt: Receipt, key: str = ""
    ) -> None:
        assert not key
        for at, payload in enumerate(payloads):
            self.accepted.append((identity, source, payload))
            reason = self.reject(payload)
            if reason is None:
                receipt.accepted += 1
            else:
                receipt.rejections = [*(receipt.rejections or []), Rejection(at, reason, self.detail)]
        if self.at_once:
            return
        receipt.waiting += len(payloads)
        self._counts[id(receipt)] = len(payloads)
        self.waiting.append(receipt)
        if not self.slow:
            asyncio.get_running_loop().call_soon(self.settle)

    def settle(self, count: int | None = None, *, failed: bool = False) -> None:
        """Settle the oldest receipts, or those whose position is given."""
        some = self.waiting[:count]
        self.waiting = self.waiting[len(some) :]
        self.settle_these(some, failed=failed)

    def settle_these(self, some: Sequence[Receipt], *, failed: bool = False) -> None:
        owners: dict[int, Owner] = {}
        for receipt in some:
            receipt.failed |= failed or self.failing
            receipt.waiting -= self._counts.pop(id(receipt))  # others may wait for something else as well
            if not receipt.waiting:
                owners[id(receipt.owner)] = receipt.owner
        for owner in owners.values():
            owner.release()

    async def drain(self, seconds: float) -> None:
        raise NotImplementedError


class ScriptedDoor:
    """Knows the identities it is given, by token; nobody else, but whoever says nothing on loopback."""

    def __init__(self) -> None:
        self.known: dict[str, Identity] = {}
        self.claims: dict[str, Identity] = {}
        self.refuse: Refused | Unavailable | None = None
        self.shown: list[Certificate] = []
        self.shut_out: set[str] = set()
        self.watchers: list[Callable[[str], None]] = []

    def identify(self, name: str, secret: str, *, loopback: bool) -> Identity:
        if self.refuse is not None:
            raise self.refuse
        if not name and not secret:
            if loopback:
                return ANONYMOUS
            raise Refused("no_credentials", "none given")
        found = self.known.get(secret)
        if found is None or (name and name != found.name):
            raise Refused("bad_credentials", "not known")
        return found

    def identify_certificate(self, certificate: Certificate, by: str) -> Identity:
        self.shown.append(certificate)
        if self.refuse is not None:
            raise self.refuse
        if by == "registry" and certificate.fingerprint not in self.known:
            raise Refused("bad_credentials", "not known")
        return self.known.get(certificate.fingerprint) or Identity(name=certificate.cn, device=certificate.cn)

    def claimed(self, code: str, certificate: Certificate | None) -> Identity | None:
        return self.claims.get(code)

    def blocked(self, address: str) -> bool:
        return address in self.shut_out

    def watch(self, changed: Callable[[str], None]) -> Callable[[], None]:
        self.watchers.append(changed)
        return lambda: self.watchers.remove(changed)

    def add(self, name: str, *speaks_for: str, quota: str = "") -> str:
        """A device; returns its token."""
        self.known[f"token-{name}"] = Identity(name=name, device=name, speaks_for=speaks_for, quota=quota)
        return f"token-{name}"

    def change(self, name: str) -> None:
        for changed in list(self.watchers):
            changed(name)


class Client:
    """Speaks MQTT over a socket, one packet at a time; checks nothing, so that it can be wrong on purpose."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, version: int) -> None:
        self.stream = reader
        self.writer = writer
        self.version = version
        self._reader = Reader(2**28, 2**28, 100, "server", version)
        self._packets: list[Packet] = []

    @property
    def port(self) -> int:
        return int(self.writer.get_extra_info("sockname")[1])

    def send(self, *packets: Packet) -> None:
        self.writer.write(b"".join(encode(packet, self.version) for packet in packets))

    def send_bytes(self, data: bytes) -> None:
        self.writer.write(data)

    async def packet(self) -> Packet | None:
        """The next packet; None if the connection was closed instead."""
        while not self._packets:
            try:
                data = await asyncio.wait_for(self.stream.read(65_536), TIMEOUT)
            except ConnectionResetError:
                return None
            if not data:
                return None
            self._packets += self._reader.feed(data)
            assert self._reader.broken is None, self._reader.broken
        return self._packets.pop(0)

    async def expect(self, kind: type[P]) -> P:
        packet = await self.packet()
        assert isinstance(packet, kind), packet
        return packet

    async def nothing(self) -> None:
        """Nothing has come, and nothing comes by the time that a PINGREQ is answered."""
        self.send_bytes(b"\xc0\0")
        packet = await self.packet()
        assert type(packet).__name__ == "Pingresp", packet

    async def closed(self) -> None:
        """The connection is closed without another packet."""
        assert await self.packet() is None
        self.writer.close()

    async def connect(self, client_id: str = "c1", **more: Any) -> Connack:
        self.send(Connect(self.version, client_id, **more))
        return await self.expect(Connack)

    async def subscribe(self, *filters: str | Subscription, qos: int = 0, properties: Properties = NONE) -> Suback:
        items = tuple(Subscription(one, qos) if isinstance(one, str) else one for one in filters)
        self.send(Subscribe(7, items, properties))
        return await self.expect(Suback)

    def publish(self, *payloads: bytes, qos: int = 1, topic: str = "devices/d1/telemetry", first_id: int = 1) -> None:
        """Payloads with packet ids from `first_id` on (QoS 0: none)."""
        for number, payload in enumerate(payloads, first_id):
            self.send(Publish(topic, payload, qos << 1, number if qos else 0))

    async def acknowledged(self, count: int) -> list[int]:
        return [(await self.expect(Puback)).packet_id for _ in range(count)]

    async def disconnected(self) -> Disconnect:
        """DISCONNECT, and nothing behind it."""
        packet = await self.expect(Disconnect)
        await self.closed()
        return packet

    def pause(self) -> None:
        """Read nothing more."""
        cast("asyncio.Transport", self.writer.transport).pause_reading()

    async def close(self) -> None:
        self.writer.close()
        with suppress(ConnectionError):
            await self.writer.wait_closed()


class Endpoint:
    """An endpoint with everything around it, and clients for it."""

    def __init__(
        self,
        server: MqttServer,
        intake: ScriptedIntake,
        door: ScriptedDoor,
        metrics: Metrics,
        log: MemoryLog,
        clock: Clock,
        control: Control | None = None,
    ) -> None:
        self.server = server
        self._control = control
        self.log = log
        self.intake = intake
        self.door = door
        self.metrics = metrics
        self.clock = clock
        self.clients: list[Client] = []

    @property
    def control(self) -> Control:
        """Of an endpoint with commands."""
        assert self._control is not None
        return self._control

    @property
    def broker(self) -> Broker:
        """What all of its connections share, to look at."""
        return self.server._broker  # pyright: ignore[reportPrivateUsage]

    def paused(self) -> bool:
        """True if the only connection's socket is not read."""
        (connection,) = self.broker.connections
        assert isinstance(connection, Connection)
        return bool(connection._stream.paused)  # pyright: ignore[reportPrivateUsage]

    async def client(self, version: int = 5) -> Client:
        """A connection that has said nothing yet."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.server.port)
        return self.keep(Client(reader, writer, version))

    def keep(self, client: Client) -> Client:
        """Close it at the end."""
        self.clients.append(client)
        return client

    async def connected(self, client_id: str = "c1", version: int = 5, **more: Any) -> Client:
        client = await self.client(version)
        connack = await client.connect(client_id, **more)
        assert connack.code == 0
        return client

    async def close_clients(self) -> None:
        for client in self.clients:
            await client.close()

    def after(self, seconds: float) -> None:
        """So many seconds later."""
        self.clock.now += seconds
        self.server.sweep()
        self.broker.plane.tick()


@asynccontextmanager
async def endpoint(
    log: MemoryLog | None = None,
    *,
    profile: str = "embedded",
    http: dict[str, Any] | None = None,
    quotas: dict[str, Any] | None = None,
    commands: bool = False,
    **mqtt: Any,
) -> AsyncGenerator[Endpoint, None]:
    """An endpoint on a free port. `log`: one that others have too. `mqtt`: settings of that section, `http` of that one.

    `commands`: with commands and shadows.
    """
    sections = {"mqtt": {"listen": "127.0.0.1:0", **mqtt}, "http": http or {}, "quotas": quotas or {}}
    config = Config.model_validate({"profile": profile, **sections})
    intake, door, metrics, clock = ScriptedIntake(), ScriptedDoor(), Metrics(), Clock()
    log = log or MemoryLog()
    async with AsyncExitStack() as stack:
        control = None
        if commands:
            opening = open_control(log, config, metrics, sweeping=False, clock=clock, wall=clock.wall)
            control = await stack.enter_async_context(opening)
        server = await stack.enter_async_context(
            open_mqtt(config, intake, door, metrics, log, clock=clock, wall=clock.wall, control=control)
        )
        made = Endpoint(server, intake, door, metrics, log, clock, control)
        try:
            yield made
        finally:
            await made.close_clients()


async def until(condition: Callable[[], object]) -> None:
    """Let the event loop run until it is so."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + TIMEOUT
    while not condition():
        assert loop.time() < deadline, "it never became so"
        await asyncio.sleep(0.001)


def will(topic: str = "devices/d1/telemetry", payload: bytes = b"gone", **more: Any) -> Will:
    return Will(topic, payload, **more)


def publishes(packets: Sequence[Packet | None]) -> list[tuple[str, bytes, int]]:
    """(topic, payload, QoS) of packets that must all be PUBLISHes."""
    found: list[tuple[str, bytes, int]] = []
    for packet in packets:
        assert isinstance(packet, Publish), packet
        found.append((packet.topic, packet.payload, packet.qos))
    return found

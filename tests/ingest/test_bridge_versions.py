"""Which MQTT a bridge speaks: 5 where the broker knows it, 3.1.1 where it does not, found out anew each time."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest

from headwater.config_ways import Bridge as Settings
from headwater.metrics import Metrics
from ingest.bridge.bridge import Bridge
from ingest.mqtt.encoding import encode
from ingest.mqtt.packets import QOS_1, Connack, Connect, Puback, Publish, Suback, Subscribe
from ingest.mqtt.reader import Reader
from ingest.mqtt.reasons import ReasonCode
from tests.ingest.mqtt.kit import ScriptedIntake, until

UNACCEPTABLE = b"\x20\x02\0\x01"
"""CONNACK as 3.1.1 refuses a version."""
UNSUPPORTED = b"\x20\x03\0\x84\0"
"""CONNACK as MQTT 5 does."""


class Broker:
    """Answers as much as a bridge needs. `refusal`: what MQTT 5 gets; None: it is spoken. `stays`: and it stays open."""

    def __init__(self, refusal: bytes | None, *, stays: bool = False) -> None:
        self.refusal = refusal
        self.stays = stays
        self.versions: list[int] = []
        self.filters: list[str] = []
        self.acknowledged = 0
        self.port = 0
        self._open: set[asyncio.StreamWriter] = set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.add(writer)
        packets = Reader(2**20, 2**20, 0, "client")
        with suppress(ConnectionError):
            while data := await reader.read(65_536):
                for packet in packets.feed(data):
                    if not self._answer(packet, writer):
                        writer.close()
        self._open.discard(writer)
        writer.close()

    def drop(self) -> None:
        """End all connections."""
        for writer in self._open:
            writer.close()

    def _answer(self, packet: object, writer: asyncio.StreamWriter) -> bool:
        match packet:
            case Connect():
                self.versions.append(packet.version)
                self._version = packet.version
                if packet.version == 5 and self.refusal is not None:
                    writer.write(self.refusal)
                    return self.stays
                writer.write(encode(Connack(), packet.version))
            case Subscribe():
                self.filters = [one.filter for one in packet.subscriptions]
                writer.write(encode(Suback(packet.packet_id, (ReasonCode.GRANTED_QOS_1,)), self._version))
                publish = Publish("devices/d1/telemetry", b'{"fields":{"t":1}}', QOS_1, 7)
                writer.write(encode(publish, self._version))
            case Puback():
                self.acknowledged += 1
            case _:
                pass
        return True


@asynccontextmanager
async def bridged(broker: Broker, **settings: Any) -> AsyncGenerator[None, None]:
    """A bridge that reads it."""
    server = await asyncio.start_server(broker.serve, "127.0.0.1", 0)
    broker.port = server.sockets[0].getsockname()[1]
    given = {"port": broker.port, "retry_first": "10ms", "retry_most": "20ms", **settings}
    bridge = Bridge("plant", Settings.model_validate(given), ScriptedIntake(), Metrics(), "127.0.0.1:1")
    stop = asyncio.Event()
    running = asyncio.create_task(bridge.run(stop))
    try:
        yield
    finally:
        stop.set()
        await asyncio.wait_for(running, 10)
        broker.drop()
        server.close()


def reads(broker: Broker, version: int) -> Callable[[], bool]:
    return lambda: bool(broker.acknowledged) and broker.versions[-1] == version


@pytest.mark.parametrize(
    ("refusal", "stays"),
    [(UNACCEPTABLE, False), (UNACCEPTABLE, True), (UNSUPPORTED, False), (UNSUPPORTED, True), (b"", False)],
)
async def test_a_broker_that_refuses_five_is_read_with_3_1_1(refusal: bytes, stays: bool) -> None:
    broker = Broker(refusal, stays=stays)
    async with bridged(broker):
        await until(reads(broker, 4))
        assert broker.filters == ["#"]


async def test_a_broker_that_speaks_five_is_read_with_it_and_shared() -> None:
    broker = Broker(None)
    async with bridged(broker):
        await until(reads(broker, 5))
        assert broker.filters == ["$share/headwater/#"]


async def test_a_broker_that_has_learnt_five_is_read_with_it_from_then_on() -> None:
    broker = Broker(UNACCEPTABLE)
    async with bridged(broker):
        await until(reads(broker, 4))
        broker.refusal, broker.acknowledged = None, 0
        broker.drop()
        await until(reads(broker, 5))
        assert broker.filters == ["$share/headwater/#"]


async def test_a_broker_that_closes_once_is_not_taken_for_an_old_one() -> None:
    broker = Broker(b"")
    async with bridged(broker):
        await until(lambda: broker.versions)
        broker.refusal = None
        await until(reads(broker, 5))
    assert 4 not in broker.versions


async def test_where_five_is_wanted_nothing_else_is_spoken() -> None:
    broker = Broker(UNACCEPTABLE)
    async with bridged(broker, version="5"):
        await until(lambda: len(broker.versions) > 3)
    assert set(broker.versions) == {5}

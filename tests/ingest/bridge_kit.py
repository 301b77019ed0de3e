"""A broker for tests of bridges: as much of one as a bridge needs, refusing what it is told to; and a bridge that reads it."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any

from headwater.config_quotas import Quotas as Limits
from headwater.config_ways import Bridge as Settings
from headwater.metrics import Metrics
from ingest.bridge.bridge import Bridge
from ingest.mqtt.encoding import encode
from ingest.mqtt.packets import QOS_1, Connack, Connect, Packet, Puback, Publish, Suback, Subscribe
from ingest.mqtt.reader import Reader
from ingest.mqtt.reasons import ReasonCode
from ingest.quotas import Quotas
from tests.ingest.mqtt.kit import ScriptedIntake

MESSAGE = Publish("devices/d1/telemetry", b'{"fields":{"t":1}}', QOS_1, 7)


class Broker:
    """Sends `messages` to who subscribes, at most `window` of them not acknowledged.

    `refusal`: what a CONNECT of MQTT 5 gets; None: it is spoken. `stays`: the connection stays open then.
    """

    def __init__(
        self, refusal: bytes | None = None, *, stays: bool = False, messages: Sequence[Publish] = (MESSAGE,), window: int = 20
    ) -> None:  # fmt: skip
        self.refusal = refusal
        self.stays = stays
        self.versions: list[int] = []
        self.filters: list[str] = []
        self.acknowledged: list[int] = []
        self.port = 0
        self._messages = messages
        self._window = window
        self._sent = 0
        self._open: set[asyncio.StreamWriter] = set()
        self._version = 5

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
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

    def _answer(self, packet: Packet, writer: asyncio.StreamWriter) -> bool:
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
                self._sent = 0
                self._send(writer, self._window)
            case Puback():
                self.acknowledged.append(packet.packet_id)
                self._send(writer, 1)
            case _:
                pass
        return True

    def _send(self, writer: asyncio.StreamWriter, count: int) -> None:
        some = self._messages[self._sent : self._sent + count]
        self._sent += len(some)
        writer.write(b"".join(encode(one, self._version) for one in some))


class Reading:
    """A bridge that reads."""

    def __init__(self, intake: ScriptedIntake, metrics: Metrics) -> None:
        self.intake = intake
        self.metrics = metrics


@asynccontextmanager
async def bridged(
    broker: Broker, quotas: dict[str, Any] | None = None, **settings: Any
) -> AsyncGenerator[Reading, None]:
    """Until the block ends."""
    server = await asyncio.start_server(broker.serve, "127.0.0.1", 0)
    broker.port = server.sockets[0].getsockname()[1]
    given = {"port": broker.port, "retry_first": "10ms", "retry_most": "20ms", **settings}
    made = Reading(ScriptedIntake(), Metrics())
    limits = Quotas(Limits.model_validate(quotas or {}), asyncio.get_running_loop().time)
    limits.throttled = lambda kind: made.metrics.throttled.labels(kind).inc()
    bridge = Bridge("plant", Settings.model_validate(given), made.intake, made.metrics, "127.0.0.1:1", limits)
    stop = asyncio.Event()
    running = asyncio.create_task(bridge.run(stop))
    try:
        yield made
    finally:
        stop.set()
        await asyncio.wait_for(running, 10)
        broker.drop()
        server.close()

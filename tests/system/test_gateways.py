"""Two gateways as processes on one Kafka are one broker: for clients of either, and when one is killed."""

import asyncio
from collections.abc import Generator
from pathlib import Path
from uuid import uuid4

import pytest

from headwater.app.events import open_events
from headwater.app.rules import publish_rules
from headwater.config import Config
from storage.outbox import drain_outbox
from storage.sqlite_registry import open_registry
from tests.services.server import Server
from tests.system.mqtt_clients import Heard
from tests.system.program import free_port
from tests.system.stack import Part

pytestmark = [pytest.mark.process, pytest.mark.timeout(240)]
TOPIC = "any/topic"


class Gateways:
    """`ports`: of their MQTT endpoints."""

    def __init__(self, kafka: Server, folder: Path) -> None:
        self._folder = folder
        self._kafka = {"servers": [f"{kafka.host}:{kafka.port}"], "prefix": f"t{uuid4().hex[:12]}."}
        self.ports = [free_port(), free_port()]
        self.parts: list[Part] = []
        asyncio.run(self._ruled())

    async def _ruled(self) -> None:
        """What `headwater api` does first: a gateway waits for rules."""
        config = Config.model_validate({"profile": "stack", "kafka": self._kafka})
        async with open_events(config) as events, open_registry(self._folder / "registry.sqlite") as registry:
            await publish_rules(registry, config)
            await drain_outbox(registry, events)

    def start(self, which: int) -> Part:
        settings = {
            "HEADWATER_PROFILE": "stack",
            "HEADWATER_KAFKA__SERVERS": str(self._kafka["servers"]).replace("'", '"'),
            "HEADWATER_KAFKA__PREFIX": str(self._kafka["prefix"]),
            "HEADWATER_MQTT__BROKER": "true",
            "HEADWATER_LOGGING__KEEP": "false",
        }
        addresses = ["--http", f"127.0.0.1:{free_port()}", "--mqtt", f"127.0.0.1:{self.ports[which]}"]
        part = Part(f"gateway-{len(self.parts)}", ["gateway", *addresses], settings, self._folder)
        self.parts.append(part)
        return part


@pytest.fixture(scope="module")
def gateways(tmp_path_factory: pytest.TempPathFactory, kafka_server: Server) -> Generator[Gateways, None, None]:
    made = Gateways(kafka_server, tmp_path_factory.mktemp("gateways"))
    try:
        for part in [made.start(0), made.start(1)]:
            part.wait_ready(90)
        yield made
    finally:
        for part in made.parts:
            part.kill()


def test_clients_of_two_gateways_talk_as_those_of_one(gateways: Gateways) -> None:
    a, b = gateways.ports
    with Heard(a, "near", clean=True) as near, Heard(b, "far", version=4, clean=True) as far:
        for client in (near, far):
            client.subscribe("any/#", "devices/+/telemetry")
        with Heard(a, "p", clean=True) as sender, Heard(b, "q", clean=True) as other:
            until_heard(sender, near, far)
            until_heard(other, near, far)
            numbers = [str(n) for n in range(100)]
            sender.publish(TOPIC, *numbers)
            assert near.hear(100) == far.hear(100) == numbers
            other.publish("any/kept", "kept", retain=True)
            assert near.hear(1) == far.hear(1) == ["kept"]
            for client in (near, far):
                client.nothing()
    with Heard(a, "late", clean=True) as late:
        late.subscribe("any/+")
        assert late.hear(1) == ["kept"]


def until_heard(sender: Heard, *hearers: Heard) -> None:
    """Both gateways know both subscriptions: that takes a moment after a SUBACK."""
    sender.publish(TOPIC, "first")
    for hearer in hearers:
        while hearer.messages.empty():
            sender.publish(TOPIC, "first")
    sender.publish(TOPIC, "last")
    for hearer in hearers:
        while hearer.hear(1) != ["last"]:
            pass


def test_a_client_id_is_at_one_gateway_at_a_time(gateways: Gateways) -> None:
    a, b = gateways.ports
    with Heard(a, "c") as older:
        older.subscribe("any/#")
        with Heard(b, "c") as newer:
            assert newer.present
            assert older.ended.get(timeout=30) == "Session taken over"
            with Heard(a, "p", clean=True) as sender:
                sender.publish(TOPIC, "1")
            assert newer.hear(1) == ["1"]


def test_one_gateway_killed_the_other_has_its_sessions_and_what_waits_in_order(gateways: Gateways) -> None:
    a, b = gateways.ports
    numbers = [str(n) for n in range(300)]
    for version in (4, 5):
        with Heard(a, f"away{version}", version=version) as away:
            away.subscribe("waiting/#")
    with Heard(b, "watcher") as watcher:
        watcher.subscribe("devices/will/telemetry")
        with Heard(a, "p", clean=True) as sender:
            sender.publish("waiting/topic", *numbers)
        Heard(a, "connected").subscribe("any/connected")
        Heard(a, "gone", clean=True, will='{"fields": {"gone": true}}')
        gateways.parts[0].kill()
        for version in (4, 5):
            with Heard(b, f"away{version}", version=version) as back:
                assert back.present
                assert back.hear(300) == numbers
                back.nothing()
        with Heard(b, "connected") as back, Heard(b, "p", clean=True) as sender:
            assert back.present
            sender.publish("any/connected", "1")
            assert back.hear(1) == ["1"]
        assert "gone" in watcher.hear(1)[0]
        gateways.start(0).wait_ready(90)
        with Heard(a, "away4", version=4) as back:
            assert back.present
            back.nothing()

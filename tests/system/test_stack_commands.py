"""Two gateways as processes on one Kafka: a command reaches its device at either, whatever is killed; rivals agree."""

import asyncio
import json
import signal
import time
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen
from uuid import uuid4

import pytest

from headwater.app.events import open_events
from headwater.app.rules import publish_rules
from headwater.config import Config
from storage.outbox import drain_outbox
from storage.sqlite_registry import open_registry
from tests.services.server import Server
from tests.system.program import free_port
from tests.system.pump import SECONDS, Pump
from tests.system.stack import Part

pytestmark = [pytest.mark.process, pytest.mark.timeout(240)]


class Gateway:
    """One of an installation. `mqtt`: its port."""

    def __init__(self, kafka: dict[str, Any], folder: Path, name: str) -> None:
        self._http, self.mqtt = free_port(), free_port()
        settings = {
            "HEADWATER_PROFILE": "stack",
            "HEADWATER_KAFKA__SERVERS": json.dumps(kafka["servers"]),
            "HEADWATER_KAFKA__PREFIX": kafka["prefix"],
            "HEADWATER_LOGGING__KEEP": "false",
        }
        addresses = ["--http", f"127.0.0.1:{self._http}", "--mqtt", f"127.0.0.1:{self.mqtt}"]
        self.part = Part(name, ["gateway", *addresses], settings, folder)

    def ask(self, method: str, path: str, body: object = None) -> tuple[int, Any]:
        """Status and answer."""
        url = f"http://127.0.0.1:{self._http}/api/v1/devices/{path}"
        data = None if body is None else json.dumps(body).encode()
        try:
            with urlopen(Request(url, data, {"Content-Type": "application/json"}, method=method), timeout=30) as answer:
                return answer.status, json.load(answer)
        except HTTPError as error:
            return error.code, json.load(error)

    def order(self, device: str, ident: str) -> None:
        status, answer = self.ask("POST", f"{device}/commands", {"name": "reboot", "id": ident})
        assert status == 201
        assert answer["state"] in {
            "queued",
            "sent",
            "acknowledged",
            "answered",
        }  # a quick device is ahead of the answer

    def state(self, device: str, ident: str) -> str:
        return self.ask("GET", f"{device}/commands/{ident}")[1].get("state", "")


@pytest.fixture(scope="module")
def gateways(tmp_path_factory: pytest.TempPathFactory, kafka_server: Server) -> Generator[list[Gateway], None, None]:
    """Two, and more that tests start and take out."""
    folder = tmp_path_factory.mktemp("gateways")
    kafka = {"servers": [f"{kafka_server.host}:{kafka_server.port}"], "prefix": f"t{uuid4().hex[:12]}."}
    asyncio.run(ruled(Config.model_validate({"profile": "stack", "kafka": kafka}), folder))
    made = [Gateway(kafka, folder, name) for name in ("first", "second")]
    try:
        for gateway in made:
            gateway.part.wait_ready(90)
        yield made
    finally:
        for gateway in made:
            gateway.part.send_signal(signal.SIGCONT)
            gateway.part.kill()


async def ruled(config: Config, folder: Path) -> None:
    """What `headwater api` does first: a gateway waits for rules."""
    async with open_events(config) as events, open_registry(folder / "registry.sqlite") as registry:
        await publish_rules(registry, config)
        await drain_outbox(registry, events)


def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline, "it never became so"
        time.sleep(0.05)


def test_a_command_given_at_one_gateway_is_answered_by_the_device_at_the_other(gateways: list[Gateway]) -> None:
    first, second = gateways
    with Pump(first.mqtt, "pump-1", answer=lambda said: said["id"]) as pump:
        for number in range(20):
            second.order("pump-1", f"c{number}")
        heard = [pump.heard.get(timeout=SECONDS)[1]["id"] for _ in range(20)]
        assert heard == [f"c{number}" for number in range(20)]
        until(lambda: all(one["state"] == "answered" for one in second.ask("GET", "pump-1/commands")[1]["items"]))
        assert pump.heard.empty()
    assert second.ask("GET", "pump-1/commands/c3")[1]["answer"] == "c3"


def shadow_version(gateway: Gateway) -> int:
    return gateway.ask("GET", "pump-3/shadow")[1].get("version", 0)


def change_shadow(gateway: Gateway, body: object) -> tuple[int, Any]:
    return gateway.ask("PATCH", "pump-3/shadow", body)


def test_of_two_changes_at_two_gateways_that_name_one_version_one_is_refused(gateways: list[Gateway]) -> None:
    with ThreadPoolExecutor(2) as both:
        for version in range(10):
            until(lambda wanted=version: all(shadow_version(one) == wanted for one in gateways))
            bodies = [{"desired": {"by": at, "round": version}, "version": version} for at in range(2)]
            answers = list(both.map(change_shadow, gateways, bodies))
            assert sorted(status for status, _ in answers) == [200, 409]
    until(lambda: gateways[0].ask("GET", "pump-3/shadow") == gateways[1].ask("GET", "pump-3/shadow"))


def test_one_killed_between_queued_and_sent_the_other_sends_it_once(gateways: list[Gateway]) -> None:
    first, second = gateways
    with Pump(first.mqtt, "pump-2") as pump:
        second.order("pump-2", "heard")
        assert pump.heard.get(timeout=SECONDS)[1]["id"] == "heard"
        until(lambda: second.state("pump-2", "heard") == "acknowledged")
        first.order("pump-4", "left")
        first.part.send_signal(signal.SIGSTOP)
        second.order("pump-2", "waits")
        first.part.kill()
        assert second.state("pump-2", "waits") == "queued"
        with Pump(second.mqtt, "pump-2", answer=lambda _: "done") as back:
            assert back.heard.get(timeout=SECONDS)[1]["id"] == "waits"
            until(lambda: second.state("pump-2", "waits") == "answered")
            assert back.heard.empty()
        assert second.state("pump-2", "heard") == "acknowledged"
        assert pump.heard.empty()
    with Pump(second.mqtt, "pump-4", answer=lambda _: "done"):
        until(lambda: second.state("pump-4", "left") == "answered")

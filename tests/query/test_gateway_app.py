"""What a gateway answers beside ingest is what the whole app answers, which is loaded when it is needed."""

import asyncio
from collections.abc import Mapping
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from starlette.datastructures import State

from headwater.config import Config, Http
from headwater.errors import Unavailable
from headwater.metrics import Metrics
from headwater.registry import Identity
from query.gateway_app import GatewayApp
from query.health import Health, Probe
from query.process import Process, state_of
from query.process_api import make_process_app
from tests.ingest.mqtt.kit import ScriptedDoor

AFAR = "192.0.2.1"
KEY = "hw_k_of-the-scraper"


class Gateway:
    """The app under test, the whole one beside it, and how often that was loaded."""

    def __init__(self, probes: Mapping[str, Probe] | None = None) -> None:
        door = ScriptedDoor()
        door.known["reader"] = Identity(name="reader", roles=("read",))
        door.known["device"] = Identity(name="device", device="device")
        self.state = state_of(Config(http=Http.model_validate({"metrics_key": KEY})), door)
        metrics, self.health = Metrics(), Health(probes or {}, [])
        self.whole = make_process_app(self.state, metrics, self.health)
        self.loaded = 0
        self.faults = 0
        self.app = GatewayApp(Process(self.health, metrics), self.state, self._load)

    def _load(self) -> FastAPI:
        self.loaded += 1
        if self.faults:
            self.faults -= 1
            raise ImportError("it is not installed")
        return self.whole


async def asked(
    app: Any, path: str, token: str = "", method: str = "GET", host: str = AFAR
) -> tuple[int, dict[str, str], str]:
    """Status, headers and body."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    transport = httpx.ASGITransport(app, raise_app_exceptions=False, client=(host, 40_000))
    async with (
        asyncio.timeout(20),
        httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1", headers=headers) as client,
    ):
        got = await client.request(method, path)
    return got.status_code, dict(got.headers), got.text


@pytest.mark.parametrize("token", ["", "reader", "device", "nobody", KEY])
@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics"])
async def test_about_itself_it_answers_as_the_whole_app_does_and_loads_nothing_for_it(path: str, token: str):
    async def away() -> None:
        raise Unavailable("no broker")

    gateway = Gateway({"log": away})
    own, whole = await asked(gateway.app, path, token), await asked(gateway.whole, path, token)
    assert own[:2] == whole[:2]
    assert path == "/metrics" or own[2] == whole[2]
    assert not gateway.loaded


async def test_the_scrapers_key_reads_what_is_counted():
    status, _, text = await asked(Gateway().app, "/metrics", KEY)
    assert (status, "headwater_" in text) == (200, True)


@pytest.mark.parametrize("path", ["/", "/favicon.ico", "/.env", "/api", "/wp-login.php"])
async def test_what_is_asked_of_everyone_on_the_internet_is_not_there_and_loads_nothing(path: str):
    gateway = Gateway()
    assert await asked(gateway.app, path) == await asked(gateway.whole, path)
    assert not gateway.loaded


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/openapi.json"), ("POST", "/healthz"), ("GET", "/healthz/"), ("GET", "/api/v1/none")]
)
async def test_all_else_is_answered_by_the_whole_app(method: str, path: str):
    gateway = Gateway()
    assert await asked(gateway.app, path, method=method) == await asked(gateway.whole, path, method=method)
    assert gateway.loaded == 1


async def test_the_whole_app_is_loaded_once_for_all_who_ask_at_the_same_time():
    gateway = Gateway()
    got = await asyncio.gather(*(asked(gateway.app, "/openapi.json") for _ in range(5)))
    assert [status for status, _, _ in got] == [200] * 5
    assert gateway.loaded == 1


async def test_where_it_cannot_be_loaded_the_next_request_tries_again_and_health_is_answered():
    gateway = Gateway()
    gateway.faults = 1
    assert (await asked(gateway.app, "/openapi.json"))[0] == 500
    assert (await asked(gateway.app, "/healthz"))[0] == 200
    assert (await asked(gateway.app, "/openapi.json"))[0] == 200


async def test_a_fault_of_a_probe_is_answered_as_the_whole_app_does():
    async def faulty() -> None:
        raise ZeroDivisionError

    gateway = Gateway({"log": faulty})
    own = await asked(gateway.app, "/readyz")
    assert own == await asked(gateway.whole, "/readyz")
    assert own[0] == 500


async def test_the_state_is_one_so_that_quotas_of_the_front_door_hold_for_both():
    gateway = Gateway()
    assert isinstance(gateway.app.state, State)
    assert gateway.app.state is gateway.whole.state


async def test_it_begins_and_ends_with_its_server():
    events = iter(["lifespan.startup", "lifespan.shutdown"])
    sent: list[str] = []

    async def receive() -> dict[str, Any]:
        return {"type": next(events)}

    async def send(event: Any) -> None:
        sent.append(event["type"])

    async with asyncio.timeout(5):
        await Gateway().app({"type": "lifespan"}, receive, send)
    assert sent == ["lifespan.startup.complete", "lifespan.shutdown.complete"]

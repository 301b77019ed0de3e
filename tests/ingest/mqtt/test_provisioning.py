"""Provisioning over MQTT: who comes by a claim becomes a device, once, and can do nothing else on the way."""

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import msgspec
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes

from headwater.authority import Authority
from headwater.config import Config
from headwater.credentials import digest
from headwater.directory import Directory
from headwater.log import Log
from headwater.metrics import Metrics
from headwater.registry import Certificate, Claim
from headwater.times import now
from ingest.control import open_control
from ingest.mqtt.packets import QOS_1, Connack, Connect, Puback, Publish
from ingest.mqtt.properties import NONE, Properties
from ingest.mqtt.reasons import ReasonCode as R
from ingest.mqtt.server import MqttServer, open_mqtt
from ingest.provisioning import Provisioner
from storage.outbox import run_outbox, settle
from storage.sqlite_registry import SqliteRegistry
from tests.core.registry_kit import a_log, a_registry
from tests.ingest.mqtt.kit import Client, ScriptedIntake, will
from tests.ingest.mqtt.log_kit import MemoryLog
from tests.query.test_provisioning import asked

CODE = "hw_c_code"
LIMIT = 10.0


class Gateway:
    """One endpoint, with its own copy of the registry."""

    def __init__(self, server: MqttServer, directory: Directory, intake: ScriptedIntake) -> None:
        self.server = server
        self.directory = directory
        self.intake = intake
        self.clients: list[Client] = []

    async def client(self, version: int = 5) -> Client:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.server.port)
        self.clients.append(Client(reader, writer, version))
        return self.clients[-1]

    async def tries(self, secret: str, version: int = 5, name: str = "claim", **more: Any) -> tuple[Client, R]:
        client = await self.client(version)
        client.send(Connect(version, "new", username=name, password=secret.encode(), **more))
        return client, (await client.expect(Connack)).code

    async def by_claim(self, version: int = 5, **more: Any) -> Client:
        client, code = await self.tries(CODE, version, **more)
        assert code is R.SUCCESS
        await client.subscribe("provision/#", qos=1)
        return client


class World:
    """The registry, and gateways beside it."""

    def __init__(self, registry: SqliteRegistry, log: Log, stack: AsyncExitStack) -> None:
        self.registry = registry
        self.authority = Authority.new("CA")
        self.common = MemoryLog()
        self._log = log
        self._stack = stack

    async def gateway(self, *, everything: bool = False, **quotas: Any) -> Gateway:
        config = Config.model_validate({"mqtt": {"listen": "127.0.0.1:0", "broker": everything}, "quotas": quotas})
        directory, intake, metrics = Directory("never"), ScriptedIntake(), Metrics()
        enter = self._stack.enter_async_context
        await enter(directory.following(self._log))
        control = await enter(open_control(self.common, config, metrics, sweeping=False))

        async def registry() -> SqliteRegistry:
            return self.registry

        control.provisioner = Provisioner(registry, directory, self.authority)
        server = await enter(open_mqtt(config, intake, directory, metrics, self.common, control=control))
        made = Gateway(server, directory, intake)

        async def close() -> None:
            for client in made.clients:
                await client.close()

        self._stack.push_async_callback(close)
        return made

    async def claim(self, *gateways: Gateway, **more: Any) -> None:
        wanted = Claim("LINE-3", digest(CODE), "pump-*", expires=now() + 10**9)
        claim = await self.registry.put(msgspec.structs.replace(wanted, **more))
        for gateway in gateways:
            assert await gateway.directory.applied(claim)

    async def uses(self) -> int:
        claim = await self.registry.find(Claim, "LINE-3")
        assert claim is not None
        return claim.uses


@pytest.fixture
async def world(tmp_path: Path) -> AsyncGenerator[World, None]:
    async with (
        a_log(tmp_path) as log,
        a_registry(tmp_path) as registry,
        pumping(registry, log),
        AsyncExitStack() as stack,
    ):
        yield World(registry, log, stack)


@asynccontextmanager
async def pumping(registry: SqliteRegistry, log: Log) -> AsyncGenerator[None, None]:
    await settle(registry, log)
    pump = asyncio.create_task(run_outbox(registry, log))
    try:
        yield
    finally:
        pump.cancel()
        with suppress(asyncio.CancelledError):
            await pump


def ask(client: Client, name: str = "pump-7", properties: Properties = NONE, **more: Any) -> None:
    client.send(Publish("provision", json.dumps({"name": name, **more}).encode(), QOS_1, 9, properties))


async def told(client: Client) -> Publish:
    """What is said to it, whatever is acknowledged meanwhile."""
    while True:
        packet = await client.packet()
        if isinstance(packet, Publish):
            client.send(Puback(packet.packet_id))
            return packet
        assert isinstance(packet, Puback), packet


async def refusal(client: Client, *args: Any, **more: Any) -> str:
    ask(client, *args, **more)
    answer = await told(client)
    assert answer.topic == "provision/rejected"
    return json.loads(answer.payload)["error"]


async def test_a_device_becomes_one_by_a_code_and_comes_back_as_itself(world: World, version: int) -> None:
    gateway = await world.gateway()
    await world.claim(gateway, uses=2, groups=("line-3",), model="pump")
    client = await gateway.by_claim(version)
    ask(client, attributes={"site": "north"})
    answer = await told(client)
    assert answer.topic == "provision/accepted"
    said = json.loads(answer.payload)
    assert (said["name"], said["certificate"], said["ca"]) == ("pump-7", "", "")
    back, code = await gateway.tries(said["token"], version, "pump-7")
    assert code is R.SUCCESS
    back.publish(b"{}", topic="devices/pump-7/telemetry")
    await back.acknowledged(1)
    assert [identity.device for identity, _, _ in gateway.intake.accepted] == ["pump-7"]
    device = await world.registry.device("pump-7")
    assert device is not None
    assert (device.groups, device.model, device.attributes) == (("line-3",), "pump", (("site", "north"),))
    assert await world.uses() == 1


async def test_the_answer_goes_where_the_request_says_with_what_it_says(world: World) -> None:
    gateway = await world.gateway()
    await world.claim(gateway)
    client = await gateway.by_claim()
    ask(client, properties=Properties(response_topic="provision/answers/1", correlation_data=b"\0\1"))
    answer = await told(client)
    given = answer.properties
    assert (answer.topic, given.correlation_data, given.content_type) == (
        "provision/answers/1", b"\0\1", "application/json",
    )  # fmt: skip


async def test_a_device_gets_a_certificate_for_its_own_key(world: World) -> None:
    gateway = await world.gateway()
    await world.claim(gateway)
    client = await gateway.by_claim()
    ask(client, request=asked("pump-7"))
    said = json.loads((await told(client)).payload)
    certificate = x509.load_pem_x509_certificate(said["certificate"].encode())
    shown = Certificate(certificate.fingerprint(hashes.SHA256()).hex(), "pump-7")
    assert gateway.directory.identify_certificate(shown, "registry").device == "pump-7"
    assert said["ca"].encode() == world.authority.certificate


async def test_of_two_gateways_one_adds_a_device_by_the_last_use(world: World) -> None:
    gateways = [await world.gateway(), await world.gateway()]
    await world.claim(*gateways, uses=1)
    clients = [await gateway.by_claim() for gateway in gateways]
    for number, client in enumerate(clients):
        ask(client, f"pump-{number}")
    async with asyncio.timeout(LIMIT):
        answers = await asyncio.gather(*map(told, clients))
    assert sorted(answer.topic for answer in answers) == ["provision/accepted", "provision/rejected"]
    assert len(await world.registry.devices()) == 1
    assert await world.uses() == 0
    assert (await gateways[0].tries(CODE))[1] is R.NOT_AUTHORIZED


async def test_what_the_claim_is_not_for_is_refused_and_can_be_asked_better(world: World, version: int) -> None:
    gateway = await world.gateway()
    await world.claim(gateway)
    client = await gateway.by_claim(version)
    assert await refusal(client, "valve-7") == "not_authorized"
    assert await refusal(client, "pump/7") == "bad_device"
    assert await refusal(client, "pump-7", more=1) == "bad_shape"
    assert await refusal(client, "pump-7", request="no request") == "bad_value"
    assert await refusal(client, "pump-7", attributes={"x" * 65: ""}) == "bad_value"
    client.send(Publish("provision", b"{", QOS_1, 9))
    assert json.loads((await told(client)).payload)["error"] == "bad_json"
    assert await world.uses() == 1
    ask(client)
    assert (await told(client)).topic == "provision/accepted"


async def test_a_name_that_is_taken_keeps_its_credentials(world: World) -> None:
    gateway = await world.gateway()
    await world.claim(gateway, uses=2)
    first, second = await gateway.by_claim(), await gateway.by_claim()
    ask(first)
    token = json.loads((await told(first)).payload)["token"]
    assert await refusal(second) == "conflict"
    assert (await gateway.tries(token, name="pump-7"))[1] is R.SUCCESS


@pytest.mark.parametrize("everything", [False, True])
async def test_nothing_else_may_be_published_and_nothing_else_heard(
    world: World, version: int, everything: bool
) -> None:
    gateway = await world.gateway(everything=everything)
    await world.claim(gateway)
    client = await gateway.by_claim(version)
    refused = [R.NOT_AUTHORIZED if version == 5 else R.UNSPECIFIED_ERROR]
    for pattern in ("#", "devices/pump-7/commands/#", "$share/g/provision/#", "provisions"):
        assert list((await client.subscribe(pattern)).codes) == refused
    client.publish(b"{}", topic="devices/pump-7/telemetry")
    if version == 5:
        assert (await client.disconnected()).code is R.NOT_AUTHORIZED
    else:
        await client.closed()
    assert gateway.intake.accepted == []


async def test_what_others_publish_does_not_reach_who_waits_for_a_token(world: World) -> None:
    gateway = await world.gateway(everything=True)
    await world.claim(gateway, uses=3)
    waits, other = await gateway.by_claim(), await gateway.by_claim()
    ask(other)
    token = json.loads((await told(other)).payload)["token"]
    device, _ = await gateway.tries(token, name="pump-7")
    device.publish(b'{"token":"forged"}', topic="provision/accepted")
    await device.acknowledged(1)
    await waits.nothing()


async def test_neither_a_will_nor_a_session_comes_with_a_claim(world: World) -> None:
    gateway = await world.gateway()
    await world.claim(gateway)
    assert (await gateway.tries(CODE, will=will()))[1] is R.NOT_AUTHORIZED
    assert (await gateway.tries(CODE, clean=False))[1] is R.NOT_AUTHORIZED
    lasting = Properties(session_expiry_interval=60)
    assert (await gateway.tries(CODE, properties=lasting))[1] is R.NOT_AUTHORIZED


async def test_an_expired_removed_or_wrong_code_opens_nothing(world: World) -> None:
    gateway = await world.gateway()
    await world.claim(gateway, expires=now() - 1)
    assert (await gateway.tries(CODE))[1] is R.NOT_AUTHORIZED
    assert (await gateway.tries("hw_c_wrong"))[1] is R.BAD_USER_NAME_OR_PASSWORD
    await world.claim(gateway, removed=True)
    assert (await gateway.tries(CODE))[1] is R.BAD_USER_NAME_OR_PASSWORD


async def test_attempts_are_bounded_for_each_address(world: World) -> None:
    gateway = await world.gateway(claims=0.01)
    await world.claim(gateway)
    assert (await gateway.tries("hw_c_wrong"))[1] is R.BAD_USER_NAME_OR_PASSWORD
    assert (await gateway.tries(CODE))[1] is R.CONNECTION_RATE_EXCEEDED


async def test_requests_of_a_connection_are_bounded(world: World) -> None:
    gateway = await world.gateway()
    await world.claim(gateway)
    client = await gateway.by_claim()
    for _ in range(10):
        assert await refusal(client, "valve-1") == "not_authorized"
    ask(client)
    assert (await client.disconnected()).code is R.QUOTA_EXCEEDED
    assert await world.uses() == 1


async def test_many_devices_with_one_client_id_do_not_end_each_other(world: World) -> None:
    gateway = await world.gateway()
    await world.claim(gateway, uses=20)
    clients = [await gateway.by_claim() for _ in range(20)]
    for number, client in enumerate(clients):
        ask(client, f"pump-{number}")
    async with asyncio.timeout(LIMIT):
        answers = await asyncio.gather(*map(told, clients))
    assert {answer.topic for answer in answers} == {"provision/accepted"}
    assert len({json.loads(answer.payload)["token"] for answer in answers}) == 20
    assert await world.uses() == 0

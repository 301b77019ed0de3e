"""Clients that nobody here wrote, unmodified: Debian's mosquitto_pub and mosquitto_sub, paho, aiomqtt; 3.1.1 and 5.

Behind the endpoint is the real intake on a real SQLite log, so an acknowledgement means that the message is there.
"""

import asyncio
import shutil
import socket
import threading
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import aiomqtt
import pytest
from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties as PahoProperties
from paho.mqtt.reasoncodes import ReasonCode as PahoReasonCode

from headwater.app.events import topics
from headwater.config import Config
from headwater.log import MESSAGES, REJECTED
from headwater.message import Message, decode_message, decode_rejected
from headwater.metrics import Metrics
from ingest.intake import LogIntake
from ingest.mqtt.server import MqttServer, open_mqtt
from storage.sqlite_log import SqliteLog, open_log
from tests.ingest.mqtt.kit import ScriptedDoor, until

TOPIC = "devices/pump-7/telemetry"
GOOD = '{"at": 1763719000123, "fields": {"temperature": 21.5, "state": "on"}}'
SECONDS = 20.0


class Gateway:
    """The endpoint, the log behind it, and who may come in."""

    def __init__(self, server: MqttServer, log: SqliteLog, door: ScriptedDoor, metrics: Metrics) -> None:
        self.server = server
        self.port = server.port
        self.log = log
        self.door = door
        self.metrics = metrics

    def subscriptions(self) -> int:
        return self.server._broker.router.subscriptions.count  # pyright: ignore[reportPrivateUsage]

    def cut(self) -> None:
        """Close all connections without a word."""
        for connection in list(self.server._broker.connections):  # pyright: ignore[reportPrivateUsage]
            connection.abort()

    def members(self) -> int:
        """Of shared subscriptions."""
        return self.server._broker.plane.table.groups.members.count  # pyright: ignore[reportPrivateUsage]

    async def values(self, topic: str = MESSAGES) -> list[bytes]:
        found: list[bytes] = []
        for partition in range(4):
            async for batch in self.log.read(topic, partition, 0):
                found += [entry.value for entry in batch if entry.value is not None]
        return found

    async def messages(self) -> list[Message]:
        return [decode_message(value) for value in await self.values()]


@asynccontextmanager
async def running(folder: Path, listen: str = "127.0.0.1:0") -> AsyncGenerator[Gateway, None]:
    config, metrics, door = Config(), Metrics(), ScriptedDoor()
    async with (
        open_log(folder / "log.sqlite", topics(config.log)) as log,
        LogIntake(log, config, metrics, lambda _device: "") as intake,
        open_mqtt(config, intake, door, metrics, log, listen=listen) as server,
    ):
        yield Gateway(server, log, door, metrics)
        server.stop_accepting()
        await intake.drain(5)


@pytest.fixture
async def gateway(tmp_path: Path) -> AsyncGenerator[Gateway, None]:
    async with running(tmp_path) as made:
        yield made


@asynccontextmanager
async def tool(name: str, *arguments: str, port: int, feed: bytes | None = None) -> AsyncGenerator[Process, None]:
    """Run one of Debian's clients; it does not outlive the block."""
    path = shutil.which(name)
    assert path, f"{name} is not installed: apt-get install -y --no-install-recommends mosquitto-clients"
    process = await asyncio.create_subprocess_exec(
        path, "-h", "127.0.0.1", "-p", str(port), *arguments,
        stdin=PIPE if feed is not None else None, stdout=PIPE, stderr=PIPE,
    )  # fmt: skip
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def publish(*arguments: str, port: int, feed: bytes | None = None) -> tuple[int | None, str]:
    """Run mosquitto_pub; returns its exit code and what it said on the standard error."""
    async with tool("mosquitto_pub", *arguments, port=port, feed=feed) as process:
        _, errors = await asyncio.wait_for(process.communicate(feed), SECONDS)
        return process.returncode, errors.decode()


VERSIONS = pytest.mark.parametrize("option", ["mqttv311", "mqttv5"])


@VERSIONS
@pytest.mark.parametrize("qos", ["0", "1", "2"])
async def test_mosquitto_pub_sends_a_message_to_the_log(gateway: Gateway, option: str, qos: str) -> None:
    outcome = await publish("-V", option, "-q", qos, "-t", TOPIC, "-m", GOOD, port=gateway.port)
    assert outcome == (0, "")
    while not (found := await gateway.messages()):
        assert qos == "0"  # only this one says nothing of when it is there
        await asyncio.sleep(0.005)
    (message,) = found
    assert (message.device, message.at, message.fields) == ("pump-7", 1763719000123000, {"temperature": 21.5})
    assert message.texts == {"state": "on"}


@VERSIONS
async def test_mosquitto_pub_sends_many_lines_over_one_connection(gateway: Gateway, option: str) -> None:
    lines = b"".join(b'{"seq":%d,"fields":{"n":%d}}\n' % (number, number) for number in range(3000))
    outcome = await publish("-V", option, "-q", "1", "-t", TOPIC, "-l", port=gateway.port, feed=lines)
    assert outcome == (0, "")
    assert [message.seq for message in await gateway.messages()] == list(range(3000))


async def test_mosquitto_pub_in_5_is_told_why_a_message_is_not_valid(gateway: Gateway) -> None:
    _, said = await publish("-V", "mqttv5", "-q", "1", "-t", TOPIC, "-m", "{no json", port=gateway.port)
    assert "Payload format invalid" in said
    (value,) = await gateway.values(REJECTED)
    assert decode_rejected(value).reason == "bad_json"
    code, _ = await publish("-q", "1", "-t", "no/such/topic", "-m", GOOD, port=gateway.port)
    assert code == 0
    reasons = {decode_rejected(value).reason for value in await gateway.values(REJECTED)}
    assert reasons == {"bad_json", "no_decoder"}


async def test_mosquitto_pub_with_a_wrong_token_is_refused(gateway: Gateway) -> None:
    token = gateway.door.add("pump-7")
    good = ("-u", "pump-7", "-P", token)
    assert (await publish(*good, "-q", "1", "-t", TOPIC, "-m", GOOD, port=gateway.port))[0] == 0
    for option in ("mqttv311", "mqttv5"):
        bad = ("-V", option, "-u", "pump-7", "-P", "wrong")
        code, said = await publish(*bad, "-q", "1", "-t", TOPIC, "-m", GOOD, port=gateway.port)
        assert code not in {0, None}
        assert "refused" in said.lower() or "not authori" in said.lower() or "bad user" in said.lower()
    other = ("-V", "mqttv5", "-q", "1", "-t", "devices/other/telemetry", "-m", GOOD)
    assert "Not authorized" in (await publish(*good, *other, port=gateway.port))[1]
    assert [message.device for message in await gateway.messages()] == ["pump-7"]


@VERSIONS
@pytest.mark.parametrize("qos", ["0", "1", "2"])
async def test_mosquitto_sub_hears_what_is_published(gateway: Gateway, option: str, qos: str) -> None:
    arguments = ("-V", option, "-q", qos, "-t", "devices/+/telemetry", "-C", "2", "-v")
    async with tool("mosquitto_sub", *arguments, port=gateway.port) as listener:
        await until(gateway.subscriptions)
        for device in ("pump-7", "pump-8"):
            assert (await publish("-q", qos, "-t", f"devices/{device}/telemetry", "-m", GOOD, port=gateway.port))[
                0
            ] == 0
        said = (await asyncio.wait_for(listener.communicate(), SECONDS))[0].decode()
        assert said.splitlines() == [f"devices/{device}/telemetry {GOOD}" for device in ("pump-7", "pump-8")]
        assert listener.returncode == 0


async def test_mosquitto_sub_that_may_not_is_told_so(gateway: Gateway) -> None:
    token = gateway.door.add("pump-7")
    async with tool("mosquitto_sub", "-u", "pump-7", "-P", token, "-t", "#", port=gateway.port) as listener:
        _, errors = await asyncio.wait_for(listener.communicate(), SECONDS)
    assert b"denied" in errors.lower()


def in_thread(work: Callable[[], None]) -> "asyncio.Future[None]":
    return asyncio.get_running_loop().run_in_executor(None, work)


@pytest.mark.parametrize("protocol", [MQTTProtocolVersion.MQTTv311, MQTTProtocolVersion.MQTTv5])
async def test_paho_publishes_subscribes_and_leaves(gateway: Gateway, protocol: MQTTProtocolVersion) -> None:
    heard: list[bytes] = []
    finished = threading.Event()
    subscribed = threading.Event()

    def on_message(_client: paho.Client, _data: object, message: paho.MQTTMessage) -> None:
        heard.append(bytes(message.payload))
        if len(heard) == 60:
            finished.set()

    def on_subscribe(*_: object) -> None:
        subscribed.set()

    def talk() -> None:
        client = paho.Client(CallbackAPIVersion.VERSION2, "paho", protocol=protocol)
        client.will_set("devices/pump-7/telemetry", b'{"fields":{"gone":true}}', 1)
        client.on_message = on_message
        client.on_subscribe = on_subscribe
        client.connect("127.0.0.1", gateway.port)
        client.loop_start()
        client.subscribe("devices/#", 2)
        assert subscribed.wait(SECONDS)
        for number in range(60):
            info = client.publish(TOPIC, b'{"seq":%d,"fields":{"n":1}}' % number, qos=number % 3)
            info.wait_for_publish(SECONDS)
        assert finished.wait(SECONDS)
        client.disconnect()
        client.loop_stop()

    await in_thread(talk)
    assert sorted(heard) == sorted(b'{"seq":%d,"fields":{"n":1}}' % number for number in range(60))
    assert {message.seq for message in await gateway.messages()} == set(range(60))
    assert "gone" not in {name for message in await gateway.messages() for name in message.fields}


async def test_paho_in_5_reads_reason_codes_and_what_there_is_not(gateway: Gateway) -> None:
    codes: list[PahoReasonCode] = []
    connected: list[PahoProperties] = []
    done = threading.Event()

    def on_connect(
        _c: paho.Client, _d: object, _f: object, _code: PahoReasonCode, given: PahoProperties | None
    ) -> None:
        if given is not None:
            connected.append(given)

    def on_publish(_c: paho.Client, _d: object, _mid: int, code: PahoReasonCode, _given: object) -> None:
        codes.append(code)
        if len(codes) == 2:
            done.set()

    def talk() -> None:
        client = paho.Client(CallbackAPIVersion.VERSION2, "paho5", protocol=MQTTProtocolVersion.MQTTv5)
        client.on_connect = on_connect
        client.on_publish = on_publish
        client.connect("127.0.0.1", gateway.port)
        client.loop_start()
        given = PahoProperties(PacketTypes.PUBLISH)
        given.UserProperty = [("site", "north")]
        given.ContentType = "application/json"
        given.TopicAlias = 1
        client.publish(TOPIC, GOOD, qos=1, properties=given).wait_for_publish(SECONDS)
        client.publish(TOPIC, "not json", qos=1).wait_for_publish(SECONDS)
        assert done.wait(SECONDS)
        client.disconnect()
        client.loop_stop()

    await in_thread(talk)
    assert [str(code) for code in codes] == ["Success", "Payload format invalid"]
    told = connected[0].json()
    assert "RetainAvailable" not in told
    assert "SharedSubscriptionAvailable" not in told
    assert told["ReceiveMaximum"] == 100


@pytest.mark.parametrize("protocol", [aiomqtt.ProtocolVersion.V311, aiomqtt.ProtocolVersion.V5])
async def test_aiomqtt_gets_a_command_and_answers(gateway: Gateway, protocol: aiomqtt.ProtocolVersion) -> None:
    token = gateway.door.add("pump-7")
    loop = asyncio.new_event_loop()  # paho's socket callbacks need a loop with add_reader for plain sockets

    async def device() -> None:
        async with aiomqtt.Client(
            "127.0.0.1", gateway.port, username="pump-7", password=token, protocol=protocol, timeout=SECONDS
        ) as client:
            await client.subscribe("devices/pump-7/#", qos=1)
            await client.publish(TOPIC, GOOD, qos=1)
            async for message in client.messages:
                assert str(message.topic) == TOPIC
                assert message.payload == GOOD.encode()
                break

    await in_thread(lambda: loop.run_until_complete(asyncio.wait_for(device(), SECONDS)))
    loop.close()
    (message,) = await gateway.messages()
    assert message.device == "pump-7"


async def test_a_client_that_resends_after_a_restart_is_logged_once(tmp_path: Path) -> None:
    async with running(tmp_path) as gateway:
        port = gateway.port
        assert (await publish("-q", "1", "-t", TOPIC, "-m", GOOD, port=port))[0] == 0
        assert (await publish("-q", "1", "-t", TOPIC, "-m", GOOD, port=port))[0] == 0
        assert len(await gateway.messages()) == 1
        await until(lambda: gateway.metrics.sample("duplicate_total", transport="mqtt") == 1)
        await until(lambda: gateway.metrics.sample("connections", transport="mqtt") == 0)
    async with running(tmp_path, f"127.0.0.1:{port}") as again:
        assert (await publish("-q", "1", "-t", TOPIC, "-m", '{"seq":2,"fields":{"n":2}}', port=port))[0] == 0
        assert len(await again.messages()) == 2


async def test_localhost_means_both_kinds_of_loopback(tmp_path: Path) -> None:
    if not socket.has_ipv6:
        raise AssertionError("this machine has no IPv6: localhost is one address only")
    async with running(tmp_path, "localhost:0") as gateway:
        assert (await publish("-q", "1", "-t", TOPIC, "-m", GOOD, port=gateway.port))[0] == 0

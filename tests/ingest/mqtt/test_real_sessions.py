"""Sessions, retained messages and shared subscriptions with clients that no one here wrote, on the SQLite log.

`mosquitto_pub` and `mosquitto_sub`, gmqtt; the endpoint and its log are closed and opened again in between.
"""

import asyncio
import json
from collections.abc import AsyncGenerator
from pathlib import Path

import gmqtt
import pytest

from tests.ingest.mqtt.kit import until
from tests.ingest.mqtt.test_real_clients import SECONDS, TOPIC, VERSIONS, Gateway, publish, running, tool


def message(number: int) -> str:
    return json.dumps({"seq": number, "fields": {"n": number}})


@pytest.fixture
async def gateway(tmp_path: Path) -> AsyncGenerator[Gateway, None]:
    async with running(tmp_path) as made:
        yield made


LASTING = {"mqttv311": ("-c",), "mqttv5": ("-c", "-x", "3600")}


async def said_by_sub(*arguments: str, port: int) -> list[str]:
    """What mosquitto_sub prints until it leaves."""
    async with tool("mosquitto_sub", *arguments, port=port) as process:
        output, errors = await asyncio.wait_for(process.communicate(), SECONDS)
        assert process.returncode == 0, errors
        return output.decode().splitlines()


@VERSIONS
async def test_mosquitto_sub_finds_what_came_while_it_and_the_endpoint_were_away(tmp_path: Path, option: str) -> None:
    mine = ("-V", option, "-i", "lasting", "-q", "1", "-t", "devices/#", *LASTING[option])
    async with running(tmp_path) as gateway:
        assert await said_by_sub(*mine, "-E", port=gateway.port) == []
        for number in (1, 2):
            assert (await publish("-q", "1", "-t", TOPIC, "-m", message(number), port=gateway.port))[0] == 0
    async with running(tmp_path) as gateway:
        assert (await publish("-q", "2", "-t", TOPIC, "-m", message(3), port=gateway.port))[0] == 0
        assert await said_by_sub(*mine, "-C", "3", port=gateway.port) == [message(n) for n in (1, 2, 3)]
        assert (await publish("-q", "1", "-t", TOPIC, "-m", message(4), port=gateway.port))[0] == 0
        heard: list[str] = []
        while message(4) not in heard:  # it leaves with the third message, maybe before it has acknowledged it
            heard += await said_by_sub(*mine, "-C", "1", port=gateway.port)
        assert heard == sorted(heard)


@VERSIONS
async def test_mosquitto_pub_retains_and_forgets(gateway: Gateway, option: str) -> None:
    mine = ("-V", option, "-q", "1", "-t", TOPIC)
    for number in (1, 2):
        assert await publish(*mine, "-r", "-m", message(number), port=gateway.port) == (0, "")
    assert await said_by_sub(*mine, "-C", "1", "-F", "%r %p", port=gateway.port) == [f"1 {message(2)}"]
    assert await said_by_sub(*mine, "-R", "-E", port=gateway.port) == []
    assert await publish(*mine, "-r", "-n", port=gateway.port) == (0, "")
    assert await said_by_sub(*mine, "-E", port=gateway.port) == []
    assert [kept.seq for kept in await gateway.messages()] == [1, 2]


@VERSIONS
async def test_mosquitto_subs_share_a_subscription(gateway: Gateway, option: str) -> None:
    mine = ("-V", option, "-q", "1", "-t", "$share/workers/devices/#", "-C", "2")
    async with (
        tool("mosquitto_sub", *mine, port=gateway.port) as one,
        tool("mosquitto_sub", *mine, port=gateway.port) as two,
    ):
        await until(lambda: gateway.members() == 2)
        lines = "\n".join(message(number) for number in range(4)).encode()
        assert await publish("-q", "1", "-t", TOPIC, "-l", port=gateway.port, feed=lines) == (0, "")
        heard = [(await asyncio.wait_for(sub.communicate(), SECONDS))[0].decode().splitlines() for sub in (one, two)]
    assert sorted(heard[0] + heard[1]) == [message(number) for number in range(4)]


async def test_gmqtt_resumes_and_its_will_waits(gateway: Gateway) -> None:
    will = gmqtt.Message(TOPIC, message(9), qos=1, will_delay_interval=1)
    heard: asyncio.Queue[bytes] = asyncio.Queue()
    present: asyncio.Queue[int] = asyncio.Queue()
    subscribed = asyncio.Event()

    def on_message(_client: object, _topic: str, payload: bytes, _qos: int, _properties: object) -> int:
        heard.put_nowait(payload)
        return 0

    def on_subscribe(*_: object) -> None:
        subscribed.set()

    def on_connect(_client: object, flags: int, _code: int, _given: object) -> None:
        present.put_nowait(flags)

    def client_of(name: str, *, clean: bool, will: gmqtt.Message | None = None) -> gmqtt.Client:
        client = gmqtt.Client(name, clean_session=clean, will_message=will, session_expiry_interval=3600)
        client.set_config({"reconnect_retries": 0})
        client.on_message = on_message
        client.on_subscribe = on_subscribe
        client.on_connect = on_connect
        return client

    first = client_of("lasting", clean=True, will=will)
    await asyncio.wait_for(first.connect("127.0.0.1", gateway.port), SECONDS)
    first.subscribe("devices/#", qos=1)
    await asyncio.wait_for(subscribed.wait(), SECONDS)
    gateway.cut()
    await until(lambda: not gateway.subscriptions())
    assert await publish("-q", "1", "-t", TOPIC, "-m", message(1), port=gateway.port) == (0, "")
    again = client_of("lasting", clean=False)
    await asyncio.wait_for(again.connect("127.0.0.1", gateway.port), SECONDS)
    assert [await asyncio.wait_for(present.get(), SECONDS) for _ in range(2)] == [0, 1]
    assert await asyncio.wait_for(heard.get(), SECONDS) == message(1).encode()
    assert [kept.seq for kept in await gateway.messages()] == [1]  # it was back before the will was due
    await asyncio.wait_for(again.disconnect(), SECONDS)

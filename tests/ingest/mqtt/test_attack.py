"""Those who mean harm: each is refused as documented, memory stays bounded, and nobody else notices."""

import asyncio
import resource
import socket

import pytest

from headwater.errors import Refused
from headwater.log import REJECTED
from headwater.message import decode_rejected
from ingest.mqtt.connection import Connection
from ingest.mqtt.encoding import encode
from ingest.mqtt.packets import Connack, Connect, Puback, Publish, Suback, Subscribe, Subscription, Unsubscribe
from ingest.mqtt.packets import Unsuback as Unsubacked
from tests.ingest.mqtt.kit import TIMEOUT, Client, Endpoint, until
from tests.ingest.mqtt.test_any_talk import Pipe
from tests.ingest.mqtt.test_real_clients import Gateway, gateway

__all__ = ["gateway"]  # a fixture


async def served(here: Endpoint, name: str = "good") -> None:
    """Someone who does as they should is served."""
    client = await here.connected(name)
    client.publish(b"1")
    await client.acknowledged(1)
    await client.close()


async def test_connects_that_dribble_in_are_closed_in_time_however_busy_they_keep(here: Endpoint) -> None:
    hello = encode(Connect(5, "slow"), 5)
    slow = [await here.client() for _ in range(200)]
    for second in range(9):
        for client in slow:
            client.send_bytes(hello[second : second + 1])
        await until(lambda at=second: _waiting(here) == 200 * (at + 1))
        here.after(1)
    await served(here)
    here.after(2)
    for client in slow:
        await client.closed()
    await until(lambda: not here.broker.connections)
    assert here.metrics.sample("mqtt_closed_total", reason="connect_time") == 200


def _waiting(here: Endpoint) -> int:
    """Bytes of packets that are not complete."""
    connections = [one for one in here.broker.connections if isinstance(one, Connection)]
    return sum(connection._reader.waiting for connection in connections)  # pyright: ignore[reportPrivateUsage]


async def test_a_socket_whose_peer_is_gone_without_a_word_costs_nothing_for_long(here: Endpoint) -> None:
    for number in range(100):
        await here.connected(f"gone{number}", keep_alive=10)
    await served(here)
    here.after(16)
    await until(lambda: len(here.broker.sessions) == 0)


@pytest.mark.parametrize(
    "said", [b"\xc0\0" * 1000, encode(Subscribe(1, (Subscription("t"),)), 5) * 300], ids=["ping", "subscribe"]
)
async def test_one_who_asks_and_asks_and_never_reads_is_closed(here: Endpoint, said: bytes) -> None:
    with socket.socket() as narrow:
        narrow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)  # or the kernel keeps megabytes
        narrow.setblocking(False)
        await asyncio.get_running_loop().sock_connect(narrow, ("127.0.0.1", here.server.port))
        client = here.keep(Client(*await asyncio.open_connection(sock=narrow.dup()), 5))
    await client.connect("asker")
    client.pause()
    (connection,) = here.broker.connections
    assert isinstance(connection, Connection)
    transport = connection._stream._transport  # pyright: ignore[reportPrivateUsage]
    assert transport is not None
    transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    loop = asyncio.get_running_loop()
    deadline = loop.time() + 30
    while here.metrics.sample("mqtt_closed_total", reason="slow") != 1:
        assert loop.time() < deadline
        client.send_bytes(said)
        await asyncio.sleep(0)
    await served(here)


def _growth() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


async def test_very_many_topics_leave_no_trace(here: Endpoint) -> None:
    """Each is another one, and someone has subscribed, so that each is looked up."""
    here.intake.at_once = True
    listener = await here.connected("listener")
    await listener.subscribe("other/+/t")
    sender, pipe = Connection(here.broker), Pipe()
    sender.connection_made(pipe)
    sender.data_received(encode(Connect(4, "sender"), 4))
    begun = 0
    for thousand in range(200):
        names = (b"devices/d%06d/t" % number for number in range(thousand * 1000, thousand * 1000 + 1000))
        sender.data_received(b"".join(b"\x30\x13\0\x11" + name for name in names))
        assert len(here.intake.accepted) == 1000
        here.intake.accepted.clear()
        if thousand == 100:
            begun = _growth()
        if thousand % 50 == 0:
            await asyncio.sleep(0)
    assert _growth() - begun < 30 * 1024  # KiB
    sender.connection_lost(None)
    await served(here)


async def test_filters_that_come_and_go_leave_no_trace(here: Endpoint) -> None:
    client = await here.connected("churn")
    for round_ in range(100):
        filters = [f"f{round_}/{number}/+/#" for number in range(40)]
        client.send(Subscribe(1, tuple(Subscription(one) for one in filters)), Unsubscribe(2, tuple(filters)))
        await client.expect(Suback)
        await client.expect(Unsubacked)
    subscriptions = here.broker.router.subscriptions
    assert subscriptions.count == 0
    assert not subscriptions._root.below  # pyright: ignore[reportPrivateUsage]


@pytest.mark.parametrize("name", ["../../etc/passwd", "+", "#", "$SYS", "a/b", "x" * 256, "é漢", "devices/d2", " "])
async def test_a_client_id_is_a_name_and_nothing_more(here: Endpoint, name: str) -> None:
    """It gives no rights, and takes nobody's session."""
    one, two = here.door.add("d1"), here.door.add("d2")
    victim = await here.connected(name, username="d2", password=two.encode())
    forger = await here.connected(name, username="d1", password=one.encode())
    assert (await forger.subscribe("devices/d2/#")).codes == (0x87,)
    await victim.nothing()


async def test_a_client_id_with_a_null_character_cannot_name_anothers_session(here: Endpoint) -> None:
    client = await here.client()
    good = encode(Connect(5, "d2~c"), 5)
    client.send_bytes(good.replace(b"~", b"\0"))
    assert (await client.expect(Connack)).code == 0x81


async def test_guessing_passwords_is_refused_each_time_and_counted(here: Endpoint) -> None:
    here.door.add("d1")
    for number in range(50):
        client = await here.client()
        connack = await client.connect(username="d1", password=b"guess %d" % number)
        assert connack.code == 0x86
        await client.close()
    assert here.metrics.sample("refused_total", transport="mqtt", reason="bad_credentials") == 50
    here.door.refuse = Refused("over_quota", "slowly")
    client = await here.client()
    assert (await client.connect()).code == 0x97


DEVICES = ["..", ".", "...", "a b", "-a", "$SYS", "a\u202eb", "x" * 129, "%2e%2e", "a%2Fb", "CON\\x"]


async def test_a_device_named_like_a_path_or_with_marks_is_rejected_with_its_reason(gateway: Gateway) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
    client = Client(reader, writer, 5)
    await client.connect("c1")
    for number, device in enumerate(DEVICES, 1):
        client.send(Publish(f"devices/{device}/telemetry", b'{"fields":{"n":1}}', 2, number))
    codes = [(await client.expect(Puback)).code for _ in DEVICES]
    assert set(codes) == {0x90}
    assert await gateway.messages() == []
    reasons = {decode_rejected(value).reason for value in await gateway.values(REJECTED)}
    assert reasons <= {"bad_device", "no_decoder", "bad_topic"}
    for topic in ("devices/+/telemetry", "devices/#"):
        client.send(Publish(topic, b"{}", 2, 1))
        assert (await client.disconnected()).code == 0x90
        writer.close()
        reader, writer = await asyncio.wait_for(asyncio.open_connection("127.0.0.1", gateway.port), TIMEOUT)
        client = Client(reader, writer, 5)
        await client.connect("c1")
    await client.close()

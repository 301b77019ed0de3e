"""CONNECT: who comes in, what they are told, and who does not."""

import asyncio

import pytest

from headwater.errors import ConfigError, Refused, RefusedReason, Unavailable
from ingest.mqtt.packets import Connack, Connect, Pingreq, Pingresp, Publish
from ingest.mqtt.properties import Properties
from ingest.mqtt.reasons import ReasonCode as R
from ingest.mqtt.terms import ALIASES
from tests.ingest.mqtt.kit import Endpoint, endpoint, until


async def test_version_5_is_told_what_there_is_and_what_there_is_not(here: Endpoint) -> None:
    client = await here.client(5)
    connack = await client.connect(keep_alive=60)
    assert connack == Connack(
        properties=Properties(
            receive_maximum=100,
            topic_alias_maximum=ALIASES,
            maximum_packet_size=128 * 1024 + 16 * 1024 + 1024,
        )
    )


async def test_version_4_gets_its_four_bytes(here: Endpoint) -> None:
    client = await here.client(4)
    client.send(Connect(4, "c1"))
    assert await client.stream.readexactly(4) == b"\x20\2\0\0"


async def test_the_keep_alive_that_holds_is_told(here: Endpoint) -> None:
    for number, (asked, told) in enumerate(((0, 3600), (60, None), (3600, None), (65_535, 3600))):
        client = await here.client(5)
        connack = await client.connect(f"c{number}", keep_alive=asked)
        assert connack.properties.server_keep_alive == told


async def test_a_client_without_an_id_is_given_one_of_its_own(here: Endpoint) -> None:
    names: set[str | None] = set()
    for _ in range(2):
        client = await here.client(5)
        names.add((await client.connect("")).properties.assigned_client_identifier)
    assert len(names) == 2
    assert None not in names
    old = await here.client(4)
    assert (await old.connect("")).code is R.SUCCESS


async def test_a_3_1_1_client_without_an_id_cannot_have_a_session(here: Endpoint) -> None:
    client = await here.client(4)
    assert (await client.connect("", clean=False)).code is R.CLIENT_IDENTIFIER_NOT_VALID
    await client.closed()


@pytest.mark.parametrize(
    ("reason", "code", "old"),
    [
        ("no_credentials", R.NOT_AUTHORIZED, 5),
        ("bad_credentials", R.BAD_USER_NAME_OR_PASSWORD, 4),
        ("not_authorized", R.NOT_AUTHORIZED, 5),
        ("disabled", R.NOT_AUTHORIZED, 5),
        ("over_quota", R.QUOTA_EXCEEDED, 3),
    ],
)
async def test_who_is_refused_is_told_why_and_counted(here: Endpoint, reason: RefusedReason, code: R, old: int) -> None:
    here.door.refuse = Refused(reason, "so it was told")
    client = await here.client(5)
    connack = await client.connect()
    assert connack.code is code
    assert connack.properties.reason_string == "so it was told"
    await client.closed()
    client = await here.client(4)
    client.send(Connect(4, "c1"))
    assert await client.stream.read() == bytes([0x20, 2, 0, old])
    assert here.metrics.sample("refused_total", transport="mqtt", reason=reason) == 2


async def test_a_door_that_cannot_know_refuses_for_now(here: Endpoint) -> None:
    here.door.refuse = Unavailable("the registry is away")
    client = await here.client(5)
    assert (await client.connect()).code is R.SERVER_UNAVAILABLE
    old = await here.client(4)
    assert (await old.connect()).code is R.SERVER_UNAVAILABLE


async def test_name_and_token_reach_the_door(here: Endpoint, version: int) -> None:
    token = here.door.add("pump-7")
    client = await here.client(version)
    assert (await client.connect(username="pump-7", password=token.encode())).code is R.SUCCESS
    client.publish(b"x")
    await client.acknowledged(1)
    (accepted,) = here.intake.accepted
    assert accepted[0].device == "pump-7"
    wrong = await here.client(version)
    assert (await wrong.connect(username="pump-7", password=b"else")).code is R.BAD_USER_NAME_OR_PASSWORD
    binary = await here.client(version)
    assert (await binary.connect(username="pump-7", password=b"\xff")).code is R.BAD_USER_NAME_OR_PASSWORD


async def test_a_version_that_is_not_spoken_is_told_so(here: Endpoint) -> None:
    client = await here.client()
    client.send_bytes(b"\x10\x0f\0\4MQTT\x06\2\0\0\0\0\2c1")
    assert (await client.expect(Connack)).code is R.UNSUPPORTED_PROTOCOL_VERSION
    await client.closed()
    old = await here.client()
    old.send_bytes(b"\x10\x10\0\6MQIsdp\x03\2\0\0\0\2c1")
    assert await old.stream.read() == b"\x20\2\0\1"


async def test_something_else_than_connect_first_is_closed_without_a_word(here: Endpoint) -> None:
    for data in (b"\xc0\0", b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00"):
        client = await here.client()
        client.send_bytes(data)
        assert await client.stream.read() == b""


async def test_a_malformed_connect_is_answered_in_5_and_closed_in_3_1_1(here: Endpoint) -> None:
    client = await here.client(5)
    client.send_bytes(b"\x10\x0d\0\4MQTT\5\3\0\0\0\0\0")
    assert (await client.expect(Connack)).code is R.MALFORMED_PACKET
    await client.closed()
    old = await here.client(4)
    old.send_bytes(b"\x10\x0c\0\4MQTT\4\3\0\0\0\0")
    assert await old.stream.read() == b""


async def test_a_second_connect_ends_it(here: Endpoint) -> None:
    client = await here.connected()
    client.send(Connect(5, "c1"))
    assert (await client.disconnected()).code is R.PROTOCOL_ERROR
    old = await here.connected("c2", 4)
    old.send(Connect(4, "c2"))
    await old.closed()


async def test_enhanced_authentication_is_not_there(here: Endpoint) -> None:
    client = await here.client(5)
    connack = await client.connect(properties=Properties(authentication_method="SCRAM"))
    assert connack.code is R.BAD_AUTHENTICATION_METHOD
    await client.closed()


async def test_a_client_id_is_bounded(here: Endpoint, version: int) -> None:
    client = await here.client(version)
    assert (await client.connect("x" * 257)).code is R.CLIENT_IDENTIFIER_NOT_VALID
    await client.closed()


async def test_what_a_client_sends_behind_its_connect_is_taken(here: Endpoint, version: int) -> None:
    client = await here.client(version)
    client.send(Connect(version, "c1"), Publish("devices/d1/telemetry", b"early", 2, 1), Pingreq())
    await client.expect(Connack)
    assert {type(await client.packet()).__name__, type(await client.packet()).__name__} == {"Puback", "Pingresp"}
    assert here.intake.payloads == [b"early"]


async def test_what_a_refused_client_sends_behind_its_connect_is_not(here: Endpoint) -> None:
    here.door.refuse = Refused("disabled", "")
    client = await here.client()
    client.send(Connect(5, "c1"), Publish("devices/d1/telemetry", b"early", 2, 1))
    await client.expect(Connack)
    await client.closed()
    assert here.intake.payloads == []


async def test_too_many_connections_are_told_so() -> None:
    async with endpoint(connections=2) as here:
        await here.connected("c1")
        await here.connected("c2")
        client = await here.client(5)
        assert (await client.connect("c3")).code is R.SERVER_BUSY
        await client.closed()
        old = await here.client(4)
        assert (await old.connect("c3")).code is R.SERVER_UNAVAILABLE
        await old.closed()
        await until(lambda: here.metrics.sample("connections", transport="mqtt") == 2)


async def test_far_too_many_connections_are_closed_at_once() -> None:
    async with endpoint(connections=1) as here:
        for _ in range(101):
            await here.client()
        await until(lambda: here.metrics.sample("connections", transport="mqtt") == 101)
        beyond = await here.client()
        await beyond.closed()


async def test_who_does_not_say_connect_in_time_is_closed(here: Endpoint) -> None:
    silent = await here.client()
    slow = await here.client()
    slow.send_bytes(b"\x10\x20\0\4MQ")
    await until(lambda: here.metrics.sample("connections", transport="mqtt") == 2)
    here.after(9)
    slow.send_bytes(b"TT")
    await asyncio.sleep(0.01)
    here.after(2)
    await silent.closed()
    await slow.closed()
    assert here.metrics.sample("mqtt_closed_total", reason="connect_time") == 2


async def test_the_address_says_where_it_listens_and_one_that_is_taken_is_named() -> None:
    async with endpoint() as here:
        assert here.server.address == f"127.0.0.1:{here.server.port}"
        with pytest.raises(ConfigError, match=r"mqtt\.listen.*in use"):
            async with endpoint(listen=here.server.address):
                pass


async def test_ping_is_answered(here: Endpoint, version: int) -> None:
    client = await here.connected(version=version)
    client.send(Pingreq())
    await client.expect(Pingresp)

"""How connections end: by keep alive, takeover, revocation, DISCONNECT, a stop of the endpoint; and what wills do then."""

import asyncio

import pytest

from headwater.config import Config
from headwater.errors import Rejected
from headwater.metrics import Metrics
from ingest.mqtt.packets import Auth, Connack, Connect, Disconnect, Pingreq, Pingresp, Puback, Publish
from ingest.mqtt.properties import Properties
from ingest.mqtt.reasons import ReasonCode as R
from ingest.mqtt.server import open_mqtt
from tests.ingest.mqtt.kit import Client, Clock, Endpoint, ScriptedDoor, ScriptedIntake, until, will
from tests.ingest.mqtt.log_kit import MemoryLog

WILL = ("devices/d1/telemetry", b"gone")


async def test_who_says_nothing_for_one_and_a_half_keep_alives_is_closed(here: Endpoint, version: int) -> None:
    client = await here.connected(version=version, keep_alive=10)
    here.after(14)
    client.send(Pingreq())
    await client.expect(Pingresp)
    here.after(14)
    client.publish(b"x", qos=0)
    await client.nothing()
    here.after(14)
    await client.nothing()
    here.after(17)
    if version == 5:
        assert (await client.disconnected()).code is R.KEEP_ALIVE_TIMEOUT
    else:
        await client.closed()
    assert here.metrics.sample("mqtt_closed_total", reason="keep_alive_timeout") == 1


async def test_the_longest_keep_alive_holds_for_those_who_ask_for_none(here: Endpoint, version: int) -> None:
    client = await here.connected(version=version, keep_alive=0)
    here.after(5000)
    await client.nothing()
    here.after(5402)
    if version == 5:
        await client.expect(Disconnect)
    await client.closed()


async def test_a_client_id_that_connects_again_ends_the_older_connection(here: Endpoint, version: int) -> None:
    older = await here.connected("same", version)
    here.intake.slow = True
    older.publish(b"1")
    await older.nothing()
    newer = await here.connected("same", version)
    if version == 5:
        assert (await older.disconnected()).code is R.SESSION_TAKEN_OVER
    else:
        await older.closed()
    newer.publish(b"2")
    await newer.nothing()
    here.intake.settle()
    assert await newer.acknowledged(1) == [1]
    assert here.intake.payloads == [b"1", b"2"]
    assert len(here.broker.sessions) == 1


async def test_the_subscriptions_of_a_session_taken_over_are_gone(here: Endpoint) -> None:
    older = await here.connected("same")
    await older.subscribe("#")
    newer = await here.connected("same")
    newer.publish(b"x")
    await newer.acknowledged(1)
    await newer.nothing()


async def test_nobody_ends_another_identity_s_session_by_its_client_id(here: Endpoint) -> None:
    tokens = {name: here.door.add(name).encode() for name in ("d1", "d2")}
    one = await here.connected("same", username="d1", password=tokens["d1"])
    two = await here.connected("same", username="d2", password=tokens["d2"])
    await one.nothing()
    await two.nothing()


async def test_a_change_of_rights_cuts_the_sessions_of_that_identity_at_once(here: Endpoint) -> None:
    token = here.door.add("d1").encode()
    clients = [await here.connected(f"c{n}", username="d1", password=token) for n in range(2)]
    old = await here.connected("old", 4, username="d1", password=token)
    other = await here.connected("other")
    here.door.change("d1")
    for client in clients:
        assert (await client.disconnected()).code is R.NOT_AUTHORIZED
    await old.closed()
    await other.nothing()
    assert here.metrics.sample("mqtt_closed_total", reason="not_authorized") == 3


async def test_disconnect_ends_it(here: Endpoint, version: int) -> None:
    client = await here.connected(version=version)
    client.send(Disconnect(), Pingreq())
    await client.closed()
    await until(lambda: not here.broker.connections)
    assert len(here.broker.sessions) == 0


async def test_a_session_that_ends_with_its_connection_cannot_be_made_to_last(here: Endpoint) -> None:
    client = await here.connected()
    client.send(Disconnect(properties=Properties(session_expiry_interval=60)))
    assert (await client.disconnected()).code is R.PROTOCOL_ERROR
    lasting = await here.connected("l", properties=Properties(session_expiry_interval=5))
    lasting.send(Disconnect(properties=Properties(session_expiry_interval=60)))
    await lasting.closed()


async def test_auth_is_against_the_protocol_here(here: Endpoint) -> None:
    client = await here.connected()
    client.send(Auth(R.RE_AUTHENTICATE))
    assert (await client.disconnected()).code is R.PROTOCOL_ERROR


async def test_a_client_reads_why_though_it_is_still_sending(here: Endpoint) -> None:
    client = await here.connected()
    client.send_bytes(b"\0\0" + b"x" * 500_000)
    assert (await client.disconnected()).code is R.MALFORMED_PACKET


async def test_a_client_that_does_not_go_is_cut_off(here: Endpoint) -> None:
    client = await here.connected()
    client.send_bytes(b"\0\0")
    await client.expect(Disconnect)
    assert len(here.broker.connections) == 1
    here.after(4)
    await until(lambda: not here.broker.connections)


async def wills_of(here: Endpoint, client: Client) -> list[tuple[str, bytes]]:
    """What has come to the intake by the time that the connection is known to be gone."""
    client.writer.close()
    await until(lambda: not here.broker.sessions)
    return [(source.topic, payload) for _, source, payload in here.intake.accepted]


async def test_who_vanishes_leaves_a_will_behind_all_it_said(here: Endpoint, version: int) -> None:
    client = await here.connected(version=version, will=will())
    client.publish(b"last")
    await client.acknowledged(1)
    assert await wills_of(here, client) == [("devices/d1/telemetry", b"last"), WILL]


async def test_who_says_goodbye_leaves_none(here: Endpoint, version: int) -> None:
    client = await here.connected(version=version, will=will())
    client.send(Disconnect())
    await client.closed()
    assert await wills_of(here, client) == []


async def test_who_asks_for_its_will_or_fails_leaves_it(here: Endpoint) -> None:
    client = await here.connected(will=will())
    client.send(Disconnect(R.DISCONNECT_WITH_WILL_MESSAGE))
    await client.closed()
    assert await wills_of(here, client) == [WILL]


@pytest.mark.parametrize("way", ["keep alive", "takeover", "revoked", "malformed"])
async def test_who_is_ended_by_us_leaves_its_will_once(here: Endpoint, way: str) -> None:
    client = await here.connected(keep_alive=10, will=will())
    if way == "keep alive":
        here.after(20)
    elif way == "takeover":
        await here.connected()
    elif way == "revoked":
        here.door.change("anonymous")
    else:
        client.send_bytes(b"\0\0")
    await client.disconnected()
    client.writer.close()
    await here.connected("c2")
    assert [payload for _, _, payload in here.intake.accepted] == [b"gone"]


async def test_a_will_is_heard_by_subscribers_once_it_is_durable(here: Endpoint) -> None:
    subscriber = await here.connected("s")
    await subscriber.subscribe("#", qos=1)
    client = await here.connected(
        will=will(qos=1, properties=Properties(content_type="text/plain", will_delay_interval=60))
    )
    here.intake.slow = True
    client.writer.close()
    await until(lambda: here.intake.waiting)
    await subscriber.nothing()
    here.intake.settle()
    heard = await subscriber.expect(Publish)
    assert (heard.topic, heard.payload, heard.qos) == (*WILL, 1)
    assert heard.properties == Properties(content_type="text/plain")
    assert here.intake.accepted[0][1].content_type == "text/plain"


async def test_a_will_that_is_rejected_or_not_logged_is_heard_by_nobody(here: Endpoint) -> None:
    subscriber = await here.connected("s")
    await subscriber.subscribe("#")
    here.intake.reject = lambda payload: "bad_json" if payload == b"bad" else None
    for payload, failing in ((b"bad", False), (b"gone", True)):
        here.intake.failing = failing
        client = await here.connected(will=will(payload=payload))
        client.writer.close()
        await until(lambda: len(here.broker.sessions) == 1)
        await subscriber.nothing()
    assert here.intake.payloads == [b"bad", b"gone"]


async def test_a_will_comes_from_who_left_it(here: Endpoint) -> None:
    token = here.door.add("d1").encode()
    client = await here.connected(will=will(), username="d1", password=token)
    await wills_of(here, client)
    assert here.intake.accepted[0][0].device == "d1"


async def test_a_stop_takes_nothing_more_acknowledges_what_was_taken_then_says_so(here: Endpoint) -> None:
    here.intake.slow = True
    client, old, idle = await here.connected("c", will=will()), await here.connected("o", 4), await here.client()
    client.publish(b"1")
    old.publish(b"2")
    await client.nothing()
    await old.nothing()
    here.server.stop_accepting()
    with pytest.raises(ConnectionRefusedError):
        await here.client()
    client.publish(b"later", first_id=2)
    await idle.closed()
    await asyncio.sleep(0.01)
    here.intake.settle()
    closing = asyncio.create_task(here.server.close())
    assert await client.acknowledged(1) == [1]
    assert (await client.disconnected()).code is R.SERVER_SHUTTING_DOWN
    assert await old.acknowledged(1) == [1]
    await old.closed()
    await asyncio.wait_for(closing, 5)
    assert here.intake.payloads == [b"1", b"2", b"gone"]


async def test_a_stop_does_not_wait_for_ever_for_those_who_do_not_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ingest.mqtt.server.LINGER", 0.05)
    intake, door, metrics = ScriptedIntake(), ScriptedDoor(), Metrics()
    async with open_mqtt(Config(), intake, door, metrics, MemoryLog(), listen="127.0.0.1:0", clock=Clock()) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        client = Client(reader, writer, 5)
        await client.connect()
        client.pause()
    assert metrics.sample("connections", transport="mqtt") == 0
    assert door.watchers == []
    writer.close()


async def test_a_stop_drops_what_is_held_back_and_never_acknowledges_it(here: Endpoint) -> None:
    client = await here.connected()
    here.intake.full = True
    client.publish(b"1")
    await client.nothing()
    here.server.stop_accepting()
    here.intake.relieve()
    closing = asyncio.create_task(here.server.close())
    assert (await client.disconnected()).code is R.SERVER_SHUTTING_DOWN
    await closing
    assert here.intake.payloads == []
    assert here.broker.held == 0


async def test_commands_go_to_topic_names_alone(here: Endpoint) -> None:
    for topic in ("", "a/#", "+"):
        with pytest.raises(Rejected, match="bad_topic"):
            here.server.publish(topic, b"x")


async def test_one_who_is_told_too_much_is_told_the_code_alone(here: Endpoint) -> None:
    client = await here.connected(properties=Properties(maximum_packet_size=24))
    client.send_bytes(b"\0\0")
    assert await client.disconnected() == Disconnect(R.MALFORMED_PACKET)


async def test_the_next_client_is_served_after_every_kind_of_bad_one(here: Endpoint) -> None:
    for data in (b"\0", b"\x10\xff\xff\xff\xff\x7f", b"\x10\x03\0\4M", b"\xff" * 5000, bytes(range(256)) * 4):
        bad = await here.client()
        bad.send_bytes(data)
        bad.writer.write_eof()
        while await bad.stream.read(65_536):
            pass
        bad.writer.close()
    good = await here.client()
    good.send(Connect(5, "good"), Publish("devices/d1/telemetry", b"x", 2, 1))
    await good.expect(Connack)
    await good.expect(Puback)
    await until(lambda: len(here.broker.connections) == 1)

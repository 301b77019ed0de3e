"""Sessions that outlive their connection: subscriptions, what waited, what was under way; also after the process."""

from headwater.log import ROUTED, SESSIONS
from ingest.mqtt.packets import (
    DUP,
    QOS_1,
    QOS_2,
    Connect,
    Disconnect,
    Puback,
    Pubcomp,
    Publish,
    Pubrec,
    Pubrel,
    Subscribe,
    Subscription,
)
from ingest.mqtt.properties import Properties
from tests.ingest.mqtt.kit import Endpoint, endpoint, publishes, until
from tests.ingest.mqtt.session_kit import HOUR, TOPIC, away, gone, hear, lasting


async def test_what_came_meanwhile_is_there_in_order(here: Endpoint, version: int) -> None:
    await away(here, version=version)
    sender = await here.connected("p")
    payloads = [b"%d" % n for n in range(90)]
    sender.publish(*payloads)
    await sender.acknowledged(90)
    client, present = await lasting(here, version)
    assert present
    assert await hear(client, 90) == payloads
    sender.publish(b"live")
    assert await hear(client, 1) == [b"live"]
    await client.nothing()


async def test_it_goes_on_from_where_it_was_each_time(here: Endpoint) -> None:
    await away(here)
    sender = await here.connected("p")
    for number in range(5):
        sender.publish(b"%d" % number)
        await sender.acknowledged(1)
        client, present = await lasting(here)
        assert present
        assert await hear(client, 1) == [b"%d" % number]
        await client.nothing()
        client.writer.close()
        await gone(here)


async def test_what_waits_by_a_subscription_waits_on_when_it_is_made_again(here: Endpoint, version: int) -> None:
    """As clients do: with the CONNECT, before they have seen that there is a session."""
    await away(here, "#", "other/#", version=version)
    sender = await here.connected("p")
    sender.publish(b"1", b"2")
    await sender.acknowledged(2)
    client = await here.client(version)
    given = Properties(session_expiry_interval=HOUR) if version == 5 else Properties()
    client.send(
        Connect(version, "s", clean=False, properties=given), Subscribe(7, (Subscription("#", 1), Subscription("+", 1)))
    )
    packets = [await client.packet() for _ in range(4)]
    assert [packet.payload for packet in packets if isinstance(packet, Publish)] == [b"1", b"2"]


async def test_a_session_that_is_resumed_for_the_last_time_gets_what_waits_and_what_comes(here: Endpoint) -> None:
    await away(here)
    sender = await here.connected("p")
    sender.publish(b"1")
    await sender.acknowledged(1)
    client = await here.client()
    assert (await client.connect("s", clean=False)).session_present
    assert await hear(client, 1) == [b"1"]
    sender.publish(b"2")
    assert await hear(client, 1) == [b"2"]
    client.send(Disconnect())
    await client.closed()
    await until(lambda: not here.broker.plane.table.sessions)
    assert here.broker.plane.table.wanted.count == 0


async def test_a_message_is_acknowledged_when_it_waits_on_the_log(here: Endpoint) -> None:
    await away(here)
    sender = await here.connected("p")
    here.log.gate.clear()
    sender.publish(b"1")
    await sender.nothing()
    here.log.gate.set()
    await sender.acknowledged(1)
    assert len(here.log.entries[ROUTED]) == 1
    sender.publish(b"2", topic="$SYS/nobody/hears")
    await sender.acknowledged(1)
    assert len(here.log.entries[ROUTED]) == 1


async def test_qos_0_does_not_wait_and_comes_straight_to_who_is_there(here: Endpoint) -> None:
    await away(here)
    sender = await here.connected("p")
    sender.publish(b"0", qos=0)
    client, _ = await lasting(here)
    await client.nothing()
    sender.publish(b"1", qos=0)
    assert (await client.expect(Publish)).payload == b"1"
    assert ROUTED not in here.log.entries or not here.log.entries[ROUTED]


async def test_what_was_not_acknowledged_comes_again_marked_and_with_its_id(here: Endpoint, version: int) -> None:
    client, _ = await lasting(here, version)
    sender = await here.connected("p")
    await client.subscribe("#", qos=2)
    sender.publish(b"1", b"2")
    await sender.acknowledged(2)
    sender.publish(b"3", qos=2, first_id=3)
    await sender.expect(Pubrec)
    first = [await client.expect(Publish) for _ in range(3)]
    client.send(Puback(first[0].packet_id), Pubrec(first[2].packet_id))
    await client.expect(Pubrel)
    client.writer.close()
    await gone(here)
    client, present = await lasting(here, version)
    assert present
    again = await client.expect(Publish)
    assert (again.payload, again.packet_id, again.flags) == (b"2", first[1].packet_id, QOS_1 | DUP)
    assert await client.expect(Pubrel) == Pubrel(first[2].packet_id)
    client.send(Puback(again.packet_id), Pubcomp(first[2].packet_id))
    await client.nothing()


async def test_a_qos_2_message_that_was_received_is_not_taken_again(here: Endpoint) -> None:
    client, _ = await lasting(here)
    client.publish(b"1", qos=2, first_id=9)
    await client.expect(Pubrec)
    client.writer.close()
    await gone(here)
    client, _ = await lasting(here)
    client.send(Publish(TOPIC, b"1", QOS_2 | DUP, 9))
    assert await client.expect(Pubrec) == Pubrec(9)
    client.send(Pubrel(9))
    assert await client.expect(Pubcomp) == Pubcomp(9)
    assert here.intake.payloads == [b"1"]


async def test_a_clean_start_ends_it(here: Endpoint, version: int) -> None:
    await away(here, version=version)
    client = await here.client(version)
    assert not (await client.connect("s")).session_present
    sender = await here.connected("p")
    sender.publish(b"1")
    await sender.acknowledged(1)
    await client.nothing()
    client.send(Disconnect())
    await client.closed()
    await gone(here)
    _, present = await lasting(here, version)
    assert not present


async def test_it_is_over_when_its_time_is(here: Endpoint) -> None:
    await away(here)
    here.after(HOUR - 1)
    client, present = await lasting(here)
    assert present
    client.writer.close()
    await gone(here)
    here.after(HOUR + 1)
    await until(lambda: not here.broker.plane.table.sessions)
    assert here.log.entries[SESSIONS][-1].value is None
    _, present = await lasting(here)
    assert not present


async def test_disconnect_says_how_long_it_lasts(here: Endpoint) -> None:
    for interval, present in ((0, False), (60, True)):
        client, _ = await lasting(here)
        client.send(Disconnect(properties=Properties(session_expiry_interval=interval)))
        await client.closed()
        await gone(here)
        here.after(30)
        client, there = await lasting(here)
        assert there is present
        client.send(Disconnect(properties=Properties(session_expiry_interval=0)))
        await client.closed()
        await gone(here)


async def test_it_lasts_no_longer_than_configured_and_the_client_is_told() -> None:
    async with endpoint(session_expiry=60) as here:
        client = await here.client()
        connack = await client.connect(properties=Properties(session_expiry_interval=HOUR))
        assert connack.properties.session_expiry_interval == 60


async def test_so_many_may_wait_and_the_oldest_make_way() -> None:
    async with endpoint(queued=3) as here:
        await away(here)
        sender = await here.connected("p")
        sender.publish(*[b"%d" % n for n in range(5)])
        await sender.acknowledged(5)
        client, _ = await lasting(here)
        assert await hear(client, 3) == [b"2", b"3", b"4"]
        await client.nothing()
        assert here.metrics.sample("mqtt_undelivered_total", reason="queue_full") == 2


async def test_who_is_slow_to_acknowledge_keeps_its_connection_and_the_newest() -> None:
    async with endpoint(queued=3, in_flight=2) as here:
        client, _ = await lasting(here)
        await client.subscribe("#", qos=1)
        sender = await here.connected("p")
        for n in range(8):
            sender.publish(b"%d" % n)
            await sender.acknowledged(1)
        assert publishes([await client.packet(), await client.packet()]) == [(TOPIC, b"0", 1), (TOPIC, b"1", 1)]
        await client.nothing()
        client.send(Puback(1), Puback(2))
        assert await hear(client, 3) == [b"5", b"6", b"7"]


async def test_what_has_expired_meanwhile_is_not_sent(here: Endpoint) -> None:
    await away(here)
    sender = await here.connected("p")
    for number, interval in enumerate((10, 100), 1):
        sender.send(Publish(TOPIC, b"%d" % interval, QOS_1, number, Properties(message_expiry_interval=interval)))
    await sender.acknowledged(2)
    here.after(50)
    client, _ = await lasting(here)
    heard = await client.expect(Publish)
    assert (heard.payload, heard.properties.message_expiry_interval) == (b"100", 50)
    await client.nothing()

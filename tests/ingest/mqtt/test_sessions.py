"""Sessions that outlive their connection: subscriptions, what waited, what was under way; also after the process."""

from typing import Any

from headwater.log import ROUTED, SESSIONS
from ingest.mqtt.packets import (
    DUP,
    QOS_1,
    QOS_2,
    RETAIN,
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
from ingest.mqtt.reasons import ReasonCode as R
from tests.ingest.mqtt.kit import Client, Endpoint, endpoint, publishes, until, will
from tests.ingest.mqtt.log_kit import LogOf, MemoryLog

TOPIC = "devices/d1/telemetry"
HOUR = 3600


async def lasting(here: Endpoint, version: int = 5, client_id: str = "s", **more: Any) -> tuple[Client, bool]:
    """A client whose session lasts an hour, and whether it was there before."""
    client = await here.client(version)
    given = Properties(session_expiry_interval=HOUR) if version == 5 else Properties()
    connack = await client.connect(client_id, clean=False, properties=given, **more)
    assert connack.code is R.SUCCESS
    return client, connack.session_present


async def away(here: Endpoint, *filters: str, version: int = 5, qos: int = 1) -> None:
    """A session with subscriptions whose client has gone."""
    client, present = await lasting(here, version)
    assert not present
    await client.subscribe(*filters or ("#",), qos=qos)
    client.send(Disconnect())
    await client.closed()
    await gone(here)


async def gone(here: Endpoint) -> None:
    """The log has it that no session is connected."""
    await until(lambda: not here.broker.plane.table.held)


async def hear(client: Client, count: int) -> list[bytes]:
    """So many messages, acknowledged."""
    payloads: list[bytes] = []
    for _ in range(count):
        heard = await client.expect(Publish)
        payloads.append(heard.payload)
        if heard.qos == 1:
            client.send(Puback(heard.packet_id))
    return payloads


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


async def test_it_is_there_after_a_restart(version: int) -> None:
    log = MemoryLog()
    async with endpoint(log) as here:
        await away(here, version=version)
        sender = await here.connected("p")
        sender.publish(b"1")
        await sender.acknowledged(1)
        still, _ = await lasting(here, version, "still here")
        await still.subscribe("#", qos=1)
    async with endpoint(log) as here:
        for name, waited in (("s", 1), ("still here", 0)):
            client, present = await lasting(here, version, name)
            assert present
            assert await hear(client, waited) == [b"1"] * waited
            sender = await here.connected("p")
            await client.nothing()


async def test_it_is_there_after_a_crash_and_nothing_acknowledged_is_lost() -> None:
    log = MemoryLog()
    first = LogOf(log)
    async with endpoint(first) as here:
        client, _ = await lasting(here)
        await client.subscribe("#", qos=1)
        sender = await here.connected("p")
        sender.publish(b"1", b"2", b"3")
        await sender.acknowledged(3)
        heard = [await client.expect(Publish) for _ in range(3)]
        client.send(Puback(heard[0].packet_id))
        await client.nothing()
        first.dead = True
        async with endpoint(log) as after:
            client, present = await lasting(after)
            assert present
            assert await hear(client, 3) == [b"1", b"2", b"3"]  # not even the acknowledgement is on the log
            await client.nothing()


async def test_states_are_written_once_a_second(here: Endpoint) -> None:
    client, _ = await lasting(here)
    await client.subscribe("#", qos=1)
    sender = await here.connected("p")
    before = len(here.log.entries[SESSIONS])
    sender.publish(*[b"%d" % n for n in range(50)])
    await sender.acknowledged(50)
    await hear(client, 50)
    await client.nothing()
    assert len(here.log.entries[SESSIONS]) == before
    here.after(1)
    await until(lambda: len(here.log.entries[SESSIONS]) == before + 1)


async def test_the_log_must_have_a_session_before_its_client_is_told(here: Endpoint, version: int) -> None:
    here.log.gate.clear()
    client = await here.client(version)
    client.send(Connect(version, "s", clean=False, properties=Properties(session_expiry_interval=HOUR)))
    client.publish(b"early")
    await until(lambda: here.broker.plane.pressure.count)
    assert here.intake.payloads == []
    here.log.gate.set()
    assert type(await client.packet()).__name__ == "Connack"
    await client.acknowledged(1)
    assert here.intake.payloads == [b"early"]
    here.log.failing = True
    other = await here.client(version)
    connack = await other.connect("other", clean=False, properties=Properties(session_expiry_interval=HOUR))
    assert connack.code is R.SERVER_UNAVAILABLE
    await other.closed()
    here.log.failing = False


async def test_while_too_much_waits_for_the_log_nobody_with_such_a_session_comes_in(here: Endpoint) -> None:
    here.broker.plane.pressure.full = True
    client = await here.client()
    assert (await client.connect("s", properties=Properties(session_expiry_interval=HOUR))).code is R.SERVER_BUSY
    await here.connected("clean")
    here.broker.plane.pressure.full = False


async def test_who_goes_before_it_is_told_leaves_nothing_behind(here: Endpoint) -> None:
    here.log.gate.clear()
    client = await here.client()
    client.send(Connect(5, "s", properties=Properties(session_expiry_interval=HOUR)))
    await until(lambda: here.broker.plane.pressure.count)
    here.after(31)
    await client.closed()
    here.log.gate.set()
    await until(lambda: here.broker.plane.table.sessions and not here.broker.plane.table.held)
    assert not here.broker.plane.owner.live


async def test_a_client_id_that_connects_again_goes_on_with_the_session(here: Endpoint) -> None:
    older, _ = await lasting(here)
    await older.subscribe("#", qos=1)
    newer, present = await lasting(here)
    assert present
    assert (await older.disconnected()).code is R.SESSION_TAKEN_OVER
    sender = await here.connected("p")
    sender.publish(b"1")
    assert await hear(newer, 1) == [b"1"]


async def test_a_right_that_is_gone_is_gone_from_the_session(here: Endpoint) -> None:
    token = here.door.add("d1", "child").encode()
    client, _ = await lasting(here, username="d1", password=token)
    await client.subscribe("devices/child/#", "devices/d1/#", qos=1)
    client.writer.close()
    await gone(here)
    here.door.add("d1")
    client, present = await lasting(here, username="d1", password=token)
    assert present
    (session,) = here.broker.plane.owner.live.values()
    assert set(session.filters) == {"devices/d1/#"}


async def test_so_many_sessions_may_last() -> None:
    async with endpoint(sessions=1) as here:
        await away(here)
        client = await here.client()
        connack = await client.connect("other", properties=Properties(session_expiry_interval=HOUR))
        assert connack.code is R.QUOTA_EXCEEDED
        _, present = await lasting(here)
        assert present


async def test_a_will_waits_for_its_delay_and_not_if_the_client_is_back(here: Endpoint) -> None:
    watcher = await here.connected("w")
    await watcher.subscribe(TOPIC)
    late = will(properties=Properties(will_delay_interval=60))
    for back in (True, False):
        client, _ = await lasting(here, will=late)
        client.writer.close()
        await gone(here)
        here.after(30)
        if back:
            client, present = await lasting(here)
            assert present
            here.after(31)
            await watcher.nothing()
            client.send(Disconnect())
            await client.closed()
            await gone(here)
    await watcher.nothing()
    here.after(31)
    assert (await watcher.expect(Publish)).payload == b"gone"


async def test_a_delayed_will_comes_at_the_latest_when_the_session_ends(here: Endpoint) -> None:
    watcher = await here.connected("w")
    await watcher.subscribe(TOPIC)
    late = will(properties=Properties(will_delay_interval=2 * HOUR))
    client, _ = await lasting(here, will=late)
    client.writer.close()
    await gone(here)
    here.after(HOUR + 1)
    assert (await watcher.expect(Publish)).payload == b"gone"
    await until(lambda: not here.broker.plane.table.sessions)


async def test_a_clean_start_sends_the_will_that_waited(here: Endpoint) -> None:
    watcher = await here.connected("w")
    await watcher.subscribe(TOPIC)
    client, _ = await lasting(here, will=will(properties=Properties(will_delay_interval=60)))
    client.writer.close()
    await gone(here)
    await here.connected("s")
    assert (await watcher.expect(Publish)).payload == b"gone"


async def test_a_retained_message_under_way_comes_again(here: Endpoint) -> None:
    sender = await here.connected("p")
    sender.send(Publish(TOPIC, b"1", QOS_1 | RETAIN, 1))
    await sender.acknowledged(1)
    client, _ = await lasting(here)
    await client.subscribe("#", qos=1)
    first = await client.expect(Publish)
    client.writer.close()
    await gone(here)
    client, _ = await lasting(here)
    again = await client.expect(Publish)
    assert (again.payload, again.packet_id, again.flags & DUP) == (b"1", first.packet_id, DUP)

"""Sessions that outlive their connection, and the log: after a restart, a crash, when it is slow; and their wills."""

from headwater.log import SESSIONS
from ingest.mqtt.packets import (
    DUP,
    QOS_1,
    RETAIN,
    Connect,
    Disconnect,
    Puback,
    Publish,
)
from ingest.mqtt.properties import Properties
from ingest.mqtt.reasons import ReasonCode as R
from tests.ingest.mqtt.kit import Endpoint, endpoint, until, will
from tests.ingest.mqtt.log_kit import LogOf, MemoryLog
from tests.ingest.mqtt.session_kit import HOUR, TOPIC, away, gone, hear, lasting


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

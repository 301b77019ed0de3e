"""Several gateways on one log: a message, a session, a will reach whom they are for, wherever that is."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest

from headwater.log import ROUTED
from ingest.mqtt.packets import Connack, Disconnect, Puback, Publish, Subscription
from ingest.mqtt.properties import Properties
from ingest.mqtt.reasons import ReasonCode as R
from ingest.mqtt.state import SESSION
from tests.ingest.mqtt.kit import Client, Endpoint, endpoint, until, will
from tests.ingest.mqtt.log_kit import LogOf, MemoryLog

TOPIC = "devices/d1/telemetry"
HOUR = Properties(session_expiry_interval=3600)


@asynccontextmanager
async def two_gateways() -> AsyncGenerator[tuple[Endpoint, Endpoint, LogOf]]:
    """Both, and the log as the first has it."""
    log = MemoryLog()
    view = LogOf(log)
    async with endpoint(view, profile="stack") as first, endpoint(log, profile="stack") as second:
        yield first, second, view


async def known(here: Endpoint, filters: int) -> None:
    """This gateway knows so many subscriptions that are reached through the log."""
    await until(lambda: here.broker.plane.table.wanted.count == filters)


async def beat(here: Endpoint) -> None:
    """Five seconds pass, and this gateway has read that it is still there."""
    beats = here.broker.plane.table.beats
    here.after(5)
    await until(lambda: here.broker.plane.table.beats > beats)


async def hear(client: Client, count: int) -> list[bytes]:
    payloads: list[bytes] = []
    for _ in range(count):
        heard = await client.expect(Publish)
        payloads.append(heard.payload)
        if heard.qos == 1:
            client.send(Puback(heard.packet_id))
    await client.nothing()
    return payloads


async def test_a_message_reaches_subscribers_of_every_gateway_once(version: int) -> None:
    async with two_gateways() as (first, second, _):
        near, far = await first.connected("n", version), await second.connected("f", version)
        for client in (near, far):
            await client.subscribe("devices/#", qos=1)
        await known(first, 1)
        sender = await first.connected("p")
        sender.publish(b"1", b"2")
        await sender.acknowledged(2)
        sender.publish(b"0", qos=0)
        assert await hear(near, 3) == await hear(far, 3) == [b"1", b"2", b"0"]


async def test_what_the_program_itself_says_reaches_who_is_elsewhere_or_away() -> None:
    async with two_gateways() as (first, second, _):
        near, far = await first.connected("n"), await second.connected("f")
        away = await second.connected("away", properties=HOUR)
        for client in (near, far, away):
            await client.subscribe("devices/d1/commands", qos=1)
        away.send(Disconnect())
        await away.closed()
        await until(lambda: "away" not in str(first.broker.plane.table.held))
        assert first.server.publish("devices/d1/commands", b"stop") == 1
        assert await hear(near, 1) == await hear(far, 1) == [b"stop"]
        back = await first.client()
        assert (await back.connect("away", clean=False, properties=HOUR)).session_present
        assert await hear(back, 1) == [b"stop"]


async def test_what_nobody_elsewhere_hears_does_not_go_through_the_log() -> None:
    async with two_gateways() as (first, second, _):
        near, far = await first.connected("n"), await second.connected("f")
        await near.subscribe("#", qos=1)
        await far.subscribe("other/#")
        await known(first, 1)
        sender = await first.connected("p")
        sender.publish(b"1")
        await sender.acknowledged(1)
        assert await hear(near, 1) == [b"1"]
        assert not first.log.entries.get(ROUTED)


async def test_no_local_holds_across_gateways() -> None:
    async with two_gateways() as (first, second, _):
        client, far = await first.connected("c"), await second.connected("f")
        await client.subscribe(Subscription("#", 1, no_local=True))
        await far.subscribe("#", qos=1)
        await known(first, 1)
        client.publish(b"1")
        await client.acknowledged(1)
        assert await hear(far, 1) == [b"1"]
        await client.nothing()


async def test_a_client_id_that_connects_elsewhere_ends_the_older_connection(version: int) -> None:
    async with two_gateways() as (first, second, _):
        older = await first.connected("c", version, clean=False, properties=HOUR if version == 5 else Properties())
        await older.subscribe("#", qos=1)
        newer = await second.client(version)
        given = HOUR if version == 5 else Properties()
        assert (await newer.connect("c", clean=False, properties=given)).session_present
        if version == 5:
            assert (await older.disconnected()).code is R.SESSION_TAKEN_OVER
        else:
            await older.closed()
        sender = await first.connected("p")
        sender.publish(b"1")
        await sender.acknowledged(1)
        assert await hear(newer, 1) == [b"1"]
        assert not first.broker.sessions.named(next(iter(second.broker.plane.owner.live)))


async def test_a_clean_session_is_taken_over_too() -> None:
    async with two_gateways() as (first, second, _):
        older = await first.connected("c")
        await second.connected("c")
        assert (await older.disconnected()).code is R.SESSION_TAKEN_OVER


async def test_two_who_claim_at_once_leave_one() -> None:
    async with two_gateways() as (first, second, _):
        log = second.log
        log.gate.clear()
        clients = [await here.client() for here in (first, second)]
        for client in clients:
            client.send_bytes(b"\x10\x0e\x00\x04MQTT\x05\x02\x00\x00\x00\x00\x01c")
        await until(lambda: all(here.broker.plane.pressure.count for here in (first, second)))
        log.gate.set()
        await until(lambda: sum(len(here.broker.plane.owner.live) for here in (first, second)) == 1)
        packets = [[await client.packet()] for client in clients]
        lost = 0 if first.broker.plane.owner.live == {} else 1
        packets[lost].append(await clients[lost].packet())
        assert [[type(packet) for packet in one] for one in (packets[lost], packets[1 - lost])] == [
            [Connack, Disconnect],
            [Connack],
        ]


async def test_of_a_gateway_that_is_killed_the_other_has_the_sessions_and_what_waits_in_order(version: int) -> None:
    async with two_gateways() as (first, second, view):
        given = HOUR if version == 5 else Properties()
        client = await first.connected("c", version, clean=False, properties=given)
        await client.subscribe("#", qos=1)
        client.send(Disconnect())
        await client.closed()
        payloads = [b"%d" % n for n in range(50)]
        sender = await first.connected("p")
        sender.publish(*payloads)
        await sender.acknowledged(50)
        view.dead = True
        back = await second.client(version)
        assert (await back.connect("c", clean=False, properties=given)).session_present
        assert await hear(back, 50) == payloads


async def test_who_was_connected_there_loses_nothing_that_it_did_not_acknowledge() -> None:
    async with two_gateways() as (first, second, view):
        client = await first.connected("c", clean=False, properties=HOUR)
        await client.subscribe("#", qos=1)
        sender = await first.connected("p")
        sender.publish(b"1", b"2", b"3")
        await sender.acknowledged(3)
        heard = [await client.expect(Publish) for _ in range(3)]
        client.send(Puback(heard[0].packet_id))
        await client.nothing()
        first.after(1)
        await until(lambda: second.broker.plane.table.sessions[second_key(second)].state.flight)
        view.dead = True
        back = await second.client()
        assert (await back.connect("c", clean=False, properties=HOUR)).session_present
        again = [await back.expect(Publish) for _ in range(2)]
        assert [(one.payload, one.packet_id, bool(one.flags & 8)) for one in again] == [
            (b"2", heard[1].packet_id, True),
            (b"3", heard[2].packet_id, True),
        ]


def second_key(here: Endpoint) -> str:
    (key,) = (key for key, known in here.broker.plane.table.sessions.items() if known.state.expiry)
    return key


async def test_wills_of_a_gateway_that_is_gone_are_sent_by_another() -> None:
    async with two_gateways() as (first, second, view):
        watcher = await second.connected("w")
        await watcher.subscribe("#", qos=1)
        for here in (first, second):
            here.after(5)
        await until(lambda: len(second.broker.plane.table.heard) == 2)
        await first.connected("clean", will=will(payload=b"clean"))
        await first.connected("lasting", properties=HOUR, will=will(payload=b"lasting"))
        later = Properties(will_delay_interval=60)
        await first.connected("later", properties=HOUR, will=will(payload=b"later", properties=later))
        await until(lambda: len(second.broker.plane.table.sessions) == 4)
        view.dead = True
        for _ in range(4):
            await beat(second)
        await watcher.nothing()
        await beat(second)
        second.after(1)
        assert sorted(await hear(watcher, 2)) == [b"clean", b"lasting"]
        await until(lambda: set(second.broker.plane.table.held) == {second.broker.plane.gateway})
        await until(lambda: not second.broker.plane.pressure.count)
        second.after(61)
        assert await hear(watcher, 1) == [b"later"]


async def test_a_gateway_that_stops_leaves_its_sessions_to_others_at_once() -> None:
    log = MemoryLog()
    async with endpoint(log, profile="stack") as second:
        async with endpoint(log, profile="stack") as first:
            client = await first.connected("c", properties=HOUR)
            await client.subscribe("#", qos=1)
            first.after(5)
        await until(lambda: not second.broker.plane.table.held and not second.broker.plane.table.heard)
        back = await second.client()
        assert (await back.connect("c", clean=False, properties=HOUR)).session_present


async def test_the_log_away_a_gateway_takes_nobody_in_and_recovers() -> None:
    async with two_gateways() as (first, second, view):
        client = await first.connected("c", properties=HOUR)
        await client.subscribe("#", qos=1)
        view.dead = True
        other = await first.client()
        assert (await other.connect("o")).code is R.SERVER_UNAVAILABLE
        client.send(Disconnect())
        await client.closed()
        view.dead = False
        first.after(1)
        await until(lambda: not second.broker.plane.table.held)
        back = await second.client()
        assert (await back.connect("c", clean=False, properties=HOUR)).session_present


@pytest.mark.parametrize("given", [HOUR, Properties()])
async def test_a_delayed_will_is_sent_when_its_session_is_ended_by_a_clean_one_elsewhere(given: Properties) -> None:
    async with two_gateways() as (first, second, _):
        watcher = await second.connected("w")
        await watcher.subscribe("#", qos=1)
        await first.connected("c", properties=given, will=will(properties=Properties(will_delay_interval=60)))
        await second.connected("c", clean=True)
        assert await hear(watcher, 1) == [b"gone"]


async def test_a_delayed_will_is_not_sent_when_its_session_goes_on_elsewhere() -> None:
    async with two_gateways() as (first, second, _):
        watcher = await second.connected("w")
        await watcher.subscribe("#", qos=1)
        later = will(properties=Properties(will_delay_interval=60))
        older = await first.connected("c", properties=HOUR, will=later)
        await second.connected("c", clean=False, properties=HOUR)
        assert (await older.disconnected()).code is R.SESSION_TAKEN_OVER
        for here in (first, second):
            here.after(61)
        await watcher.nothing()


async def test_who_is_connected_misses_nothing_when_its_older_session_is_removed_late() -> None:
    async with two_gateways() as (first, second, _):
        client = await second.connected("c", clean=False, properties=HOUR)
        await client.subscribe("#", qos=1)
        await known(first, 1)
        (key,) = second.broker.plane.table.sessions
        seen: list[bool] = []
        first.broker.plane.owner.journal.write(SESSION + key.encode(), None, seen.append)
        await until(lambda: seen)
        near = await second.connected("n")
        near.publish(b"near")
        await near.acknowledged(1)
        await known(first, 1)
        sender = await first.connected("p")
        sender.publish(b"far")
        await sender.acknowledged(1)
        assert await hear(client, 2) == [b"near", b"far"]

"""Shared subscriptions: each message to one member of a group."""

from ingest.mqtt.packets import QOS_1, RETAIN, Disconnect, Puback, Publish, Subscribe, Subscription, Unsubscribe
from ingest.mqtt.properties import Properties
from ingest.mqtt.reasons import ReasonCode as R
from tests.ingest.mqtt.kit import Client, Endpoint, endpoint, until
from tests.ingest.mqtt.log_kit import MemoryLog

TOPIC = "devices/d1/telemetry"


async def heard_by(client: Client, count: int) -> list[bytes]:
    payloads: list[bytes] = []
    for _ in range(count):
        heard = await client.expect(Publish)
        payloads.append(heard.payload)
        if heard.qos:
            client.send(Puback(heard.packet_id))
    await client.nothing()
    return payloads


async def test_members_take_turns_and_others_hear_all(here: Endpoint, version: int) -> None:
    one, two, alone = [await here.connected(name, version) for name in ("a", "b", "c")]
    for member in (one, two):
        assert (await member.subscribe("$share/g/devices/#", qos=1)).codes == (R.GRANTED_QOS_1,)
    await alone.subscribe("devices/#", "$share/other/devices/#")
    sender = await here.connected("p")
    sender.publish(*[b"%d" % n for n in range(6)])
    await sender.acknowledged(6)
    assert await heard_by(one, 3) == [b"0", b"2", b"4"]
    assert await heard_by(two, 3) == [b"1", b"3", b"5"]
    assert len(await heard_by(alone, 12)) == 12


async def test_nothing_retained_is_sent_and_no_local_is_an_error(here: Endpoint) -> None:
    client = await here.connected()
    client.send(Publish(TOPIC, b"1", QOS_1 | RETAIN, 1))
    await client.acknowledged(1)
    await client.subscribe("$share/g/#")
    await client.nothing()
    client.send(Subscribe(8, (Subscription("$share/g/#", no_local=True),)))
    assert (await client.disconnected()).code is R.PROTOCOL_ERROR


async def test_who_has_left_gets_nothing_more(here: Endpoint) -> None:
    one, two = await here.connected("a"), await here.connected("b")
    await one.subscribe("$share/g/#", qos=1)
    await two.subscribe("$share/g/#", qos=1)
    one.send(Unsubscribe(8, ("$share/g/#", "$share/h/#")))
    unsuback = await one.packet()
    assert getattr(unsuback, "codes", None) == (R.SUCCESS, R.NO_SUBSCRIPTION_EXISTED)
    sender = await here.connected("p")
    sender.publish(b"1", b"2")
    await sender.acknowledged(2)
    assert await heard_by(two, 2) == [b"1", b"2"]
    two.writer.close()
    await until(lambda: not here.broker.plane.table.groups.members.count)
    await one.nothing()


async def test_what_is_rejected_goes_to_no_member(here: Endpoint) -> None:
    member, sender = await here.connected("a"), await here.connected("p")
    await member.subscribe("$share/g/#", qos=1)
    here.intake.reject = lambda payload: "bad_json" if payload == b"bad" else None
    sender.publish(b"1", b"bad", b"2")
    for _ in range(3):
        await sender.expect(Puback)
    assert await heard_by(member, 2) == [b"1", b"2"]


async def test_who_is_connected_comes_first_and_what_nobody_is_there_for_waits(here: Endpoint) -> None:
    given = Properties(session_expiry_interval=60)
    away, there = await here.connected("away", properties=given), await here.connected("there")
    await away.subscribe("$share/g/#", qos=1)
    await there.subscribe("$share/g/#", qos=1)
    away.send(Disconnect())
    await away.closed()
    await until(lambda: not here.broker.plane.table.held)
    sender = await here.connected("p")
    sender.publish(b"1", b"2")
    await sender.acknowledged(2)
    assert await heard_by(there, 2) == [b"1", b"2"]
    there.writer.close()
    await until(lambda: here.broker.plane.table.groups.members.count == 1)
    sender.publish(b"3", b"4")
    sender.publish(b"qos 0", qos=0)
    await sender.acknowledged(2)
    back = await here.client()
    assert (await back.connect("away", clean=False, properties=given)).session_present
    assert await heard_by(back, 2) == [b"3", b"4"]


async def test_members_of_several_gateways_get_each_message_once_in_all() -> None:
    log = MemoryLog()
    async with endpoint(log, profile="stack") as first, endpoint(log, profile="stack") as second:
        one, two = await first.connected("a"), await second.connected("b")
        for member in (one, two):
            await member.subscribe(Subscription("$share/g/#", 1))
        await until(lambda: all(here.broker.plane.table.groups.members.count == 2 for here in (first, second)))
        for here, name in ((first, "p"), (second, "q")):
            sender = await here.connected(name)
            sender.publish(*[b"%s%d" % (name.encode(), n) for n in range(6)])
            await sender.acknowledged(6)
        got = [*await heard_by(one, 6), *await heard_by(two, 6)]
        assert len(got) == len(set(got)) == 12

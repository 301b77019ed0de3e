"""Retained messages: the newest of a topic for whoever subscribes, in every gateway, after the log has it."""

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from headwater.log import RETAINED, Entry
from ingest.mqtt.packets import QOS_1, RETAIN, Puback, Publish, Subscription
from ingest.mqtt.properties import Properties
from ingest.mqtt.reasons import ReasonCode as R
from ingest.mqtt.retained import Retained, value_of
from tests.ingest.mqtt.kit import Client, Endpoint, endpoint, until, will
from tests.ingest.mqtt.log_kit import MemoryLog
from tests.ingest.mqtt.test_subscriptions import FILTER, NAME, fits

TOPIC = "devices/d1/telemetry"
OTHER = "devices/d2/telemetry"


async def retain(client: Client, payload: bytes, topic: str = TOPIC, **given: object) -> R:
    client.send(Publish(topic, payload, QOS_1 | RETAIN, 9, Properties(**given)))  # pyright: ignore[reportArgumentType]
    return (await client.expect(Puback)).code


async def test_a_new_subscriber_gets_the_newest_marked_as_retained(here: Endpoint, version: int) -> None:
    sender, subscriber = await here.connected("p"), await here.connected("s", version)
    for payload in (b"1", b"2"):
        assert await retain(sender, payload) is R.SUCCESS
    assert await retain(sender, b"other", OTHER) is R.SUCCESS
    await subscriber.subscribe("devices/+/telemetry", qos=1)
    heard = [await subscriber.expect(Publish) for _ in range(2)]
    assert sorted((one.topic, one.payload, one.qos, one.retain) for one in heard) == [
        (TOPIC, b"2", 1, True),
        (OTHER, b"other", 1, True),
    ]
    await subscriber.nothing()
    assert here.intake.payloads == [b"1", b"2", b"other"]


async def test_those_who_are_there_hear_it_unmarked_unless_they_ask_for_the_mark(here: Endpoint) -> None:
    plain, marked, sender = await here.connected("a"), await here.connected("b"), await here.connected("p")
    await plain.subscribe("#")
    await marked.subscribe(Subscription("#", retain_as_published=True))
    assert await retain(sender, b"1") is R.SUCCESS
    assert (await plain.expect(Publish)).retain is False
    assert (await marked.expect(Publish)).retain is True


async def test_it_is_acknowledged_after_the_log_has_it(here: Endpoint) -> None:
    sender = await here.connected()
    here.log.gate.clear()
    sender.send(Publish(TOPIC, b"1", QOS_1 | RETAIN, 9))
    await sender.nothing()
    here.log.gate.set()
    assert await sender.expect(Puback) == Puback(9)


async def test_if_the_log_does_not_take_it_the_sender_must_send_again(here: Endpoint) -> None:
    sender = await here.connected()
    here.log.failing = True
    sender.send(Publish(TOPIC, b"1", QOS_1 | RETAIN, 9))
    assert (await sender.disconnected()).code is R.SERVER_BUSY
    here.log.failing = False
    assert here.broker.plane.retained.count == 0


async def test_an_empty_payload_forgets_it_and_is_no_message(here: Endpoint) -> None:
    sender, subscriber = await here.connected("p"), await here.connected("s")
    assert await retain(sender, b"1") is R.SUCCESS
    assert await retain(sender, b"") is R.SUCCESS
    await subscriber.subscribe("#")
    await subscriber.nothing()
    assert here.intake.payloads == [b"1"]
    assert here.log.entries[RETAINED][-1].value is None


async def test_what_is_rejected_is_not_retained(here: Endpoint) -> None:
    sender, subscriber = await here.connected("p"), await here.connected("s")
    here.intake.reject = lambda _payload: "bad_json"
    assert await retain(sender, b"?") is R.PAYLOAD_FORMAT_INVALID
    await subscriber.subscribe("#")
    await subscriber.nothing()


async def test_nobody_forgets_what_it_may_not_publish(here: Endpoint) -> None:
    sender = await here.connected("p", username="d1", password=here.door.add("d1").encode())
    assert await retain(sender, b"", OTHER) is R.NOT_AUTHORIZED
    assert await retain(sender, b"") is R.SUCCESS


async def test_retain_handling_says_when_it_is_wanted(here: Endpoint) -> None:
    sender, subscriber = await here.connected("p"), await here.connected("s")
    assert await retain(sender, b"1") is R.SUCCESS
    await subscriber.subscribe(Subscription(TOPIC, retain_handling=2))
    await subscriber.nothing()
    await subscriber.subscribe(Subscription(TOPIC, retain_handling=1))
    await subscriber.nothing()
    await subscriber.subscribe(Subscription(TOPIC, retain_handling=0))
    assert (await subscriber.expect(Publish)).payload == b"1"
    await subscriber.subscribe(Subscription("devices/#", retain_handling=1))
    assert (await subscriber.expect(Publish)).payload == b"1"


async def test_no_local_keeps_a_client_s_own(here: Endpoint) -> None:
    client = await here.connected()
    assert await retain(client, b"1") is R.SUCCESS
    await client.subscribe(Subscription("#", no_local=True))
    await client.nothing()


async def test_what_has_expired_is_not_sent_and_what_is_left_is_said(here: Endpoint) -> None:
    sender, subscriber = await here.connected("p"), await here.connected("s")
    assert await retain(sender, b"short", message_expiry_interval=0) is R.SUCCESS
    assert await retain(sender, b"long", OTHER, message_expiry_interval=60) is R.SUCCESS
    await subscriber.subscribe("#", properties=Properties(subscription_identifiers=(7,)))
    heard = await subscriber.expect(Publish)
    assert heard.payload == b"long"
    assert heard.properties.subscription_identifiers == (7,)
    assert 58 <= (heard.properties.message_expiry_interval or 0) <= 60
    await subscriber.nothing()


async def test_what_has_expired_is_forgotten(here: Endpoint) -> None:
    sender = await here.connected("p")
    for interval in (10, 100):
        assert await retain(sender, b"%d" % interval, message_expiry_interval=interval) is R.SUCCESS
    here.after(50)
    await sender.nothing()
    assert here.broker.plane.retained.count == 1
    here.after(51)
    await until(lambda: not here.broker.plane.retained.count)
    assert here.log.entries[RETAINED][-1].value is None


async def test_there_is_room_for_so_many() -> None:
    async with endpoint(retained=1) as here:
        sender, subscriber = await here.connected("p"), await here.connected("s")
        assert await retain(sender, b"1") is R.SUCCESS
        assert await retain(sender, b"2") is R.SUCCESS
        assert await retain(sender, b"3", OTHER) is R.QUOTA_EXCEEDED
        sender.send(Publish(OTHER, b"4", RETAIN))
        await sender.nothing()
        await subscriber.subscribe("#")
        assert (await subscriber.expect(Publish)).payload == b"2"
        await subscriber.nothing()
        assert here.intake.payloads == [b"1", b"2", b"4"]
        assert await retain(sender, b"") is R.SUCCESS
        assert await retain(sender, b"5", OTHER) is R.SUCCESS


async def test_a_will_may_be_retained(here: Endpoint) -> None:
    leaving, subscriber = await here.connected("l", will=will(retain=True)), await here.connected("s")
    leaving.writer.close()
    await until(lambda: here.broker.plane.retained.count)
    await subscriber.subscribe("#")
    assert (await subscriber.expect(Publish)).retain


async def test_very_many_go_out_as_fast_as_the_client_takes_them(here: Endpoint, version: int) -> None:
    sender, subscriber = await here.connected("p"), await here.connected("s", version)
    count = 1500
    for number in range(count):
        sender.send(Publish(f"devices/d{number}/telemetry", b"x" * 1000, RETAIN))
    await until(lambda: here.broker.plane.retained.count == count)
    await subscriber.subscribe("#", qos=1)
    heard: set[str] = set()
    for _ in range(count):
        heard.add((await subscriber.expect(Publish)).topic)
    assert len(heard) == count


async def test_every_gateway_has_them_also_one_that_starts_later() -> None:
    log = MemoryLog()
    async with endpoint(log) as first, endpoint(log) as second:
        sender = await first.connected("p")
        assert await retain(sender, b"1") is R.SUCCESS
        await until(lambda: second.broker.plane.retained.count)
        async with endpoint(log) as third:
            for here in (second, third):
                subscriber = await here.connected("s")
                await subscriber.subscribe(TOPIC)
                assert (await subscriber.expect(Publish)).payload == b"1"


async def test_what_was_sent_before_the_subscribe_is_there_whatever_its_qos(here: Endpoint) -> None:
    client = await here.connected()
    here.log.gate.clear()
    client.send(Publish(TOPIC, b"1", RETAIN))
    await client.subscribe("#")
    await client.nothing()
    here.log.gate.set()
    assert (await client.expect(Publish)).retain
    await client.nothing()


async def test_a_log_that_cannot_be_read_back_is_not_waited_for(here: Endpoint) -> None:
    sender = await here.connected()
    await asyncio.sleep(0)
    here.log.reading.clear()
    sender.send(Publish(TOPIC, b"1", QOS_1 | RETAIN, 9))
    await until(lambda: here.log.entries.get(RETAINED))
    await sender.nothing()
    here.after(11)
    assert (await sender.disconnected()).code is R.SERVER_BUSY
    here.log.reading.set()


@given(st.lists(NAME, max_size=8), FILTER)
def test_the_walk_finds_what_a_comparison_of_each_topic_finds(names: list[str], pattern: str) -> None:
    table = Retained(100, 100_000)
    value = value_of(Publish("t", b"x", RETAIN), 0, "s")
    for n, name in enumerate(names):
        table.apply(Entry(RETAINED, 0, n, 0, name.encode(), value))
    assert sorted(table.topics(pattern)) == sorted({name for name in names if fits(pattern, name)})
    for n, name in enumerate(names):
        table.apply(Entry(RETAINED, 0, n, 0, name.encode(), None))
    assert (table.count, table.size, list(table.topics("#"))) == (0, 0, [])

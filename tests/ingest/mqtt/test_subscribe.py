"""SUBSCRIBE: live messages to those who may hear them, once they are durable."""

from headwater.registry import Identity
from ingest.mqtt.packets import (
    Connack,
    Connect,
    Puback,
    Pubcomp,
    Publish,
    Pubrec,
    Pubrel,
    Suback,
    Subscribe,
    Subscription,
    Unsuback,
    Unsubscribe,
)
from ingest.mqtt.properties import Properties
from ingest.mqtt.reasons import ReasonCode as R
from tests.ingest.mqtt.kit import Endpoint, endpoint

TOPIC = "devices/d1/telemetry"


async def test_a_subscriber_hears_what_is_durable_and_not_before(here: Endpoint, version: int) -> None:
    subscriber, sender = await here.connected("s", version), await here.connected("p")
    assert (await subscriber.subscribe("devices/+/telemetry")).codes == (R.SUCCESS,)
    here.intake.slow = True
    sender.publish(b"1")
    await sender.nothing()
    await subscriber.nothing()
    here.intake.settle()
    heard = await subscriber.expect(Publish)
    assert (heard.topic, heard.payload, heard.qos, heard.retain) == (TOPIC, b"1", 0, False)


async def test_the_lower_qos_of_both_sides_holds(here: Endpoint, version: int) -> None:
    sender = await here.connected("p")
    for granted in (0, 1, 2):
        subscriber = await here.connected(f"s{granted}", version)
        assert (await subscriber.subscribe("#", qos=granted)).codes == (R(granted),)
        for sent in (0, 1, 2):
            sender.publish(b"x", qos=sent, first_id=1 + sent)
            if sent == 1:
                await sender.expect(Puback)
            if sent == 2:
                await sender.expect(Pubrec)
                sender.send(Pubrel(3))
                await sender.expect(Pubcomp)
            heard = await subscriber.expect(Publish)
            assert heard.qos == min(sent, granted)
            assert bool(heard.packet_id) is bool(heard.qos)
            if heard.qos == 2:
                subscriber.send(Pubrec(heard.packet_id))
                assert await subscriber.expect(Pubrel) == Pubrel(heard.packet_id)
                subscriber.send(Pubcomp(heard.packet_id))
            elif heard.qos:
                subscriber.send(Puback(heard.packet_id))
        subscriber.writer.close()


async def test_order_is_kept_per_topic(here: Endpoint) -> None:
    subscriber, sender = await here.connected("s"), await here.connected("p")
    await subscriber.subscribe("#", qos=1)
    payloads = [b"%d" % number for number in range(90)]
    sender.publish(*payloads)
    await sender.acknowledged(90)
    assert [(await subscriber.expect(Publish)).payload for _ in payloads] == payloads


async def test_what_is_rejected_or_failed_is_heard_by_nobody(here: Endpoint) -> None:
    subscriber, sender = await here.connected("s"), await here.connected("p")
    await subscriber.subscribe("#")
    here.intake.reject = lambda payload: "bad_json" if payload == b"bad" else None
    sender.publish(b"1", b"bad", b"2")
    for _ in range(3):
        await sender.expect(Puback)
    assert [(await subscriber.expect(Publish)).payload for _ in range(2)] == [b"1", b"2"]
    here.intake.failing = True
    sender.publish(b"3")
    await sender.disconnected()
    await subscriber.nothing()


async def test_what_was_accepted_is_heard_though_its_sender_is_gone(here: Endpoint) -> None:
    subscriber, sender = await here.connected("s"), await here.connected("p")
    await subscriber.subscribe("#")
    here.intake.slow = True
    sender.publish(b"1")
    await sender.nothing()
    sender.send_bytes(b"\0\0")
    await sender.disconnected()
    here.intake.settle()
    assert (await subscriber.expect(Publish)).payload == b"1"


async def test_overlapping_subscriptions_deliver_once_with_all_their_identifiers(here: Endpoint) -> None:
    subscriber, sender = await here.connected("s"), await here.connected("p")
    await subscriber.subscribe("devices/#", qos=0, properties=Properties(subscription_identifiers=(7,)))
    await subscriber.subscribe(TOPIC, qos=1, properties=Properties(subscription_identifiers=(300,)))
    sender.publish(b"1")
    heard = await subscriber.expect(Publish)
    assert heard.qos == 1
    assert set(heard.properties.subscription_identifiers) == {7, 300}
    await subscriber.nothing()


async def test_no_local_keeps_a_client_s_own_messages_from_it(here: Endpoint) -> None:
    client, other = await here.connected("c"), await here.connected("o")
    await client.subscribe(Subscription("#", 0, no_local=True))
    await other.subscribe("#")
    client.publish(b"mine", qos=0)
    assert (await other.expect(Publish)).payload == b"mine"
    await client.nothing()
    other.publish(b"theirs", qos=0)
    assert (await client.expect(Publish)).payload == b"theirs"


async def test_properties_of_the_message_are_handed_on(here: Endpoint) -> None:
    subscriber, old, sender = await here.connected("s"), await here.connected("o", 4), await here.connected("p")
    await subscriber.subscribe("#")
    await old.subscribe("#")
    given = Properties(
        payload_format_indicator=1, content_type="application/json", response_topic="devices/d1/answers",
        correlation_data=b"\x01", user_properties=(("a", "1"), ("a", "2")), message_expiry_interval=60,
    )  # fmt: skip
    sender.send(Publish(TOPIC, b"x", 0, 0, given))
    assert (await subscriber.expect(Publish)).properties == given
    assert await old.expect(Publish) == Publish(TOPIC, b"x")


async def test_a_subscription_is_replaced_and_ended(here: Endpoint, version: int) -> None:
    subscriber, sender = await here.connected("s", version), await here.connected("p")
    await subscriber.subscribe(TOPIC, qos=1)
    await subscriber.subscribe(TOPIC, qos=0)
    sender.publish(b"1")
    assert (await subscriber.expect(Publish)).qos == 0
    subscriber.send(Unsubscribe(9, (TOPIC, "never/had")))
    codes = (R.SUCCESS, R.NO_SUBSCRIPTION_EXISTED) if version == 5 else ()
    assert await subscriber.expect(Unsuback) == Unsuback(9, codes)
    sender.publish(b"2")
    await sender.acknowledged(2)
    await subscriber.nothing()


async def test_a_device_subscribes_only_to_itself_and_its_children(here: Endpoint) -> None:
    token = here.door.add("gw", "tag-*")
    client = await here.connected("c", username="gw", password=token.encode())
    suback = await client.subscribe("devices/gw/#", "devices/tag-1/commands", "#", "devices/other/#", "$SYS/#", qos=1)
    assert suback.codes == (R.GRANTED_QOS_1, R.GRANTED_QOS_1, R.NOT_AUTHORIZED, R.NOT_AUTHORIZED, R.NOT_AUTHORIZED)
    old = await here.connected("o", 4, username="gw", password=token.encode())
    assert (await old.subscribe("devices/gw/#", "#", qos=1)).codes == (R.GRANTED_QOS_1, R.UNSPECIFIED_ERROR)


async def test_a_device_does_not_hear_another_one_by_any_subscription(here: Endpoint) -> None:
    token = here.door.add("d2")
    spy = await here.connected("spy", username="d2", password=token.encode())
    await spy.subscribe("devices/d2/#", "devices/d1/#", "devices/+/telemetry", "#")
    sender = await here.connected("p")
    sender.publish(b"1")
    await sender.acknowledged(1)
    await spy.nothing()


async def test_what_cannot_be_subscribed_to_is_said_for_each_filter(here: Endpoint) -> None:
    client = await here.connected()
    suback = await client.subscribe("a/#", "a/#/b", "", "$share/g", "b" * 1025)
    assert suback.codes == (
        R.SUCCESS, R.TOPIC_FILTER_INVALID, R.TOPIC_FILTER_INVALID, R.TOPIC_FILTER_INVALID, R.TOPIC_FILTER_INVALID,
    )  # fmt: skip


async def test_subscriptions_are_bounded() -> None:
    async with endpoint(subscriptions=2) as here:
        client = await here.connected()
        assert (await client.subscribe("a", "b", "c", "a")).codes == (R.SUCCESS, R.SUCCESS, R.QUOTA_EXCEEDED, R.SUCCESS)


async def test_who_is_gone_is_not_subscribed(here: Endpoint) -> None:
    client, other = await here.connected("c"), await here.connected("o")
    await client.subscribe("#", "devices/#")
    await other.subscribe("#")
    client.writer.close()
    other.publish(b"1", qos=0)
    await other.expect(Publish)
    await here.connected("c")  # by now its end is known
    assert here.broker.router.subscriptions.count == 1


async def test_the_client_s_own_receive_maximum_holds(here: Endpoint) -> None:
    subscriber = await here.connected("s", properties=Properties(receive_maximum=2))
    sender = await here.connected("p")
    await subscriber.subscribe("#", qos=1)
    sender.publish(b"1", b"2", b"3", b"4")
    await sender.acknowledged(4)
    first, second = await subscriber.expect(Publish), await subscriber.expect(Publish)
    await subscriber.nothing()
    subscriber.send(Pubrec(second.packet_id, R.UNSPECIFIED_ERROR), Puback(first.packet_id))
    assert [(await subscriber.expect(Publish)).payload for _ in range(2)] == [b"3", b"4"]


async def test_the_client_s_own_packet_limit_holds(here: Endpoint) -> None:
    subscriber = await here.connected("s", properties=Properties(maximum_packet_size=60))
    sender = await here.connected("p")
    await subscriber.subscribe("#")
    sender.publish(b"x" * 100, b"small", qos=0)
    assert (await subscriber.expect(Publish)).payload == b"small"
    assert here.metrics.sample("mqtt_undelivered_total", reason="too_large") == 1


async def test_a_command_reaches_those_who_are_subscribed(here: Endpoint, version: int) -> None:
    token = here.door.add("d1")
    device = await here.connected("c", version, username="d1", password=token.encode())
    await device.subscribe("devices/d1/commands", qos=1)
    assert here.server.publish("devices/d1/commands", b"open") == 1
    assert here.server.publish("devices/d2/commands", b"open") == 0
    heard = await device.expect(Publish)
    assert (heard.topic, heard.payload, heard.qos) == ("devices/d1/commands", b"open", 1)
    assert here.intake.payloads == []
    assert here.metrics.sample("mqtt_delivered_total") == 1


async def test_an_api_key_that_may_read_hears_everything(here: Endpoint) -> None:
    here.door.known["key"] = Identity(name="page", roles=("read",))
    client = await here.client()
    assert (await client.connect(password=b"key")).code is R.SUCCESS
    assert (await client.subscribe("#")).codes == (R.SUCCESS,)


async def test_a_subscribe_before_the_connack_is_answered_after_it(here: Endpoint) -> None:
    client = await here.client()
    client.send(Connect(5, "early"), Subscribe(1, (Subscription("#"),)))
    await client.expect(Connack)
    await client.expect(Suback)

"""With the rule that grants everything the endpoint is an ordinary broker; without it, topics are the decoders'."""

from ingest.mqtt.packets import QOS_1, RETAIN, Puback, Publish
from ingest.mqtt.reasons import ReasonCode as R
from tests.ingest.mqtt.kit import Endpoint, endpoint


async def test_any_topic_goes_to_its_subscribers_and_ingest_goes_by_the_decoders(version: int) -> None:
    async with endpoint(broker=True) as here:
        sender, subscriber = await here.connected("p", version), await here.connected("s", version)
        assert (await subscriber.subscribe("any/+", "devices/#", qos=1)).codes == (R.GRANTED_QOS_1,) * 2
        sender.publish(b"1", topic="any/topic")
        sender.publish(b"2", first_id=2)
        assert await sender.acknowledged(2) == [1, 2]
        assert [(await subscriber.expect(Publish)).payload for _ in range(2)] == [b"1", b"2"]
        assert here.intake.payloads == [b"2"]


async def test_a_device_has_every_topic_too() -> None:
    async with endpoint(broker=True) as here:
        device = await here.connected("p", username="d1", password=here.door.add("d1").encode())
        assert (await device.subscribe("#")).codes == (R.SUCCESS,)
        device.send(Publish("any/topic", b"1", QOS_1 | RETAIN, 1))
        assert {type(await device.packet()), type(await device.packet())} == {Puback, Publish}
        assert here.intake.payloads == []
        await device.subscribe("any/#")
        assert (await device.expect(Publish)).retain


async def test_without_it_a_topic_that_no_decoder_knows_is_the_intake_s_to_reject(here: Endpoint) -> None:
    sender, subscriber = await here.connected("p"), await here.connected("s")
    await subscriber.subscribe("#")
    here.intake.reject = lambda _payload: "no_decoder"
    sender.publish(b"1", topic="any/topic")
    assert (await sender.expect(Puback)).code is R.TOPIC_NAME_INVALID
    await subscriber.nothing()
    sender.send(Publish("any/topic", b"", QOS_1 | RETAIN, 2))
    assert (await sender.expect(Puback)).code is R.NOT_AUTHORIZED

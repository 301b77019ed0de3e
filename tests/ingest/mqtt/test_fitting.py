"""What a client is told keeps to what it said it takes."""

import pytest

from ingest.mqtt.packets import Connack, Connect, Disconnect, Suback, Subscribe, Subscription, Unsuback, Unsubscribe
from ingest.mqtt.properties import Properties
from tests.ingest.mqtt.kit import Endpoint


async def test_an_answer_larger_than_the_client_takes_is_not_sent(here: Endpoint) -> None:
    small = Properties(maximum_packet_size=100)
    for packet in (
        Subscribe(1, tuple(Subscription(f"t/{number}") for number in range(200))),
        Unsubscribe(1, tuple(f"t/{number}" for number in range(200))),
    ):
        client = await here.connected("c1", properties=small)
        client.send(packet)
        assert (await client.expect(Disconnect)).code == 0x95
        await client.closed()
    client = await here.connected("c1", properties=small)
    client.send(Subscribe(1, (Subscription("t"),)), Unsubscribe(2, ("t",)))
    await client.expect(Suback)
    await client.expect(Unsuback)


async def test_a_client_that_cannot_even_take_the_connack_is_closed(here: Endpoint) -> None:
    client = await here.client()
    client.send(Connect(5, "c1", properties=Properties(maximum_packet_size=8)))
    await client.closed()
    assert len(here.broker.sessions) == 0


async def test_a_refusal_without_its_words_fits_where_they_do_not(here: Endpoint) -> None:
    client = await here.client()
    asked = Properties(maximum_packet_size=8, authentication_method="magic")
    client.send(Connect(5, "c1", properties=asked))
    answer = await client.expect(Connack)
    assert (answer.code, answer.properties.reason_string) == (0x8C, None)
    await client.closed()


@pytest.mark.parametrize(("asked", "told"), [(1, "devices/d1/"), (0, None), (None, None)])
async def test_a_device_that_asks_is_told_where_answers_may_go(
    here: Endpoint, asked: int | None, told: str | None
) -> None:
    token = here.door.add("d1")
    client = await here.client()
    given = Properties(request_response_information=asked)
    connack = await client.connect(username="d1", password=token.encode(), properties=given)
    assert connack.properties.response_information == told
    assert (await client.subscribe("devices/d1/answers", qos=1)).codes == (1,)

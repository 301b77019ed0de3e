"""What the standards ask and no other test here shows by itself. See docs/mqtt-statements.md."""

import string
import unicodedata

from ingest.mqtt.packets import (
    Disconnect,
    Pingreq,
    Pingresp,
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
from ingest.mqtt.reasons import ReasonCode
from tests.ingest.mqtt.kit import Endpoint
from tests.ingest.mqtt.session_kit import TOPIC, away, gone, hear, lasting

DUP, QOS_1 = 8, 2


async def test_a_byte_order_mark_is_a_character_like_any_other(here: Endpoint, version: int) -> None:
    client = await here.connected("c1", version)
    await client.subscribe("a/\ufeffb", "a/b")
    client.publish(b"marked", topic="a/\ufeffb", qos=0)
    heard = await client.expect(Publish)
    assert (heard.topic, heard.payload) == ("a/\ufeffb", b"marked")
    await client.nothing()


async def test_nothing_is_normalised(here: Endpoint, version: int) -> None:
    composed, apart = unicodedata.normalize("NFC", "é"), unicodedata.normalize("NFD", "é")
    client = await here.connected("c1", version)
    await client.subscribe(f"a/{composed}", "a//b", "A/b")
    for topic in (f"a/{apart}", "a/b", f"a/{composed}", "a//b"):
        client.publish(topic.encode(), topic=topic, qos=0)
    assert [(await client.expect(Publish)).topic for _ in range(2)] == [f"a/{composed}", "a//b"]
    client.send(Unsubscribe(1, (f"a/{apart}",)))
    await client.expect(Unsuback)
    client.publish(b"still", topic=f"a/{composed}", qos=0)
    assert (await client.expect(Publish)).payload == b"still"


async def test_client_identifiers_of_letters_and_digits_are_taken(here: Endpoint, version: int) -> None:
    letters = string.digits + string.ascii_letters
    for name in (letters[:23], letters[23:46], letters[46:], "a"):
        client = await here.connected(name, version)
        await client.nothing()


async def test_every_answer_names_its_request(here: Endpoint, version: int) -> None:
    client = await here.connected("c1", version)
    for number in (1, 255, 256, 65_535):
        client.send(Subscribe(number, (Subscription("a"), Subscription("b", 1), Subscription("a/#/b", 2))))
        subscribed = await client.expect(Suback)
        assert (subscribed.packet_id, subscribed.properties) == (number, Properties())
        assert [code < 0x80 for code in subscribed.codes] == [True, True, False]
        client.send(Unsubscribe(number, ("b", "never", "a")))
        ended = await client.expect(Unsuback)
        assert (ended.packet_id, ended.properties) == (number, Properties())
        assert list(ended.codes) == ([0, 0x11, 0] if version == 5 else [])
        client.send(Publish(TOPIC, b"1", 4, number))
        assert (await client.expect(Pubrec)).packet_id == number
        client.send(Pubrel(number))
        assert await client.expect(Pubcomp) == Pubcomp(number)


async def test_user_properties_keep_their_order(here: Endpoint) -> None:
    pairs = (("b", "1"), ("a", "2"), ("b", "1"), ("", ""), ("a", "1"))
    client = await here.connected("c1")
    await client.subscribe("#")
    client.send(Publish(TOPIC, b"1", 0, 0, Properties(user_properties=pairs, payload_format_indicator=1)))
    heard = await client.expect(Publish)
    assert heard.properties.user_properties == pairs
    assert heard.properties.payload_format_indicator == 1


async def test_the_sender_s_dup_is_not_handed_on(here: Endpoint, version: int) -> None:
    client = await here.connected("c1", version)
    await client.subscribe("#", qos=1)
    client.send(Publish(TOPIC, b"1", QOS_1 | DUP, 7))
    packets = [await client.packet(), await client.packet()]
    (heard,) = [packet for packet in packets if isinstance(packet, Publish)]
    assert heard.flags == QOS_1


async def test_aliases_end_with_their_connection(here: Endpoint) -> None:
    alias = Properties(topic_alias=1)
    client = await here.connected("c1")
    client.send(Publish(TOPIC, b"1", 2, 1, alias), Publish("", b"2", 2, 2, alias))
    assert await client.acknowledged(2) == [1, 2]
    again = await here.connected("c1")
    again.send(Publish("", b"3", 2, 1, alias))
    assert (await again.disconnected()).code == 0x82


async def test_words_that_do_not_fit_are_left_out(here: Endpoint) -> None:
    here.intake.reject = lambda _payload: "bad_json"
    client = await here.connected("c1", properties=Properties(maximum_packet_size=40))
    here.intake.detail = "x" * 100
    client.send(Publish(TOPIC, b"1", 2, 1), Publish(TOPIC, b"2", 4, 2))
    assert await client.expect(Puback) == Puback(1, ReasonCode.PAYLOAD_FORMAT_INVALID)
    assert await client.expect(Pubrec) == Pubrec(2, ReasonCode.PAYLOAD_FORMAT_INVALID)


async def test_what_is_under_way_is_completed_after_an_unsubscribe(here: Endpoint, version: int) -> None:
    """And does not expire meanwhile."""
    client = await here.connected("c1", version)
    await client.subscribe("#", qos=2)
    expiry = Properties(message_expiry_interval=1) if version == 5 else Properties()
    client.send(Publish(TOPIC, b"1", 4, 1, expiry))
    packets = [await client.packet(), await client.packet()]
    (heard,) = [packet for packet in packets if isinstance(packet, Publish)]
    client.send(Unsubscribe(3, ("#",)))
    await client.expect(Unsuback)
    here.after(5)
    client.send(Pubrec(heard.packet_id))
    assert (await client.expect(Pubrel)).packet_id == heard.packet_id
    client.send(Pubcomp(heard.packet_id), Pingreq())
    assert isinstance(await client.packet(), Pingresp)
    client.publish(b"2", qos=0)
    await client.nothing()


async def test_an_acknowledged_identifier_names_a_new_message(here: Endpoint, version: int) -> None:
    client = await here.connected("c1", version)
    for payload, flags in ((b"1", QOS_1), (b"2", QOS_1 | DUP)):
        client.send(Publish(TOPIC, payload, flags, 9))
        assert await client.acknowledged(1) == [9]
    assert here.intake.payloads == [b"1", b"2"]


async def test_a_session_that_is_to_end_with_this_connection_is_gone_on_with_until_then(here: Endpoint) -> None:
    """MQTT 5: no clean start, and no session expiry."""
    await away(here)
    sender = await here.connected("p")
    sender.publish(b"1", b"2")
    await sender.acknowledged(2)
    client = await here.client()
    connack = await client.connect("s", clean=False)
    assert (connack.session_present, connack.properties.session_expiry_interval) == (True, None)
    assert await hear(client, 2) == [b"1", b"2"]
    sender.publish(b"live")
    assert await hear(client, 1) == [b"live"]
    client.send(Disconnect())
    await client.closed()
    await gone(here)
    _, present = await lasting(here)
    assert not present

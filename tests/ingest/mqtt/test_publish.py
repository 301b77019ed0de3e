"""PUBLISH in: acknowledged after the log, in the order they came, never beyond what was agreed."""

import asyncio

from hypothesis import given, settings
from hypothesis import strategies as st

from headwater.errors import Reason
from ingest.mqtt import packets
from ingest.mqtt.encoding import encode
from ingest.mqtt.packets import Puback, Pubcomp, Publish, Pubrec, Pubrel
from ingest.mqtt.properties import Properties
from ingest.mqtt.reasons import ReasonCode as R
from tests.ingest.mqtt.kit import Endpoint, endpoint, until

TOPIC = "devices/d1/telemetry"


async def test_a_message_is_acknowledged_when_the_intake_has_settled_it_and_not_before(
    here: Endpoint, version: int
) -> None:
    here.intake.slow = True
    client = await here.connected(version=version)
    client.publish(b"1")
    await client.nothing()
    here.intake.settle()
    assert await client.acknowledged(1) == [1]


async def test_what_comes_reaches_the_intake_as_it_came(here: Endpoint, version: int) -> None:
    client = await here.connected(version=version)
    client.publish(b"1", b"2", qos=1)
    client.publish(b"0", qos=0)
    client.publish(b"3", topic="devices/d2/telemetry", first_id=3)
    client.publish(b"", topic="not/known", first_id=4)
    await client.acknowledged(4)
    assert here.intake.payloads == [b"1", b"2", b"0", b"3", b""]
    sources = [source for _, source, _ in here.intake.accepted]
    assert [(source.device, source.decoder, source.topic) for source in sources] == [
        *[("d1", "native", TOPIC)] * 3, ("d2", "native", "devices/d2/telemetry"), ("", "", "not/known"),
    ]  # fmt: skip
    assert sources[0] is sources[1] is sources[2]
    assert {source.transport for source in sources} == {"mqtt"}
    assert {source.peer for source in sources} == {f"127.0.0.1:{client.port}"}


async def test_acknowledgements_leave_in_the_order_of_the_messages(here: Endpoint, version: int) -> None:
    here.intake.slow = True
    client = await here.connected(version=version)
    for number in range(1, 5):
        client.publish(b"x", topic=f"devices/d{number}/telemetry", first_id=number)
    await until(lambda: len(here.intake.waiting) == 4)
    one, two, three, four = here.intake.waiting
    here.intake.settle_these([four, two])
    await client.nothing()
    here.intake.settle_these([one])
    assert await client.acknowledged(2) == [1, 2]
    await client.nothing()
    here.intake.settle_these([three])
    assert await client.acknowledged(2) == [3, 4]


async def test_what_is_settled_on_return_is_acknowledged_at_once_but_not_out_of_order(here: Endpoint) -> None:
    here.intake.slow = True
    client = await here.connected()
    client.publish(b"1")
    await client.nothing()
    here.intake.at_once = True
    client.publish(b"2", first_id=2)
    await client.nothing()
    here.intake.settle()
    assert await client.acknowledged(2) == [1, 2]
    client.publish(b"3", first_id=3)
    assert await client.acknowledged(1) == [3]


async def test_qos_0_is_not_answered(here: Endpoint, version: int) -> None:
    client = await here.connected(version=version)
    client.publish(b"1", b"2", qos=0)
    await client.nothing()
    assert here.intake.payloads == [b"1", b"2"]


async def test_what_the_log_did_not_take_is_not_acknowledged_nor_anything_after_it(here: Endpoint) -> None:
    here.intake.slow = True
    client = await here.connected()
    for number in (1, 2, 3):
        client.publish(b"x", topic=f"devices/d{number}/telemetry", first_id=number)
    await until(lambda: len(here.intake.waiting) == 3)
    one, two, three = here.intake.waiting
    here.intake.settle_these([three])
    here.intake.settle_these([two], failed=True)
    await client.nothing()
    here.intake.settle_these([one])
    assert await client.acknowledged(1) == [1]
    disconnect = await client.disconnected()
    assert disconnect.code is R.SERVER_BUSY
    assert "again" in (disconnect.properties.reason_string or "")
    assert here.metrics.sample("mqtt_closed_total", reason="server_busy") == 1


async def test_a_3_1_1_client_whose_message_the_log_did_not_take_is_closed(here: Endpoint) -> None:
    here.intake.slow = True
    client = await here.connected(version=4)
    client.publish(b"1")
    client.publish(b"2", topic="devices/d2/telemetry", first_id=2)
    await until(lambda: len(here.intake.waiting) == 2)
    here.intake.settle(1)
    here.intake.settle(failed=True)
    assert await client.acknowledged(1) == [1]
    await client.closed()


async def test_version_5_is_told_of_each_message_that_is_not_valid(here: Endpoint) -> None:
    reasons: dict[bytes, Reason] = {
        b"json": "bad_json",
        b"mine": "not_authorized",
        b"topic": "no_decoder",
        b"much": "too_large",
    }
    here.intake.reject = reasons.get
    client = await here.connected()
    client.publish(b"ok", b"json", b"mine", b"ok", b"topic", b"much")
    found = [await client.expect(Puback) for _ in range(6)]
    assert [(packet.packet_id, packet.code) for packet in found] == [
        (1, R.SUCCESS), (2, R.PAYLOAD_FORMAT_INVALID), (3, R.NOT_AUTHORIZED), (4, R.SUCCESS),
        (5, R.TOPIC_NAME_INVALID), (6, R.QUOTA_EXCEEDED),
    ]  # fmt: skip
    assert found[1].properties.reason_string == "bad_json: so it was told"


async def test_who_asked_for_no_reasons_gets_the_code_alone(here: Endpoint) -> None:
    here.intake.reject = lambda _payload: "bad_json"
    client = await here.connected(properties=Properties(request_problem_information=0))
    client.publish(b"x")
    assert await client.expect(Puback) == Puback(1, R.PAYLOAD_FORMAT_INVALID)
    small = await here.connected("c2", properties=Properties(maximum_packet_size=20))
    small.publish(b"x")
    assert await small.expect(Puback) == Puback(1, R.PAYLOAD_FORMAT_INVALID)


async def test_a_3_1_1_client_s_invalid_message_is_acknowledged(here: Endpoint) -> None:
    here.intake.reject = lambda _payload: "bad_json"
    client = await here.connected(version=4)
    client.publish(b"x")
    client.publish(b"x", qos=0)
    assert await client.acknowledged(1) == [1]
    await client.nothing()


async def test_a_poison_message_holds_no_place(here: Endpoint, version: int) -> None:
    here.intake.reject = lambda payload: "bad_json" if payload == b"bad" else None
    client = await here.connected(version=version)
    for start in range(0, 500, 50):
        client.publish(*[b"bad"] * 50, first_id=start + 1)
        assert await client.acknowledged(50) == list(range(start + 1, start + 51))


async def test_the_receive_maximum_holds_in_5() -> None:
    async with endpoint(in_flight=3) as here:
        here.intake.slow = True
        client = await here.connected()
        client.publish(b"1", b"2", b"3")
        await client.nothing()
        client.publish(b"0", qos=0)
        await client.nothing()
        client.publish(b"4", first_id=4)
        assert (await client.disconnected()).code is R.RECEIVE_MAXIMUM_EXCEEDED
        assert here.intake.payloads == [b"1", b"2", b"3", b"0"]


async def test_the_receive_maximum_is_free_again_when_acknowledged() -> None:
    async with endpoint(in_flight=2) as here:
        client = await here.connected()
        for number in range(1, 21, 2):
            client.publish(b"a", b"b", first_id=number)
            assert await client.acknowledged(2) == [number, number + 1]


async def test_a_3_1_1_client_may_send_more_than_fits_and_all_is_taken_in_order() -> None:
    async with endpoint(in_flight=3) as here:
        here.intake.slow = True
        client = await here.connected(version=4)
        sent = [b"%d" % number for number in range(1, 11)]
        for number, payload in enumerate(sent, 1):
            client.publish(payload, topic=f"devices/d{number}/telemetry", first_id=number)
        await client.nothing()  # and PINGREQ is answered
        assert here.intake.payloads == sent[:3]
        for number in range(1, 11):
            here.intake.settle(1)
            assert await client.acknowledged(1) == [number]
            assert here.intake.payloads == sent[: number + 3]
            await client.nothing()


async def test_qos_2_is_taken_once_and_released(here: Endpoint, version: int) -> None:
    here.intake.slow = True
    client = await here.connected(version=version)
    message = Publish(TOPIC, b"1", packets.QOS_2, 7)
    client.send(message)
    await client.nothing()
    again = Publish(TOPIC, b"1", packets.QOS_2 | packets.DUP, 7)
    client.send(again)
    await client.nothing()
    here.intake.settle()
    assert await client.expect(Pubrec) == Pubrec(7)
    client.send(again)
    assert await client.expect(Pubrec) == Pubrec(7)
    client.send(Pubrel(7))
    assert await client.expect(Pubcomp) == Pubcomp(7)
    assert here.intake.payloads == [b"1"]
    client.send(message)
    await until(lambda: here.intake.payloads == [b"1", b"1"])


async def test_qos_2_counts_until_it_is_released_in_5() -> None:
    async with endpoint(in_flight=1) as here:
        client = await here.connected()
        client.publish(b"1", qos=2)
        await client.expect(Pubrec)
        client.send(Pubrel(1))
        await client.expect(Pubcomp)
        client.publish(b"2", qos=2, first_id=2)
        await client.expect(Pubrec)
        client.publish(b"3", first_id=3)
        assert (await client.disconnected()).code is R.RECEIVE_MAXIMUM_EXCEEDED


async def test_qos_2_that_is_not_valid_is_over_with_its_pubrec_in_5(here: Endpoint) -> None:
    here.intake.reject = lambda payload: "bad_json" if payload == b"bad" else None
    client = await here.connected()
    client.publish(b"bad", qos=2)
    assert (await client.expect(Pubrec)).code is R.PAYLOAD_FORMAT_INVALID
    client.publish(b"good", qos=2)
    assert await client.expect(Pubrec) == Pubrec(1)
    old = await here.connected("c2", 4)
    old.publish(b"bad", qos=2)
    assert await old.expect(Pubrec) == Pubrec(1)
    old.send(Pubrel(1))
    await old.expect(Pubcomp)


async def test_a_pubrel_of_nothing_is_answered_so(here: Endpoint) -> None:
    client = await here.connected()
    client.send(Pubrel(9))
    assert await client.expect(Pubcomp) == Pubcomp(9, R.PACKET_IDENTIFIER_NOT_FOUND)
    old = await here.connected("c2", 4)
    old.send(Pubrel(9))
    assert await old.expect(Pubcomp) == Pubcomp(9)


async def test_qos_2_messages_never_released_are_bounded_in_3_1_1() -> None:
    async with endpoint(in_flight=2) as here:
        client = await here.connected(version=4)
        for number in range(1, 1001):
            client.publish(b"x", qos=2, first_id=number)
            await client.expect(Pubrec)
        client.publish(b"x", qos=2, first_id=1001)
        await client.closed()


async def test_the_content_type_reaches_the_intake(here: Endpoint) -> None:
    client = await here.connected()
    for number, kind in enumerate((None, "application/json", None, "text/plain"), 1):
        client.send(Publish(TOPIC, b"x", packets.QOS_1, number, Properties(content_type=kind)))
    await client.acknowledged(4)
    kinds = [source.content_type for _, source, _ in here.intake.accepted]
    assert kinds == ["", "application/json", "", "text/plain"]


async def test_a_payload_that_is_too_large_ends_the_connection() -> None:
    async with endpoint(payload_size="1KiB") as here:
        client = await here.connected()
        client.publish(b"x" * 1024)
        assert await client.acknowledged(1) == [1]
        client.publish(b"x" * 1025, first_id=2)
        assert (await client.disconnected()).code is R.PACKET_TOO_LARGE
        old = await here.connected("c2", 4)
        old.publish(b"x" * 1025)
        await old.closed()
        assert len(here.intake.payloads) == 1


async def test_what_came_before_a_broken_packet_is_taken(here: Endpoint) -> None:
    client = await here.connected()
    client.publish(b"1")
    client.send_bytes(b"\0\0")
    assert (await client.disconnected()).code is R.MALFORMED_PACKET
    assert here.intake.payloads == [b"1"]


async def test_a_packet_in_single_bytes_is_read(here: Endpoint) -> None:
    client = await here.connected(version=4)
    whole = packets.Publish(TOPIC, b"x" * 1000, packets.QOS_1, 1)
    for byte in encode(whole, 4):
        client.send_bytes(bytes([byte]))
        await asyncio.sleep(0)
    assert await client.acknowledged(1) == [1]


@given(
    st.lists(st.tuples(st.integers(0, 3), st.sampled_from([0, 1, 2]), st.booleans()), min_size=1, max_size=40),
    st.lists(st.integers(1, 5), min_size=1, max_size=20),
    st.booleans(),
)
@settings(max_examples=25, deadline=None)
async def test_whatever_comes_and_however_it_is_settled_order_and_answers_are_right(
    messages: list[tuple[int, int, bool]], settled: list[int], full: bool
) -> None:
    """3.1.1 with a small window: every message reaches the intake once, in order, and is answered once, in order."""
    async with endpoint(in_flight=4) as here:
        here.intake.slow = True
        here.intake.full = full
        client = await here.connected(version=4)
        expected: list[tuple[int, int]] = []
        for number, (device, qos, _) in enumerate(messages, 1):
            client.publish(b"%d" % number, qos=qos, topic=f"devices/d{device}/telemetry", first_id=number)
            if qos:
                expected.append((number, qos))
        await client.nothing()
        if full:
            assert here.intake.payloads == []
            here.intake.relieve()
        heard: list[tuple[int, int]] = []
        turn = 0
        while len(heard) < len(expected) or len(here.intake.payloads) < len(messages):
            here.intake.settle(settled[turn % len(settled)])
            turn += 1
            client.send_bytes(b"\xc0\0")
            while type(packet := await client.packet()) is not packets.Pingresp:
                assert isinstance(packet, Puback | Pubrec)
                heard.append((packet.packet_id, 1 if isinstance(packet, Puback) else 2))
        assert heard == expected
        assert here.intake.payloads == [b"%d" % number for number in range(1, len(messages) + 1)]

"""From bytes to packets: what was written is read, however it is cut; what is not MQTT is refused, and nothing breaks."""

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from ingest.mqtt import packets, wire
from ingest.mqtt.encoding import encode, words
from ingest.mqtt.packets import Connect, Packet, Publish
from ingest.mqtt.properties import Properties
from ingest.mqtt.reader import CONNECT_SIZE, Reader
from ingest.mqtt.reasons import ReasonCode as R
from tests.ingest.mqtt import packet_strategies as any_of

LIMIT, PAYLOAD = 4096, 1024

BUSY = [HealthCheck.too_slow]
"""A machine with much else to do makes examples slowly, which is no fault of theirs."""


def reader(version: int = 0) -> Reader:
    return Reader(LIMIT, PAYLOAD, aliases=4, version=version)


def fed(given: Reader, data: bytes, cuts: list[int]) -> list[Packet]:
    """Everything that is read of `data`, cut at these places."""
    found: list[Packet] = []
    for start, stop in zip([0, *cuts], [*cuts, len(data)], strict=True):
        found += given.feed(data[start:stop])
    return found


@st.composite
def talks(draw: st.DrawFn) -> tuple[int, list[Packet], bytes]:
    """What a client says from its CONNECT on: version, packets, bytes."""
    version = draw(any_of.versions)
    said: list[Packet] = [draw(any_of.connects(version)), *draw(st.lists(any_of.from_client(version), max_size=6))]
    return version, said, b"".join(encode(packet, version) for packet in said)


@st.composite
def cut_talks(draw: st.DrawFn) -> tuple[list[Packet], bytes, list[int]]:
    _, said, data = draw(talks())
    return said, data, sorted(draw(st.lists(st.integers(0, len(data)), max_size=8)))


@given(cut_talks())
def test_what_a_client_writes_is_read_however_it_is_cut(talk: tuple[list[Packet], bytes, list[int]]) -> None:
    said, data, cuts = talk
    found = reader()
    assert fed(found, data, cuts) == said
    assert found.broken is None
    assert found.waiting == 0


@given(talks())
@settings(max_examples=20)
def test_bytes_that_come_one_by_one_are_read_as_those_that_come_together(talk: tuple[int, list[Packet], bytes]) -> None:
    _, said, data = talk
    assert fed(reader(), data, list(range(1, len(data)))) == said


@given(any_of.versions.flatmap(lambda version: st.tuples(st.just(version), any_of.from_server(version))))
def test_what_a_server_writes_is_read(said: tuple[int, Packet]) -> None:
    version, packet = said
    found = Reader(2**20, 2**20, peer="server", version=version)
    assert found.feed(encode(packet, version)) == [packet]
    assert found.broken is None


def outcome(data: bytes, cuts: list[int], version: int) -> tuple[list[Packet], R | None]:
    found = reader(version)
    said = fed(found, data, cuts)
    assert found.waiting <= max(LIMIT, CONNECT_SIZE) + len(data)
    return said, found.broken.code if found.broken is not None else None


@given(st.sampled_from([0, 4, 5]), st.binary(max_size=200), st.lists(st.integers(0, 200), max_size=6))
@settings(max_examples=100)
@example(5, b"\x30\x00", [])
@example(4, b"\x32\x02\x00\x00", [1])
@example(5, b"\x30\xff\xff\xff\xff", [2])
def test_any_bytes_are_packets_or_a_reason_code_whatever_the_cut(version: int, data: bytes, cuts: list[int]) -> None:
    whole = outcome(data, [], version)
    assert outcome(data, sorted(cut for cut in cuts if cut <= len(data)), version) == whole


@given(talks(), st.integers(0), st.integers(0, 255), st.integers(0, 3))
@settings(max_examples=100, suppress_health_check=BUSY)
def test_a_talk_with_a_wrong_byte_is_packets_or_a_reason_code(
    talk: tuple[int, list[Packet], bytes], at: int, byte: int, more: int
) -> None:
    _, _, data = talk
    at %= len(data)
    damaged = data[:at] + bytes([byte]) + data[at + more :]
    assert outcome(damaged, list(range(1, len(damaged), 3)), 0) == outcome(damaged, [], 0)


@given(talks(), st.integers(0))
@settings(max_examples=50, suppress_health_check=BUSY)
def test_a_talk_that_stops_anywhere_is_not_an_error(talk: tuple[int, list[Packet], bytes], at: int) -> None:
    _, said, data = talk
    found = reader()
    heard = found.feed(data[: at % (len(data) + 1)])
    assert heard == said[: len(heard)]
    assert found.broken is None


def test_what_came_before_a_broken_packet_is_read_and_nothing_after_it() -> None:
    found = reader(4)
    good = encode(Publish("t", b"x", packets.QOS_1, 1), 4)
    assert len(found.feed(good + b"\x00\x00" + good)) == 1
    assert found.broken is not None
    assert found.feed(good) == []


def test_the_standard_s_own_example_of_a_connect_is_read() -> None:
    # OASIS MQTT 3.1.1, figure 3.6: flags 0xCE, keep alive 10; with payload of our own behind it.
    head = bytes([0, 4, *b"MQTT", 4, 0b11001110, 0, 10])
    body = head + b"\0\1c\0\1w\0\2hi\0\1u\0\1p"
    (found,) = reader().feed(bytes([0x10, len(body)]) + body)
    assert found == Connect(4, "c", True, 10, "u", b"p", packets.Will("w", b"hi", 1, False))


def test_bytes_are_as_the_standard_writes_them() -> None:
    assert encode(Publish("a/b", b"hi", packets.QOS_1, 10), 4) == b"\x32\x09\0\x03a/b\0\x0ahi"
    given = Properties(message_expiry_interval=5, user_properties=(("a", "b"),))
    assert encode(Publish("a", b"", 0, 0, given), 5) == b"\x30\x10\0\x01a\x0c\x02\0\0\0\x05\x26\0\x01a\0\x01b"
    assert words([0x40020001, 0x50020002]) == b"\x40\x02\0\x01\x50\x02\0\x02"
    assert encode(packets.Disconnect(R.SERVER_BUSY), 5) == b"\xe0\x01\x89"
    assert encode(packets.Connack(R.NOT_AUTHORIZED), 4) == b"\x20\x02\0\x05"


def framed(first: int, body: bytes) -> bytes:
    assert len(body) < 128
    return bytes([first, len(body)]) + body


def connect(flags: int = 2, rest: bytes = b"\0\1c", level: int = 5, given: bytes = b"\0") -> bytes:
    body = b"\0\4MQTT" + bytes([level, flags]) + b"\0\0" + (given if level >= 5 else b"") + rest
    return framed(0x10, body)


MALFORMED: list[tuple[str, int, bytes, R]] = [
    ("a first packet that is not CONNECT", 0, b"\xc0\0", R.PROTOCOL_ERROR),
    ("TLS on the plain port", 0, b"\x16\x03\x01\x02\x00", R.PROTOCOL_ERROR),
    ("HTTP on the MQTT port", 0, b"GET / HTTP/1.1\r\n", R.PROTOCOL_ERROR),
    ("CONNECT with flags", 0, b"\x11\0", R.PROTOCOL_ERROR),
    ("the level of MQTT 3.1", 0, framed(0x10, b"\0\6MQIsdp\x03\2\0\0\0\1c"), R.UNSUPPORTED_PROTOCOL_VERSION),
    ("a level to come", 0, connect(level=6), R.UNSUPPORTED_PROTOCOL_VERSION),
    ("a protocol of another name", 0, framed(0x10, b"\0\4MQTX\x05\2\0\0\0\0\1c"), R.UNSUPPORTED_PROTOCOL_VERSION),
    ("the reserved connect flag", 0, connect(flags=3), R.MALFORMED_PACKET),
    ("a will QoS without a will", 0, connect(flags=0x0A), R.MALFORMED_PACKET),
    ("a will retain without a will", 0, connect(flags=0x22), R.MALFORMED_PACKET),
    ("a will with QoS 3", 0, connect(flags=0x1E, rest=b"\0\1c\0\0\1w\0\0"), R.MALFORMED_PACKET),
    ("a will on a wildcard", 0, connect(flags=0x06, rest=b"\0\1c\0\0\1#\0\0"), R.TOPIC_NAME_INVALID),
    ("a password without a name in 3.1.1", 0, connect(0x42, b"\0\1c\0\1p", level=4), R.MALFORMED_PACKET),
    ("a CONNECT cut in its client id", 0, connect(rest=b"\0\5c"), R.MALFORMED_PACKET),
    ("a CONNECT without its client id", 0, connect(rest=b""), R.MALFORMED_PACKET),
    ("a CONNECT with more behind it", 0, connect(rest=b"\0\1cx"), R.MALFORMED_PACKET),
    ("a client id that is not UTF-8", 0, connect(rest=b"\0\1\xff"), R.MALFORMED_PACKET),
    ("a client id with a null", 0, connect(rest=b"\0\1\0"), R.MALFORMED_PACKET),
    ("a client id with a surrogate", 0, connect(rest=b"\0\3\xed\xa0\x80"), R.MALFORMED_PACKET),
    ("a receive maximum of 0", 0, connect(given=b"\3\x21\0\0"), R.PROTOCOL_ERROR),
    ("a maximum packet size of 0", 0, connect(given=b"\5\x27\0\0\0\0"), R.PROTOCOL_ERROR),
    ("a property twice", 0, connect(given=b"\6\x21\0\1\x21\0\1"), R.PROTOCOL_ERROR),
    ("a flag that is 2", 0, connect(given=b"\2\x17\2"), R.PROTOCOL_ERROR),
    ("a property of another packet", 0, connect(given=b"\3\x23\0\1"), R.MALFORMED_PACKET),
    ("a property that does not exist", 0, connect(given=b"\2\x7e\1"), R.MALFORMED_PACKET),
    ("a property cut short", 0, connect(given=b"\2\x21\0"), R.MALFORMED_PACKET),
    ("authentication data without a method", 0, connect(given=b"\4\x16\0\1x"), R.PROTOCOL_ERROR),
    ("properties longer than the packet", 0, connect(given=b"\x7f"), R.MALFORMED_PACKET),
    ("a second CONNECT", 5, connect(), R.PROTOCOL_ERROR),
    ("a second CONNECT in 3.1.1", 4, connect(level=4), R.PROTOCOL_ERROR),
    ("packet type 0", 5, b"\0\0", R.MALFORMED_PACKET),
    ("a CONNACK from a client", 5, b"\x20\3\0\0\0", R.MALFORMED_PACKET),
    ("a SUBACK from a client", 4, b"\x90\3\0\1\0", R.MALFORMED_PACKET),
    ("a PINGRESP from a client", 5, b"\xd0\0", R.MALFORMED_PACKET),
    ("PUBLISH with QoS 3", 5, framed(0x36, b"\0\1t\0\1\0"), R.MALFORMED_PACKET),
    ("DUP with QoS 0", 5, framed(0x38, b"\0\1t\0"), R.MALFORMED_PACKET),
    ("PUBLISH with nothing in it", 5, b"\x30\0", R.MALFORMED_PACKET),
    ("PUBLISH cut in its topic's length", 4, b"\x30\1\0", R.MALFORMED_PACKET),
    ("PUBLISH cut in its topic", 4, framed(0x30, b"\0\5ab"), R.MALFORMED_PACKET),
    ("PUBLISH cut in its packet id", 4, framed(0x32, b"\0\1t\0"), R.MALFORMED_PACKET),
    ("PUBLISH cut before its properties", 5, framed(0x30, b"\0\1t"), R.MALFORMED_PACKET),
    ("PUBLISH cut in its properties", 5, framed(0x30, b"\0\1t\x05\x02\0"), R.MALFORMED_PACKET),
    ("PUBLISH with packet id 0", 5, framed(0x32, b"\0\1t\0\0\0"), R.PROTOCOL_ERROR),
    ("PUBLISH without a topic", 4, framed(0x30, b"\0\0x"), R.TOPIC_NAME_INVALID),
    ("PUBLISH without topic and alias", 5, framed(0x30, b"\0\0\0x"), R.TOPIC_NAME_INVALID),
    ("PUBLISH to a wildcard", 5, framed(0x30, b"\0\3a/#\0"), R.TOPIC_NAME_INVALID),
    ("PUBLISH to a topic with a null", 4, framed(0x30, b"\0\3a\0b"), R.MALFORMED_PACKET),
    ("PUBLISH to a topic that is not UTF-8", 4, framed(0x30, b"\0\2\xc3\x28"), R.MALFORMED_PACKET),
    ("PUBLISH to too many levels", 4, framed(0x30, b"\0\x28" + b"/" * 40), R.TOPIC_NAME_INVALID),
    ("a topic alias of 0", 5, framed(0x30, b"\0\1t\3\x23\0\0"), R.TOPIC_ALIAS_INVALID),
    ("a topic alias above the maximum", 5, framed(0x30, b"\0\1t\3\x23\0\5"), R.TOPIC_ALIAS_INVALID),
    ("a topic alias that nothing stands for", 5, framed(0x30, b"\0\0\3\x23\0\1"), R.PROTOCOL_ERROR),
    ("a payload format of 2", 5, framed(0x30, b"\0\1t\2\x01\2"), R.PROTOCOL_ERROR),
    ("a response topic with a wildcard", 5, framed(0x30, b"\0\1t\4\x08\0\1+"), R.PROTOCOL_ERROR),
    ("a subscription id from a client", 5, framed(0x30, b"\0\1t\2\x0b\1"), R.PROTOCOL_ERROR),
    ("PUBACK with flags", 5, b"\x41\2\0\1", R.MALFORMED_PACKET),
    ("PUBACK with id 0", 4, b"\x40\2\0\0", R.PROTOCOL_ERROR),
    ("PUBACK with one byte", 4, b"\x40\1\0", R.MALFORMED_PACKET),
    ("PUBACK with a reason code in 3.1.1", 4, b"\x40\3\0\1\0", R.MALFORMED_PACKET),
    ("PUBACK with a code that it cannot have", 5, b"\x40\3\0\1\x8b", R.MALFORMED_PACKET),
    ("PUBREL without its flags", 5, b"\x60\2\0\1", R.MALFORMED_PACKET),
    ("PUBCOMP with a code that it cannot have", 5, b"\x70\3\0\1\x80", R.MALFORMED_PACKET),
    ("SUBSCRIBE without its flags", 4, framed(0x80, b"\0\1\0\1a\0"), R.MALFORMED_PACKET),
    ("SUBSCRIBE with id 0", 4, framed(0x82, b"\0\0\0\1a\0"), R.PROTOCOL_ERROR),
    ("SUBSCRIBE without a filter", 4, framed(0x82, b"\0\1"), R.PROTOCOL_ERROR),
    ("SUBSCRIBE cut before its options", 4, framed(0x82, b"\0\1\0\1a"), R.MALFORMED_PACKET),
    ("SUBSCRIBE with QoS 3", 4, framed(0x82, b"\0\1\0\1a\3"), R.MALFORMED_PACKET),
    ("SUBSCRIBE with options in 3.1.1", 4, framed(0x82, b"\0\1\0\1a\4"), R.MALFORMED_PACKET),
    ("SUBSCRIBE with reserved options", 5, framed(0x82, b"\0\1\0\0\1a\x40"), R.MALFORMED_PACKET),
    ("SUBSCRIBE with retain handling 3", 5, framed(0x82, b"\0\1\0\0\1a\x30"), R.PROTOCOL_ERROR),
    ("no-local on a shared subscription", 5, framed(0x82, b"\0\1\0\0\x0a$share/g/a\4"), R.PROTOCOL_ERROR),
    ("a subscription id of 0", 5, framed(0x82, b"\0\1\2\x0b\0\0\1a\0"), R.PROTOCOL_ERROR),
    ("two subscription ids", 5, framed(0x82, b"\0\1\4\x0b\1\x0b\2\0\1a\0"), R.PROTOCOL_ERROR),
    ("a filter that is not UTF-8", 4, framed(0x82, b"\0\1\0\1\xff\0"), R.MALFORMED_PACKET),
    ("UNSUBSCRIBE without a filter", 5, framed(0xA2, b"\0\1\0"), R.PROTOCOL_ERROR),
    ("UNSUBSCRIBE without its flags", 4, framed(0xA0, b"\0\1\0\1a"), R.MALFORMED_PACKET),
    ("PINGREQ with a body", 4, b"\xc0\1x", R.MALFORMED_PACKET),
    ("PINGREQ with flags", 4, b"\xc1\0", R.MALFORMED_PACKET),
    ("DISCONNECT with a body in 3.1.1", 4, b"\xe0\1\0", R.MALFORMED_PACKET),
    ("DISCONNECT with flags", 5, b"\xe1\0", R.MALFORMED_PACKET),
    ("DISCONNECT with a code that is none", 5, b"\xe0\1\x05", R.MALFORMED_PACKET),
    ("DISCONNECT with more behind its properties", 5, b"\xe0\3\0\0x", R.MALFORMED_PACKET),
    ("AUTH in 3.1.1", 4, b"\xf0\0", R.MALFORMED_PACKET),
    ("a length of five bytes", 5, b"\x30\x80\x80\x80\x80\x01", R.MALFORMED_PACKET),
    ("a length with a byte too many", 5, b"\xc0\x80\x00", R.MALFORMED_PACKET),
]  # fmt: skip


@pytest.mark.parametrize(
    ("version", "data", "code"), [case[1:] for case in MALFORMED], ids=[case[0] for case in MALFORMED]
)
def test_what_the_standard_forbids_is_refused_with_its_code(version: int, data: bytes, code: R) -> None:
    found = reader(version)
    heard = fed(found, data, list(range(1, len(data))))
    assert heard == []
    assert found.broken is not None
    assert found.broken.code is code


def test_user_properties_are_bounded() -> None:
    many = Properties(user_properties=(("a", "b"),) * 33)
    found = reader(5)
    assert found.feed(encode(Publish("t", b"", 0, 0, many), 5)) == []
    assert found.broken is not None
    assert found.broken.code is R.QUOTA_EXCEEDED


def test_filters_in_a_packet_are_bounded() -> None:
    found = Reader(2**20, PAYLOAD, version=4)
    found.feed(encode(packets.Unsubscribe(1, ("a",) * 1001), 4))
    assert found.broken is not None
    assert found.broken.code is R.QUOTA_EXCEEDED


def test_a_packet_that_is_too_large_is_refused_before_its_body_is_there() -> None:
    for version, limit in ((0, CONNECT_SIZE), (4, LIMIT), (5, LIMIT)):
        found = reader(version)
        first = b"\x10" if not version else b"\x30"
        found.feed(first + wire.write_variable(limit + 1))
        assert found.broken is not None
        assert found.broken.code is R.PACKET_TOO_LARGE
        assert found.waiting == 0


def test_the_limits_of_a_packet_hold_behind_a_connect_too() -> None:
    for version in (4, 5):
        found = reader()
        found.feed(encode(Connect(version, "c"), version) + b"\x30" + wire.write_variable(LIMIT + 1))
        assert found.broken is not None
        assert found.broken.code is R.PACKET_TOO_LARGE


def test_a_payload_of_the_size_allowed_is_read_and_one_more_byte_is_not() -> None:
    for version in (4, 5):
        found = reader(version)
        (read,) = found.feed(encode(Publish("t", b"x" * PAYLOAD, packets.QOS_1, 1), version))
        assert isinstance(read, Publish)
        assert len(read.payload) == PAYLOAD
        assert found.feed(encode(Publish("t", b"x" * (PAYLOAD + 1), packets.QOS_1, 1), version)) == []
        assert found.broken is not None
        assert found.broken.code is R.PACKET_TOO_LARGE


def test_an_alias_stands_for_the_topic_it_was_given_last() -> None:
    found = reader(5)
    one, two = Properties(topic_alias=1), Properties(topic_alias=2)
    said = [
        Publish("a", b"", 0, 0, one), Publish("", b"", 0, 0, one), Publish("b", b"", 0, 0, two),
        Publish("", b"", 0, 0, one), Publish("", b"", 0, 0, two), Publish("b", b"", 0, 0, one),
        Publish("b", b""), Publish("", b"", 0, 0, one), Publish("a", b""),
    ]  # fmt: skip
    heard = found.feed(b"".join(encode(packet, 5) for packet in said))
    assert [packet.topic for packet in heard if isinstance(packet, Publish)] == list("aababbbba")


@given(st.lists(st.tuples(st.sampled_from(["a", "b", "a/b", "ü"]), st.integers(0, 4)), max_size=30))
def test_the_topic_is_right_whatever_topics_and_aliases_came_before(said: list[tuple[str, int]]) -> None:
    found, known, expected = reader(5), dict[int, str](), list[str]()
    for topic, alias in said:
        given = Properties(topic_alias=alias) if alias else Properties()
        sent = "" if alias and known.get(alias) == topic else topic
        known[alias] = topic
        (heard,) = found.feed(encode(Publish(sent, b"", 0, 0, given), 5))
        assert isinstance(heard, Publish)
        expected.append(heard.topic)
    assert expected == [topic for topic, _ in said]


def test_a_device_with_very_many_topics_costs_bounded_memory() -> None:
    found = reader(4)
    for number in range(5000):
        found.feed(encode(Publish(f"devices/d{number}/telemetry", b"x"), 4))
    assert found.broken is None
    assert len(found._names) <= 256  # pyright: ignore[reportPrivateUsage]

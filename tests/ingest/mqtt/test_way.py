"""What goes the short way is what the reader would have read; all else is left to the reader."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ingest.contract import Source
from ingest.mqtt.encoding import encode
from ingest.mqtt.packets import Connect, Packet, Puback, Publish
from ingest.mqtt.properties import NONE, Properties
from ingest.mqtt.reader import Reader
from ingest.mqtt.way import PUBACKED, Way
from tests.ingest.mqtt.kit import endpoint

TOPIC = "devices/d1/telemetry"
MOST = 400

_publishes = st.builds(
    Publish,
    st.sampled_from([TOPIC, TOPIC, TOPIC, "devices/d2/telemetry", "devices/d1/telemetr"]),
    st.one_of(st.integers(0, 40), st.integers(95, 110), st.integers(360, 420)).map(lambda size: b"x" * size),
    st.sampled_from([2, 2, 2, 2, 0, 3, 4, 10]),
    st.sampled_from([1, 255, 256, 65_535]),
    st.sampled_from([NONE, NONE, NONE, Properties(content_type="text"), Properties(topic_alias=1)]),
)


def reader(version: int) -> Reader:
    made = Reader(10_000, MOST, 16)
    made.feed(encode(Connect(version, "c"), version))
    return made


def outcome(found: list[Packet], of: Reader) -> object:
    return found, of.broken and of.broken.code, of.waiting


def straight(data: bytes, version: int) -> tuple[list[Packet], int]:
    payloads, answers, size = Way(TOPIC, Source("mqtt"), version, MOST).read(data)
    assert len(payloads) == len(answers)
    return [Publish(TOPIC, one, 2, word - PUBACKED, NONE) for one, word in zip(payloads, answers, strict=True)], size


@given(
    version=st.sampled_from([4, 5]),
    packets=st.lists(_publishes, min_size=1, max_size=5),
    change=st.one_of(st.none(), st.tuples(st.integers(0, 60), st.integers(0, 255))),
    cut=st.integers(-30, 2),
)
@example(5, [Publish(TOPIC, b"", 2, 1, NONE)], None, 0)
@example(5, [Publish(TOPIC, b"x", 2, 1, NONE)], None, -2)
@example(4, [Publish(TOPIC, b"x", 2, 1, NONE)] * 2, (24, 0), 0)
def test_with_the_reader_behind_it_it_reads_what_the_reader_reads(
    version: int, packets: list[Publish], change: tuple[int, int] | None, cut: int
) -> None:
    parts: list[bytes] = []
    for packet in packets:
        packet_id = packet.packet_id if packet.flags & 6 else 0
        given_ = packet.properties if version == 5 else NONE
        parts.append(encode(Publish(packet.topic, packet.payload, packet.flags, packet_id, given_), version))
    data = bytearray(b"".join(parts))
    if change is not None and change[0] < len(data):
        data[change[0]] = change[1]
    whole = bytes(data[:cut] if cut < 0 else data + b"\xc0\0"[:cut])
    alone, behind = reader(version), reader(version)
    found, size = straight(whole, version)
    assert outcome(found + behind.feed(whole[size:]), behind) == outcome(alone.feed(whole), alone)


@pytest.mark.parametrize("version", [4, 5])
@pytest.mark.parametrize("size", [5, 99, 100, 101, 102, 103, 104, 300])
def test_it_takes_what_is_plain(version: int, size: int) -> None:
    packets = [Publish(TOPIC, b"x" * size, 2, number, NONE) for number in (1, 300)]
    data = b"".join(encode(packet, version) for packet in packets)
    assert straight(data + b"\xc0\0", version) == (packets, len(data))


NAME = b"\0\x14" + TOPIC.encode()


@pytest.mark.parametrize(
    "data",
    [
        b"\x32\xff\x00" + NAME + b"\0\x01" + b"x" * 103,  # a length with more bytes than it needs
        b"\x32\x1f" + NAME + b"\0\0payload",  # a packet identifier of 0
        b"\x32\x17" + NAME + b"\0\x01payload",  # a length that ends within the packet identifier
        b"\x32\xb1\x03" + NAME + b"\0\x01" + b"x" * 409,  # too large
        b"\x32\x1f" + NAME + b"\0\x01pa",  # not all of it
    ],
)
def test_what_is_wrong_is_left_to_the_reader(data: bytes) -> None:
    assert straight(data, 4) == ([], 0)


async def test_messages_are_acknowledged_alike_one_by_one_together_and_cut_anywhere() -> None:
    async with endpoint() as made:
        client = await made.connected("d1")
        packets = [Publish(TOPIC, b"%d" % number, 2, number) for number in range(1, 30)]
        for packet in packets[:5]:
            client.send(packet)
            assert (await client.expect(Puback)).packet_id == packet.packet_id
        rest = b"".join(encode(packet, 5) for packet in packets[5:])
        for at in range(0, len(rest), 61):
            client.send_bytes(rest[at : at + 61])
        for packet in packets[5:]:
            assert (await client.expect(Puback)).packet_id == packet.packet_id
        assert made.intake.payloads == [packet.payload for packet in packets]

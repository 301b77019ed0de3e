"""A read that goes the short way is what the reader would have read; all else is left to the reader."""

from hypothesis import example, given
from hypothesis import strategies as st

from ingest.contract import Source
from ingest.mqtt.encoding import encode
from ingest.mqtt.packets import Connect, Puback, Publish
from ingest.mqtt.properties import NONE, Properties
from ingest.mqtt.reader import Reader
from ingest.mqtt.way import Way
from tests.ingest.mqtt.kit import endpoint

TOPIC = "devices/d1/telemetry"
MOST = 400


def read(data: bytes, version: int) -> list[object]:
    """What the reader makes of it; of what is not whole or wrong, nothing."""
    reader = Reader(10_000, MOST, 16)
    reader.feed(encode(Connect(version, "c"), version))
    found = reader.feed(data)
    return [] if reader.broken is not None or reader.waiting else list(found)


@given(
    version=st.sampled_from([4, 5]),
    topic=st.sampled_from([TOPIC, "devices/d2/telemetry", "devices/d1/telemetr"]),
    size=st.integers(0, 500),
    flags=st.sampled_from([0, 2, 2, 2, 4, 3, 10]),
    packet_id=st.sampled_from([1, 256, 65_535]),
    given_=st.sampled_from([NONE, NONE, Properties(content_type="text"), Properties(topic_alias=1)]),
    change=st.one_of(st.none(), st.tuples(st.integers(0, 30), st.integers(0, 255))),
    cut=st.integers(-3, 3),
)
@example(4, TOPIC, 103, 2, 1, NONE, None, 0)
@example(4, TOPIC, 104, 2, 1, NONE, None, 0)
@example(5, TOPIC, 102, 2, 1, NONE, (1, 0x80), 0)
@example(4, TOPIC, 20, 2, 1, NONE, (24, 0), 0)
def test_it_takes_what_the_reader_would(
    version: int, topic: str, size: int, flags: int, packet_id: int, given_: Properties,
    change: tuple[int, int] | None, cut: int,
) -> None:  # fmt: skip
    packet = Publish(topic, b"x" * size, flags, packet_id if flags & 6 else 0, given_ if version == 5 else NONE)
    data = bytearray(encode(packet, version))
    if change is not None and change[0] < len(data):
        data[change[0]] = change[1]
    whole = bytes(data[:cut] if cut < 0 else data + b"\xc0\0"[:cut])
    way = Way(TOPIC, Source("mqtt"), version, MOST)
    body = way.payload(whole)
    taken = (
        Publish(TOPIC, whole[body:], 2, whole[body - way.back] << 8 | whole[body - way.back + 1], NONE)
        if body
        else None
    )
    found = read(whole, version)
    if taken is not None:
        assert found == [taken]
    if len(found) == 1 and len(whole) <= MOST and isinstance(found[0], Publish):
        plain = found[0].topic == TOPIC and found[0].flags == 2 and found[0].properties is NONE
        assert (taken is not None) is plain


def test_a_length_with_more_bytes_than_it_needs_is_left_to_the_reader() -> None:
    body = encode(Publish(TOPIC, b"x" * 103, 2, 1), 4)[2:]
    assert len(body) == 127
    assert not Way(TOPIC, Source("mqtt"), 4, MOST).payload(b"\x32\xff\x00" + body)


async def test_messages_one_by_one_are_acknowledged_and_counted_like_any() -> None:
    async with endpoint() as made:
        client = await made.connected("d1")
        for number in range(1, 6):
            client.send(Publish(TOPIC, b"%d" % number, 2, number))
            assert (await client.expect(Puback)).packet_id == number
        assert made.intake.payloads == [b"%d" % number for number in range(1, 6)]

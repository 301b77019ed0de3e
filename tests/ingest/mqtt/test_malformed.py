"""Every packet cut at every byte, every property in every packet: taken where the standard has it, else refused by code."""

from collections.abc import Iterator

import pytest

from ingest.mqtt.encoding import encode
from ingest.mqtt.packets import (
    Auth,
    Connect,
    Disconnect,
    Packet,
    Pingreq,
    Puback,
    Pubcomp,
    Publish,
    Pubrec,
    Pubrel,
    Subscribe,
    Subscription,
    Unsubscribe,
    Will,
)
from ingest.mqtt.properties import Properties
from ingest.mqtt.reader import Reader
from ingest.mqtt.reasons import ReasonCode
from ingest.mqtt.wire import write_variable

_PAIR = Properties(user_properties=(("name", "value"),))
_REASON = Properties(reason_string="why", user_properties=(("name", "value"),))
WILL = Will("w", b"gone", 1, False, Properties(will_delay_interval=5, content_type="text"))
SAMPLES: list[Packet] = [
    Connect(
        5, "client", True, 60, "user", b"password", WILL, Properties(receive_maximum=10, session_expiry_interval=5)
    ),
    Publish("a/b", b"", 2, 7, Properties(content_type="text", topic_alias=1, correlation_data=b"12")),
    Puback(7, ReasonCode.NOT_AUTHORIZED, _REASON),
    Pubrec(7, ReasonCode.QUOTA_EXCEEDED, _REASON),
    Pubrel(7, ReasonCode.PACKET_IDENTIFIER_NOT_FOUND, _REASON),
    Pubcomp(7, ReasonCode.PACKET_IDENTIFIER_NOT_FOUND, _REASON),
    Subscribe(7, (Subscription("a/+", 1), Subscription("b")), Properties(subscription_identifiers=(200,))),
    Unsubscribe(7, ("a/+", "b"), _PAIR),
    Pingreq(),
    Disconnect(ReasonCode.DISCONNECT_WITH_WILL_MESSAGE, Properties(session_expiry_interval=5)),
    Auth(ReasonCode.RE_AUTHENTICATE, Properties(authentication_method="m", authentication_data=b"d")),
]
HELLO = encode(Connect(5, "c"), 5)


def read(data: bytes, *, first: bool) -> tuple[list[Packet], ReasonCode | None]:
    """`first`: it is the first packet, a CONNECT."""
    reader = Reader(10_000, 5_000, 16)
    if not first:
        assert len(reader.feed(HELLO)) == 1
    packets = reader.feed(data)
    return packets, None if reader.broken is None else reader.broken.code


def framed(first: int, body: bytes) -> bytes:
    return bytes((first,)) + write_variable(len(body)) + body


@pytest.mark.parametrize("packet", SAMPLES, ids=lambda packet: type(packet).__name__)
def test_a_packet_that_ends_at_any_byte_is_refused_or_means_less(packet: Packet) -> None:
    """Cut, with a length that fits: refused, or one of those that the standard allows to end early."""
    data, first = encode(packet, 5), isinstance(packet, Connect)
    body = data[2:]
    assert read(data, first=first) == ([packet], None)
    early: dict[type[Packet], set[int]] = {
        Puback: {2, 3},
        Pubrec: {2, 3},
        Pubrel: {2, 3},
        Pubcomp: {2, 3},
        Disconnect: {0, 1},
        Auth: {0, 1},
    }
    for size in range(len(body)):
        packets, code = read(framed(data[0], body[:size]), first=first)
        if size in early.get(type(packet), ()):
            assert code is None
            assert type(packets[0]) is type(packet)
        elif isinstance(packet, Subscribe | Unsubscribe) and code is None:
            assert packets != [packet]  # it ends behind one of its filters
        else:
            assert (packets, code) in (([], ReasonCode.MALFORMED_PACKET), ([], ReasonCode.PROTOCOL_ERROR))


@pytest.mark.parametrize("packet", SAMPLES, ids=lambda packet: type(packet).__name__)
def test_a_packet_of_which_only_a_part_has_come_is_waited_for(packet: Packet) -> None:
    data, first = encode(packet, 5), isinstance(packet, Connect)
    for size in range(len(data)):
        assert read(data[:size], first=first) == ([], None)


def test_a_length_with_more_bytes_than_it_needs_is_refused_at_once_whatever_follows() -> None:
    for size in (b"\xc0\0", b"\x80\0", b"\x80\x80\0", b"\xff\xff\xff\0"):
        for behind in (b"", b"\0", b"\xc0", b"\xc0\x80"):
            assert read(b"\x50" + size + behind, first=False) == ([], ReasonCode.MALFORMED_PACKET)


@pytest.mark.parametrize("packet", SAMPLES, ids=lambda packet: type(packet).__name__)
def test_a_packet_that_goes_on_behind_its_end_is_refused(packet: Packet) -> None:
    data, first = encode(packet, 5), isinstance(packet, Connect)
    if isinstance(packet, Publish):
        return  # what follows is its payload
    packets, code = read(framed(data[0], data[2:] + b"\0"), first=first)
    assert packets == []
    assert code in {ReasonCode.MALFORMED_PACKET, ReasonCode.PROTOCOL_ERROR}


FLAG, TWO, FOUR, VARIABLE, TEXT, PAIR = b"\1", b"\0\5", b"\0\0\0\5", b"\5", b"\0\1x", b"\0\1n\0\1v"
_ANSWERS = "puback pubrec pubrel pubcomp disconnect auth"
TABLE: dict[int, tuple[bytes, str]] = {
    0x01: (FLAG, "publish will"), 0x02: (FOUR, "publish will"), 0x03: (TEXT, "publish will"),
    0x08: (TEXT, "publish will"), 0x09: (TEXT, "publish will"), 0x0B: (VARIABLE, "subscribe"),
    0x11: (FOUR, "connect disconnect"), 0x12: (TEXT, ""), 0x13: (TWO, ""), 0x15: (TEXT, "connect auth"),
    0x16: (TEXT, ""), 0x17: (FLAG, "connect"), 0x18: (FOUR, "will"), 0x19: (FLAG, "connect"), 0x1A: (TEXT, ""),
    0x1C: (TEXT, "disconnect"), 0x1F: (TEXT, _ANSWERS), 0x21: (TWO, "connect"), 0x22: (TWO, "connect"),
    0x23: (TWO, "publish"), 0x24: (FLAG, ""), 0x25: (FLAG, ""),
    0x26: (PAIR, f"connect will publish subscribe unsubscribe {_ANSWERS}"), 0x27: (FOUR, "connect"),
    0x28: (FLAG, ""), 0x29: (FLAG, ""), 0x2A: (FLAG, ""),
}  # fmt: skip
"""The standard's table 2-4, as far as a client may send it: a value, and where. 0x16 needs 0x15 beside it."""


def places(section: bytes) -> Iterator[tuple[str, bytes]]:
    """Every packet that a client sends, with this property section in it."""
    held = write_variable(len(section)) + section
    yield "connect", framed(0x10, b"\0\4MQTT\5\2\0\x3c" + held + b"\0\1c")
    yield "will", framed(0x10, b"\0\4MQTT\5\6\0\x3c\0\0\1c" + held + b"\0\1w\0\0")
    yield "publish", framed(0x30, b"\0\1t" + held)
    for name, first in (("puback", 0x40), ("pubrec", 0x50), ("pubrel", 0x62), ("pubcomp", 0x70)):
        yield name, framed(first, b"\0\7\0" + held)
    yield "subscribe", framed(0x82, b"\0\7" + held + b"\0\1t\0")
    yield "unsubscribe", framed(0xA2, b"\0\7" + held + b"\0\1t")
    yield "disconnect", framed(0xE0, b"\0" + held)
    yield "auth", framed(0xF0, b"\x19" + held)


def refused(section: bytes) -> set[str]:
    """In which packets it is refused."""
    found: set[str] = set()
    for place, data in places(section):
        packets, code = read(data, first=place in {"connect", "will"})
        assert (code is None) == (len(packets) == 1)
        if code is not None:
            assert code in {ReasonCode.MALFORMED_PACKET, ReasonCode.PROTOCOL_ERROR}
            found.add(place)
    return found


EVERYWHERE = {place for place, _ in places(b"")}


def test_a_property_is_taken_where_the_standard_has_it_and_nowhere_else() -> None:
    for number in range(256):
        value, allowed = TABLE.get(number, (FOUR, ""))
        assert refused(write_variable(number) + value) == EVERYWHERE - set(allowed.split()), hex(number)


def test_a_property_that_is_there_twice_is_refused_but_for_user_properties() -> None:
    for number, (value, allowed) in TABLE.items():
        twice = (bytes((number,)) + value) * 2
        assert refused(twice) == EVERYWHERE - (set(allowed.split()) if number == 0x26 else set()), hex(number)


def test_a_property_that_is_cut_or_whose_section_says_another_length_is_refused() -> None:
    for number, (value, _) in TABLE.items():
        for size in range(len(value)):
            assert refused(bytes((number,)) + value[:size]) == EVERYWHERE, (hex(number), size)


@pytest.mark.parametrize(
    ("number", "value"),
    [
        (0x01, b"\2"), (0x17, b"\2"), (0x19, b"\2"), (0x21, b"\0\0"), (0x27, b"\0\0\0\0"), (0x0B, b"\0"),
        (0x0B, b"\x80\x00"), (0x0B, b"\xff\xff\xff\xff\x01"), (0x08, b"\0\0"), (0x08, b"\0\1#"), (0x08, b"\0\1+"),
        (0x03, b"\0\1\0"), (0x03, b"\0\1\xff"), (0x03, b"\0\3\xed\xa0\x80"), (0x26, b"\0\1\0\0\1v"),
        (0x26, b"\0\1n\0\1\xff"), (0x80, b"\x01\0"),
    ],
)  # fmt: skip
def test_a_value_that_the_standard_does_not_allow_is_refused(number: int, value: bytes) -> None:
    assert refused(bytes((number,)) + value) == EVERYWHERE


def test_an_alias_of_0_has_a_code_of_its_own() -> None:
    _, code = read(framed(0x30, b"\0\1t\3\x23\0\0"), first=False)
    assert code is ReasonCode.TOPIC_ALIAS_INVALID

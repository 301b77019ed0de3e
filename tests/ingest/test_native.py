"""The native form: what it takes, what it refuses and how it says so; and that no bytes at all can do more than that."""

import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from headwater.errors import Rejected
from headwater.message import Heard, Message, Position, decode_message, encode
from headwater.times import parse_at, rfc3339
from ingest.decoders.native import read
from tests.taking import processor_time

RECEIVED = 1_763_719_000_000_000
EXACT = 2**53

whole = st.integers(-EXACT, EXACT)
finite = st.floats(allow_nan=False, allow_infinity=False)
characters = st.characters(codec="utf-8")
names = st.text(characters, min_size=1, max_size=12)
texts = st.text(characters, max_size=20)
values = st.booleans() | whole | finite | texts
deep: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=12,
)
own_keys = st.sampled_from(
    ["device", "device_id", "at", "id", "seq", "sequence", "kind", "fields", "position", "heard_by"]
)
likely = st.dictionaries(own_keys | st.text(max_size=6), deep, max_size=6)


def reading(**message: object) -> Message:
    return read(json.dumps(message).encode(), "", RECEIVED)


def refused(data: bytes, device: str = "") -> Rejected:
    with pytest.raises(Rejected) as caught:
        read(data, device, RECEIVED)
    assert 0 < len(caught.value.detail) < 400
    return caught.value


def harmless(data: bytes) -> None:
    """What may happen to bytes: a sound message that the log can carry, or `Rejected`."""
    try:
        message = read(data, "", RECEIVED)
    except Rejected:
        return
    assert decode_message(encode(message)) == message
    for value in message.fields.values():
        assert isinstance(value, float) or -EXACT <= value <= EXACT
        assert value - value == 0, "neither infinite nor NaN"
    assert message.position is None or (abs(message.position.lat) <= 90 and abs(message.position.lon) <= 180)


@given(st.binary(max_size=300))
@example(b"")
@example(b'{"fields":{"\\ud800":1}}')
@example(b'{"fields":{"a":1e999}}')
@example(b'{"fields":{"a":' + b"9" * 5000 + b"}}")
def test_any_bytes_make_a_message_or_are_rejected(data: bytes) -> None:
    harmless(data)


@given(likely, st.booleans())
def test_any_json_makes_a_message_or_is_rejected(message: dict[str, Any], cut: bool) -> None:
    data = json.dumps(message).encode()
    harmless(data)
    if cut:
        for end in range(0, len(data), 7):
            harmless(data[:end])


@given(
    device=st.from_regex(r"[a-z][a-z0-9-]{0,20}", fullmatch=True) | st.integers(0, 10**15),
    at=st.none() | st.integers(0, 253_402_300_799_000),
    seq=st.none() | st.integers(0, 2**63 - 1),
    own=st.none() | st.text("abcdef0123", min_size=1, max_size=64),
    fields=st.dictionaries(names, values | st.none(), max_size=8),
    position=st.none() | st.tuples(st.floats(-90, 90), st.floats(-180, 180)),
    heard=st.lists(st.tuples(names, st.none() | st.floats(-150, 20)), max_size=3),
)
def test_what_a_native_message_says_is_what_is_read(
    device: str | int,
    at: int | None,
    seq: int | None,
    own: str | None,
    fields: dict[str, Any],
    position: tuple[float, float] | None,
    heard: list[tuple[str, float | None]],
) -> None:
    message: dict[str, object] = {"device": device, "at": at, "seq": seq, "id": own, "fields": fields}
    if position is not None:
        message["position"] = {"lat": position[0], "lon": position[1]}
    if heard:
        message["heard_by"] = [{"gateway": name, "rssi": rssi} for name, rssi in heard]

    made = reading(**message)

    assert made.device == str(device)
    assert made.at == (None if at is None else at * 1000)
    assert made.seq == seq
    assert made.id == (own or "")
    assert made.fields == {name: value for name, value in fields.items() if isinstance(value, bool | int | float)}
    assert made.texts == {name: value for name, value in fields.items() if isinstance(value, str)}
    assert made.position == (None if position is None else Position(*position))
    assert made.heard_by == [Heard(name, rssi) for name, rssi in heard]
    assert made.received == made.time == RECEIVED
    assert made.decoder == "native"


def test_a_whole_number_stays_whole_and_a_float_stays_a_float() -> None:
    made = reading(device="a", fields={"count": 3, "level": 3.0, "open": True})

    assert [type(value) for value in made.fields.values()] == [int, float, bool]


@pytest.mark.parametrize(
    "at", ["2026-11-21T07:40:00Z", "2026-11-21T08:40:00+01:00", "2026-11-21T07:40:00", 1795246800000]
)
def test_at_is_milliseconds_or_rfc_3339(at: str | int) -> None:
    made = reading(device="a", at=at, fields={"x": 1})

    assert made.at is not None
    assert rfc3339(made.at) == "2026-11-21T07:40:00Z"


@given(st.integers() | st.floats(allow_nan=False, allow_infinity=False))
def test_any_number_as_at_is_a_time_or_bad_time(at: float) -> None:
    try:
        expected = parse_at(at)
    except Rejected:
        expected = None
    if expected is None:
        assert refused(json.dumps({"device": "a", "at": at, "fields": {"x": 1}}).encode()).reason == "bad_time"
    else:
        assert reading(device="a", at=at, fields={"x": 1}).at == expected


def test_the_form_is_told_by_keys_and_not_by_bytes() -> None:
    escaped = read(rb'{"device":"a","\u0066ields":{"x":1}}', "", RECEIVED)
    flat = read(b'{"device":"a","note":"see \\"fields\\" of \\"x\\"","x":1}', "", RECEIVED)

    assert escaped.fields == {"x": 1}
    assert escaped.decoder == "native"
    assert flat.decoder == "flat"
    assert flat.fields == {"x": 1}


@pytest.mark.parametrize("key", ["position", "heard_by"])
def test_position_or_heard_by_alone_make_it_native(key: str) -> None:
    alone = {"position": {"lat": 48.1, "lon": 11.5}, "heard_by": [{"gateway": "g1", "rssi": -70}]}[key]

    made = reading(device="beacon", **{key: alone})

    assert made.decoder == "native"
    assert made.position is not None or made.heard_by


def test_the_device_may_stand_in_the_topic_alone_and_must_not_differ_from_it() -> None:
    assert read(b'{"fields":{"x":1}}', "pump-7", RECEIVED).device == "pump-7"
    assert read(b'{"device":"pump-7","fields":{"x":1}}', "pump-7", RECEIVED).device == "pump-7"
    assert read(b'{"device":7,"fields":{"x":1}}', "7", RECEIVED).device == "7"
    assert refused(b'{"device":"pump-8","fields":{"x":1}}', "pump-7").reason == "device_mismatch"
    assert refused(b'{"device":8,"fields":{"x":1}}', "7").reason == "device_mismatch"
    assert refused(b'{"fields":{"x":1}}').reason == "missing_device"


@pytest.mark.parametrize(
    ("data", "reason", "named"),
    [
        (b"", "bad_json", "empty"),
        (b"  \n", "bad_json", "empty"),
        (b"{", "bad_json", "truncated"),
        (b'{"fields":{"x":1}} x', "bad_json", "trailing"),
        (b'{"fields":{"x":NaN}}', "bad_json", "byte 15"),
        (b'{"fields":{"x":Infinity}}', "bad_json", "byte 15"),
        (b'\xef\xbb\xbf{"fields":{"x":1}}', "bad_json", "byte order mark"),
        (b'{"fields":{"x":"\xff"}}', "bad_encoding", "UTF-8"),
        (b'{"\xed\xa0\x80":1}', "bad_encoding", "UTF-8"),
        (b"[]", "bad_shape", "array"),
        (b"5", "bad_shape", "single value"),
        (b"null", "bad_shape", "single value"),
        (b'{"fields":{"x":[1]}}', "bad_shape", "`x` is an array"),
        (b'{"fields":{"x":{"y":1}}}', "bad_shape", "`x` is an object"),
        (b'{"fields":[1]}', "bad_shape", "`fields`"),
        (b'{"fields":5}', "wrong_type", "`fields`"),
        (b'{"fields":{"x":1},"feilds":{"y":2}}', "unknown_field", "`feilds`"),
        (b'{"feilds":{"y":2}}', "bad_shape", "`feilds`"),
        (b'{"fields":{"x":9007199254740993}}', "number_too_large", "`x`"),
        (b'{"fields":{"x":-9007199254740993}}', "number_too_large", "`x`"),
        (b'{"fields":{"x":1e999}}', "number_too_large", "64-bit"),
        (b'{"seq":-1,"fields":{"x":1}}', "bad_value", "`seq`"),
        (b'{"seq":9223372036854775808,"fields":{"x":1}}', "number_too_large", "`seq`"),
        (b'{"seq":1.5,"fields":{"x":1}}', "wrong_type", "`seq`"),
        (b'{"seq":"1","fields":{"x":1}}', "wrong_type", "`seq` is a text"),
        (b'{"at":true,"fields":{"x":1}}', "wrong_type", "`at`"),
        (b'{"at":"yesterday","device":"a","fields":{"x":1}}', "bad_time", "yesterday"),
        (b'{"at":-5,"device":"a","fields":{"x":1}}', "bad_time", "`at`"),
        (b'{"at":1e30,"device":"a","fields":{"x":1}}', "bad_time", "`at`"),
        (b'{"device":true,"fields":{"x":1}}', "wrong_type", "`device`"),
        (b'{"kind":"","fields":{"x":1}}', "bad_value", "`kind`"),
        (b'{"position":{"lat":90.1,"lon":0}}', "bad_position", "`position.lat`"),
        (b'{"position":{"lat":0,"lon":-180.1}}', "bad_position", "`position.lon`"),
        (b'{"position":{"lat":0}}', "bad_position", "no `lon`"),
        (b'{"position":{"lat":"1","lon":2}}', "bad_position", "`position.lat`"),
        (b'{"position":{"lat":1,"lon":2,"hight":3}}', "unknown_field", "`hight`"),
        (b'{"device":"a","position":5,"x":1}', "bad_position", "`position`"),
        (b'{"device":"a","heard_by":"g1","x":1}', "wrong_type", "`heard_by`"),
        (b'{"heard_by":[{"rssi":-70}]}', "bad_shape", "no `gateway`"),
        (b'{"heard_by":[{"gateway":"g","rssi":"x"}]}', "wrong_type", "rssi"),
        (b"[" * 10_000, "too_deep", "nested"),
        (b'{"fields":' * 10_000, "too_deep", "nested"),
        (b'{"fields":{"x":' + b"[" * 10_000 + b"]" * 10_000 + b"}}", "too_deep", "nested"),
    ],
)
def test_what_is_wrong_is_said_by_code_and_name(data: bytes, reason: str, named: str) -> None:
    error = refused(data)

    assert error.reason == reason
    assert named in error.detail


@pytest.mark.parametrize(
    "data",
    [
        b"[" * 2**20,
        b'{"a":' * 2**18,
        b'{"fields":{' + b",".join(b'"k%d":1' % n for n in range(60_000)) + b',"x":[]}}',
        b'{"fields":{"x":' + b"9" * 2**20 + b"}}",
        b'{"fields":{"x":"' + b"\\u00e9" * 150_000,
        b'{"device":"' + b"\xff" * 2**20,
        b'{"at":"' + b"1" * 2**20 + b'","fields":{"x":1}}',
    ],
)
def test_the_largest_bad_payload_is_refused_in_well_under_a_second(data: bytes) -> None:
    took, _ = processor_time(lambda: refused(data), 0.5)
    assert took < 0.5

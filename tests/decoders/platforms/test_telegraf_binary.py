"""Binary payloads: what names its own values, and what a layout or schema in the query says."""

import base64
import struct

import msgspec
import pytest

from ingest.decoders.platforms.telegraf_binary import decode
from tests.decoders.platforms.kit import NOW, field, messages, only, payload, reason

LAYOUTS = "endianness=le&entries=@16:8:0x0A,_::32,n:int16,up:bool:16,:unix&entries=@16:8:0x0C,_::32,x:float32"


def test_a_layout_says_what_the_bytes_are() -> None:
    data = struct.pack("<IhHQ", 0x000A0102, -42, 1, NOW // 1_000_000)
    made = only(decode, payload(data, device="d", query=LAYOUTS))
    assert (made.device, made.at, made.fields) == ("d", NOW, {"n": -42, "up": True})


def test_the_first_layout_whose_condition_holds_is_taken() -> None:
    made = only(decode, payload(struct.pack("<If", 0x000C0102, 2.5), device="d", query=LAYOUTS))
    assert made.fields == {"x": 2.5}
    assert reason(decode, payload(b"\x01\x02\x0d\x00", device="d", query=LAYOUTS)) == "unsupported"


@pytest.mark.parametrize(
    ("entries", "data", "fields", "texts"),
    [
        ("a:uint8,b:int8", b"\xff\xff", {"a": 255, "b": -1}, {}),
        ("a:uint16,b:uint32", b"\x01\x02\x00\x00\x01\x00", {"a": 258, "b": 256}, {}),
        ("a:uint8:4,b:bool,_::3,c:uint8", b"\xa8\x07", {"a": 10, "b": True, "c": 7}, {}),
        ("a:float64,b:int64", struct.pack(">dq", 1.5, -2), {"a": 1.5, "b": -2}, {}),
        ("host:string:64,a:uint8", b"pump\0\0\0\0\x05", {"a": 5}, {"host": "pump"}),
        ("s:string,a:uint8", b"hello\0\x05", {"a": 5}, {"s": "hello"}),
        ("s:string", b"hello", {}, {"s": "hello"}),
    ],
)
def test_entries_of_every_kind(entries: str, data: bytes, fields: dict[str, float], texts: dict[str, str]) -> None:
    made = only(decode, payload(data, device="d", query=f"encoding=none&entries={entries}"))
    assert (made.fields, made.texts) == (fields, texts)
    assert made.device == ("pump" if "host" in entries else "d")


@pytest.mark.parametrize(
    "data",
    [
        struct.pack(">f", 715.0),
        b"0x4432c000",
        b"44 32 C0 00\n",
        base64.b64encode(struct.pack(">f", 715.0)),
        struct.pack(">d", 715.0),
    ],
)
def test_one_number_needs_no_layout_and_hex_and_base64_are_undone(data: bytes) -> None:
    assert only(decode, payload(data, device="d")).fields == {"value": 715}


def test_nothing_is_nothing() -> None:
    assert decode(payload("", device="d")) == ()


def test_maps_of_cbor_and_messagepack_are_taken_by_their_paths() -> None:
    packed = msgspec.msgpack.encode(
        {"host": "pump", "timestamp": NOW // 1_000_000, "a": {"b": [1, True]}, "raw": b"\xff\x01"}
    )
    made = only(decode, payload(packed, device="d"))
    assert (made.device, made.at) == ("pump", NOW)
    assert made.fields == {"timestamp": NOW // 1_000_000, "a.b.0": 1, "a.b.1": True}
    assert made.texts == {"host": "pump", "raw": "ff01"}
    first, second = messages(decode, payload(bytes.fromhex("82a1190102182aa161780a"), device="d"))
    assert (first.fields, second.fields) == ({"n258": 42}, {"x": 10})


ROW = field(1, "pump") + field(4, 2.5) + field(5, NOW * 1000) + field(6, 7) + field(6, 8) + field(7, field(1, "deep"))
SCHEMA = "rows=1&protobuf=1.1:host,1.4:value:float64,1.5::unix_ns,1.6:n,1.7.1:s,2:common"


def test_a_schema_says_what_protocol_buffers_are() -> None:
    data = field(1, ROW) + field(2, 5) + field(1, field(1, "fan") + field(6, 9)) + field(3, "unknown")
    first, second = messages(decode, payload(data, device="d", query=SCHEMA))
    assert (first.device, first.at, first.fields) == ("pump", NOW, {"value": 2.5, "n": 7, "n.1": 8, "common": 5})
    assert first.texts == {"host": "pump", "s": "deep"}
    assert (second.device, second.fields) == ("fan", {"common": 5, "n": 9})


@pytest.mark.parametrize(
    ("kind", "value", "found"),
    [("", 2**64 - 1, str(2**64 - 1)), ("int", 2**64 - 1, -1), ("sint", 3, -2), ("bool", 1, True), ("float32", struct.pack("<f", 1.5), None), ("bytes", b"\x01", "01"), ("text", b"a", "a")],
)  # fmt: skip
def test_fields_of_every_type(kind: str, value: int | bytes, found: float | str | None) -> None:
    data = field(1, 1.5, wide=False) if found is None else field(1, value)
    made = only(decode, payload(data, device="d", query=f"encoding=none&protobuf=1:x:{kind}"))
    assert {**made.fields, **made.texts} == {"x": 1.5 if found is None else found}


@pytest.mark.parametrize(
    ("data", "query", "code"),
    [
        (b"\x01\x02\x03", "", "unsupported"),
        (b"\x01", "entries=a:uint16", "bad_shape"),
        (b"\x01", "entries=a:number", "bad_value"),
        (b"\x01", "entries=a:uint8:x", "bad_value"),
        (b"\x01", "entries=@a:1:1,a:uint8", "bad_value"),
        (b"\x01", "entries=a:uint8:999999", "bad_value"),
        (b"\x01", "endianness=pdp&entries=a:uint8", "bad_value"),
        (b"\x01", "encoding=rot13", "bad_value"),
        (b"xyz", "encoding=hex&entries=a:uint8", "bad_encoding"),
        (b"x", "encoding=base64&entries=a:uint8", "bad_encoding"),
        (b"\x0a", "protobuf=1:a", "bad_encoding"),
        (b"\x08\x01", "protobuf=a:b", "bad_value"),
        (b"\x08\x01", "protobuf=1:b:number", "bad_value"),
        (b"\x08\x01", "protobuf=2:b", "no_fields"),
    ],
)
def test_what_cannot_be_read_is_refused_with_a_reason(data: bytes, query: str, code: str) -> None:
    assert reason(decode, payload(data, device="d", query=query)) == code

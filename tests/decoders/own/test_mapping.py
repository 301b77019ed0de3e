"""A mapping in YAML reads JSON that just is there."""

from collections.abc import Sequence

import msgspec
import pytest

from headwater.errors import ConfigError, Rejected
from headwater.message import Message, Position
from ingest.contract import Payload, Source
from ingest.decoders.mapping import read_mapping
from ingest.decoders.units import normal, usual_unit

NOW = 1_763_700_000_000_000

GREENHOUSE = """
name: greenhouse
topics: ["greenhouse/{device}/state"]
time: ts
sequence: n
fields:
  temperature: {path: air.t, unit: F}
  weight: {path: raw, scale: 0.5, offset: -1}
  door: {path: contact, values: {0: open, 1: closed}}
  humidity: h
position: {lat: gps.0, lon: gps.1}
absent: [-127]
"""


def decode(text: str, value: object, device: str = "") -> Sequence[Message]:
    data = value if isinstance(value, bytes) else msgspec.json.encode(value)
    made = read_mapping(text, "mine").decode(Payload(data, Source("http", device=device), NOW))
    assert all(isinstance(one, Message) for one in made)
    return [one for one in made if isinstance(one, Message)]


def test_values_are_found_converted_and_named_and_the_rest_is_kept() -> None:
    value = {
        "ts": 1763700000.5,
        "n": 7,
        "air": {"t": 68, "p": 1013},
        "raw": "10",
        "contact": 1,
        "h": -127,
        "gps": [52.1, 4.3],
        "note": "ok",
    }
    (message,) = decode(GREENHOUSE, value, "g1")

    assert (message.device, message.at, message.seq) == ("g1", 1_763_700_000_500_000, 7)
    assert message.fields == {"temperature": 20.0, "weight": 4.0, "air.p": 1013}
    assert message.texts == {"door": "closed", "note": "ok", "note.humidity": "-127 means no value"}
    assert message.position == Position(52.1, 4.3)


def test_each_item_is_a_message_with_what_stands_around_it() -> None:
    text = "{device: 'house-{house}-{$key}', time: at, each: rooms, fields: {t: temp}, rest: drop}"
    value = {
        "house": 9,
        "at": "2026-11-21T07:40:00Z",
        "rooms": {"hall": {"temp": 20}, "attic": {"temp": 5}, "cellar": {}},
    }
    hall, attic = read_mapping(text, "mine").decode(Payload(msgspec.json.encode(value), Source("http"), NOW))[:2]

    assert isinstance(hall, Message)
    assert isinstance(attic, Message)
    assert (hall.device, hall.fields) == ("house-9-hall", {"t": 20})
    assert (attic.device, attic.at) == ("house-9-attic", 1_795_246_800_000_000)


def test_one_bad_item_holds_up_none_of_the_others() -> None:
    text = "{device: id, each: '.'}"
    made = read_mapping(text, "mine").decode(
        Payload(b'[{"id":"a","x":1},{"x":2},{"id":"b","x":3}]', Source("http"), NOW)
    )

    assert [one.reason if isinstance(one, Rejected) else one.device for one in made] == ["a", "missing_device", "b"]


def test_the_topics_are_those_of_the_text() -> None:
    assert read_mapping(GREENHOUSE).topics == ("greenhouse/{device}/state",)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("fields: {t: {unit: furlong}}", "furlong"),
        ("topics: ['{device}/{device}']", "once at most"),
        ("devise: id", "devise"),
        ("- a", "YAML object"),
        ("a: [", "no YAML"),
        ("{fields: {t: {scale: much}}}", "fields.t"),
    ],
)
def test_a_slip_of_the_pen_is_named(text: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        read_mapping(text, "mine")


@pytest.mark.parametrize(
    ("data", "reason"),
    [(b"{", "bad_json"), (b"\xff", "bad_json"), (b"{}", "no_fields"), (b'{"rooms":1}', "missing_field")],
)
def test_what_is_wrong_with_a_payload_is_said(data: bytes, reason: str) -> None:
    text = "{each: rooms}" if reason == "missing_field" else GREENHOUSE
    with pytest.raises(Rejected) as caught:
        decode(text, data, "g1")
    assert caught.value.reason == reason


@pytest.mark.parametrize(
    ("field", "unit"),
    [
        ("SI7021.Temperature", "°C"),
        ("ENERGY.Total", "kWh"),
        ("switch:0.apower", "W"),
        ("rx.rssi", "dBm"),
        ("state", ""),
    ],
)
def test_a_normalised_field_has_the_unit_of_its_name(field: str, unit: str) -> None:
    assert usual_unit(field) == unit


def test_each_unit_is_converted_to_the_usual_one() -> None:
    assert [normal(212, "F"), normal(750, "mmHg"), normal(36, "km/h"), normal(5, "furlong")] == [
        100.0,
        999.917905613,
        10.0,
        5,
    ]

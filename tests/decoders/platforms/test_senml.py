"""SenML: base values, names, times and units resolved, in JSON, CBOR and XML alike."""

import json
from typing import Any

import pytest

from headwater.errors import Rejected
from headwater.message import Message
from ingest.decoders.platforms.cbor import cbor
from ingest.decoders.platforms.senml import decode, recognises
from tests.decoders.memory import Memory
from tests.decoders.platforms.kit import NOW, messages, of_kind, only, payload, reason

DEVICE = "urn:dev:ow:10e2073a0108"
PACK = [
    {"bn": f"{DEVICE}:", "bt": 1_763_700_000.5, "bu": "A", "bver": 10, "n": "temp", "u": "Cel", "v": 23.1},
    {"n": "amps", "t": -2, "v": 1.5},
    {"n": "amps", "v": 1.7, "s": 40},
    {"n": "label", "vs": "Machine Room", "u": ""},
    {"n": "open", "vb": False},
    {"n": "raw", "vd": "aGkgCg"},
]


def test_a_pack_is_a_message_for_each_time_and_a_description_of_units() -> None:
    about, now, before = messages(decode, payload(json.dumps(PACK), device="path"))
    assert {one.device for one in (about, now, before)} == {DEVICE}
    assert about.texts["unit.temp"] == "°C"
    assert about.texts["unit.amps"] == "A"
    assert now.at == NOW + 500_000
    assert now.fields == {"temp": 23.1, "amps": 1.7, "amps.sum": 40, "open": False}
    assert now.texts == {"label": "Machine Room", "raw": "aGkgCg"}
    assert (before.at, before.fields) == (NOW - 1_500_000, {"amps": 1.5})


def test_units_are_described_once_and_again_when_they_change() -> None:
    memory = Memory()
    kinds = [
        [
            one.kind
            for one in messages(decode, payload(json.dumps([{"bn": "d", "n": "x", "u": unit, "v": 1}]), context=memory))
        ]
        for unit in ("V", "V", "A")
    ]
    assert kinds == [["description", "telemetry"], ["telemetry"], ["description", "telemetry"]]


@pytest.mark.parametrize(
    ("record", "device", "name"),
    [
        ({"bn": "urn:dev:mac:0024befffe804ff1/", "n": "a", "v": 1}, "urn:dev:mac:0024befffe804ff1", "a"),
        ({"n": "urn:dev:ow:10e2_temp", "v": 1}, "urn:dev:ow:10e2", "temp"),
        ({"n": "urn:dev:ow:10e2", "v": 1, "u": "Cel"}, "urn:dev:ow:10e2", "temperature"),
        ({"bn": "boiler/", "n": "a", "v": 1}, "boiler", "a"),
        ({"bn": "boiler/", "v": 1}, "boiler", "value"),
        ({"n": "a", "v": 1}, "path", "a"),
    ],
)
def test_who_it_is_and_what_it_measures(record: dict[str, Any], device: str, name: str) -> None:
    (made,) = of_kind(messages(decode, payload(json.dumps([record]), device="path")), "telemetry")
    assert made.device == device
    assert made.fields == {name: 1}


def test_without_a_base_name_or_path_the_name_is_the_device() -> None:
    made = messages(decode, payload('[{"n":"2001:db8::3","v":1},{"n":"2001:db8::4","v":2}]'))
    assert [(one.device, one.fields) for one in made] == [("2001:db8::3", {"value": 1}), ("2001:db8::4", {"value": 2})]
    assert reason(decode, payload('[{"v":1}]')) == "missing_device"


def test_small_times_count_from_now_and_none_at_all_is_now() -> None:
    made = messages(decode, payload('[{"bn":"d","n":"a","v":1,"t":-60},{"n":"a","v":2},{"n":"a","v":3,"t":5}]'))
    assert [one.at for one in made] == [NOW - 60_000_000, None, NOW + 5_000_000]


def test_base_values_are_added() -> None:
    made = only(decode, payload('[{"bn":"d","bv":20,"bs":100,"n":"a","v":1.5},{"n":"b","s":1},{"n":"c","vb":true}]'))
    assert made.fields == {"a": 21.5, "b.sum": 101, "c": True}


def test_position_battery_and_units_that_are_not_the_usual_ones() -> None:
    said = [
        {"bn": "d", "u": "lat", "v": 52.5},
        {"u": "lon", "v": 13.4},
        {"u": "%EL", "v": 98},
        {"n": "t", "u": "K", "v": 300},
    ]
    (made,) = of_kind(messages(decode, payload(json.dumps(said))), "telemetry")
    assert made.position is not None
    assert (made.position.lat, made.position.lon) == (52.5, 13.4)
    assert made.fields == {"battery": 98, "t": 26.85}


def test_cbor_says_the_same() -> None:
    # [{-2: "d:", -3: 1763700000, 0: "a", 2: 1.5}, {0: "b", 2: 4([-1, 215]), 6: 1}, {0: "c", 3: "x"}, {0: "d", 8: h'01ff'}]
    data = bytes.fromhex(
        "84 a4 21 62643a 22 1a691fef20 00 6161 02 f93e00 a3 00 6162 02 c4 82 20 18d7 06 01 a2 00 6163 03 6178 a2 00 6164 08 42 01ff"
    )
    first, second = messages(decode, payload(data))
    assert (first.device, first.fields, first.texts) == ("d", {"a": 1.5}, {"c": "x", "d": "01ff"})
    assert (first.at, second.at) == (0x691FEF20 * 1_000_000, 0x691FEF21 * 1_000_000)
    assert second.fields == {"b": 21.5}


def test_xml_says_the_same() -> None:
    text = (
        '<?xml version="1.0"?><sensml xmlns="urn:ietf:params:xml:ns:senml"><senml bn="d:" bt="1.7637e+09" n="a" v="1.5"/>'
        '<senml n=\'b\' vs=\'x &lt; y\'></senml><senml n="c" vb="true" t="1"/></sensml>'
    )
    first, second = messages(decode, payload(text))
    assert (first.device, first.at, first.fields, first.texts) == ("d", NOW, {"a": 1.5}, {"b": "x < y"})
    assert second.fields == {"c": True}


@pytest.mark.parametrize(
    ("hexed", "value"),
    [
        ("00", 0),
        ("3903e7", -1000),
        ("1bffffffffffffffff", 2**64 - 1),
        ("fa41419998", 12.0999985),
        ("fb3ff199999999999a", 1.1),
        ("f97c00", float("inf")),
        ("c249010000000000000000", 2**64),
        ("c48221196ab3", 273.15),
        ("5f42010243030405ff", b"\1\2\3\4\5"),
        ("7f657374726561646d696e67ff", "streaming"),
        ("9f01820203ff", [1, [2, 3]]),
        ("bf6161019f02ff05ff", {"a": 1, "[2]": 5}),
        ("bf616101ff", {"a": 1}),
        ("c11a514b67b0", 1363896240),
        ("f6", None),
        ("f5", True),
    ],
)  # fmt: skip
def test_cbor_is_read(hexed: str, value: Any) -> None:
    assert cbor(bytes.fromhex(hexed)) == value


@pytest.mark.parametrize(
    "hexed", ["", "18", "62", "6261", "9bffffffffffffffff", "0000", "ff", "81ff", "1c", "5f6161ff", "62ffff", "81" * 40]
)
def test_what_is_no_cbor_is_refused(hexed: str) -> None:
    with pytest.raises(Rejected):
        cbor(bytes.fromhex(hexed))


@pytest.mark.parametrize(
    ("data", "code"),
    [
        ("[]", "no_fields"),
        ('[{"bn":"d"}]', "no_fields"),
        ("[1]", "bad_shape"),
        ('[{"bn":"d","n":"a","v":"1"}]', "wrong_type"),
        ('[{"bn":"d","n":"a","v":1,"t":"x"}]', "bad_time"),
        ('[{"bn":5,"n":"a","v":1}]', "wrong_type"),
        ('[{"bver":11,"bn":"d","n":"a","v":1}]', "unsupported"),
        ('[{"bn":"d","n":"a","v":1,"new_":1}]', "unsupported"),
        ("$EXI...", "unsupported"),
        ("<html/>", "no_fields"),
        ('[{"bn":"d"', "bad_json"),
    ],
)
def test_what_is_none_is_refused(data: str, code: str) -> None:
    assert reason(decode, payload(data)) == code


def test_one_bad_record_is_not_the_end_of_the_others() -> None:
    made = decode(payload('[{"bn":"d","n":"a","v":1},{"n":"b","v":"x"},{"n":"c","v":3}]'))
    assert [type(one).__name__ for one in made] == ["Message", "Rejected"]
    assert isinstance(made[0], Message)
    assert made[0].fields == {"a": 1, "c": 3}


@pytest.mark.parametrize(
    ("data", "known"),
    [(json.dumps(PACK), True), ('[{"n":"a","v":1}]', True), ("<sensml/>", True), ('[{"device":"a","fields":{}}]', False), ('[{"n":"a","temp":1}]', False), ("\x84", False)],
)  # fmt: skip
def test_it_is_known_by_its_first_record(data: str, *, known: bool) -> None:
    assert recognises(data.encode()) is known


def test_the_form_of_the_first_drafts_is_read() -> None:
    early = {"bn": f"{DEVICE}:", "bt": 1_763_700_000, "e": [{"n": "temp", "v": 23.1}, {"n": "open", "bv": True}]}
    made = only(decode, payload(json.dumps(early)))
    assert (made.device, made.at, made.fields) == (DEVICE, NOW, {"temp": 23.1, "open": True})

"""Meshtastic: packets of a mesh in JSON, each of the node that sent it, heard by the gateway that brought it."""

import json
import struct
from typing import Any

import pytest

from headwater.message import Heard, Message
from ingest.decoders.catalogue import Catalogue
from ingest.decoders.platforms import PLATFORMS
from ingest.decoders.platforms.meshtastic import decode
from tests.decoders.platforms.kit import NOW, field, only, payload, reason

TOPIC = "msh/EU_868/2/json/LongFast/!833c2233"


def packet(kind: str, values: Any, **more: Any) -> Message:
    said = {
        "from": 3818489127,
        "sender": "!833c2233",
        "type": kind,
        "id": 7,
        "timestamp": NOW // 1_000_000,
        "to": -1,
        "rssi": -14,
        "snr": 11.25,
        "payload": values,
        **more,
    }
    return only(decode, payload(json.dumps(said), TOPIC))


def test_telemetry_is_of_the_node_that_sent_it_and_heard_by_the_gateway() -> None:
    made = packet("telemetry", {"battery_level": 93, "voltage": 4.1, "air_util_tx": 0.5}, hops_away=2)
    assert (made.device, made.kind, made.at, made.id) == ("e3998527", "telemetry", NOW, "7")
    assert made.heard_by == [Heard("833c2233", -14, 11.25)]
    assert made.fields == {"battery": 93, "voltage": 4.1, "air_util_tx": 0.5, "rssi": -14, "snr": 11.25, "hops_away": 2}
    assert made.texts == {"to": "everyone"}


def test_a_battery_above_100_says_that_the_node_is_powered() -> None:
    made = packet("telemetry", {"battery_level": 101})
    assert "battery" not in made.fields
    assert made.fields["powered"] is True


def test_a_position_is_where_it_is_and_none_is_noted() -> None:
    made = packet("position", {"latitude_i": 525000000, "longitude_i": 134000000, "altitude": 38, "sats_in_view": 9})
    assert made.position is not None
    assert (made.position.lat, made.position.lon, made.position.alt) == (52.5, 13.4, 38)
    assert made.fields["sats_in_view"] == 9
    assert "note.position" in packet("position", {"latitude_i": 0, "longitude_i": 0}).texts


def test_a_nodeinfo_describes_it_in_either_shape() -> None:
    made = packet("nodeinfo", {"id": "!e3998527", "longname": "Mesh node", "shortname": "MN", "hardware": 43})
    assert (made.kind, made.texts["name"], made.texts["short_name"], made.fields["hardware"]) == (
        "description",
        "Mesh node",
        "MN",
        43,
    )
    flat = only(
        decode, payload('{"type":"nodeinfo","sender":"!abcd1234","longName":"Mesh node"}', "msh/2/json/L/!abcd1234")
    )
    assert (flat.device, flat.texts, flat.heard_by) == ("abcd1234", {"name": "Mesh node"}, [])


@pytest.mark.parametrize("kind", ["text", "waypoint", "traceroute", "detection"])
def test_what_happens_once_is_an_event(kind: str) -> None:
    made = packet(kind, {"text": "hello\0"} if kind == "text" else {"name": "x"})
    assert (made.kind, made.texts["event"]) == ("event", kind)
    assert made.texts.get("text", "hello") == "hello"


def test_a_text_that_is_json_is_taken_apart() -> None:
    assert packet("text", {"temp": 5}).fields["temp"] == 5
    assert packet("text", 5).fields["text"] == 5


def test_a_gateways_own_packet_was_not_heard_by_it() -> None:
    made = only(
        decode, payload('{"from":-1812372104,"sender":"!93f96578","type":"telemetry","payload":{"voltage":4}}', TOPIC)
    )
    assert (made.device, made.heard_by) == ("93f96578", [])


@pytest.mark.parametrize("word", ["online", "offline"])
def test_the_state_of_a_gateway_is_a_status(word: str) -> None:
    made = only(decode, payload(word, "msh/EU_868/2/stat/!833c2233"))
    assert (made.device, made.kind, made.texts) == ("833c2233", "status", {"status": word})


def fixed(number: int, value: int) -> bytes:
    return bytes([number << 3 | 5]) + struct.pack("<i", value)


def enveloped(port: int, body: bytes, **header: bytes) -> bytes:
    head = fixed(1, -476478169) + fixed(2, -1) + fixed(6, 7) + fixed(7, NOW // 1_000_000) + field(8, 11.25, wide=False)
    packet = head + field(12, 2**64 - 14) + field(9, 3) + field(15, 5) + b"".join(header.values())
    return field(1, packet + field(4, field(1, port) + field(2, body))) + field(2, "LongFast") + field(3, "!833c2233")


RAW = "msh/EU_868/2/e/LongFast/!833c2233"


def test_a_packet_in_protocol_buffers_says_the_same_as_json() -> None:
    metrics = field(1, 93) + field(2, 4.1, wide=False) + field(4, 0.5, wide=False)
    made = only(decode, payload(enveloped(67, fixed(1, 5) + field(2, metrics)), RAW))
    said = packet("telemetry", {"battery_level": 93, "voltage": 4.1, "air_util_tx": 0.5}, hops_away=2, hop_start=5)
    assert (made.device, made.id, made.at, made.fields, made.texts) == (
        said.device,
        said.id,
        said.at,
        said.fields,
        said.texts,
    )
    assert made.heard_by == said.heard_by


@pytest.mark.parametrize(
    ("port", "body", "kind", "fields", "texts"),
    [
        (1, b"hello", "event", {}, {"event": "text", "text": "hello"}),
        (10, b"door", "event", {}, {"event": "detection", "text": "door"}),
        (34, field(1, 3) + field(2, 4), "telemetry", {"wifi_count": 3, "ble_count": 4}, {}),
        (4, field(1, "!1") + field(2, "Mesh node") + field(3, "MN") + field(4, b"123456") + field(5, 43), "description", {"hardware": 43}, {"name": "Mesh node", "short_name": "MN", "id": "!1"}),
        (67, field(3, field(1, -3.5, wide=False) + field(7, 50) + field(23, b"12345678")), "telemetry", {"temperature": -3.5, "iaq": 50}, {}),
        (67, field(4, field(2, 12) + field(13, 600)), "telemetry", {"pm25": 12, "co2": 600}, {}),
        (67, field(5, field(3, 3.25, wide=False)), "telemetry", {"voltage_ch2": 3.25}, {}),
        (67, field(6, field(15, 2**64 - 95)), "telemetry", {"noise_floor": -95}, {}),
    ],
)  # fmt: skip
def test_ports_have_their_values(
    port: int, body: bytes, kind: str, fields: dict[str, float], texts: dict[str, str]
) -> None:
    made = only(decode, payload(enveloped(port, body), RAW))
    assert made.kind == kind
    assert {
        name: value for name, value in made.fields.items() if name not in ("rssi", "snr", "hop_start", "hops_away")
    } == fields
    assert {name: value for name, value in made.texts.items() if name != "to"} == texts


def test_positions_and_map_reports_are_places() -> None:
    made = only(
        decode, payload(enveloped(3, fixed(1, 525000000) + fixed(2, -134000000) + field(3, 38) + field(19, 9)), RAW)
    )
    assert made.position is not None
    assert (made.position.lat, made.position.lon, made.position.alt) == (52.5, -13.4, 38)
    report = field(1, "Roof") + field(5, "2.5.1") + fixed(9, 525000000) + fixed(10, 134000000) + field(11, 2**64 - 3)
    about = only(decode, payload(enveloped(73, report), "msh/EU_868/2/map/"))
    assert about.position is not None
    assert (about.kind, about.texts["name"], about.texts["firmware"], about.position.alt) == (
        "description",
        "Roof",
        "2.5.1",
        -3,
    )


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (field(1, field(5, b"\x01\x02")) + field(2, "LongFast") + field(3, "!833c2233"), "encrypted"),
        (enveloped(6, b"admin"), "unsupported"),
        (enveloped(67, b""), "unsupported"),
        (b"hello", "bad_encoding"),
        (field(2, "LongFast"), "bad_shape"),
        (b"{", "bad_json"),
        (b'{"from": 1, "sender": "!1", "type": ""}', "unsupported"),
        (b'{"from": 1, "sender": "!1", "type": "telemetry", "payload": {}}', "unsupported"),
        (b'{"type": "telemetry", "payload": {"a": 1}}', "missing_device"),
    ],
)
def test_what_cannot_be_read_is_refused_with_a_reason(data: bytes, code: str) -> None:
    assert reason(decode, payload(data, RAW if b"{" not in data else "msh/x")) == code


def test_nothing_is_nothing() -> None:
    assert decode(payload("", TOPIC)) == ()


@pytest.mark.parametrize("topic", [TOPIC, "msh/2/json/L/!1", "home/msh/2/stat/!1"])
def test_its_topics_are_known(topic: str) -> None:
    assert Catalogue(PLATFORMS).source(topic).decoder == "meshtastic"


def test_a_report_for_the_map_names_the_node_and_what_a_gateway_is_to_send_is_a_command() -> None:
    report = {
        "long_name": "Hill",
        "short_name": "H",
        "hw_model": "TBEAM",
        "firmware_version": "2.3.2",
        "region": "EU_868",
    }
    said = only(decode, payload(json.dumps({"from": 1, "type": "mapreport", "payload": report}), "msh/EU/2/json/LF/!1"))
    assert (said.kind, said.texts["name"], said.texts["model"], said.texts["firmware"]) == (
        "description",
        "Hill",
        "TBEAM",
        "2.3.2",
    )
    told = {"from": 1, "to": 2, "type": "sendtext", "payload": "hi"}
    sent = only(decode, payload(json.dumps(told), "msh/EU/2/json/mqtt/"))
    assert (sent.kind, sent.texts["command.sendtext"]) == ("command", "hi")

"""Meshtastic: packets of a mesh in JSON, each of the node that sent it, heard by the gateway that brought it."""

import json
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


HIDDEN = field(1, field(5, b"\x01\x02")) + field(2, "LongFast") + field(3, "!833c2233")
OPEN = field(1, field(4, field(1, 67))) + field(2, "LongFast")


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (HIDDEN, "encrypted"),
        (OPEN, "unsupported"),
        (b"hello", "bad_shape"),
        (b"{", "bad_json"),
        (b'{"from": 1, "sender": "!1", "type": ""}', "unsupported"),
        (b'{"from": 1, "sender": "!1", "type": "telemetry", "payload": {}}', "unsupported"),
        (b'{"type": "telemetry", "payload": {"a": 1}}', "missing_device"),
    ],
)
def test_what_cannot_be_read_is_refused_with_a_reason(data: bytes, code: str) -> None:
    assert reason(decode, payload(data, "msh/EU_868/2/e/LongFast/x" if b"{" not in data else "msh/x")) == code


def test_nothing_is_nothing() -> None:
    assert decode(payload("", TOPIC)) == ()


@pytest.mark.parametrize("topic", [TOPIC, "msh/2/json/L/!1", "home/msh/2/stat/!1"])
def test_its_topics_are_known(topic: str) -> None:
    assert Catalogue(PLATFORMS).source(topic).decoder == "meshtastic"

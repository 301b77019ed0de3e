"""AWS IoT: what things report, what is wished of them, and whether they are there."""

import json
from typing import Any

import pytest

from headwater.message import Message
from ingest.decoders.catalogue import Catalogue
from ingest.decoders.platforms import PLATFORMS
from ingest.decoders.platforms import aws_iot_lifecycle as lifecycle
from ingest.decoders.platforms import aws_iot_shadow as shadow
from tests.decoders.platforms.kit import NOW, messages, only, payload, reason

THING = "$aws/things/lamp-21/shadow"


def told(action: str, said: Any, topic: str = THING) -> list[Message]:
    return messages(shadow.decode, payload(json.dumps(said), f"{topic}/{action}"))


def test_what_is_reported_is_telemetry() -> None:
    (made,) = told("update", {"state": {"reported": {"color": {"r": 10}, "rgb": [1, 2], "engine": "ON", "off": None}}})
    assert (made.device, made.kind, made.at) == ("lamp-21", "telemetry", None)
    assert made.fields == {"color.r": 10, "rgb.0": 1, "rgb.1": 2}
    assert made.texts == {"engine": "ON"}


def test_an_answer_has_its_time_and_version_and_what_is_desired_is_a_command() -> None:
    said = {
        "state": {"desired": {"on": True}, "reported": {"on": False}, "delta": {"on": True}},
        "version": 18,
        "timestamp": 1_763_700_000,
    }
    for action in ("update/accepted", "get/accepted"):
        reported, desired = told(action, said)
        assert (reported.kind, reported.fields, reported.at, reported.seq) == ("telemetry", {"on": False}, NOW, 18)
        assert (desired.kind, desired.fields, desired.at, desired.seq) == ("command", {"command.on": True}, NOW, 18)


def test_a_delta_is_a_command() -> None:
    said = {"state": {"color": "GREEN"}, "metadata": {"color": {"timestamp": 1_763_700_000}}, "version": 12}
    (made,) = told("update/delta", said)
    assert (made.kind, made.texts, made.at) == ("command", {"command.color": "GREEN"}, NOW)


def test_of_documents_the_current_one_counts() -> None:
    said = {
        "previous": {"state": {"reported": {"n": 1}}, "version": 4},
        "current": {
            "state": {"reported": {"n": 2}},
            "metadata": {"reported": {"n": {"timestamp": 1_763_700_000}}},
            "version": 5,
        },
    }
    (made,) = told("update/documents", said)
    assert (made.fields, made.seq, made.at) == ({"n": 2}, 5, NOW)


def test_a_named_shadow_has_fields_of_its_name() -> None:
    (made,) = told("update", {"state": {"reported": {"n": 1}}}, f"eu/{THING}/name/config")
    assert (made.device, made.fields) == ("lamp-21", {"config.n": 1})


def test_a_rejection_is_an_event_with_its_reason() -> None:
    (made,) = told("update/rejected", {"code": 409, "message": "Version conflict", "timestamp": 1_763_700_000})
    assert (made.kind, made.fields, made.at) == ("event", {"code": 409}, NOW)
    assert made.texts == {"event": "rejected", "message": "Version conflict"}


def test_without_a_topic_the_shape_says_what_it_is() -> None:
    made = only(shadow.decode, payload('{"state": {"reported": {"n": 1}, "desired": null}}', device="lamp-21"))
    assert (made.device, made.kind, made.fields) == ("lamp-21", "telemetry", {"n": 1})


def test_requests_without_a_state_say_nothing() -> None:
    assert told("get", {"clientToken": "a"}) == []
    assert told("delete/accepted", {"version": 1, "timestamp": 5}) == []
    assert shadow.decode(payload("", f"{THING}/get")) == ()


@pytest.mark.parametrize(
    ("said", "code"),
    [
        ('{"clientToken": "a"}', "missing_field"),
        ("[]", "bad_shape"),
        ("{", "bad_json"),
        ('{"state": 5}', "wrong_type"),
        ('{"state": {"reported": 5}}', "wrong_type"),
    ],
)
def test_what_is_no_shadow_is_refused(said: str, code: str) -> None:
    assert reason(shadow.decode, payload(said, f"{THING}/update")) == code


def test_a_topic_that_is_none_of_a_shadow_is_refused() -> None:
    assert reason(shadow.decode, payload('{"state": {}}', "$aws/things/lamp")) == "bad_topic"


def test_presence_is_a_status() -> None:
    said = {
        "clientId": "186b5",
        "timestamp": NOW // 1000,
        "eventType": "connected",
        "ipAddress": "192.0.2.0",
        "versionNumber": 3,
    }
    made = only(lifecycle.decode, payload(json.dumps(said), "$aws/events/presence/connected/186b5"))
    assert (made.device, made.kind, made.at, made.seq) == ("186b5", "status", NOW, 3)
    assert made.texts["status"] == "online"
    assert made.texts["ipAddress"] == "192.0.2.0"
    gone = only(
        lifecycle.decode,
        payload(json.dumps(said | {"eventType": "disconnected", "disconnectReason": "CONNECTION_LOST"})),
    )
    assert (gone.texts["status"], gone.texts["disconnectReason"]) == ("offline", "CONNECTION_LOST")


def test_other_events_are_events() -> None:
    said = {
        "eventType": "THING_EVENT",
        "eventId": "f5ae9b94",
        "timestamp": NOW // 1000,
        "operation": "CREATED",
        "thingName": "pump",
        "attributes": {"a": "b"},
    }
    made = only(lifecycle.decode, payload(json.dumps(said), "$aws/events/thing/pump/created"))
    assert (made.device, made.kind, made.id) == ("pump", "event", "f5ae9b94")
    assert {"event": "THING_EVENT", "operation": "CREATED", "attributes.a": "b"}.items() <= made.texts.items()
    failed = {
        "eventType": "RuleExecution",
        "status": "Failure",
        "timestamp": "2025-11-21 04:40:00.000",
        "clientId": "c",
    }
    log = only(lifecycle.decode, payload(json.dumps(failed)))
    assert (log.kind, log.texts["status"], log.at) == ("event", "Failure", NOW)


@pytest.mark.parametrize(
    ("said", "code"), [("{}", "missing_field"), ("5", "bad_shape"), ('{"eventType": "connected"}', "missing_device")]
)
def test_what_is_no_event_is_refused(said: str, code: str) -> None:
    assert reason(lifecycle.decode, payload(said)) == code


@pytest.mark.parametrize(
    ("topic", "decoder", "device"),
    [
        (f"{THING}/update", "aws_iot_shadow", "lamp-21"),
        (f"eu/{THING}/name/a/get/accepted", "aws_iot_shadow", "lamp-21"),
        ("$aws/events/presence/disconnected/x", "aws_iot_lifecycle", ""),
    ],
)
def test_their_topics_are_known(topic: str, decoder: str, device: str) -> None:
    found = Catalogue(PLATFORMS).source(topic)
    assert (found.decoder, found.device) == (decoder, device)

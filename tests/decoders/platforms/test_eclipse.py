"""Hono's topics with any content, and what the Ditto protocol says of a thing."""

import json
from typing import Any

import pytest

from headwater.message import Message
from ingest.decoders.catalogue import Catalogue
from ingest.decoders.platforms import PLATFORMS
from ingest.decoders.platforms import eclipse_ditto as ditto
from ingest.decoders.platforms import eclipse_hono as hono
from tests.decoders.platforms.kit import NOW, messages, only, payload, reason


@pytest.mark.parametrize(
    ("topic", "device", "kind"),
    [
        ("telemetry/TENANT/4711", "4711", "telemetry"),
        ("telemetry//4711", "4711", "telemetry"),
        ("telemetry/4711", "4711", "telemetry"),
        ("t/TENANT/4711", "4711", "telemetry"),
        ("telemetry", "me", "telemetry"),
        ("event/TENANT/4711/?hono-ttl=15", "4711", "event"),
        ("event/?hono-ttl=15", "me", "event"),
        ("e", "me", "event"),
        ("", "me", "telemetry"),
    ],
)
def test_the_topic_says_who_and_what(topic: str, device: str, kind: str) -> None:
    made = only(hono.decode, payload('{"temp": 5}', topic, device="me"))
    assert (made.device, made.kind, made.fields) == (device, kind, {"temp": 5})
    assert made.texts == ({"tenant": "TENANT"} if "TENANT" in topic else {})


def test_commands_and_their_responses() -> None:
    done = only(hono.decode, payload('{"lumen": 200}', "command//4711/res/10-ab/200"))
    assert (done.device, done.kind, done.fields) == ("4711", "event", {"status": 200, "lumen": 200})
    short = only(hono.decode, payload("", "c///s/10/503", device="me"))
    assert (short.device, short.fields) == ("me", {"status": 503})
    asked = only(hono.decode, payload('{"on": true}', "command/TENANT/4711/req/10/setBrightness"))
    assert (asked.kind, asked.texts["command"]) == ("command", "setBrightness")


@pytest.mark.parametrize(
    ("data", "fields", "texts"),
    [
        (b"21.5", {"value": 21.5}, {}),
        (b"[1, 2]", {"value.0": 1, "value.1": 2}, {}),
        (b'"on"', {}, {"value": "on"}),
        (b"on fire", {}, {"value": "on fire"}),
        (b"\x01\xff", {}, {"value": "01ff"}),
    ],
)
def test_content_may_be_anything(data: bytes, fields: dict[str, float], texts: dict[str, str]) -> None:
    made = only(hono.decode, payload(data, "telemetry//a"))
    assert (made.fields, made.texts) == (fields, texts)


def test_an_event_without_content_says_nothing() -> None:
    assert hono.decode(payload("", "event/T/4711/?hono-ttd=20")) == ()


@pytest.mark.parametrize(
    ("topic", "data", "code"),
    [("telemetry//a", '{"a"', "bad_json"), ("telemetry//a", b"\0" * 100, "unsupported"), ("command/a", "{}", "bad_topic"), ("x/y", "{}", "bad_topic"), ("telemetry", '{"a": 1}', "missing_device")],
)  # fmt: skip
def test_what_hono_would_not_bring_is_refused(topic: str, data: str | bytes, code: str) -> None:
    assert reason(hono.decode, payload(data, topic)) == code


def envelope(path: str, value: Any = None, action: str = "twin/events/modified", **more: Any) -> str:
    said = {"topic": f"com.acme/xdk_53/things/{action}", "headers": {}, "path": path, **more}
    return json.dumps(said if value is None else said | {"value": value})


THING = {
    "thingId": "com.acme:xdk_53",
    "policyId": "com.acme:p",
    "attributes": {"location": {"latitude": 44.5, "longitude": 8.25}},
    "features": {"acc": {"definition": ["a:b:1"], "properties": {"x": 3.5}, "desiredProperties": {"x": 4}}},
}


@pytest.mark.parametrize(
    ("path", "value", "fields"),
    [
        ("/features/acc/properties", {"x": 3.5, "y": {"z": 1}}, {"acc.x": 3.5, "acc.y.z": 1}),
        ("/features/acc/properties/x", 3.5, {"acc.x": 3.5}),
        ("/features/acc", {"properties": {"x": 1}}, {"acc.x": 1}),
        ("/features", {"acc": {"properties": {"x": 1}}, "t": {"properties": {"v": 2}}}, {"acc.x": 1, "t.v": 2}),
        ("/attributes/floor", 3, {"attributes.floor": 3}),
    ],
)
@pytest.mark.parametrize(
    "action", ["twin/events/modified", "twin/commands/merge", "twin/events/created", "live/events/modified"]
)
def test_what_a_thing_says_is_telemetry_wherever_in_it_it_is(
    path: str, value: Any, fields: dict[str, float], action: str
) -> None:
    made = only(ditto.decode, payload(envelope(path, value, action, revision=7, timestamp="2025-11-21T04:40:00Z")))
    assert (made.device, made.kind, made.fields, made.seq, made.at) == ("com.acme:xdk_53", "telemetry", fields, 7, NOW)


@pytest.mark.parametrize("data", [envelope("/", THING, "twin/commands/modify"), json.dumps(THING)])
def test_a_whole_thing_is_values_wishes_and_a_description(data: str) -> None:
    values, wished, about = messages(ditto.decode, payload(data))
    assert (values.kind, values.fields["acc.x"]) == ("telemetry", 3.5)
    assert values.position is not None
    assert (values.position.lat, values.position.lon) == (44.5, 8.25)
    assert (wished.kind, wished.fields) == ("command", {"command.acc.x": 4})
    assert (about.kind, about.texts) == ("description", {"policyId": "com.acme:p", "acc.definition.0": "a:b:1"})


def test_live_commands_and_messages_to_a_thing_are_commands() -> None:
    live = only(ditto.decode, payload(envelope("/features/acc/properties/x", 5, "live/commands/modify")))
    assert (live.kind, live.fields) == ("command", {"command.acc.x": 5})
    to = only(ditto.decode, payload(envelope("/features/a/inbox/messages/ask", {"q": 1}, "live/messages/ask")))
    assert (to.kind, to.texts, to.fields) == ("command", {"command.event": "ask"}, {"command.q": 1})
    of = only(ditto.decode, payload(envelope("/outbox/messages/fire", "help", "live/messages/fire")))
    assert (of.kind, of.texts) == ("event", {"event": "fire", "value": "help"})


def test_what_goes_and_what_fails_are_events() -> None:
    gone = only(ditto.decode, payload(envelope("/features/acc", action="twin/events/deleted", revision=1)))
    assert (gone.kind, gone.texts, gone.seq) == ("event", {"event": "deleted", "path": "/features/acc"}, 1)
    failed = only(ditto.decode, payload(envelope("/", {"error": "things:thing.notfound"}, "twin/errors", status=404)))
    assert (failed.kind, failed.fields) == ("event", {"status": 404})


def test_questions_and_receipts_say_nothing() -> None:
    for action, more in (
        ("twin/commands/retrieve", {}),
        ("twin/commands/modify", {"status": 204}),
        ("twin/acks/a", {}),
    ):
        assert ditto.decode(payload(envelope("/features", action=action, **more))) == ()


@pytest.mark.parametrize(
    ("data", "code"),
    [
        ("{", "bad_json"),
        ("{}", "missing_field"),
        ('{"topic": "a/b"}', "bad_topic"),
        ('{"topic": "a/b/policies/commands/modify", "value": 1}', "unsupported"),
        (envelope("/acl", {"a": {"READ": True}}), "unsupported"),
        (envelope("/features/acc"), "missing_field"),
        (envelope("/features", 5), "wrong_type"),
        (envelope("/", {"x": 1}), "no_fields"),
        (
            '{"topic": "_/_/things/twin/events/modified", "path": "/features/a/properties/x", "value": 1}',
            "missing_device",
        ),
    ],
)
def test_what_is_no_envelope_is_refused(data: str, code: str) -> None:
    assert reason(ditto.decode, payload(data)) == code


def test_ditto_inside_of_hono_is_read_as_such() -> None:
    (made,) = messages(hono.decode, payload(envelope("/features/acc/properties/x", 5), "telemetry/T/4711"))
    assert isinstance(made, Message)
    assert (made.device, made.fields) == ("com.acme:xdk_53", {"acc.x": 5})


@pytest.mark.parametrize(
    ("topic", "decoder", "device"),
    [
        ("telemetry/T/4711", "eclipse_hono", ""),
        ("event", "eclipse_hono", ""),
        ("c/T/4711/s/1/200", "eclipse_hono", ""),
        ("com.acme/xdk/things/twin/events/modified", "eclipse_ditto", ""),
    ],
)
def test_their_topics_are_known(topic: str, decoder: str, device: str) -> None:
    found = Catalogue(PLATFORMS).source(topic)
    assert (found.decoder, found.device) == (decoder, device)


def test_ditto_is_known_by_its_content() -> None:
    assert ditto.recognises(envelope("/", 1).encode())
    assert ditto.recognises(json.dumps(THING).encode())
    assert not ditto.recognises(b'{"topic": "tele/x", "value": 1}')
    assert not ditto.recognises(b'{"device": "a", "fields": {"x": 1}}')


def test_what_a_connection_adds_is_said_too_and_the_event_goes_first() -> None:
    added = {
        "attributes": {"room": "kitchen"},
        "features": {"acc": {"properties": {"x": 1, "unit": "g"}}},
    }
    said = json.loads(envelope("/features/acc/properties/x", 5)) | {"extra": added}
    made = only(ditto.decode, payload(json.dumps(said)))
    assert (made.fields, made.texts) == ({"acc.x": 5}, {"attributes.room": "kitchen", "acc.unit": "g"})


@pytest.mark.parametrize(
    ("topic", "wrap"),
    [("com.acme/_/things/twin/commands/retrieve", False), ("_/_/things/twin/search/next", True)],
)
def test_things_in_a_list_are_said_one_by_one(topic: str, wrap: bool) -> None:
    things: list[Any] = [{"thingId": f"com.acme:xdk_{n}", "attributes": {"temperature": n}} for n in (1, 2)]
    value = {"subscriptionId": "1", "items": things} if wrap else things
    body = {"topic": topic, "path": "/", "value": value, "status": 200}
    made = messages(ditto.decode, payload(json.dumps(body)))
    assert [(one.device, one.fields) for one in made] == [
        ("com.acme:xdk_1", {"attributes.temperature": 1}),
        ("com.acme:xdk_2", {"attributes.temperature": 2}),
    ]
    things[0] = 5
    assert len(ditto.decode(payload(json.dumps(body | {"value": {"items": things} if wrap else things})))) == 2


def test_asking_for_things_says_nothing_and_policies_are_not_read() -> None:
    body = {"topic": "_/_/things/twin/commands/retrieve", "path": "/", "value": {"thingIds": ["a:b"]}}
    assert ditto.decode(payload(json.dumps(body))) == ()
    error = {"topic": "unknown/unknown/policies/errors", "path": "/", "value": {"status": 400}, "status": 400}
    assert reason(ditto.decode, payload(json.dumps(error))) == "unsupported"

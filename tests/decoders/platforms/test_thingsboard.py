"""ThingsBoard: devices and gateways made for it find here what they expect."""

import json
from typing import Any

import pytest

from headwater.errors import Rejected
from headwater.message import Heard, Message
from ingest.decoders.catalogue import Catalogue
from ingest.decoders.platforms import PLATFORMS
from ingest.decoders.platforms.thingsboard import decode
from tests.decoders.platforms.kit import NOW, messages, payload, reason


def told(topic: str, said: Any, device: str = "gw") -> list[Message]:
    return messages(decode, payload(json.dumps(said), topic, device=device))


@pytest.mark.parametrize("topic", ["v1/devices/me/telemetry", "v2/t", "v2/t/j", ""])
def test_values_come_with_a_time_or_without_one_or_many(topic: str) -> None:
    (plain,) = told(topic, {"temperature": 26, "a": {"b": [1, "x"]}})
    assert (plain.device, plain.kind, plain.at) == ("gw", "telemetry", None)
    assert (plain.fields, plain.texts) == ({"temperature": 26, "a.b.0": 1}, {"a.b.1": "x"})
    (timed,) = told(topic, {"ts": NOW // 1000, "values": {"t": 1}})
    assert (timed.at, timed.fields) == (NOW, {"t": 1})
    both = told(topic, [{"ts": NOW // 1000, "values": {"t": 1}}, {"t": 2}])
    assert [(one.at, one.fields) for one in both] == [(NOW, {"t": 1}), (None, {"t": 2})]


def test_attributes_describe_and_what_the_platform_answers_is_a_command() -> None:
    (own,) = told("v1/devices/me/attributes", {"fw": "1.2", "n": 3})
    assert (own.kind, own.texts, own.fields) == ("description", {"fw": "1.2"}, {"n": 3})
    (answer,) = told("v1/devices/me/attributes/response/1", {"shared": {"n": 5}})
    assert (answer.kind, answer.fields) == ("command", {"command.shared.n": 5})
    assert told("v1/devices/me/attributes/request/1", {"clientKeys": "a"}) == []


def test_calls_are_commands_and_answers_events() -> None:
    (call,) = told("v1/devices/me/rpc/request/7", {"method": "setGPIO", "params": {"pin": 4}})
    assert (call.kind, call.texts, call.fields) == ("command", {"command.method": "setGPIO"}, {"command.params.pin": 4})
    (answer,) = told("v1/devices/me/rpc/response/7", "ok")
    assert (answer.kind, answer.texts) == ("event", {"value": "ok"})


def test_a_gateways_children_are_devices_heard_by_it() -> None:
    made = told(
        "v1/gateway/telemetry", {"Device A": [{"ts": NOW // 1000, "values": {"t": 1}}, {"t": 2}], "B": [{"t": 3}]}
    )
    assert [(one.device, one.at, one.fields) for one in made] == [
        ("Device_A", NOW, {"t": 1}),
        ("Device_A", None, {"t": 2}),
        ("B", None, {"t": 3}),
    ]
    assert all(one.heard_by == [Heard("gw")] for one in made)
    (about,) = told("v1/gateway/attributes", {"B": {"fw": "1"}})
    assert (about.device, about.kind) == ("B", "description")
    (said,) = told("v1/gateway/attributes", {"device": "B", "data": {"n": 1}})
    assert (said.device, said.kind, said.fields) == ("B", "command", {"command.n": 1})
    (call,) = told("v1/gateway/rpc", {"device": "B", "data": {"id": 1, "method": "reset", "params": {}}})
    assert (call.device, call.kind) == ("B", "command")
    (answer,) = told("v1/gateway/rpc", {"device": "B", "id": 1, "data": {"success": True}})
    assert (answer.kind, answer.fields) == ("event", {"success": True})


def test_children_come_and_go() -> None:
    (here,) = told("v1/gateway/connect", {"device": "B", "type": "meter"})
    assert (here.device, here.kind, here.texts) == ("B", "status", {"status": "online", "type": "meter"})
    (gone,) = told("v1/gateway/disconnect", {"device": "B"})
    assert gone.texts == {"status": "offline"}


def test_one_bad_child_is_not_the_end_of_the_others() -> None:
    made = decode(payload('{"A": [{"t": 1}, 5], "//": [{"t": 2}], "B": {"t": 3}}', "v1/gateway/telemetry", device="gw"))
    assert [one.reason if isinstance(one, Rejected) else one.device for one in made] == [
        "A",
        "bad_shape",
        "bad_device",
        "B",
    ]


@pytest.mark.parametrize(
    ("topic", "data", "code"),
    [
        ("v1/devices/me/telemetry", "{", "bad_json"),
        ("v1/devices/me/telemetry", "5", "bad_shape"),
        ("v1/devices/me/telemetry", "{}", "no_fields"),
        ("v1/gateway/telemetry", "[]", "bad_shape"),
        ("v1/devices/me/claim", '{"secretKey": "x"}', "unsupported"),
        ("v2/t/p", "\x08\x01", "unsupported"),
    ],
)
def test_what_is_none_is_refused(topic: str, data: str, code: str) -> None:
    assert reason(decode, payload(data, topic, device="d")) == code


@pytest.mark.parametrize("topic", ["v1/devices/me/telemetry", "v1/gateway/rpc", "v2/t", "v2/r/req/1"])
def test_its_topics_are_known(topic: str) -> None:
    assert Catalogue(PLATFORMS).source(topic).decoder == "thingsboard"

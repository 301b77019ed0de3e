"""Zigbee2MQTT: what its topics and payloads come to."""

import pytest

from headwater.errors import Rejected
from ingest.contract import Payload
from ingest.decoders.families import built_in
from tests.decoders.home.kit import all_of, come, one, post, refusal


@pytest.mark.parametrize(
    ("topic", "device"),
    [
        ("zigbee2mqtt/bulb", "bulb"),
        ("zigbee2mqtt/0x00158d0001dc126a", "0x00158d0001dc126a"),
        ("zigbee2mqtt/kitchen/floor lamp", "kitchen:floor_lamp"),
        ("home/zigbee2mqtt/bulb", "bulb"),
    ],
)
def test_the_friendly_name_is_the_device(topic: str, device: str) -> None:
    assert one(come(topic, {"temperature": 21.5})).device == device


def test_a_state_has_its_values_its_time_and_no_nulls() -> None:
    body = {
        "state": "ON",
        "battery": 98,
        "linkquality": 80,
        "contact": False,
        "color": {"x": 0.45, "y": 0.41},
        "effect": None,
        "last_seen": "2026-01-10T22:45:22+01:00",
        "update": {"state": "idle", "installed_version": -1},
    }
    said = one(come("zigbee2mqtt/bulb", body))
    assert said.fields == {"battery": 98, "linkquality": 80, "contact": False, "color.x": 0.45, "color.y": 0.41}
    assert said.texts["state"] == "ON"
    assert "note.update.installed_version" in said.texts
    assert said.at == 1_768_081_522_000_000
    assert one(come("zigbee2mqtt/bulb", {"battery": 9, "last_seen": 1_768_081_522_123})).at == 1_768_081_522_123_000


def test_a_pressed_button_is_an_event_and_its_blank_afterwards_is_none() -> None:
    assert one(come("zigbee2mqtt/remote", {"action": "single"})).kind == "event"
    assert one(come("zigbee2mqtt/remote", {"action": "", "battery": 7})).kind == "telemetry"


@pytest.mark.parametrize(
    ("topic", "text", "fields", "texts"),
    [
        ("zigbee2mqtt/bulb/brightness", "200", {"brightness": 200}, {}),
        ("zigbee2mqtt/bulb/contact", "true", {"contact": True}, {}),
        ("zigbee2mqtt/bulb/state", "ON", {}, {"state": "ON"}),
        ("zigbee2mqtt/bulb/color-x", "0.45", {"color.x": 0.45}, {}),
    ],
)
def test_one_attribute_a_topic(topic: str, text: str, fields: dict[str, object], texts: dict[str, str]) -> None:
    said = one(come(topic, text))
    assert (said.device, said.fields, said.texts) == ("bulb", fields, texts)


@pytest.mark.parametrize("body", ["offline", {"state": "offline"}])
def test_availability_old_and_new(body: object) -> None:
    said = one(come("zigbee2mqtt/kitchen/bulb/availability", body))
    assert (said.device, said.kind, said.texts) == ("kitchen:bulb", "status", {"status": "offline"})
    bridge = one(come("zigbee2mqtt/bridge/state", body))
    assert (bridge.device, bridge.kind, bridge.texts) == ("zigbee2mqtt", "status", {"status": "offline"})


def test_set_and_get_are_commands() -> None:
    said = one(come("zigbee2mqtt/bulb/set", {"state": "ON", "brightness": 7}))
    assert (said.device, said.kind, said.fields, said.texts) == (
        "bulb",
        "command",
        {"command.brightness": 7},
        {"command.state": "ON"},
    )
    assert one(come("zigbee2mqtt/bulb/set/brightness", "7")).fields == {"command.brightness": 7}
    assert one(come("zigbee2mqtt/bulb/set", "TOGGLE")).texts == {"command.state": "TOGGLE"}
    assert one(come("zigbee2mqtt/bulb/get", {"state": "", "color": ""})).texts == {"command.get": "state,color"}
    assert one(come("zigbee2mqtt/bridge/request/permit_join", {"time": 254})).kind == "command"


DEVICES = [
    {"ieee_address": "0x00124b0022813fe4", "type": "Coordinator", "friendly_name": "Coordinator", "definition": None},
    {
        "ieee_address": "0x00158d0001dc126a",
        "type": "EndDevice",
        "friendly_name": "cellar/weather",
        "network_address": 6536,
        "power_source": "Battery",
        "software_build_id": "3000-0001",
        "definition": {
            "model": "WSDCGQ11LM",
            "vendor": "Aqara",
            "description": "Temperature and humidity sensor",
            "exposes": [
                {"type": "numeric", "name": "temperature", "property": "temperature", "unit": "°C"},
                {
                    "type": "climate",
                    "features": [{"type": "numeric", "property": "local_temperature", "unit": "°C"}],
                },
                {
                    "type": "composite",
                    "property": "warning",
                    "features": [{"type": "numeric", "property": "duration", "unit": "s"}],
                },
            ],
        },
    },
    "nonsense",
]


def test_the_list_of_devices_describes_each_with_its_units() -> None:
    coordinator, weather, bad = come("zigbee2mqtt/bridge/devices", DEVICES)
    assert one([coordinator]).device == "zigbee2mqtt"
    said = one([weather])
    assert (said.device, said.kind) == ("cellar:weather", "description")
    assert said.texts["name"] == "cellar/weather"
    assert said.texts["model"] == "WSDCGQ11LM"
    assert said.texts["manufacturer"] == "Aqara"
    assert said.texts["firmware"] == "3000-0001"
    units = {name: unit for name, unit in said.texts.items() if name.startswith("unit.")}
    assert units == {"unit.temperature": "°C", "unit.local_temperature": "°C", "unit.warning.duration": "s"}
    assert refusal([bad]) == "bad_shape"


def test_groups_and_the_bridge_describe_themselves() -> None:
    body = [{"id": 1, "friendly_name": "my_group", "members": [{"ieee_address": "0x90fd9ffffe6494fc", "endpoint": 1}]}]
    group = one(come("zigbee2mqtt/bridge/groups", body))
    assert (group.device, group.fields, group.texts["members"]) == ("my_group", {"group": 1}, "0x90fd9ffffe6494fc")
    info = {"version": "2.1.0", "coordinator": {"type": "zStack3x0"}, "config": {"mqtt": {"password": "secret"}}}
    said = one(come("zigbee2mqtt/bridge/info", info))
    assert (said.texts["firmware"], said.texts["model"]) == ("2.1.0", "zStack3x0")
    assert "secret" not in str(said)


def test_what_happens_on_the_bridge_is_an_event() -> None:
    body = {"type": "device_joined", "data": {"friendly_name": "bulb", "ieee_address": "0x90fd9ffffe6494fc"}}
    joined = one(come("zigbee2mqtt/bridge/event", body))
    assert (joined.device, joined.kind, joined.texts["event"]) == ("bulb", "event", "device_joined")
    logged = one(come("zigbee2mqtt/bridge/logging", {"level": "info", "message": "Zigbee: allowing"}))
    assert (logged.device, logged.kind, logged.texts["level"]) == ("zigbee2mqtt", "event", "info")
    answer = one(come("zigbee2mqtt/bridge/response/permit_join", {"data": {"time": 254}, "status": "ok"}))
    assert answer.texts == {"response": "permit_join", "result": "ok"}


def test_an_interviews_outcome_does_not_say_whether_the_device_is_there() -> None:
    data = {"friendly_name": "bulb", "status": "successful", "definition": {"model": "LED1", "vendor": "IKEA"}}
    said = one(come("zigbee2mqtt/bridge/event", {"type": "device_interview", "data": data}))
    assert said.texts["interview"] == "successful"
    assert "status" not in said.texts
    assert (said.texts["model"], said.texts["manufacturer"]) == ("LED1", "IKEA")


def test_the_list_of_devices_of_the_first_version() -> None:
    body = [{"ieeeAddr": "0x00158d0001dc126a", "friendly_name": "attic", "model": "WSDCGQ11LM", "vendor": "Xiaomi"}]
    said = one(come("zigbee2mqtt/bridge/config/devices", body))
    assert (said.device, said.kind) == ("attic", "description")
    assert (said.texts["model"], said.texts["manufacturer"]) == ("WSDCGQ11LM", "Xiaomi")


def test_device_information_in_a_state_describes() -> None:
    body = {"temperature": 20, "device": {"friendlyName": "bulb", "model": "LED1", "ieeeAddr": "0x1", "type": "Router"}}
    about, state = all_of(come("zigbee2mqtt/bulb", body))
    assert (about.kind, about.texts["model"]) == ("description", "LED1")
    assert state.fields == {"temperature": 20}


@pytest.mark.parametrize(
    ("topic", "body", "reason"),
    [
        ("zigbee2mqtt/bulb", "bar", "bad_json"),
        ("zigbee2mqtt/bulb", "[1]", "bad_shape"),
        ("zigbee2mqtt/bulb", '{"a":', "bad_json"),
        ("zigbee2mqtt/bulb/availability", "maybe", "bad_value"),
        ("zigbee2mqtt/bridge/definitions", "{}", "unsupported"),
        ("zigbee2mqtt/bridge/devices", "{}", "bad_shape"),
    ],
)
def test_bad_input_is_refused_with_its_reason(topic: str, body: str, reason: str) -> None:
    with pytest.raises(Rejected) as refused:
        come(topic, body)
    assert refused.value.reason == reason


def test_an_empty_payload_says_nothing() -> None:
    assert come("zigbee2mqtt/bulb/availability", b"") == ()


@pytest.mark.parametrize("base", ["z2m", "cellar/z2m"])
def test_another_base_topic_where_it_is_configured(base: str) -> None:
    catalogue = built_in({"zigbee2mqtt": [base + "/{device#}"]})
    for path, body, device in (
        ("attic/bulb", '{"state":"ON"}', "attic:bulb"),
        ("attic/bulb/availability", "online", "attic:bulb"),
        ("attic/bulb/linkquality", "80", "attic:bulb"),
        ("bridge/state", "online", base.replace("/", ":")),
    ):
        source = catalogue.source(f"{base}/{path}")
        (said,) = catalogue.named(source.decoder).decode(Payload(body.encode(), source, 0))
        assert one([said]).device == device


def test_without_a_topic_the_path_names_the_device() -> None:
    assert one(post("z2m", {"temperature": 3}, "bulb")).device == "bulb"


def test_an_answer_has_what_was_done_whose_request_it_was_and_no_map_of_the_network() -> None:
    done = {"from": "remote", "to": "lamp", "clusters": ["genScenes", "genOnOff"], "failed": []}
    body = {"transaction": "12", "data": done, "status": "ok"}
    said = one(come("zigbee2mqtt/bridge/response/device/bind", body))
    assert (said.kind, said.texts["result"], said.texts["transaction"]) == ("event", "ok", "12")
    assert said.texts["clusters.1"] == "genOnOff"
    network = {"data": {"type": "raw", "value": {"nodes": [{"ieeeAddr": "0x1"}]}}, "status": "ok"}
    assert "raw" in (said := one(come("zigbee2mqtt/bridge/response/networkmap", network))).texts.values()
    assert not any(name.startswith("value") for name in said.texts)
    backup = {"data": {"zip": "UEsDBAoAAAAA"}, "status": "ok"}
    assert "zip" not in one(come("zigbee2mqtt/bridge/response/backup", backup)).texts


def test_what_somebody_has_added_is_known_by_name_and_nothing_added_says_nothing() -> None:
    assert come("zigbee2mqtt/bridge/extensions", b"[]") == []
    added = [{"name": "mine.js", "code": "x" * 2000}, {"name": "yours.mjs", "code": ""}]
    said = one(come("zigbee2mqtt/bridge/converters", added))
    assert (said.kind, said.texts) == ("description", {"converters": "mine.js,yours.mjs"})


def test_a_state_of_which_nothing_is_known_yet_says_nothing() -> None:
    assert come("zigbee2mqtt/plug/l1", {"state": None, "effect": None, "power_on_behavior": None}) == []
    with pytest.raises(Rejected) as refused:
        come("zigbee2mqtt/plug/l1", b"{}")
    assert refused.value.reason == "no_fields"

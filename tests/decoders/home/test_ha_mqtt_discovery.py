"""Home Assistant's discovery: descriptions that meet the values of the families that announce themselves."""

import pytest

from headwater.errors import Rejected
from tests.decoders.home.kit import come, one, post

DEVICE = {"ids": ["0x1"], "name": "Attic", "mf": "Aqara", "mdl": "WSDCGQ11LM", "sw": "3000"}


@pytest.mark.parametrize(
    ("state_topic", "template", "value_topic", "value"),
    [
        ("zigbee2mqtt/attic", "{{ value_json.temperature }}", "zigbee2mqtt/attic", {"temperature": 21.5}),
        ("zigbee2mqtt/attic", "{{ value_json['color']['x'] }}", "zigbee2mqtt/attic", {"color": {"x": 0.5}}),
        ("tele/plug/SENSOR", "{{ value_json['ENERGY'].Total }}", "tele/plug/SENSOR", {"ENERGY": {"Total": 1.5}}),
        ("stat/plug/POWER", "", "stat/plug/POWER", "ON"),
        ("shellies/plug/relay/0/power", "", "shellies/plug/relay/0/power", "7"),
        ("shellyplus1-4/status/switch:0", "{{ value_json.apower }}", "shellyplus1-4/status/switch:0", {"apower": 7}),
        ("grow/sensor/temperature/state", "", "grow/sensor/temperature/state", "24.8"),
        ("home/gw/BTtoMQTT/AABBCCDDEEFF", "{{ value_json.tempc | is_defined }}", "", None),
    ],
)
def test_a_unit_is_of_the_field_and_device_that_the_state_topic_means(
    state_topic: str, template: str, value_topic: str, value: object
) -> None:
    body = {"name": "Value", "stat_t": state_topic, "val_tpl": template, "unit_of_meas": "U", "dev": DEVICE}
    about = one(come("homeassistant/sensor/0x1/value/config", body))
    assert about.kind == "description"
    if value_topic:
        said = one(come(value_topic, value))
        assert about.device == said.device
        assert {f"unit.{name}" for name in said.fields} <= about.texts.keys()
    else:
        assert about.texts["unit.tempc"] == "U"


def test_the_device_block_describes_in_short_and_in_full() -> None:
    short = {
        "name": "T",
        "stat_t": "x/y",
        "uniq_id": "u1",
        "dev_cla": "temperature",
        "unit_of_meas": "°C",
        "dev": DEVICE,
    }
    full = {
        "name": "T",
        "state_topic": "x/y",
        "unique_id": "u1",
        "device_class": "temperature",
        "unit_of_measurement": "°C",
        "device": {
            "identifiers": "0x1",
            "name": "Attic",
            "manufacturer": "Aqara",
            "model": "WSDCGQ11LM",
            "sw_version": "3000",
        },
    }
    first = one(come("homeassistant/sensor/node/t/config", short))
    second = one(come("homeassistant/sensor/node/t/config", full))
    assert (first.device, first.texts) == (second.device, second.texts)
    assert first.device == "0x1"
    assert first.texts == {
        "unit.t": "°C",
        "class.t": "temperature",
        "label.t": "T",
        "name": "Attic",
        "model": "WSDCGQ11LM",
        "manufacturer": "Aqara",
        "firmware": "3000",
    }


def test_a_tilde_stands_for_the_base_topic() -> None:
    body = {"~": "home/attic/grow", "name": "T", "stat_t": "~/sensor/temperature/state", "unit_of_meas": "°C"}
    said = one(come("homeassistant/sensor/grow/t/config", body))
    assert (said.device, said.texts["unit.sensor.temperature"]) == ("home:attic:grow", "°C")


def test_a_device_with_all_its_components() -> None:
    body = {
        "dev": {"ids": "aabbccddeeff", "name": "Station"},
        "o": {"name": "x2mqtt"},
        "stat_t": "sensors/station",
        "cmps": {
            "t1": {"p": "sensor", "unit_of_meas": "°C", "val_tpl": "{{ value_json.temp }}"},
            "h1": {"p": "sensor", "unit_of_meas": "%", "val_tpl": "{{ value_json.hum }}"},
            "gone": {"p": "sensor"},
        },
    }
    said = one(come("homeassistant/device/station/config", body))
    assert (said.device, said.texts) == (
        "AABBCCDDEEFF",
        {"unit.temp": "°C", "unit.hum": "%", "name": "Station"},
    )


@pytest.mark.parametrize(
    ("topic", "config", "device"),
    [
        ("homeassistant/sensor/node/x/config", {"name": "T"}, "node"),
        ("homeassistant/sensor/x/config", {"name": "T"}, "x"),
        ("homeassistant/sensor/x/config", {"name": "T", "uniq_id": "u1"}, "u1"),
        (
            "homeassistant/sensor/x/config",
            {"name": "T", "dev": {"cns": [["mac", "aa:bb:cc:dd:ee:ff"]]}},
            "AABBCCDDEEFF",
        ),
    ],
)
def test_without_a_known_topic_the_next_best_names_it(topic: str, config: object, device: str) -> None:
    assert one(come(topic, config)).device == device


def test_removal_says_nothing() -> None:
    assert come("homeassistant/sensor/x/config", b"") == ()


def test_its_own_status_and_its_statestream() -> None:
    said = one(come("homeassistant/status", "online"))
    assert (said.device, said.kind) == ("homeassistant", "status")
    assert one(come("homeassistant/switch/bla/state", "ON")).texts == {"state": "ON"}
    assert one(come("homeassistant/light/bla/brightness", "7")).fields == {"brightness": 7}


def test_without_a_topic_the_path_names_it() -> None:
    assert one(post("ha_mqtt_discovery", {"name": "T", "stat_t": "a/b"}, "mine")).device == "mine"


@pytest.mark.parametrize(
    ("topic", "body", "reason"),
    [
        ("homeassistant/sensor/x/config", "{}", "no_fields"),
        ("homeassistant/sensor/x/config", "hello", "bad_shape"),
        ("homeassistant/sensor/x/config", '{"a":', "bad_json"),
        ("homeassistant/status", "maybe", "bad_value"),
    ],
)
def test_bad_input_is_refused_with_its_reason(topic: str, body: object, reason: str) -> None:
    with pytest.raises(Rejected) as refused:
        come(topic, body)
    assert refused.value.reason == reason


def test_a_button_is_described_by_what_triggers_it_and_a_reader_of_tags_by_its_topic() -> None:
    button = {
        "automation_type": "trigger",
        "device": {"identifiers": ["0AFFD2"]},
        "payload": "short_press",
        "topic": "foobar/triggers/button1",
        "type": "button_short_press",
        "subtype": "button_1",
    }  # of Home Assistant's tests, Apache-2.0
    said = one(come("homeassistant/device_automation/bla/config", button))
    assert (said.device, said.texts) == ("0AFFD2", {"trigger.bla": "button_1 button_short_press"})
    reader = {"device": {"identifiers": ["0AFFD2"]}, "topic": "foobar/tag_scanned"}
    said = one(come("homeassistant/tag/bla1/config", reader))
    assert (said.device, said.texts) == ("0AFFD2", {"topic.bla1": "foobar/tag_scanned"})

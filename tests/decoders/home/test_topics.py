"""Which family a topic belongs to, where several of them have any prefix."""

import pytest

from ingest.decoders.patterns import compile_pattern
from tests.decoders.home.kit import CATALOGUE


@pytest.mark.parametrize(
    ("topic", "family", "device"),
    [
        ("tele/plug/SENSOR", "tasmota", "plug"),
        ("plug/cmnd/Power", "tasmota", "plug"),
        ("tasmota/discovery/00000049A3BC/config", "tasmota", ""),
        ("zigbee2mqtt/a/b", "zigbee2mqtt", "a:b"),
        ("zigbee2mqtt/a/b/availability", "zigbee2mqtt", "a:b"),
        ("shellies/plug/relay/0", "shelly_gen1", "plug"),
        ("shellies/announce", "shelly_gen1", ""),
        ("shellies/plug/status/switch:0", "shelly_gen2", "plug"),
        ("shellyplus1-4/status", "shelly_gen2", "shellyplus1-4"),
        ("attic/porch/events/rpc", "shelly_gen2", "attic:porch"),
        ("porch/status", "esphome", "porch"),
        ("a/b/sensor/temperature/state", "esphome", "a:b"),
        ("homeassistant/sensor/a/b/config", "ha_mqtt_discovery", ""),
        ("espresense/rooms/office/status", "espresense", "office"),
        ("room-assistant/sensor/keys/state", "room_assistant", "keys"),
        ("home/gw/BTtoMQTT/AABBCCDDEEFF", "openmqttgateway", "gw"),
        ("go-iotdevice/cmnd/bmv/R1", "go_iotdevice", "bmv"),
        ("temp-hum-readings", "moziot_lab", ""),
        ("devices/pump-7/telemetry", "native", "pump-7"),
    ],
)
def test_a_topic_says_its_family_and_its_device(topic: str, family: str, device: str) -> None:
    found = CATALOGUE.source(topic)
    assert (found.decoder, found.device) == (family, device)


def test_a_level_that_can_name_no_device_leaves_it_to_the_payload() -> None:
    found = CATALOGUE.source("tele/!/SENSOR")
    assert (found.decoder, found.device) == ("tasmota", "")


@pytest.mark.parametrize(
    ("pattern", "topic", "device"),
    [
        ("{device#}/status/switch:*", "a/b/status/switch:0", "a/b"),
        ("{device:shelly*}/rpc", "shellyplus1-4/rpc", "shellyplus1-4"),
        ("{device#}/tele|stat/STATE|POWER*", "a/b/stat/POWER12", "a/b"),
        ("#/{device}/*toMQTT/#", "home/gw/BTtoMQTT/AA", "gw"),
    ],
)
def test_a_pattern_may_give_a_part_of_a_level(pattern: str, topic: str, device: str) -> None:
    fit = compile_pattern(pattern).fullmatch(topic)
    assert fit is not None
    assert fit["device"] == device


@pytest.mark.parametrize(
    ("pattern", "topic"),
    [
        ("{device#}/status/switch:*", "a/status/sys"),
        ("{device:shelly*}/rpc", "porch/rpc"),
        ("{device#}/tele|stat/STATE|POWER*", "a/cmnd/POWER"),
        ("{device#}/tele|stat/STATE|POWER*", "a/tele/xSTATE"),
        ("{device:shelly*}/rpc", "shelly/x/rpc"),
        ("*-readings", "a/b-readings"),
    ],
)
def test_a_part_of_a_level_stays_within_it(pattern: str, topic: str) -> None:
    assert compile_pattern(pattern).fullmatch(topic) is None

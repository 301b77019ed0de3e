"""Sensor.Community: what a sensor pushes and what the API gives."""

import json

import pytest

from headwater.errors import Rejected
from ingest.decoders.platforms.sensor_community import decode
from tests.decoders.platforms.kit import NOW, messages, only, payload, reason

PUSH = {
    "esp8266id": "12345",
    "software_version": "NRZ-2020-133",
    "sensordatavalues": [
        {"value_type": "SDS_P1", "value": "19.13"},
        {"value_type": "BME280_pressure", "value": "101325.00"},
        {"value_type": "signal", "value": "-63"},
        {"value_type": "temperature", "value": "nan"},
        {"value_type": "GPS_lat", "value": "52.5"},
        {"value_type": "GPS_lon", "value": "13.4"},
        {"value_type": "GPS_height", "value": "38.5"},
    ],
}


def test_a_push_is_a_message_of_the_board() -> None:
    made = only(decode, payload(json.dumps(PUSH), device="path"))
    assert made.device == "esp8266-12345"
    assert made.fields == {"SDS_P1": 19.13, "BME280_pressure": 1013.25, "rssi": -63}
    assert made.texts == {"software_version": "NRZ-2020-133", "note.temperature": "nan is no number"}
    assert made.position is not None
    assert (made.position.lat, made.position.lon, made.position.alt) == (52.5, 13.4, 38.5)


def test_a_push_without_a_number_is_the_paths() -> None:
    said = {name: value for name, value in PUSH.items() if name != "esp8266id"}
    assert only(decode, payload(json.dumps(said), device="roof")).device == "roof"
    assert reason(decode, payload(json.dumps(said))) == "missing_device"


def test_the_api_gives_a_message_for_each_element() -> None:
    element = {
        "id": 3452716889,
        "timestamp": "2025-11-21 04:40:00",
        "location": {"latitude": "52.544", "longitude": "13.374", "altitude": "38.7"},
        "sensor": {"id": 2130, "sensor_type": {"name": "DHT22", "manufacturer": "various"}},
        "sensordatavalues": [{"value_type": "humidity", "value": "76.70", "id": 1}],
    }
    made = messages(decode, payload(json.dumps([element, element | {"id": 5}])))
    assert [(one.device, one.id, one.at) for one in made] == [("2130", "3452716889", NOW), ("2130", "5", NOW)]
    assert made[0].fields == {"humidity": 76.7}
    assert made[0].texts == {"model": "DHT22", "manufacturer": "various"}
    assert made[0].position is not None


def test_one_bad_element_is_not_the_end_of_the_others() -> None:
    made = decode(payload(json.dumps([5, PUSH])))
    assert [isinstance(one, Rejected) for one in made] == [True, False]


@pytest.mark.parametrize(
    ("data", "code"),
    [
        ("{", "bad_json"),
        ("{}", "bad_shape"),
        ('{"esp8266id":1,"sensordatavalues":[5]}', "bad_shape"),
        ('{"esp8266id":1,"sensordatavalues":[]}', "no_fields"),
    ],
)
def test_what_is_none_is_refused(data: str, code: str) -> None:
    assert reason(decode, payload(data)) == code

"""SensorThings: observations belong to a Thing and are called as their Datastream is, as far as anything says so."""

import json
from typing import Any

import pytest

from headwater.message import Message
from ingest.decoders.catalogue import Catalogue
from ingest.decoders.platforms import PLATFORMS
from ingest.decoders.platforms.ogc_sensorthings import decode
from tests.decoders.memory import Memory
from tests.decoders.platforms.kit import NOW, messages, only, payload, reason

AT = "2025-11-21T05:40:00+01:00"
STREAM = {
    "@iot.id": 7,
    "name": "Air",
    "unitOfMeasurement": {"name": "degree Celsius", "symbol": "°C"},
    "Thing": {"@iot.id": 1, "name": "My Kitchen"},
    "ObservedProperty": {"name": "Temperature"},
}


def test_an_observation_with_its_datastream_expanded_says_all() -> None:
    said = {"result": 21.5, "phenomenonTime": AT, "Datastream": STREAM, "parameters": {"depth": 3}}
    made = only(decode, payload(json.dumps(said), "v1.1/Observations"))
    assert (made.device, made.kind, made.at) == ("My_Kitchen", "telemetry", NOW)
    assert made.fields == {"Temperature": 21.5, "parameters.depth": 3}


def test_what_was_said_of_a_datastream_before_names_its_observations() -> None:
    memory = Memory()
    about = only(decode, payload(json.dumps(STREAM), "v1.1/Datastreams(7)", context=memory))
    assert (about.device, about.kind, about.texts["unit.Temperature"]) == ("My_Kitchen", "description", "°C")
    made = only(decode, payload('{"result": 4}', "v1.1/Datastreams(7)/Observations", context=memory))
    assert (made.device, made.fields) == ("My_Kitchen", {"Temperature": 4})


@pytest.mark.parametrize(
    ("said", "topic", "path", "device", "name"),
    [
        ({"Datastream": {"@iot.id": 7}}, "", "", "Datastream:7", "result"),
        ({"Datastream": {"@iot.id": 7}}, "", "pump", "pump", "Datastream(7).result"),
        ({}, "v1.1/Datastreams('a')/Observations", "", "Datastream:a", "result"),
        ({"Datastream@iot.navigationLink": "http://h/v1.1/Datastreams(9)/x"}, "", "", "Datastream:9", "result"),
        ({}, "", "pump", "pump", "result"),
    ],
)
def test_where_little_is_known_the_number_stands_for_the_name(
    said: dict[str, Any], topic: str, path: str, device: str, name: str
) -> None:
    made = only(decode, payload(json.dumps({"result": 1, **said}), topic, device=path))
    assert (made.device, made.fields) == (device, {name: 1})


def test_an_interval_counts_by_its_end_and_a_result_may_be_many_values() -> None:
    said = {"result": [1, {"a": 2}], "phenomenonTime": f"2025-11-21T04:00:00Z/{AT}"}
    made = only(decode, payload(json.dumps(said), device="d"))
    assert (made.at, made.fields) == (NOW, {"result.0": 1, "result.1.a": 2})


def test_fahrenheit_is_made_celsius() -> None:
    stream = STREAM | {"unitOfMeasurement": {"symbol": "°F"}}
    made = only(decode, payload(json.dumps({"result": 68, "Datastream": stream})))
    assert made.fields == {"Temperature": 20}


def test_rows_of_a_data_array_are_a_message_each() -> None:
    said = [{"Datastream": {"@iot.id": 7}, "components": ["phenomenonTime", "result"], "dataArray": [[AT, 1], [AT, 2]]}]
    made = messages(decode, payload(json.dumps(said), device="d"))
    assert [one.fields for one in made] == [{"Datastream(7).result": 1}, {"Datastream(7).result": 2}]
    assert made[0].at == NOW


def test_a_thing_is_described_with_its_streams_and_place() -> None:
    spot = {"location": {"type": "Point", "coordinates": [13.4, 52.5]}}
    thing = {"name": "Oven", "properties": {"hot": True}, "Datastreams": [STREAM], "Locations": [spot]}
    about, stream = messages(decode, payload(json.dumps(thing), "v1.1/Things"))
    assert (about.device, about.kind, about.texts, about.fields) == (
        "Oven",
        "description",
        {"name": "Oven"},
        {"properties.hot": True},
    )
    assert about.position is not None
    assert about.position.lat == 52.5
    assert (stream.device, stream.texts) == ("Oven", {"Temperature.name": "Air", "unit.Temperature": "°C"})


def test_a_location_is_where_its_things_are() -> None:
    spot = {
        "name": "Hall",
        "location": {"type": "Point", "coordinates": [13.4, 52.5, 30]},
        "Things": [{"name": "a"}, {"@iot.id": 2}],
    }
    made = messages(decode, payload(json.dumps(spot)))
    assert [one.device for one in made] == ["a", "Thing:2"]
    assert all(one.position is not None and one.position.alt == 30 for one in made)


def test_a_list_is_taken_one_by_one_and_a_bad_one_is_not_the_end() -> None:
    made = decode(payload(json.dumps({"value": [{"name": "a"}, 5, {"name": "b"}]})))
    assert [one.device if isinstance(one, Message) else one.reason for one in made] == ["a", "bad_shape", "b"]


@pytest.mark.parametrize(
    ("said", "code"),
    [
        ("{", "bad_json"),
        ("5", "bad_shape"),
        ('{"result": 1}', "missing_device"),
        ('{"name": "DHT22", "metadata": "x"}', "missing_device"),
        ('{"result": 1, "Datastream": 5}', "wrong_type"),
        ('{"components": ["result"], "dataArray": [[1, 2]]}', "bad_shape"),
        ('{"Datastream": {"@iot.id": 1}, "result": null}', "no_fields"),
    ],
)
def test_what_is_none_is_refused(said: str, code: str) -> None:
    assert reason(decode, payload(said)) == code


@pytest.mark.parametrize(
    "topic", ["v1.1/Observations", "v1.0/Datastreams(1)/Observations", "FROST/v1.1/Datastreams(1)/Observations"]
)
def test_its_topics_are_known(topic: str) -> None:
    assert Catalogue(PLATFORMS).source(topic).decoder == "ogc_sensorthings"


def test_observations_within_their_datastream_are_telemetry_of_its_thing() -> None:
    stream = {**STREAM, "Observations": [{"phenomenonTime": AT, "result": 21.5}, {"result": 22}]}
    del stream["Thing"]
    made = messages(decode, payload(json.dumps({"name": "My Kitchen", "@iot.id": 1, "Datastreams": [stream]})))
    said = [(one.device, one.fields, one.at) for one in made if one.kind == "telemetry"]
    assert said == [("My_Kitchen", {"Temperature": 21.5}, NOW), ("My_Kitchen", {"Temperature": 22}, None)]


def test_a_unit_without_a_name_is_that_of_the_result() -> None:
    made = only(decode, payload(json.dumps({"unitOfMeasurement": {"symbol": "K"}}), "v1.1/Datastreams(7)", device="d"))
    assert made.texts == {"unit.result": "K"}


def test_a_datastream_of_several_values_has_a_unit_for_each_and_says_what_measures() -> None:
    stream = {
        "name": "Wind",
        "multiObservationDataTypes": ["OM_Measurement", "OM_Measurement"],
        "unitOfMeasurements": [{"symbol": "deg"}, {"symbol": "m/s"}],
        "Sensor": {"name": "Vane", "metadata": "2015"},
        "Observations": [{"result": [180, 3.5]}],
    }
    about, said = messages(decode, payload(json.dumps(stream), device="mast"))
    assert (about.texts["unit.Wind.0"], about.texts["unit.Wind.1"]) == ("deg", "m/s")
    assert (about.texts["Wind.Sensor.name"], about.texts["Wind.Sensor.metadata"]) == ("Vane", "2015")
    assert (said.device, said.fields) == ("mast", {"Wind.0": 180, "Wind.1": 3.5})

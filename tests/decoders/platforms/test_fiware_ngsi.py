"""NGSI: every form that an entity can have says the same."""

import json
from typing import Any

import pytest

from headwater.message import Message, Position
from ingest.decoders.platforms.fiware_ngsi import decode, recognises
from tests.decoders.memory import Memory
from tests.decoders.platforms.kit import NOW, messages, only, payload, reason

AT = "2025-11-21T04:40:00Z"
PLACE = {"type": "Point", "coordinates": [13.4, 52.5]}
FORMS: dict[str, dict[str, Any]] = {
    "v2 normalized": {
        "temperature": {"type": "Number", "value": 21.5, "metadata": {}},
        "accelerometer": {"type": "StructuredValue", "value": {"x": {"type": "Number", "value": 1}}},
        "state": {"type": "Text", "value": "ok"},
        "location": {"type": "geo:json", "value": PLACE},
        "dateObserved": {"type": "DateTime", "value": AT},
    },
    "key-values": {
        "temperature": 21.5,
        "accelerometer": {"x": 1},
        "state": "ok",
        "location": PLACE,
        "dateObserved": AT,
    },
    "LD normalized": {
        "temperature": {"type": "Property", "value": 21.5},
        "accelerometer": {"type": "Property", "value": {"x": 1}},
        "state": {"type": "Property", "value": "ok"},
        "location": {"type": "GeoProperty", "value": PLACE},
        "dateObserved": {"type": "Property", "value": {"@type": "DateTime", "@value": AT}},
        "@context": ["https://example.org/context.jsonld"],
    },
    "LD concise": {
        "temperature": {"value": 21.5},
        "accelerometer": {"value": {"x": 1}},
        "state": "ok",
        "location": {"type": "GeoProperty", "value": PLACE},
        "dateObserved": {"value": AT},
    },
}


@pytest.mark.parametrize("form", FORMS)
def test_all_forms_say_the_same(form: str) -> None:
    made = only(decode, payload(json.dumps({"id": "urn:ngsi-ld:Room:1", "type": "Room", **FORMS[form]}), device="path"))
    assert (made.device, made.at) == ("urn:ngsi-ld:Room:1", NOW)
    assert made.fields == {"temperature": 21.5, "accelerometer.x": 1}
    assert {"type": "Room", "state": "ok"}.items() <= made.texts.items()
    assert made.position is not None
    assert (made.position.lat, made.position.lon) == (52.5, 13.4)


def test_attributes_of_other_times_are_messages_of_their_own() -> None:
    said = {
        "id": "r",
        "type": "Room",
        "a": {"type": "Property", "value": 1, "observedAt": AT},
        "b": {
            "type": "Number",
            "value": 2,
            "metadata": {"TimeInstant": {"type": "DateTime", "value": "2025-11-21T04:39:00Z"}},
        },
        "c": {"type": "Property", "value": 3},
    }
    made = messages(decode, payload(json.dumps(said)))
    assert [(one.at, one.fields) for one in made] == [(NOW, {"a": 1}), (NOW - 60_000_000, {"b": 2}), (None, {"c": 3})]


def test_units_are_described_once_and_fahrenheit_is_made_celsius() -> None:
    said = {
        "id": "r",
        "type": "Room",
        "t": {"type": "Property", "value": 68, "unitCode": "FAH"},
        "p": {"value": 1000, "unitCode": "A97"},
    }
    memory = Memory()
    about, made = messages(decode, payload(json.dumps(said), context=memory))
    assert (about.kind, about.texts) == ("description", {"unit.t": "°C", "unit.p": "hPa"})
    assert made.fields == {"t": 20.0, "p": 1000}
    assert len(messages(decode, payload(json.dumps(said), context=memory))) == 1


def test_odd_values() -> None:
    said = {
        "id": "r",
        "type": "Device",
        "n": {"type": "Number", "value": "7.5"},
        "w": {"type": "Text", "value": "07"},
        "refDeviceModel": {"type": "Relationship", "object": "urn:ngsi-ld:DeviceModel:x"},
        "name": {"type": "LanguageProperty", "languageMap": {"en": "Hall"}},
        "speed": [{"type": "Property", "value": 1, "datasetId": "a"}, {"type": "Property", "value": 2}],
        "gone": {"type": "Property", "value": "urn:ngsi-ld:null"},
        "none": {"type": "None", "value": None},
        "batteryLevel": 0.75,
        "spot": {"type": "geo:point", "value": "52.5, 13.4"},
    }
    made = only(decode, payload(json.dumps(said)))
    assert made.fields == {"n": 7.5, "speed.0": 1, "speed.1": 2, "battery": 75, "batteryLevel": 0.75}
    assert made.texts == {
        "type": "Device",
        "w": "07",
        "refDeviceModel": "urn:ngsi-ld:DeviceModel:x",
        "name.en": "Hall",
        "spot": "52.5, 13.4",
    }


def test_a_battery_that_cannot_be_known_is_noted() -> None:
    made = only(decode, payload('{"id":"r","type":"Device","batteryLevel":-1}'))
    assert made.fields == {}
    assert "note.batteryLevel" in made.texts


def test_a_device_model_is_a_description() -> None:
    said = {"id": "m", "type": "DeviceModel", "modelName": "S4", "manufacturerName": "Acme", "category": ["sensor"]}
    made = only(decode, payload(json.dumps(said)))
    assert made.kind == "description"
    assert {"model": "S4", "manufacturer": "Acme", "category.0": "sensor"}.items() <= made.texts.items()


ROOM = {"id": "r", "type": "Room", "t": 1}


@pytest.mark.parametrize(
    "said",
    [
        {"subscriptionId": "5", "data": [ROOM]},
        {"id": "urn:ngsi-ld:Notification:1", "type": "Notification", "notifiedAt": AT, "data": [ROOM]},
        {"actionType": "append", "entities": [ROOM]},
        [ROOM],
        {
            "contextResponses": [
                {
                    "contextElement": {
                        "id": "r",
                        "type": "Room",
                        "attributes": [{"name": "t", "type": "Number", "value": "1"}],
                    }
                }
            ]
        },
    ],
)
def test_entities_come_in_many_envelopes(said: Any) -> None:
    made = only(decode, payload(json.dumps(said)))
    assert (made.device, made.fields) == ("r", {"t": 1})


def test_one_bad_entity_is_not_the_end_of_the_others() -> None:
    made = decode(payload(json.dumps({"data": [ROOM, 5, {"id": "x", "type": "Room"}, ROOM]})))
    assert [one.device if isinstance(one, Message) else one.reason for one in made] == [
        "r",
        "bad_shape",
        "no_fields",
        "r",
    ]


@pytest.mark.parametrize(
    ("said", "code"),
    [("{", "bad_json"), ("7", "bad_shape"), ('{"t":1}', "missing_device"), ('{"id":"r"}', "no_fields")],
)
def test_what_is_none_is_refused(said: str, code: str) -> None:
    assert reason(decode, payload(said)) == code


@pytest.mark.parametrize(
    ("said", "known"),
    [
        ({"id": "urn:ngsi-ld:Room:1", "type": "Room", "t": 1}, True),
        ({"id": "r", "type": "Room", "t": {"type": "Number", "value": 1}, "pad": "x" * 64}, True),
        ({"subscriptionId": "5", "data": [{"id": "urn:ngsi-ld:Room:1"}]}, True),
        ({"id": "r", "type": "Room", "t": 1}, False),
        ({"device": "a", "fields": {}}, False),
    ],
)
def test_it_is_known_by_its_content(said: Any, *, known: bool) -> None:
    assert recognises(json.dumps(said).encode()) is known


@pytest.mark.parametrize("kind", [[], {}, 1, None, ["Property"], True])
def test_a_type_that_is_no_text_changes_nothing(kind: object) -> None:
    entity = {"id": "urn:ngsi-ld:Room:1", "type": "Room", "temperature": {"type": kind, "value": 21.5}}
    assert only(decode, payload(json.dumps(entity))).fields == {"temperature": 21.5}


def test_an_entity_as_geojson_is_the_same_entity() -> None:
    feature = {
        "id": "urn:ngsi-ld:Room:1",
        "type": "Feature",
        "geometry": {"type": "GeoProperty", "value": PLACE},
        "properties": {"type": "Room", "temperature": {"type": "Property", "value": 21.5, "observedAt": AT}},
    }
    for said in (feature, {"type": "FeatureCollection", "features": [feature]}):
        made = messages(decode, payload(json.dumps(said)))
        assert {one.device for one in made} == {"urn:ngsi-ld:Room:1"}
        (warm,) = [one for one in made if "temperature" in one.fields]
        assert (warm.fields, warm.at, warm.texts["type"]) == ({"temperature": 21.5}, NOW, "Room")
        assert [one.position for one in made if one.position] == [Position(52.5, 13.4)]


def test_what_an_attribute_says_of_itself_stands_below_it() -> None:
    """Of Smart Data Models' ACMeasurement, CC BY 4.0."""
    kind = {"type": "Property", "value": "average"}
    linked = {
        "id": "a",
        "type": "T",
        "power": {"type": "Property", "value": 5, "unitCode": "WTT", "measurementType": kind},
    }
    kept = {"measurementType": {"type": "Text", "value": "average"}}
    second = {"id": "a", "type": "T", "power": {"type": "Number", "value": 5, "metadata": kept}}
    for said in (linked, second):
        (made,) = [one for one in messages(decode, payload(json.dumps(said))) if one.kind == "telemetry"]
        assert (made.fields, made.texts) == ({"power": 5}, {"type": "T", "power.measurementType": "average"})


def test_a_second_place_is_two_numbers() -> None:
    said = {"id": "a", "type": "T", "location": PLACE, "target": {"type": "Point", "coordinates": [-8.4, 40.2]}}
    made = only(decode, payload(json.dumps(said)))
    assert made.position == Position(52.5, 13.4)
    assert made.fields == {"target.coordinates.0": -8.4, "target.coordinates.1": 40.2}


def test_an_attribute_with_the_name_of_a_list_of_entities_is_one() -> None:
    said = {"id": "a", "type": "WasteContainer", "features": ["lid"], "data": [1]}
    made = only(decode, payload(json.dumps(said)))
    assert (made.texts["features.0"], made.fields) == ("lid", {"data.0": 1})


def test_an_object_with_a_type_and_no_value_is_taken_by_its_paths() -> None:
    said = {"id": "a", "type": "Room", "door": {"type": "Text", "colour": "red"}}
    made = only(decode, payload(json.dumps(said)))
    assert made.texts == {"type": "Room", "door.type": "Text", "door.colour": "red"}


def test_arrays_of_any_length_are_numbered() -> None:
    said = {"id": "a", "ecg": {"type": "Array", "value": [[7, 8], list(range(300))]}}
    made = messages(decode, payload(json.dumps(said)))
    fields = {name: value for message in made for name, value in message.fields.items()}
    assert (fields["ecg.0.1"], fields["ecg.1.0"], fields["ecg.1.299"], len(fields)) == (8, 0, 299, 302)

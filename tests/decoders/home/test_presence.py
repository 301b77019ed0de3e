"""ESPresense and room-assistant: who is where, and by whom it was heard."""

import pytest

from headwater.errors import Rejected
from headwater.message import Heard
from tests.decoders.home.kit import all_of, come, one, post

SEEN = {"id": "phone:ann", "rssi": -82.5, "distance": 2.66, "name": "Ann", "rssi@1m": -71}


def test_espresense_a_device_is_heard_by_a_room() -> None:
    for said in (one(come("espresense/devices/phone:ann/office", SEEN)), one(post("espresense", SEEN, "office"))):
        assert (said.device, said.heard_by) == ("phone:ann", [Heard("office", -82.5)])
        assert said.fields == {"rssi": -82.5, "distance": 2.66, "rssi@1m": -71}
        assert said.texts == {"name": "Ann"}
    assert one(come("espresense/devices/aabbccddeeff/office", {"rssi": -90.5})).device == "AABBCCDDEEFF"


def test_espresense_a_room_is_a_device() -> None:
    status = one(come("espresense/rooms/office/status", "online"))
    assert (status.device, status.kind, status.texts) == ("office", "status", {"status": "online"})
    assert one(come("espresense/rooms/office/motion", "ON")).fields == {"motion": True}
    assert one(come("espresense/rooms/office/bme280_temperature", "21.5")).fields == {"bme280_temperature": 21.5}
    body = {"ip": "10.0.0.7", "uptime": 7, "firm": "esp32", "ver": "v3.4", "rssi": -61}
    state, about = all_of(come("espresense/rooms/office/telemetry", body))
    assert state.fields == {"uptime": 7, "rssi": -61}
    assert (about.kind, about.texts["firmware"]) == ("description", "v3.4")


def test_espresense_the_companion_says_where_a_device_is() -> None:
    assert one(come("espresense/companion/phone:ann", "kitchen")).texts == {"room": "kitchen"}
    place = one(come("espresense/companion/phone:ann/attributes", {"x": 1.5, "y": 2.0, "confidence": 60}))
    assert (place.device, place.fields) == ("phone:ann", {"x": 1.5, "y": 2.0, "confidence": 60})
    there = one(come("espresense/companion/status", "online"))
    assert (there.device, there.kind) == ("espresense:companion", "status")


def test_espresense_what_is_set_for_all_rooms_is_a_command_and_an_old_firmware_names_no_part() -> None:
    said = one(come("espresense/rooms/*/max_distance/set", "5"))
    assert (said.device, said.kind, said.fields) == ("espresense", "command", {"command.max_distance": 5})
    assert all_of(come("espresense/rooms/office", {"uptime": 5, "rssi": -50}))[0].fields == {"uptime": 5, "rssi": -50}


def test_espresense_settings_describe_and_set_is_a_command() -> None:
    said = one(come("espresense/settings/aabbccddeeff/config", {"id": "phone:ann", "name": "Ann"}))
    assert (said.device, said.kind, said.texts) == (
        "phone:ann",
        "description",
        {"name": "Ann", "address": "aabbccddeeff"},
    )
    command = one(come("espresense/rooms/office/max_distance/set", "4"))
    assert (command.device, command.kind, command.fields) == ("office", "command", {"command.max_distance": 4})


@pytest.mark.parametrize("topic", ["room_presence/bedroom", "room-assistant/mqtt-room/bedroom"])
def test_a_device_in_a_room(topic: str) -> None:
    said = one(come(topic, {"id": "aa:bb:cc:dd:ee:ff", "name": "Keys", "distance": 1.2}))
    assert (said.device, said.heard_by) == ("AABBCCDDEEFF", [Heard("bedroom")])
    assert (said.fields, said.texts) == ({"distance": 1.2}, {"name": "Keys"})


def test_room_assistant_an_entity_is_heard_by_all_who_measured_it() -> None:
    entity = {
        "id": "ble-keys",
        "name": "Keys Room Presence",
        "state": "hall",
        "attributes": {"distance": 3.6, "lastUpdatedAt": "2021-02-28T14:17:33.141Z"},
        "measuredValues": {"hall": {"rssi": -70.4}, "attic": {"rssi": -79.8}},
    }
    said = one(come("room-assistant/entity/hall/ble-presence/ble-keys", {"entity": entity, "diff": []}))
    assert (said.device, said.at) == ("ble-keys", 1_614_521_853_141_000)
    assert said.heard_by == [Heard("hall", -70.4), Heard("attic", -79.8)]
    assert (said.fields["distance"], said.texts["state"]) == (3.6, "hall")


def test_room_assistant_statuses_states_and_attributes() -> None:
    there = one(come("room-assistant/status/hall", "online"))
    assert (there.device, there.kind, there.texts) == ("hall", "status", {"status": "online"})
    assert one(come("room-assistant/sensor/keys/status", "offline")).device == "keys"
    assert one(come("room-assistant/sensor/keys/state", "21.5")).fields == {"state": 21.5}
    assert one(come("room-assistant/device_tracker/keys/state", "home")).texts == {"state": "home"}
    assert one(come("room-assistant/sensor/keys/attributes", {"x": True})).fields == {"x": True}
    assert come("room-assistant/sensor/keys/status", b"") == ()


@pytest.mark.parametrize(
    ("topic", "body", "reason"),
    [
        ("espresense/rooms/office/status", "maybe", "bad_value"),
        ("espresense/devices/x/office", "near", "bad_shape"),
        ("room-assistant/status/hall", "maybe", "bad_value"),
        ("room-assistant/camera/heat/state", b"\xff\xd8", "unsupported"),
        ("room_presence/bedroom", "near", "bad_shape"),
    ],
)
def test_bad_input_is_refused_with_its_reason(topic: str, body: object, reason: str) -> None:
    with pytest.raises(Rejected) as refused:
        come(topic, body)
    assert refused.value.reason == reason

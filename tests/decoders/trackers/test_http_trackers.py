"""OsmAnd, Sigfox, flespi, Digital Matter, Leaf Spy, PUI: what their requests come to."""

from collections.abc import Sequence

import pytest

from headwater.errors import Rejected
from headwater.message import Heard, Message, Position
from tests.decoders.home.kit import CATALOGUE, all_of, come, one, post


def test_a_query_is_a_position_with_what_else_it_says() -> None:
    query = "decoder=osmand_http&id=7&lat=60.5&lon=30&timestamp=1377177267&altitude=12&accuracy=5&batt=87&charge=true"
    said = one(post("osmand_http", query))
    assert (said.device, said.at) == ("7", 1_377_177_267_000_000)
    assert said.position == Position(60.5, 30.0, 12.0, 5.0)
    assert said.fields == {"batt": 87, "battery": 87, "charge": True}
    assert said.texts == {}


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("1377177267", 1_377_177_267_000_000),
        ("1377177267123", 1_377_177_267_123_000),
        ("2016-01-27T18%3A55%3A47Z", 1_453_920_947_000_000),
        ("2016-01-27T18:55:47+01:00", 1_453_917_347_000_000),
        ("2016-01-27+18%3A55%3A47", 1_453_920_947_000_000),
    ],
)
def test_a_query_has_its_time_in_many_forms(text: str, at: int) -> None:
    assert one(post("osmand_http", f"id=7&lat=60&lon=30&timestamp={text}")).at == at


def test_a_form_in_the_body_and_the_name_in_the_query_go_together() -> None:
    said = one(post("osmand_http", "location=60.0,30.0&valid=true", "", "decoder=osmand_http&deviceid=9"))
    assert (said.device, said.position) == ("9", Position(60.0, 30.0))


def test_the_path_names_the_device_where_the_query_does_not() -> None:
    assert one(post("osmand_http", "lat=60.0&lon=30.0", "van-7")).device == "van-7"
    with pytest.raises(Rejected) as refused:
        post("osmand_http", "lat=60.0&lon=30.0")
    assert refused.value.reason == "missing_device"


def test_a_position_that_is_not_valid_stays_away() -> None:
    said = one(post("osmand_http", "id=7&lat=60.0&lon=30.0&valid=false"))
    assert said.position is None
    assert "note.position" in said.texts


def test_what_is_not_known_is_negative_in_background_geolocation() -> None:
    place = {"latitude": 37.7, "longitude": -122.4, "accuracy": 5, "speed": -1, "heading": -1, "altitude": 0}
    body = {"location": {"uuid": "u-1", "coords": place, "battery": {"level": -1, "is_charging": False}, "_": "&id=7"}}
    said = one(post("osmand_http", {**body, "device_id": 7}))
    assert (said.device, said.id, said.position) == ("7", "u-1", Position(37.7, -122.4, 0.0, 5.0))
    assert said.fields == {"battery.is_charging": False}
    assert set(said.texts) == {"note.speed", "note.heading", "note.battery"}


def test_background_geolocation_may_send_many_at_once() -> None:
    there = {"coords": {"latitude": 1, "longitude": 2}, "battery": {"level": 0.79}}
    first, second = post("osmand_http", {"device_id": "a", "location": [there, 7]})
    assert not isinstance(first, Rejected)
    assert first.fields == {"battery": 79.0}
    assert isinstance(second, Rejected)


def test_a_sigfox_callback_is_heard_by_its_base_station() -> None:
    body = {"device": "2BF839", "time": 1510605882, "data": "", "station": "35A9", "rssi": "-98.00", "snr": "45.61"}
    said = one(post("sigfox_callback", {**body, "seqNumber": "228", "lat": "-38.0", "lng": "145.0", "battery": "null"}))
    assert (said.device, said.seq, said.at) == ("2BF839", 228, 1_510_605_882_000_000)
    assert said.heard_by == [Heard("35A9", -98.0, 45.61)]
    assert said.position is None
    assert (said.fields["station.lat"], said.fields["rssi"]) == (-38, -98.0)
    assert "battery" not in said.fields


@pytest.mark.parametrize(
    ("data", "position", "fields"),
    [
        ("00bd6475e907398e562d01b9", Position(-37.8182467, 145.2161287), {"course": 90, "speed": 1, "voltage": 4.625}),
        ("1f03198e63807f08836402ff", Position(52.006499, -8.325251), {"battery": 100}),
        ("0f03198e63807f08836402ff", None, {"battery": 100}),
        ("cb020051", None, {}),
        ("xyz", None, {}),
    ],
)
def test_sigfox_frames_of_known_makers_are_read(data: str, position: Position | None, fields: dict[str, float]) -> None:
    said = one(post("sigfox_callback", {"device": "A", "data": data}))
    assert (said.position, said.fields) == (position, fields)


def test_a_sigfox_alarm_and_its_values() -> None:
    said = one(post("sigfox_callback", {"device": "A", "payload": "62031404290532"}))
    assert said.fields == {"event": 0x62, "temperature": 10.0, "voltage": 4.1, "battery": 50}
    assert said.texts["alarm"] == "sos"
    cut = one(post("sigfox_callback", {"device": "A", "payload": "6202419b"}))
    assert "note.payload" in cut.texts


def test_a_sigfox_callback_may_be_a_form_or_encoded_json() -> None:
    assert one(post("sigfox_callback", "%7B%22device%22%3A%22A%22%2C%22snr%22%3A9%7D=")).fields == {"snr": 9}
    assert one(post("sigfox_callback", "id=A&snr=9&time=1510605882")).fields == {"snr": 9}


def test_each_of_flespis_messages_stands_alone() -> None:
    good = {
        "ident": "a",
        "position.latitude": 1.5,
        "position.longitude": 2,
        "battery.level": 80,
        "timestamp": 1508508510.5,
    }
    said, nameless, none = post("flespi_http", [good, {"din": 1}, None])
    assert not isinstance(said, Rejected)
    assert (said.device, said.at, said.position) == ("a", 1_508_508_510_500_000, Position(1.5, 2.0))
    assert said.fields == {"battery.level": 80, "battery": 80}
    assert isinstance(nameless, Rejected)
    assert nameless.reason == "missing_device"
    assert isinstance(none, Rejected)


def test_digital_matters_records_are_scaled() -> None:
    place = {
        "FType": 0,
        "GpsUTC": "2017-05-08 18:04:57",
        "Lat": 43.7,
        "Long": -79.3,
        "Alt": 197,
        "Spd": 250,
        "PosAcc": 37,
    }
    analogue = {"FType": 6, "AnalogueData": {"1": 4100, "2": 1250, "3": 2484, "4": 26, "9": 5}}
    record = {
        "SeqNo": 125,
        "Reason": 11,
        "DateUTC": "2017-05-11 05:58:44",
        "Fields": [place, analogue, {"FType": 2, "DIn": 3}],
    }
    (said,) = all_of(post("dmt_http_json", {"SerNo": 1, "IMEI": "356", "FW": "33.4", "Records": [record]}))
    assert (said.device, said.seq, said.at) == ("356", 125, 1_494_482_324_000_000)
    assert said.position == Position(43.7, -79.3, 197.0, 37.0)
    assert said.fields == {
        "reason": 11,
        "speed": 2.5,
        "battery_voltage": 4.1,
        "external_voltage": 12.5,
        "temperature": 24.84,
        "rssi": 26,
        "AnalogueData.9": 5,
        "DIn": 3,
        "ignition": True,
    }


def test_digital_matters_gateways_heard_the_device() -> None:
    radio = {"dev_id": "yabby", "gw": [{"id": "dm-sentrius", "snr": 10, "rssi": -36}]}
    counters = [{"id": 0, "val": 3600}, {"id": 1, "val": 9900}]
    body = {"device": {"sn": "S1"}, "sqn": 3, "reason": 1, "counters": counters, "lora": radio}
    said = one(post("dmt_http_json", body))
    assert (said.device, said.seq) == ("S1", 3)
    assert said.heard_by == [Heard("dm-sentrius", -36.0, 10.0)]
    assert (said.fields["battery_voltage"], said.fields["battery"]) == (3.6, 99.0)


def test_leaf_spy_is_known_by_its_car_and_keeps_no_password() -> None:
    said = one(post("leafspy", "user=me&pass=geheim&Lat=60.0&Long=30.0&Elv=5&SOC=80.5&Amb=50&Tunits=F&VIN=ZE0-1"))
    assert (said.device, said.position) == ("ZE0-1", Position(60.0, 30.0, 5.0))
    assert said.fields == {"SOC": 80.5, "battery": 80.5, "Amb": 10.0}
    assert "geheim" not in {*said.texts.values(), said.device}


def test_pui_comes_on_its_topic() -> None:
    body = {
        "id": "0152",
        "ts": "2023-06-01T03:09:51.362Z",
        "rpt": "loc",
        "location": {"lat": 33.9, "lon": -84.2},
        "spd": 250,
    }
    said = one(come("Pui", body))
    assert (said.device, said.at, said.position) == ("0152", 1_685_588_991_362_000, Position(33.9, -84.2))
    assert said.fields == {"speed": 2.5}


@pytest.mark.parametrize("decoder", ["osmand_http", "sigfox_callback", "flespi_http", "dmt_http_json", "tracker_misc"])
@pytest.mark.parametrize("body", ["{", "[1", "\xff", "{}", "[]", "=", "&&&", "<a"])
def test_nonsense_is_refused_and_never_more(decoder: str, body: str) -> None:
    made: Sequence[Message | Rejected]
    try:
        made = post(decoder, body, "device-1")
    except Rejected as error:
        made = [error]
    assert all(isinstance(one, Rejected) and one.detail for one in made)


def test_a_query_is_bounded() -> None:
    with pytest.raises(Rejected) as refused:
        post("osmand_http", "&".join(f"a{number}=1" for number in range(400)), "device-1")
    assert refused.value.reason == "too_many_fields"


def test_they_are_asked_for_by_short_names() -> None:
    assert CATALOGUE.named("osmand") is CATALOGUE.named("osmand_http")
    assert CATALOGUE.named("spot") is CATALOGUE.named("tracker_misc")

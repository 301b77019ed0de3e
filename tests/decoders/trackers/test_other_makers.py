"""OpenGTS, PathAway, VLT, RF-Track, Piligrim, and JSON of Ramac, Smartcar, ORBCOMM …: each is known by its own names."""

import json
from typing import Any

import pytest

from headwater.errors import Rejected
from headwater.message import Message, Position
from ingest.contract import Payload, Source
from tests.decoders.home.kit import CATALOGUE, RECEIVED, one, post

SENTENCE = "$GPRMC,082202.0,A,5006.000000,N,01430.000000,W,10.0,90.5,131018,1.2,E,A*2E"
AT = 1_539_418_922_000_000


def misc(body: Any, device: str = "") -> Message:
    return one(post("tracker_misc", body, device))


def all_misc(body: Any, query: str = "") -> list[Message | Rejected]:
    data = body if isinstance(body, bytes) else body.encode()
    source = Source("http", "", "", "tracker_misc", query=query)
    return list(CATALOGUE.named("tracker_misc").decode(Payload(data, source, RECEIVED)))


def test_a_sentence_of_nmea_in_a_parameter_is_a_position_with_its_time() -> None:
    said = misc(f"id=77&alt=160.5&batt=81&code=0xF020&pass=secret&gprmc={SENTENCE}")
    assert (said.device, said.at, said.position) == ("77", AT, Position(50.1, -14.5, 160.5))
    assert said.fields == {"batt": 81, "battery": 81, "speed": 5.14444444444, "course": 90.5}
    assert said.texts == {"code": "0xF020"}
    assert misc(f"acct=fleet&dev=van7&gprmc={SENTENCE}").device == "fleet:van7"


def test_a_sentence_that_is_not_valid_has_no_position() -> None:
    said = misc(f"id=77&gprmc={SENTENCE.replace(',A,', ',V,')}")
    assert (said.position, said.at) == (None, AT)
    assert "note.position" in said.texts


@pytest.mark.parametrize("text", ["$GPRMC,nonsense", "$GPGGA,1", ""])
def test_no_whole_sentence_is_refused(text: str) -> None:
    with pytest.raises(Rejected) as caught:
        all_misc(f"id=77&gprmc={text}&x=1")
    assert caught.value.reason in {"bad_value", "unsupported"}


def test_path_away_says_it_in_quotes_and_commas() -> None:
    said = misc('UserName=jane&Password=x&LOC=$PWS,1,"Roger",,,100107,122846,45.5,-79.5,45.00,42,1,"Comment",0*58')
    assert (said.device, said.position, said.fields) == (
        "jane",
        Position(45.5, -79.5, 45.0),
        {"speed": 42, "course": 1},
    )
    assert said.texts == {"name": "Roger", "comment": "Comment"}


RECORD = "L1060418102230023.125503N080.068033W404x120010123456789036.00120.5025027011M"


def test_records_in_columns_are_a_message_each_and_a_broken_one_does_not_hold_up_the_others() -> None:
    first, broken, last = all_misc(f"vltdata=BTH123456789012345003{'01' + RECORD}{'9' * 78}{'02' + RECORD}")
    assert isinstance(first, Message)
    assert isinstance(broken, Rejected)
    assert isinstance(last, Message)
    assert (first.device, first.position) == ("123456789012345", Position(23.125503, -80.068033))
    assert (first.fields["speed"], first.fields["cell.mnc"], first.fields["motion"]) == (10, 12, True)
    assert [first.fields["event"], last.fields["event"]] == [1, 2]


def test_rf_track_has_json_in_its_parameters() -> None:
    place = json.dumps({"a": 30.0, "y": 31.25, "s": 4, "t": 1589764496654, "z": 1.5, "x": 121.5})
    said = misc(f'i=358&t=1589764500713&bat=4188&dbm=-53&gps={place}&wifi=[{{"l":-49,"m":"30-B4"}}]')
    assert (said.device, said.at) == ("358", 1_589_764_500_713_000)
    assert said.position == Position(31.25, 121.5, 1.5, 30.0)
    assert said.fields == {"battery": 92, "plug_status": 0, "charging": True, "rssi": -53, "wifi.0.l": -49}


def test_piligrim_sends_records_of_bytes_and_sentences() -> None:
    record = bytes.fromhex("ff f1 15 0d4110061a 32060000 220c0000 02 0a 0a 05 17")
    first, second = all_misc(record * 2 + b"\xff", "imei=868")
    assert isinstance(first, Message)
    assert (first.device, first.position) == ("868", Position(50.1, -34.2))
    assert (first.fields["satellites"], first.fields["course"]) == (10, 10.23)
    assert isinstance(second, Message)
    assert first.at == second.at == 1_389_629_186_000_000
    assert misc(f"&phoneNumber=%2B+7800&message=ALARM; {SENTENCE} 29,05").device == "7800"
    with pytest.raises(Rejected):
        all_misc(record[:-1], "imei=868")


def test_ramac_says_its_state_and_its_alarms() -> None:
    about = {"SeqNumber": 4, "UpdateDate": "2022-05-06 12:25:35", "DeviceId": "A1", "Alert": 42}
    state = misc({**about, "PacketType": 0, "BatteryPercentage": 4, "Battery": 3.1, "Temperature": -22})
    assert (state.device, state.at, state.kind) == ("A1", 1_651_839_935_000_000, "telemetry")
    assert state.fields.items() >= {"battery": 4, "voltage": 3.1, "temperature": -22, "Alert": 42}.items()
    alarm = misc({**about, "PacketType": 2, "Latitude": -25.5, "Longitude": 28.5})
    assert (alarm.kind, alarm.position) == ("event", Position(-25.5, 28.5))


def test_a_smart_car_says_its_signals_in_the_usual_units() -> None:
    signals = [
        {"code": "odometer", "body": {"value": 10, "unit": "miles"}},
        {"code": "tractionbattery-stateofcharge", "body": {"value": 78, "unit": "percent"}},
        {"code": "location-preciselocation", "body": {"latitude": 37.5, "longitude": -122.5}},
        "nonsense",
    ]
    body = {"eventId": "e-1", "eventType": "VEHICLE_STATE", "meta": {"deliveredAt": 1731940433067}, "vehicleId": "v"}
    said = misc({**body, "data": {"signals": signals}})
    assert (said.device, said.id, said.at, said.position) == ("v", "e-1", 1_731_940_433_067_000, Position(37.5, -122.5))
    assert said.fields == {"odometer": 16093.44, "battery": 78}
    with pytest.raises(Rejected, match="unsupported"):
        misc({**body, "eventType": "VERIFY"})


def test_orbcomm_counts_places_in_thousandths_of_a_minute() -> None:
    fields = [{"Name": "Latitude", "Value": "727668"}, {"Name": "Longitude", "Value": "-902274"}]
    fields += [{"Name": "Speed", "Value": "36"}, {"Name": "Heading", "Value": "361"}]
    message = {"ID": 7, "MessageUTC": "2022-02-17 08:44:45", "MobileID": "01S", "Payload": {"Fields": fields}}
    said = misc({"ErrorID": 0, "Messages": [message]})
    assert (said.device, said.id, said.position) == ("01S", "7", Position(12.1278, -15.0379))
    assert (said.fields["speed"], "heading" in said.fields) == (10, False)


@pytest.mark.parametrize(
    ("body", "device", "position"),
    [
        (
            {
                "device": "865",
                "data": {"ms1": -1},
                "time": 1589277568,
                "origin": "x",
                "latitude": 19.5,
                "longitude": -99,
            },
            "865",
            Position(19.5, -99.0),
        ),
        ({"resource": [{"devid": "869", "lat": "19.5", "lon": "-99", "vbat": "12.2"}]}, "869", Position(19.5, -99.0)),
        (
            {"ueToken": "ALT", "location": {"latitude": 19.5, "longitude": -99, "confidence": 7}, "uid": "u"},
            "ALT",
            Position(19.5, -99.0, None, 7.0),
        ),
        (
            '<gps id="911"><coordinate><latitude>100.5</latitude><longitude>13.5</longitude></coordinate></gps>',
            "911",
            Position(13.5, 100.5),
        ),
    ],
)
def test_others_are_known_by_their_names(body: Any, device: str, position: Position) -> None:
    said = misc(body)
    assert (said.device, said.position) == (device, position)


def test_their_own_names_choose_them_too() -> None:
    assert CATALOGUE.named("opengts").name == "tracker_misc"

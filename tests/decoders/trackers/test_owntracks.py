"""OwnTracks and Greenwich: what the app and the trackers say, over MQTT and HTTP."""

import pytest

from headwater.errors import Rejected
from headwater.message import Heard, Position
from tests.decoders.home.kit import all_of, come, one, post

HERE = {"_type": "location", "lat": 48.8568, "lon": 2.2927, "tst": 1706856298}


@pytest.mark.parametrize(
    "topic",
    [
        "owntracks/jane/phone",
        "owntracks/jane/phone/event",
        "owntracks/jane/phone/waypoint",
        "home/owntracks/jane/phone",
    ],
)
def test_user_and_device_are_the_topics(topic: str) -> None:
    assert one(come(topic, HERE)).device == "jane:phone"


def test_a_location_is_position_time_and_fields() -> None:
    body = {
        **HERE,
        "acc": 12,
        "alt": 154,
        "batt": 53,
        "vel": 36,
        "p": 101.3,
        "tid": "7",
        "inregions": ["Home"],
        "conn": "w",
    }
    said = one(come("owntracks/jane/phone", body))
    assert said.kind == "telemetry"
    assert said.at == 1_706_856_298_000_000
    assert said.position == Position(48.8568, 2.2927, 154.0, 12.0)
    assert said.fields == {"batt": 53, "battery": 53, "vel": 36, "p": 101.3, "pressure": 1013.0}
    assert said.texts == {"tid": "7", "inregions.0": "Home", "conn": "w"}


def test_minus_one_is_not_known() -> None:
    said = one(come("owntracks/jane/phone", {**HERE, "batt": -1, "vel": -1, "cog": -1, "vac": 4}))
    assert said.fields == {"vac": 4}
    assert set(said.texts) == {"note.batt", "note.vel", "note.cog"}


def test_the_apps_own_id_makes_a_retry_recognisable() -> None:
    assert one(come("owntracks/jane/phone", {**HERE, "_id": "c0ffee"})).id == "c0ffee"


@pytest.mark.parametrize(
    ("body", "path", "query", "device"),
    [
        ({"topic": "owntracks/jane/phone", "tid": "JJ"}, "", "", "jane:phone"),
        ({"topic": "owntracks/jane/phone/event"}, "", "", "jane:phone"),
        ({}, "", "decoder=owntracks&u=jane&d=phone", "jane:phone"),
        ({"tid": "JJ"}, "my-phone", "", "my-phone"),
        ({"tid": "JJ"}, "", "", "JJ"),
    ],
)
def test_over_http_the_device_is_what_says_most(body: dict[str, str], path: str, query: str, device: str) -> None:
    assert one(post("owntracks", {**HERE, **body}, path, query)).device == device


def test_a_list_is_a_message_each_and_a_bad_one_only_itself() -> None:
    first, second, third = post("owntracks", [HERE, {"_type": "nonsense"}, 7], "phone")
    assert not isinstance(first, Rejected)
    assert isinstance(second, Rejected)
    assert second.reason == "unsupported"
    assert isinstance(third, Rejected)
    assert third.reason == "bad_shape"


def test_entering_a_region_is_an_event() -> None:
    body = {
        "_type": "transition",
        "lat": 45.1,
        "lon": 9.1,
        "acc": 7,
        "event": "enter",
        "desc": "Home",
        "t": "c",
        "tst": 2,
    }
    said = one(come("owntracks/jane/phone/event", body))
    assert (said.kind, said.texts["event"], said.texts["desc"]) == ("event", "enter", "Home")
    assert said.position == Position(45.1, 9.1, None, 7.0)


def test_a_last_will_is_offline_now_not_when_the_app_connected() -> None:
    said = one(come("owntracks/jane/phone", {"_type": "lwt", "tst": 1706856298}))
    assert (said.kind, said.texts, said.at) == ("status", {"status": "offline"}, None)


def test_a_region_is_not_where_the_device_is() -> None:
    region = {"_type": "waypoint", "desc": "Cafe", "lat": 48.87, "lon": 2.35, "rad": "50", "tst": "1385997757"}
    said = one(come("owntracks/jane/phone/waypoint", region))
    assert (said.kind, said.position, said.at) == ("event", None, None)
    assert said.fields == {"lat": 48.87, "lon": 2.35, "rad": 50, "tst": 1385997757}
    many = all_of(come("owntracks/jane/phone/waypoints", {"_type": "waypoints", "waypoints": [region] * 70}))
    assert [message.kind for message in many] == ["description"] * 2
    assert sum(len(message.fields) + len(message.texts) for message in many) == 70 * 6 + 1


def test_a_beacon_is_a_tag_that_the_phone_heard() -> None:
    body = {"_type": "beacon", "uuid": "CA271EAE", "major": 1, "minor": 2, "rssi": -70, "prox": 2, "acc": 1.5, "tst": 9}
    said = one(come("owntracks/jane/phone/beacon", body))
    assert said.device == "CA271EAE:1:2"
    assert said.heard_by == [Heard("jane:phone", -70.0)]
    assert said.fields["rssi"] == -70


def test_steps_that_were_not_counted_are_absent() -> None:
    said = one(come("owntracks/jane/phone/step", {"_type": "steps", "steps": -1, "from": 5, "to": 9, "tst": 9}))
    assert said.fields == {"from": 5, "to": 9}
    assert "note.steps" in said.texts


def test_secrets_and_pictures_stay_out() -> None:
    body = {"_type": "configuration", "host": "h", "password": "p1", "encryptionKey": "k1"}
    said = one(come("owntracks/jane/phone/dump", body))
    assert (said.kind, said.texts["host"]) == ("description", "h")
    assert "p1" not in said.texts.values()
    assert "k1" not in said.texts.values()
    card = one(come("owntracks/jane/phone/info", {"_type": "card", "tid": "JJ", "name": "Jane", "face": "iVBORw0K"}))
    assert card.texts["name"] == "Jane"
    assert "iVBORw0K" not in card.texts.values()
    ordered = {"_type": "cmd", "action": "setConfiguration", "configuration": {"host": "h", "password": "p1"}}
    command = one(come("owntracks/jane/phone/cmd", ordered))
    assert (command.kind, command.texts) == (
        "command",
        {"command.action": "setConfiguration", "command.configuration.host": "h"},
    )


def test_the_phone_itself_is_described() -> None:
    body = {"_type": "status", "iOS": {"deviceModel": "iPhone", "version": "18.2", "locale": "de_DE"}}
    said = one(come("owntracks/jane/phone/status", body))
    assert said.kind == "description"
    assert (said.texts["model"], said.texts["firmware"]) == ("iPhone", "18.2")


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ({"_type": "encrypted", "data": "x"}, "encrypted"),
        ({"_type": "unheard-of"}, "unsupported"),
        ({"tst": 1}, "missing_field"),
        ({"_type": "location", "tst": 1}, "missing_field"),
        ("hello", "bad_json"),
        ("7", "bad_shape"),
    ],
)
def test_what_is_no_message_is_refused(body: object, reason: str) -> None:
    with pytest.raises(Rejected) as refused:
        come("owntracks/jane/phone", body)
    assert refused.value.reason == reason


def test_nothing_retained_is_nothing() -> None:
    assert come("owntracks/jane/phone") == ()


def test_the_short_form_is_the_long_one() -> None:
    said = one(come("owntracks/acme/van17", "X0,542A46AA,k,30365854,7575769,26,4,7,5,872"))
    assert said.at == 0x542A46AA * 1_000_000
    assert said.position == Position(30.365854, 7.575769, 70.0)
    assert said.fields == {"cog": 260, "vel": 4, "dist": 5, "trip": 872_000}
    assert said.texts == {"tid": "X0", "t": "k"}


def test_greenwich_has_volts_where_the_app_has_percent() -> None:
    body = {**HERE, "tst": "1408810440", "lat": "48.85", "lon": "2.29", "batt": "12.4"}
    said = one(come("owntracks/acme/van17/alarm", body))
    assert said.device == "acme:van17"
    assert said.position == Position(48.85, 2.29)
    assert (said.fields, said.texts["unit.batt"]) == ({"batt": 12.4}, "V")


@pytest.mark.parametrize(
    ("below", "body", "kind", "values"),
    [
        ("gpio/7", "1", "telemetry", {"gpio.7": 1}),
        ("voltage/ext", "12.2", "telemetry", {"voltage.ext": 12.2}),
        ("temperature/1", "24.82", "telemetry", {"temperature.1": 24.82}),
        ("obd2/000007e8/01/0c", "0ee0", "telemetry", {"obd2.000007e8.01.0c": "0ee0", "rpm": 952}),
        ("obd2/000007e8/01/05", "82", "telemetry", {"obd2.000007e8.01.05": "82", "coolant_temperature": 90}),
        ("obd2/000007e8/03", "00", "telemetry", {"obd2.000007e8.03": "00"}),
        ("fms/feee", "ff00", "telemetry", {"fms.feee": "ff00"}),
        ("cellinfo", "262 7 1451 35", "event", {"cellinfo": "262 7 1451 35"}),
        ("status", "1", "status", {"code": 1, "status": "online"}),
        ("status", "-1", "status", {"code": -1, "status": "offline"}),
        ("cmd", "out 1 0", "command", {"command.cmd": "out 1 0"}),
        ("cmd/out", "NUMSAT=10", "event", {"NUMSAT": 10}),
        ("cmd/out", "it is done", "event", {"out": "it is done"}),
        (
            "start",
            "123456789012345 0.7.38 2014-09-01 08:37:04",
            "description",
            {"imei": "123456789012345", "firmware": "0.7.38", "model": "Greenwich"},
        ),
    ],
)
def test_greenwich_has_topics_of_its_own(below: str, body: str, kind: str, values: dict[str, object]) -> None:
    said = one(come(f"owntracks/acme/van17/{below}", body))
    assert (said.device, said.kind) == ("acme:van17", kind)
    assert {**said.fields, **said.texts} == values


def test_an_input_that_is_no_number_is_refused() -> None:
    with pytest.raises(Rejected) as refused:
        come("owntracks/acme/van17/gpio/7", "high")
    assert refused.value.reason == "bad_value"

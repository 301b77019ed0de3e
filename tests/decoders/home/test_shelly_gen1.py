"""Shelly's first generation: what its topics and JSON come to."""

import pytest

from headwater.errors import Rejected
from tests.decoders.home.kit import come, one, post


@pytest.mark.parametrize(
    ("path", "text", "fields"),
    [
        ("relay/0", "on", {"relay.0": True}),
        ("relay/1", "overpower", {"relay.1": False, "relay.1.overpower": True}),
        ("relay/0/power", "12.50", {"relay.0.power": 12.5}),
        ("emeter/2/voltage", "231.02", {"emeter.2.voltage": 231.02}),
        ("emeter/0/power", "-8.40", {"emeter.0.power": -8.4}),
        ("sensor/temperature", "21.5", {"sensor.temperature": 21.5}),
        ("sensor/battery", "87", {"sensor.battery": 87, "battery": 87}),
        ("sensor/flood", "false", {"sensor.flood": False}),
        ("input/0", "1", {"input.0": True}),
        ("overtemperature", "0", {"overtemperature": False}),
        ("temperature", "33.89", {"temperature": 33.89}),
        ("roller/0/pos", "40", {"roller.0.pos": 40}),
        (
            "light/0/status",
            {"ison": True, "brightness": 50},
            {"light.0.status.ison": True, "light.0.status.brightness": 50},
        ),
    ],
)
def test_one_value_a_topic(path: str, text: object, fields: dict[str, object]) -> None:
    said = one(come(f"shellies/shelly-1/{path}", text))
    assert (said.device, said.kind, said.fields) == ("shelly-1", "telemetry", fields)


@pytest.mark.parametrize(("path", "unit"), [("relay/0/energy", "W·min"), ("emeter/1/total", "Wh")])
def test_an_energy_says_its_unit(path: str, unit: str) -> None:
    said = one(come(f"shellies/shelly-1/{path}", "4711.5"))
    name = path.replace("/", ".")
    assert (said.fields, said.texts) == ({name: 4711.5}, {f"unit.{name}": unit})


def test_texts_stay_texts() -> None:
    assert one(come("shellies/shelly-1/roller/0", "open")).texts == {"roller.0": "open"}
    assert one(come("shellies/shelly-1/sensor/act_reasons", '["battery","sensor"]')).texts == {
        "sensor.act_reasons": "battery,sensor"
    }


@pytest.mark.parametrize(
    ("path", "text"), [("sensor/temperature", "999.0"), ("ext_temperature/0", "999"), ("roller/0/pos", "-1")]
)
def test_a_sentinel_is_a_note(path: str, text: str) -> None:
    said = one(come(f"shellies/shelly-1/{path}", text))
    assert said.fields == {}
    assert list(said.texts) == [f"note.{path.replace('/', '.')}"]


def test_a_prefix_may_be_doubled() -> None:
    assert one(come("shellies/shellies/em3/emeter/0/pf", "0.99")).device == "em3"


@pytest.mark.parametrize(("text", "status"), [("true", "online"), ("false", "offline")])
def test_online_is_a_status(text: str, status: str) -> None:
    said = one(come("shellies/shelly-1/online", text))
    assert (said.kind, said.texts) == ("status", {"status": status})


def test_an_announcement_describes_whom_it_names() -> None:
    body = {"id": "shelly-1", "model": "SHSW-1", "mac": "8CAAB54B98DF", "fw_ver": "20220809-123240/v1.12"}
    for topic in ("shellies/announce", "shellies/shelly-1/announce"):
        said = one(come(topic, body))
        assert (said.device, said.kind) == ("shelly-1", "description")
        assert said.texts["model"] == "SHSW-1"
        assert said.texts["manufacturer"] == "Shelly"
        assert said.texts["firmware"] == "20220809-123240/v1.12"


STATUS = {
    "wifi_sta": {"connected": True, "rssi": -59},
    "unixtime": 1_707_326_928,
    "mac": "8CAAB54B98DF",
    "relays": [{"ison": False}],
    "meters": [{"power": 7.5, "is_valid": True}, {"power": 0.0, "is_valid": False}],
    "tmp": {"value": 71.6, "units": "F", "tC": 22.0, "tF": 71.6, "is_valid": True},
    "bat": {"value": 87, "voltage": 2.9},
}


def test_a_status_has_its_time_its_signal_and_only_valid_readings() -> None:
    said = one(come("shellies/shelly-1/info", STATUS))
    assert said.at == 1_707_326_928_000_000
    assert said.fields["rssi"] == -59
    assert said.fields["battery"] == 87
    assert said.fields["relays.0.ison"] is False
    assert said.fields["meters.0.power"] == 7.5
    assert "meters.1.power" not in said.fields
    assert "note.meters.1" in said.texts
    assert said.fields["tmp.value"] == 22
    assert "tmp.tF" not in said.fields


def test_by_http_the_path_names_it_else_its_mac() -> None:
    assert one(post("shelly_gen1", STATUS, "porch")).device == "porch"
    assert one(post("shelly_gen1", STATUS)).device == "8CAAB54B98DF"


def test_a_report_url() -> None:
    said = one(post("shelly_gen1", b"", query="hum=50&temp=21.5&id=shellyht-1&decoder=shelly_gen1"))
    assert (said.device, said.fields) == ("shellyht-1", {"hum": 50, "temp": 21.5})
    assert one(post("shelly_gen1", "hum=50&temp=21.5", "attic")).fields == {"hum": 50, "temp": 21.5}


def test_settings_describe_and_tell_no_secret() -> None:
    body = {
        "device": {"type": "SHSW-25", "mac": "8CAAB54B98DF"},
        "wifi_ap": {"key": "secret"},
        "name": "Hall",
        "fw": "1",
        "pin_code": "secret",
        "lat": 52.5,
        "max_power": 2500,
        "relays": [{"name": "Lamp", "out_on_url": "http://secret", "auto_off": 30.0}],
    }
    said = one(post("shelly_gen1", body))
    assert said.fields == {"max_power": 2500, "relays.0.auto_off": 30.0}
    assert said.texts["relays.0.name"] == "Lamp"
    assert (said.device, said.kind, said.texts["name"], said.texts["model"]) == (
        "8CAAB54B98DF",
        "description",
        "Hall",
        "SHSW-25",
    )
    assert "secret" not in str(said)


def test_a_button_is_an_event_and_a_command_a_command() -> None:
    assert one(come("shellies/shelly-1/input_event/0", {"event": "S", "event_cnt": 3})).kind == "event"
    assert one(come("shellies/shelly-1/input_event/0", {"event": "", "event_cnt": 3})).kind == "telemetry"
    said = one(come("shellies/shelly-1/relay/0/command", "on"))
    assert (said.kind, said.texts) == ("command", {"command.relay.0": "on"})


@pytest.mark.parametrize(
    ("path", "body", "reason"),
    [("online", "maybe", "bad_value"), ("info", '{"a":', "bad_json"), ("relay/0", b"\xff", "bad_encoding")],
)
def test_bad_input_is_refused_with_its_reason(path: str, body: object, reason: str) -> None:
    with pytest.raises(Rejected) as refused:
        come(f"shellies/shelly-1/{path}", body)
    assert refused.value.reason == reason


def test_an_empty_payload_says_nothing() -> None:
    assert come("shellies/shelly-1/relay/0", b"") == ()

"""Shelly's second generation: what its topics and frames come to."""

from base64 import b64encode

import pytest

from headwater.errors import Rejected
from headwater.message import Heard
from tests.decoders.home.kit import CATALOGUE, come, one, post, refusal

SWITCH = {"id": 0, "output": True, "apower": 8.9, "aenergy": {"total": 6.5}, "temperature": {"tC": 44.1, "tF": 111.3}}
FIELDS = {
    "switch:0.output": True,
    "switch:0.apower": 8.9,
    "switch:0.aenergy.total": 6.5,
    "switch:0.temperature.tC": 44.1,
}


def notify(method: str, params: object) -> object:
    return {"src": "shellyplus1pm-44", "dst": "x/events", "method": method, "params": params}


@pytest.mark.parametrize(
    ("prefix", "device"),
    [
        ("shellyplus1pm-44", "shellyplus1pm-44"),
        ("shellies/porch", "porch"),
        ("home/attic/porch", "home:attic:porch"),
    ],
)
def test_all_topics_of_a_device_name_the_same_one(prefix: str, device: str) -> None:
    status = one(come(f"{prefix}/status/switch:0", SWITCH))
    assert (status.device, status.kind, status.fields) == (device, "telemetry", FIELDS)
    told = one(come(f"{prefix}/events/rpc", notify("NotifyStatus", {"ts": 1661517385.44, "switch:0": SWITCH})))
    assert (told.device, told.fields, told.at) == (device, FIELDS, 1_661_517_385_440_000)
    there = one(come(f"{prefix}/online", "true"))
    assert (there.device, there.kind, there.texts) == (device, "status", {"status": "online"})
    asked = {"id": 1, "src": "user", "method": "Switch.Set", "params": {"id": 0, "on": True}}
    if device == "porch" or prefix.startswith("shelly"):
        command = one(come(f"{prefix}/rpc", asked))
        assert (command.device, command.kind, command.texts) == (device, "command", {"command.method": "Switch.Set"})


def test_a_clock_that_was_never_set_is_no_time() -> None:
    assert (
        one(come("shelly-1/events/rpc", notify("NotifyStatus", {"ts": 1.61, "mqtt": {"connected": True}}))).at is None
    )


FULL = {
    "ble": {},
    "switch:0": SWITCH,
    "devicepower:0": {"id": 0, "battery": {"V": 5.2, "percent": 77}},
    "sys": {"mac": "441793AB3FB4", "unixtime": 1708181319},
    "wifi": {"rssi": -52, "sta_ip": None},
}


def test_a_whole_status_by_any_way() -> None:
    for said in (
        one(come("shellyplus1-44/status", FULL)),
        one(come("shellyplus1-44/events/rpc", notify("NotifyFullStatus", FULL))),
        one(post("shelly_gen2", FULL, "shellyplus1-44")),
        one(post("shelly_gen2", {"id": 1, "src": "shellyplus1-44", "result": FULL})),
    ):
        assert said.device == "shellyplus1-44"
        assert said.fields["switch:0.apower"] == 8.9
        assert said.fields["battery"] == 77
        assert said.fields["rssi"] == -52
        assert said.at == 1_708_181_319_000_000
    assert one(post("shelly_gen2", FULL)).device == "441793AB3FB4"


@pytest.mark.parametrize(
    ("answer", "field"),
    [
        ({"id": 0, "output": True, "apower": 1.5}, "switch:0.apower"),
        ({"id": 1, "output": True, "brightness": 50}, "light:1.brightness"),
        ({"id": 0, "state": "open", "current_pos": 100}, "cover:0.current_pos"),
        ({"id": 0, "tC": 21.5, "tF": 70.7}, "temperature:0.tC"),
        ({"id": 0, "rh": 41.2}, "humidity:0.rh"),
        ({"id": 0, "a_act_power": 41.2}, "em:0.a_act_power"),
    ],
)
def test_the_answer_about_one_component_has_its_name(answer: object, field: str) -> None:
    assert field in one(post("shelly_gen2", answer, "porch")).fields


def test_events_are_messages_each_and_a_bad_one_ends_no_other() -> None:
    found = [{"component": "input:0", "id": 0, "event": "single_push", "ts": 1736604020.06}, 7]
    pushed, bad = come("shelly-1/events/rpc", notify("NotifyEvent", {"ts": 1736604020.06, "events": found}))
    said = one([pushed])
    assert (said.kind, said.texts) == ("event", {"component": "input:0", "event": "single_push"})
    assert said.at == 1_736_604_020_060_000
    assert refusal([bad]) == "bad_shape"


def test_a_blu_device_is_a_device_of_its_own() -> None:
    data = {"encryption": False, "BTHome_version": 2, "pid": 118, "battery": 100, "button": 1, "rssi": -55}
    found = [{"component": "script:1", "event": "shelly-blu", "data": {**data, "address": "b4:35:22:fe:56:e5"}}]
    said = one(come("shelly-1/events/rpc", notify("NotifyEvent", {"ts": 1736604020.06, "events": found})))
    assert (said.device, said.kind, said.seq) == ("B43522FE56E5", "event", None)
    assert said.heard_by == [Heard("shelly-1", -55)]
    assert said.fields == {"battery": 100, "button": 1, "rssi": -55, "pid": 118}


def test_scanned_devices_are_heard() -> None:
    advert = b64encode(bytes.fromhex("020106 0916d2fc40016402c409")).decode()  # BTHome: battery 100 %, 25.0 °C
    data = [2, [["aa:bb:cc:dd:ee:ff", -62, advert, ""], ["x"], ["aa:bb:cc:dd:ee:ff", -62, "!", ""]]]
    found = [{"component": "script:2", "event": "ble.scan_result", "data": data}]
    heard, bad, unreadable = come("shelly-1/events/rpc", notify("NotifyEvent", {"events": found}))
    assert one([heard]).device == "AABBCCDDEEFF"
    assert one([heard]).heard_by == [Heard("shelly-1", -62)]
    assert (one([heard]).fields["battery"], one([heard]).fields["temperature"]) == (100, 25)
    assert refusal([bad]) == "bad_shape"
    assert refusal([unreadable]) == "bad_value"


def test_what_is_too_much_for_one_payload_is_said_to_be() -> None:
    found = [{"component": "input:0", "event": "single_push"}] * 300
    *pushed, rest = come("shelly-1/events/rpc", notify("NotifyEvent", {"events": found}))
    assert len(pushed) == 256
    assert refusal([rest]) == "too_large"


def test_device_info_describes_and_config_tells_no_secret() -> None:
    body = {"name": "Porch", "id": "shellyplus1-44", "mac": "441793AB3FB4", "model": "SNSW-001X16EU", "ver": "1.4.4"}
    said = one(post("shelly_gen2", {**body, "fw_id": "2024"}))
    assert (said.device, said.kind) == ("shellyplus1-44", "description")
    assert (said.texts["name"], said.texts["model"], said.texts["firmware"]) == ("Porch", "SNSW-001X16EU", "1.4.4")
    config = {
        "sys": {"device": {"name": "Porch", "mac": "441793AB3FB4"}},
        "switch:0": {"name": "Lamp", "id": 0, "power_limit": 2800},
        "bthomedevice:200": {"name": "Tag", "key": "secret"},
        "wifi": {"sta": {"ssid": "iot", "pass": "secret"}},
    }
    named = one(post("shelly_gen2", config))
    assert (named.texts["name"], named.texts["switch:0.name"]) == ("Porch", "Lamp")
    assert named.fields == {"switch:0.power_limit": 2800}
    assert "secret" not in str(named)


def test_an_error_answer_is_an_event() -> None:
    said = one(post("shelly_gen2", {"id": 1, "src": "shelly-1", "error": {"code": 404, "message": "No handler"}}))
    assert (said.kind, said.fields, said.texts["error.message"]) == ("event", {"error.code": 404}, "No handler")


def test_an_empty_component_says_nothing() -> None:
    assert list(come("shelly-1/status/ble", {})) == []
    assert come("shelly-1/online", b"") == ()


@pytest.mark.parametrize(
    ("path", "body", "reason"),
    [
        ("online", "maybe", "bad_value"),
        ("events/rpc", '{"src":', "bad_json"),
        ("events/rpc", {"src": "shelly-1", "method": "NotifyEvent", "params": {}}, "bad_shape"),
        ("status/switch:0", "on", "bad_json"),
    ],
)
def test_bad_input_is_refused_with_its_reason(path: str, body: object, reason: str) -> None:
    with pytest.raises(Rejected) as refused:
        come(f"shelly-1/{path}", body)
    assert refused.value.reason == reason


def test_bytes_alone_tell_a_notification() -> None:
    data = b'{"src":"shellyplus1pm-44","dst":"x","method":"NotifyStatus","params":{}}'
    assert CATALOGUE.by_payload(data, "").name == "shelly_gen2"

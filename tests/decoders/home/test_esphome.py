"""ESPHome: what its topics and payloads come to."""

import pytest

from headwater.errors import Rejected
from tests.decoders.home.kit import come, one


@pytest.mark.parametrize(
    ("path", "text", "fields", "texts"),
    [
        ("sensor/temperature/state", "24.8", {"sensor.temperature": 24.8}, {}),
        ("sensor/version/state", "2026.1.0", {}, {"sensor.version": "2026.1.0"}),
        ("binary_sensor/door/state", "ON", {"binary_sensor.door": True}, {}),
        ("switch/pump/state", "OFF", {"switch.pump": False}, {}),
        ("climate/heater/mode/state", "heat", {}, {"climate.heater.mode": "heat"}),
        ("climate/heater/target_temperature/state", "21.5", {"climate.heater.target_temperature": 21.5}, {}),
        ("cover/gate/position/state", "40", {"cover.gate.position": 40}, {}),
        (
            "light/lamp/state",
            {"state": "ON", "brightness": 128, "color": {"r": 255}},
            {"light.lamp.brightness": 128, "light.lamp.color.r": 255},
            {"light.lamp.state": "ON"},
        ),
    ],
)
@pytest.mark.parametrize("prefix", ["grow", "home/attic/grow"])
def test_a_state_has_its_components_name(
    prefix: str, path: str, text: object, fields: dict[str, object], texts: dict[str, str]
) -> None:
    said = one(come(f"{prefix}/{path}", text))
    assert (said.device, said.kind) == (prefix.replace("/", ":"), "telemetry")
    assert (said.fields, said.texts) == (fields, texts)


def test_nan_is_no_reading() -> None:
    said = one(come("grow/sensor/temperature/state", "nan"))
    assert said.fields == {}
    assert list(said.texts) == ["note.sensor.temperature"]


@pytest.mark.parametrize("status", ["online", "offline"])
def test_birth_and_last_will(status: str) -> None:
    said = one(come("grow/status", status))
    assert (said.device, said.kind, said.texts) == ("grow", "status", {"status": status})


def test_commands_events_and_log_lines() -> None:
    command = one(come("grow/switch/pump/command", "ON"))
    assert (command.kind, command.texts) == ("command", {"command.switch.pump": "ON"})
    pressed = one(come("grow/event/bell/state", {"event_type": "press"}))
    assert (pressed.kind, pressed.texts) == ("event", {"event.bell.event_type": "press"})
    line = one(come("grow/debug", b"\x1b[0;32m[I][app:062]: Hello\x1b[0m"))
    assert (line.kind, line.texts) == ("event", {"log": "[I][app:062]: Hello", "level": "I"})


def test_discovery_describes() -> None:
    body = {"name": "grow", "friendly_name": "Grow", "version": "2026.1.0", "mac": "84f3eb000000", "board": "esp32dev"}
    said = one(come("esphome/discover/grow", body))
    assert (said.device, said.kind) == ("grow", "description")
    assert (said.texts["name"], said.texts["firmware"], said.texts["model"]) == ("Grow", "2026.1.0", "esp32dev")


@pytest.mark.parametrize(
    ("path", "body", "reason"),
    [
        ("status", "maybe", "bad_value"),
        ("sensor/t/state", "[1]", "bad_shape"),
        ("sensor/t/state", b"\xff", "bad_encoding"),
    ],
)
def test_bad_input_is_refused_with_its_reason(path: str, body: object, reason: str) -> None:
    with pytest.raises(Rejected) as refused:
        come(f"grow/{path}", body)
    assert refused.value.reason == reason


def test_an_empty_payload_says_nothing() -> None:
    assert come("grow/status", b"") == ()

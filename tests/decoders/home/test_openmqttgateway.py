"""OpenMQTTGateway: what its topics and payloads come to."""

import pytest

from headwater.errors import Rejected
from headwater.message import Heard
from tests.decoders.home.kit import all_of, come, one, post

TAG = {"id": "AA:BB:CC:DD:EE:FF", "rssi": -63, "tempc": "21.5", "tempf": "70.7", "batt": 82, "servicedata": "58585810"}


def test_a_tag_is_a_device_of_its_own_heard_by_the_gateway() -> None:
    for said in (one(come("home/gw/BTtoMQTT/AABBCCDDEEFF", TAG)), one(post("omg", TAG, "gw"))):
        assert (said.device, said.kind) == ("AABBCCDDEEFF", "telemetry")
        assert said.heard_by == [Heard("gw", -63)]
        assert said.fields == {"rssi": -63, "tempc": 21.5, "batt": 82, "battery": 82}
        assert said.texts == {"servicedata": "58585810"}


def test_without_an_id_the_topic_names_it() -> None:
    assert one(come("my/base/gw/BTtoMQTT/AABBCCDDEEFF", {"rssi": -63})).device == "AABBCCDDEEFF"


def test_a_beacons_uuid_in_the_topic_is_more_than_its_changing_address() -> None:
    uuid = "1de4b189115e45f6b44e509352269977"
    assert one(come(f"home/gw/BTtoMQTT/{uuid}", {**TAG, "uuid": uuid})).device == uuid
    assert one(come("my/base/gw/BTtoMQTT/porch", TAG)).device == "AABBCCDDEEFF"


def test_a_sensor_of_433_mhz_is_its_model_channel_and_id() -> None:
    body = {
        "model": "Acurite-Tower",
        "id": 2043,
        "channel": "A",
        "temperature_C": 21.5,
        "mod": "ASK",
        "rssi": -90,
        "snr": 9,
    }
    said = one(come("home/gw/RTL_433toMQTT/Acurite-Tower/A/2043", body))
    assert said.device == "Acurite-Tower:A:2043"
    assert said.heard_by == [Heard("gw", -90, 9)]
    assert said.fields["temperature_C"] == 21.5


def test_lora_with_an_address() -> None:
    said = one(come("home/gw/LORAtoMQTT/AABBCCDDEEFF", {**TAG, "snr": 9}))
    assert (said.device, said.heard_by) == ("AABBCCDDEEFF", [Heard("gw", -63, 9)])


def test_a_remote_controls_code_is_an_event_of_the_gateway() -> None:
    said = one(come("home/gw/433toMQTT", {"value": "59365", "protocol": 1, "raw": "2B66"}))
    assert (said.device, said.kind, said.fields) == ("gw", "event", {"value": 59365, "protocol": 1})


def test_what_is_wired_to_the_gateway_has_its_subtopics_name() -> None:
    said = one(come("home/gw/CLIMAtoMQTT/htu", {"tempc": 25.3, "tempf": 77.6, "hum": 56.5}))
    assert (said.device, said.kind, said.fields) == ("gw", "telemetry", {"htu.tempc": 25.3, "htu.hum": 56.5})
    assert one(come("home/gw/SERIALtoMQTT/humidity/sens2", "60")).fields == {"humidity.sens2": 60}
    assert list(one(come("home/gw/CLIMAtoMQTT/ds", {"tempc": -127})).texts) == ["note.ds.tempc"]


def test_the_gateway_describes_itself() -> None:
    body = {"uptime": 11, "version": "v1.7.0", "env": "esp32dev-ble", "rssi": -48, "mac": "AA:BB:CC:DD:EE:00"}
    about, state = all_of(come("home/gw/SYStoMQTT", body))
    assert (about.device, about.kind) == ("gw", "description")
    assert (about.texts["model"], about.texts["firmware"]) == ("esp32dev-ble", "v1.7.0")
    assert state.fields == {"uptime": 11, "rssi": -48}


def test_last_will_and_commands() -> None:
    said = one(come("home/gw/LWT", "offline"))
    assert (said.device, said.kind, said.texts) == ("gw", "status", {"status": "offline"})
    command = one(come("home/gw/commands/MQTTtoBT/config", {"interval": 0}))
    assert (command.device, command.kind, command.fields) == ("gw", "command", {"command.MQTTtoBT.config.interval": 0})


@pytest.mark.parametrize(
    ("path", "body", "reason"),
    [
        ("LWT", "maybe", "bad_value"),
        ("BTtoMQTT/AABBCCDDEEFF", '{"a":', "bad_json"),
        ("BTtoMQTT/AABBCCDDEEFF", "[1]", "bad_shape"),
        ("DHTtoMQTT", "{}", "no_fields"),
    ],
)
def test_bad_input_is_refused_with_its_reason(path: str, body: str, reason: str) -> None:
    with pytest.raises(Rejected) as refused:
        come(f"home/gw/{path}", body)
    assert refused.value.reason == reason


def test_an_empty_payload_says_nothing() -> None:
    assert come("home/gw/LWT", b"") == ()


def test_a_touched_pin_is_the_gateways_own() -> None:
    said = one(come("home/OpenMQTTGateway/touchToMQTT", {"id": 0, "on": 1, "value": 10}))
    assert (said.device, said.fields) == ("OpenMQTTGateway", {"id": 0, "on": 1, "value": 10})

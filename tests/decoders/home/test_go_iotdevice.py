"""go-iotdevice and the laboratory's nodes: what their topics and payloads come to."""

import pytest

from headwater.errors import Rejected
from tests.decoders.home.kit import all_of, come, one
from tests.decoders.memory import Memory

STATE = {
    "Time": "2026-01-10T22:45:22Z",
    "Model": "SmartShunt 500A/50mV",
    "NumericValues": {"SOC": {"Cat": "Essential", "Desc": "State of charge", "Val": 38.72, "Unit": "%"}},
    "TextValues": {"SerialNumber": {"Desc": "Serial number", "Val": "HQ2117NTVX4"}},
    "EnumValues": {"R1": {"Desc": "Relay 1", "Idx": 1, "Val": "ON"}},
}


@pytest.mark.parametrize("topic", ["go-iotdevice/tele/bmv", "piegn/tele/iot-device/bmv/state"])
def test_registers_are_values_and_what_they_are_is_said_once(topic: str) -> None:
    context = Memory()
    said, about = all_of(come(topic, STATE, context))
    assert (said.device, said.at) == ("bmv", 1_768_085_122_000_000)
    assert said.fields == {"SOC": 38.72, "R1.Idx": 1}
    assert said.texts == {"SerialNumber": "HQ2117NTVX4", "R1": "ON"}
    assert about.kind == "description"
    assert (about.texts["model"], about.texts["unit.SOC"]) == ("SmartShunt 500A/50mV", "%")
    assert one(come(topic, STATE, context)).kind == "telemetry"


def test_structure_realtime_availability_and_commands() -> None:
    body = {"Regs": [{"Cat": "Relays", "Name": "AI1", "Desc": "inputA", "Type": "number", "Unit": "V"}]}
    about = one(come("go-iotdevice/struct/bmv", body))
    assert (about.kind, about.texts["unit.AI1"]) == ("description", "V")
    assert one(come("go-iotdevice/real/bmv/AI1", {"NumVal": 0.02})).fields == {"AI1": 0.02}
    assert one(come("go-iotdevice/real/bmv/R1", {"EnumIdx": 1})).fields == {"R1.Idx": 1}
    status = one(come("go-iotdevice/avail/bmv", "online"))
    assert (status.device, status.kind, status.texts) == ("bmv", "status", {"status": "online"})
    command = one(come("go-iotdevice/cmnd/bmv/R1", {"EnumIdx": 1}))
    assert (command.device, command.kind, command.fields) == ("bmv", "command", {"command.R1.Idx": 1})


@pytest.mark.parametrize(
    ("topic", "body", "reason"),
    [
        ("go-iotdevice/tele/bmv", "invalid", "bad_json"),
        ("go-iotdevice/tele/bmv", "{}", "no_fields"),
        ("go-iotdevice/tele/bmv", '{"NumericValues":{"SOC":7}}', "bad_shape"),
        ("go-iotdevice/avail/bmv", "maybe", "bad_value"),
        ("temp-hum-readings", "[]", "bad_shape"),
        ("temp-hum-readings", '{"node-id":"n1"}', "no_fields"),
        ("temp-hum-readings", '{"temp-C":19.7}', "missing_device"),
    ],
)
def test_bad_input_is_refused_with_its_reason(topic: str, body: str, reason: str) -> None:
    with pytest.raises(Rejected) as refused:
        come(topic, body)
    assert refused.value.reason == reason


def test_a_laboratorys_node() -> None:
    body = {"node-id": "sensor-node-1", "sensor": "dht22", "temp-C": 19.7, "timestamp": 1585674203}
    said = one(come("temp-hum-readings", body))
    assert (said.device, said.at) == ("sensor-node-1", 1_585_674_203_000_000)
    assert (said.fields, said.texts) == ({"temp-C": 19.7}, {"sensor": "dht22"})
    moved = one(come("motion-readings", {"node-id": "n3", "motion-bool": 1, "timestamp": 1585674203}))
    assert moved.fields["motion-bool"] is True

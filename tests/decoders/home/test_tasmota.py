"""Tasmota: what its topics and payloads come to."""

import pytest

from headwater.errors import Rejected
from headwater.message import Heard
from tests.decoders.home.kit import all_of, come, one, post, refusal
from tests.decoders.memory import Memory


@pytest.mark.parametrize(
    ("topic", "device"),
    [
        ("tele/plug/SENSOR", "plug"),
        ("plug/tele/SENSOR", "plug"),
        ("home/tele/attic/plug/SENSOR", "attic:plug"),
        ("tasmota/attic/plug/tele/SENSOR", "tasmota:attic:plug"),
        ("stat/plug/RESULT", "plug"),
        ("plug/stat/STATUS10", "plug"),
    ],
)
def test_any_full_topic_names_the_device(topic: str, device: str) -> None:
    said = one(come(topic, {"SR04": {"Distance": 16.5}}))
    assert (said.device, said.kind, said.fields) == (device, "telemetry", {"SR04.Distance": 16.5})


def test_state_becomes_numbers_booleans_and_seconds() -> None:
    body = {
        "Time": "2026-01-10T22:45:22",
        "Uptime": "9T09:29:01",
        "Vcc": 3.1,
        "POWER1": "OFF",
        "POWER2": "ON",
        "Wifi": {"SSId": "iot", "RSSI": 100, "Signal": -52, "Downtime": "0T00:00:06"},
    }
    said = one(come("tele/plug/STATE", body))
    assert said.at == 1_768_085_122_000_000
    assert said.fields == {
        "Uptime": 811_741,
        "Vcc": 3.1,
        "POWER1": False,
        "POWER2": True,
        "Wifi.RSSI": 100,
        "Wifi.Signal": -52,
        "Wifi.Downtime": 6,
        "rssi": -52,
    }
    assert said.texts == {"Wifi.SSId": "iot"}


def test_units_that_a_setting_chose_become_ours() -> None:
    body = {
        "BME280": {"Temperature": 71.06, "DewPoint": 32, "Humidity": 66.6, "Pressure": 750, "SeaPressure": "760"},
        "MLX90640": {"Temperature": [32, 212]},
        "TX23": {"Speed": {"Act": 10}},
        "TempUnit": "F",
        "PressureUnit": "mmHg",
        "SpeedUnit": "kn",
    }
    said = one(come("tele/plug/SENSOR", body))
    assert said.fields["BME280.Temperature"] == pytest.approx(21.7)
    assert said.fields["BME280.DewPoint"] == 0
    assert said.fields["BME280.Humidity"] == 66.6
    assert said.fields["BME280.Pressure"] == pytest.approx(999.918, abs=1e-3)
    assert said.fields["BME280.SeaPressure"] == pytest.approx(1013.25, abs=1e-2)
    assert said.fields["MLX90640.Temperature.1"] == 100
    assert said.fields["TX23.Speed.Act"] == pytest.approx(5.14444)
    assert said.texts == {"TempUnit": "C", "PressureUnit": "hPa", "SpeedUnit": "m/s"}


def test_a_disconnected_sensor_is_a_note_and_no_number() -> None:
    said = one(come("tele/plug/SENSOR", {"DS18B20": {"Id": "030597946104", "Temperature": -127}}))
    assert said.fields == {}
    assert "note.DS18B20.Temperature" in said.texts
    assert said.texts["DS18B20.Id"] == "030597946104"


def test_a_text_is_a_number_where_it_is_written_as_one() -> None:
    said = one(come("tele/plug/SENSOR", {"TX23": {"Speed": "12.3"}, "METER": {"No": "0012", "Code": "12E45"}}))
    assert said.fields == {"TX23.Speed": 12.3}
    assert said.texts == {"METER.No": "0012", "METER.Code": "12E45"}


def test_phases_are_numbered() -> None:
    said = one(come("tele/plug/SENSOR", {"ENERGY": {"Total": 6.294, "Power": [3, 4, 0]}}))
    assert said.fields == {"ENERGY.Total": 6.294, "ENERGY.Power.0": 3, "ENERGY.Power.1": 4, "ENERGY.Power.2": 0}


@pytest.mark.parametrize(("text", "status"), [("Online", "online"), ("Offline", "offline")])
def test_the_last_will_is_a_status(text: str, status: str) -> None:
    said = one(come("tele/plug/LWT", text))
    assert (said.kind, said.texts) == ("status", {"status": status})


def test_a_bare_relay_state_is_a_boolean_and_a_renamed_one_a_text() -> None:
    assert one(come("stat/plug/POWER2", "ON")).fields == {"POWER2": True}
    assert one(come("stat/plug/POWER", "AN")).texts == {"POWER": "AN"}
    assert one(come("stat/plug/DPTYPE1ID1", "1")).fields == {"DPTYPE1ID1": 1}


def test_a_command_is_no_measurement() -> None:
    said = one(come("cmnd/attic/plug/Power1", "TOGGLE"))
    assert (said.device, said.kind, said.texts) == ("attic:plug", "command", {"command.Power1": "TOGGLE"})
    assert one(come("plug/cmnd/Dimmer", "40")).fields == {"command.Dimmer": 40}


@pytest.mark.parametrize(
    "body",
    [
        {"IrReceived": {"Protocol": "NEC", "Bits": 32, "Data": "0x20DF10EF"}},
        {"Switch1": {"Action": "ON"}},
        {"Button3": {"Action": "SINGLE"}},
        {"PN532": {"UID": "94D8FC5F", "Data": ""}},
    ],
)
def test_what_happens_once_is_an_event(body: object) -> None:
    assert one(come("tele/plug/RESULT", body)).kind == "event"


def test_zigbee_devices_are_devices_of_their_own() -> None:
    body = {
        "Time": "2026-01-10T22:45:22",
        "ZbReceived": {
            "0x8F20": {"Name": "Kitchen", "BatteryPercentage": 98, "Temperature": 69.8, "LinkQuality": 88},
            "0x5ADF": 7,
        },
        "TempUnit": "F",
        "ESP32": {"Temperature": 113},
    }
    first, bad, own = come("tele/bridge/SENSOR", body)
    kitchen = one([first])
    assert kitchen.device == "Kitchen"
    assert kitchen.heard_by == [Heard("bridge")]
    assert kitchen.fields["battery"] == 98
    assert kitchen.fields["Temperature"] == pytest.approx(21)
    assert refusal([bad]) == "bad_shape"
    assert one([own]).device == "bridge"
    assert one([own]).fields == {"ESP32.Temperature": 45}


def test_zigbee_in_a_topic_of_its_own_is_the_same_device() -> None:
    said = one(come("tele/bridge/5ADF/SENSOR", {"Device": "0x5ADF", "Name": "Lamp", "Power": 1, "LinkQuality": 70}))
    assert (said.device, said.fields["Power"]) == ("Lamp", 1)


def test_zigbee_models_are_descriptions() -> None:
    body = {"ZbReceived": {"0xF75D": {"Manufacturer": "OSRAM", "ModelId": "Plug 01", "Endpoint": 3}}}
    said = one(come("tele/bridge/SENSOR", body))
    assert (said.kind, said.texts["model"], said.texts["manufacturer"]) == ("description", "Plug 01", "OSRAM")


def test_radios_have_one_name_and_a_signal() -> None:
    body = {
        "IBEACON": {"MAC": "a4c1387fc1e1", "RSSI": -56, "STATE": "ON"},
        "LYWSD03-52680F": {"mac": "a4c13852680f", "Temperature": 21.1, "Battery": 90, "RSSI": -71},
        "LwReceived": {"0x4AD6": {"Node": 1, "RSSI": -50.0, "SNR": 12.0, "Battery": 3.0}},
    }
    beacon, sensor, node = all_of(come("tele/scanner/SENSOR", body))
    assert (beacon.device, beacon.heard_by) == ("A4C1387FC1E1", [Heard("scanner", -56)])
    assert (sensor.device, sensor.fields["battery"], sensor.fields["rssi"]) == ("A4C13852680F", 90, -71)
    assert sensor.texts["name"] == "LYWSD03-52680F"
    assert (node.device, node.heard_by, node.fields["Battery"]) == ("0x4AD6", [Heard("scanner", -50, 12)], 3.0)


def test_status_describes_and_its_readings_are_readings() -> None:
    body = {
        "Status": {"DeviceName": "Boiler", "FriendlyName": ["Relay"], "Topic": "boiler"},
        "StatusFWR": {"Version": "13.1.0(tasmota)"},
        "StatusPRM": {"Uptime": "1T00:00:01"},
        "StatusSNS": {"Time": "2018.02.15 01:00:50", "Switch1": "OFF"},
    }
    about, readings = all_of(come("stat/boiler/STATUS0", body))
    assert about.kind == "description"
    assert (about.texts["name"], about.texts["firmware"]) == ("Boiler", "13.1.0(tasmota)")
    assert about.fields["StatusPRM.Uptime"] == 86_401
    assert (readings.kind, readings.texts, readings.at) == ("telemetry", {"Switch1": "OFF"}, 1_518_656_450_000_000)


def test_info_describes() -> None:
    said = one(come("tele/plug/INFO1", {"Info1": {"Module": "Sonoff Basic", "Version": "13.1.0(tasmota)"}}))
    assert (said.kind, said.texts["model"], said.texts["firmware"]) == (
        "description",
        "Sonoff Basic",
        "13.1.0(tasmota)",
    )


CONFIG = {
    "dn": "Washer",
    "fn": ["Relay", None],
    "rl": [1, 0],
    "mac": "00000049A3BC",
    "md": "Sonoff Pow",
    "sw": "13.1.0",
    "t": "washer",
    "ft": "cellar/%topic%/%prefix%/",
    "tp": ["cmnd", "stat", "tele"],
}


def test_discovery_describes_the_device_that_the_other_topics_name() -> None:
    context = Memory()
    about = one(come("tasmota/discovery/00000049A3BC/config", CONFIG, context))
    assert about.device == one(come("cellar/washer/tele/SENSOR", {"A": 1})).device == "cellar:washer"
    assert about.kind == "description"
    assert {name: about.texts[name] for name in ("name", "model", "manufacturer", "firmware")} == {
        "name": "Washer",
        "model": "Sonoff Pow",
        "manufacturer": "Tasmota",
        "firmware": "13.1.0",
    }
    assert about.texts["label.POWER"] == "Relay"
    assert about.fields == {}
    snapshot = {"sn": {"Time": "2026-01-10T22:45:22", "ENERGY": {"Total": 1.5, "Power": [3, 4]}}, "ver": 1}
    units = one(come("tasmota/discovery/00000049A3BC/sensors", snapshot, context))
    assert units.device == "cellar:washer"
    assert units.texts["unit.ENERGY.Total"] == "kWh"
    assert units.texts["unit.ENERGY.Power.1"] == "W"


def test_without_a_topic_the_path_names_the_device() -> None:
    assert one(post("tasmota", {"ENERGY": {"Power": 3}}, "plug")).device == "plug"
    with pytest.raises(Rejected, match="missing_device"):
        post("tasmota", {"ENERGY": {"Power": 3}})


@pytest.mark.parametrize(
    ("topic", "body", "reason"),
    [
        ("tele/plug/SENSOR", "invalid", "bad_json"),
        ("tele/plug/STATE", '{"a":', "bad_json"),
        ("tele/plug/LWT", "maybe", "bad_value"),
        ("tele/plug/SENSOR", "{}", "no_fields"),
        ("tele/plug/SENSOR", "[1]", "bad_shape"),
        ("stat/plug/POWER", b"\xff", "bad_encoding"),
    ],
)
def test_bad_input_is_refused_with_its_reason(topic: str, body: object, reason: str) -> None:
    with pytest.raises(Rejected) as refused:
        come(topic, body)
    assert refused.value.reason == reason


def test_an_empty_payload_says_nothing() -> None:
    assert come("tele/plug/LWT", b"") == ()


def test_a_device_without_a_reading_is_there_and_the_hour_of_a_timer_is_no_clock() -> None:
    said = one(come("tele/hall/SENSOR", {"Time": "2021-06-27T15:04:00", "Epoch": 1_624_799_040}))
    assert (said.at, said.texts) == (1_624_799_040_000_000, {"Time": "2021-06-27T15:04:00"})
    timer = {"Timer1": {"Enable": 1, "Time": "06:00", "Days": "0111110", "Action": 3}}
    said = one(come("stat/hall/RESULT", timer))
    assert (said.texts["Timer1.Time"], said.texts["Timer1.Days"], said.at) == ("06:00", "0111110", None)
    broken = one(come("tele/hall/SENSOR", {"Time": "2019-01-10T22:16:04qq", "DS18B20": {"Temperature": 3.0}}))
    assert (broken.fields, broken.texts) == (
        {"DS18B20.Temperature": 3.0},
        {"note.Time": "`2019-01-10T22:16:04qq` is no time"},
    )
    alone = one(come("stat/hall/RESULT", {"Enable": 1, "Time": "-00:20", "Days": "1111111"}))
    assert alone.texts == {"Time": "-00:20", "Days": "1111111"}


def test_units_of_numbered_and_nested_values() -> None:
    """Of Home Assistant's tests, Apache-2.0."""
    snapshot = {
        "Time": "2020-03-03T00:00:00",
        "ANALOG": {"Temperature1": 2.4, "Illuminance3": 2.4, "CTEnergy1": {"Energy": 0.5, "Power": 2300}},
        "ENERGY": {"Total": {"Phase1": 0.017}, "TotalTariff": [0.0, 0.017], "ImportReactive": 0.002},
        "TX23": {"Speed": {"Act": 14.8}, "Dir": {"Deg": 247.5}},
        "SpeedUnit": "km/h",
        "TempUnit": "C",
    }
    said = one(come("tasmota/discovery/00000049A3BC/sensors", {"sn": snapshot, "ver": 1}))
    assert {name[5:]: text for name, text in said.texts.items() if name.startswith("unit.")} == {
        "ANALOG.Temperature1": "°C",
        "ANALOG.Illuminance3": "lx",
        "ANALOG.CTEnergy1.Energy": "kWh",
        "ANALOG.CTEnergy1.Power": "W",
        "ENERGY.Total.Phase1": "kWh",
        "ENERGY.TotalTariff.0": "kWh",
        "ENERGY.TotalTariff.1": "kWh",
        "ENERGY.ImportReactive": "kvarh",
        "TX23.Speed.Act": "km/h",
        "TX23.Dir.Deg": "°",
    }

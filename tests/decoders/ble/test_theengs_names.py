"""Each kind of device has Theengs's own words, which people's dashboards and rules are made for."""

import json
from typing import Any

import pytest

from headwater.message import Message
from ingest.contract import Payload, Source
from ingest.decoders.ble.theengs_ble import decode
from tests.decoders.ble.kit import RECEIVED

TAG = "A4:C1:38:00:11:22"
APPLE = "4c000215"


def told(**advert: str) -> dict[str, Any]:
    body = json.dumps({"id": TAG, **advert}).encode()
    (message,) = decode(Payload(body, Source("http", "", "attic"), RECEIVED))
    assert isinstance(message, Message)
    return {**message.fields, **message.texts}


@pytest.mark.parametrize(
    ("advert", "said"),
    [
        (("181d", "22c040e607020e10293a"), {"weight": 82.88, "unit": "kg", "weighing_mode": "person"}),
        (("181d", "63e803e607020e10293a"), {"weight": 10, "unit": "lb", "weighing_mode": "object"}),
        (("181b", "0226e607020e10293af401b036"), {"weight": 70, "impedance": 500, "weighing_mode": "person"}),
        (("fd3d", "63c0501930"), {"position": 25, "calibrated": True, "moving": False, "lightlevel": 3, "ctrl": True}),
        (("fd3d", "73c06400002e"), {"motion": True, "scopetested": True, "led": True, "lightlevel": "bright"}),
        (("fd3d", "644064030000000042"), {"contact": "open", "motion": True, "in_ct": 1, "push_ct": 2, "batt": 100}),
        (("fd3d", "48905b"), {"mode": "on/off", "state": "on", "batt": 91, "model_id": "X1"}),
        (("feaa", "2101070bb8150021 80"), {"tempc": 21, "hum": 33.5, "volt": 3, "model_id": "K6P"}),
        (("feaa", "21010b0bb8ff80 0001 fffe 03e8"), {"tempc": -0.5, "accx": 1, "accy": -2, "accz": 1000}),
        (("fdcd", "0804221100 38c1a4 0401 00"), {"open": True, "model_id": "CGH1", "cont": True}),
        (("fdcd", "0812221100 38c1a4 1101 01"), {"motion": True, "model_id": "CGPR1"}),
        (("180f", "21"), {"batt": 33, "model_id": "ServiceData"}),
        (
            ("181a", "2eff 8813 32 04"),
            {"tempc": -2.1, "hum": 50, "batt": 50, "model_id": "LYWSD03MMC/MJWSD05MMC_PVVX_DECR"},
        ),
        (
            ("ff01", "50000000000000 03e8 fc18 2710"),
            {"batt": 80, "x_axis": 0.980665, "y_axis": -0.980665, "z_axis": 9.80665},
        ),
        (("feab", "40000a 0bb8"), {"volt": 3, "model_id": "MBXPRO"}),
        (("feab", "60000a010007 03e8 0000 2710 0bb8 aa"), {"volt": 3, "x_axis": 0.980665, "z_axis": 9.80665}),
        (("feab", "70000a ffce 01f4 0bb8 aa"), {"volt": 3, "tempc": -5, "hum": 50, "type": "ACEL"}),
        (
            ("fff0", "240000 00 aabbccddee01 65"),
            {"beaconmodel": "BP120", "plugged-in": True, "mac": "AA:BB:CC:DD:EE:01"},
        ),
        (("fff0", "150000 00 aabbccddee01 32"), {"beaconmodel": "BP102", "plugged-in": False, "batt": 50}),
        (("0000", "02000000000000000000 0003 e4 0000 03"), {"button": 9, "color": "TechBlue", "batt": 100}),
        (("fd6f", "00112233445566778899aabbccddeeff 01020304"), {"aem": "01020304", "model_id": "GAEN"}),
    ],
)
def test_service_data_is_told_in_theengs_words(advert: tuple[str, str], said: dict[str, Any]) -> None:
    found = told(servicedatauuid=f"0x{advert[0]}", servicedata=advert[1].replace(" ", ""))
    assert found.items() >= said.items()


def test_a_beacon_with_a_sensor_says_its_beacon_too() -> None:
    found = told(
        name="RDL52832",
        servicedatauuid="0x1803",
        servicedata="ff80320000010203010001050000000a",
        manufacturerdata=f"{APPLE}00112233445566778899aabbccddeeff00010002c5",
    )
    axes = {"accx": 12.0621795, "accy": -1.4709975, "accz": 0.980665}  # 1.23 g, -0.15 g, 0.1 g
    assert found.items() >= {"tempc": -0.5, "hum": 50, **axes}.items()
    assert found.items() >= {"major": 1, "minor": 2, "txpower": -59, "model_id": "RDL52832", "type": "ACEL"}.items()


@pytest.mark.parametrize(
    ("data", "name", "said"),
    [
        ("0001 80eaca001122 40420f00 c4090000 32 01", "", {"pres": 10, "tempc": 25, "batt": 50, "alarm": True}),
        ("1000 0000 221100 38c1a4 9001 0a000000 5001 14000000", "", {"tempc_max": 25, "time_max": 10, "tempc_min": 21}),
        (f"{APPLE}655f83caae16a10a702e31f30d58dd82f644000032", "x", {"batt": 50, "model_id": "BM2"}),
        (f"{APPLE}a495bb30c5b14b44b5121370f02d74de004403f8c5", "Tilt", {"color": "black", "tempc": 20, "tempf": 68}),
        (f"{APPLE}00112233445566778899aabbccddeeff00010002c5", "", {"major": 1, "txpower": -59, "mfid": "4c00"}),
        ("0207 20 0000000000 0000 e803 9001 a027 32 64 01 2c01 0a00 07", "", {"co2": 1000, "pres": 1014.4, "hum": 50}),
        ("5900 03 60 3c e8c3 001122 01 ff", "", {"tempc": 20, "quality": 3, "accx": 1, "accy": -1, "volt": 3}),
        ("6909 a4c138001122 00 27 1e 14", "WoBlindTilt", {"open": 60, "direction": "down", "calibrated": True}),
        ("6909 a4c138001122 0000 05 99 32", "WoSensorTHP", {"tempc": 25.5, "hum": 50, "type": "THB"}),
        ("0082 0a00 e8030000 e803 10 0000", "power", {"avg": 0.6, "avgu": "kW", "sum": 1, "batt": 100}),
        ("0d00 080c 01 00 50", "", {"open": True, "batt": 80, "cont": True}),
        ("dc00 047105 03 20 0105 01 02 0004", "Oral-B", {"state": "running", "mode": "daily clean", "duration": 65}),
    ],
)
def test_manufacturer_data_is_told_in_theengs_words(data: str, name: str, said: dict[str, Any]) -> None:
    found = told(manufacturerdata=data.replace(" ", ""), name=name)
    assert found.items() >= said.items()


@pytest.mark.parametrize(("press", "number"), [("01", 1), ("02", 2), ("03", 3), ("04", 9), ("80", 11)])
def test_a_button_of_shelly_blu_is_a_number(press: str, number: int) -> None:
    found = told(servicedatauuid="0xfcd2", servicedata=f"44000501643a{press}", name="SBBT-002C")
    assert found.items() >= {"button": number, "packet": 5, "batt": 100, "brand": "Shelly"}.items()


def test_all_four_buttons_are_told_where_one_is_pressed() -> None:
    found = told(servicedatauuid="0xfcd2", servicedata="44000501643a003a013a003a00", name="SBBT-EU")
    assert [found[f"button{number}"] for number in (1, 2, 3, 4)] == [0, 1, 0, 0]

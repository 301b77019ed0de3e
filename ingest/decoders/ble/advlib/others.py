"""Efento, HibouAir (Smart Sensor Devices), MOKO, Espruino (Pur3), Wiliot, DirAct (Code Blue), iBeacon, Ruuvi.

In: the bytes behind the company id. Out: values by advlib's names; None for what is none of theirs.
"""

import math

import msgspec

from headwater.errors import Rejected
from ingest.decoders.ble.advlib.words import EUI_48, RANDOM_48, Found, address, b16, u16
from ingest.decoders.ble.makers import ruuvi as ruuvis

_ORGANIZATION = "https://sniffypedia.org/Organization/"
_anything = msgspec.json.Decoder().decode


def efento(data: bytes) -> Found | None:
    """Measurements (2), or advert (3) and answer to a scan (4) of newer sensors."""
    found: Found = {"uri": f"{_ORGANIZATION}Efento_Sp_zoo/"}
    if data[:1] == b"\x02" and len(data) == 24:
        period = b16(data, 8)
        found |= {
            "version": f"{data[1]}.{data[2]}",
            "txCount": int.from_bytes(data[4:8], "big"),
            "measurementPeriodSeconds": period & 0x7FFF if period & 0x8000 else period * 60,
            "batteryPercentage": 100 if data[3] & 1 else 0,
        }
        for sensor in range(3):
            found |= _efento_value(data[11 + sensor], b16(data, 14 + 2 * sensor))
        return found
    if data[:1] == b"\x03" and len(data) == 24:
        return found | {"batteryPercentage": 100 if data[9] & 1 else 0, "deviceIds": [address(data, 1) + EUI_48]}
    if data[:1] == b"\x04":
        for at in range(1, len(data) - 4, 3):
            found |= _efento_value(data[at], b16(data, at + 1))
        return found
    return None


def _efento_value(kind: int, raw: int) -> Found:
    match kind:
        case 1 if raw / 100 - 150 <= 150:
            return {"temperature": raw / 100 - 150}
        case 2 if raw <= 100:
            return {"relativeHumidity": raw}
        case 3 if raw * 10 <= 652_790:
            return {"pressure": raw * 10}
        case 4 if -32_512 <= raw - 0x8000 <= 32_511:
            return {"differentialPressure": raw - 0x8000}
        case _:
            return {}


def hibou_air(data: bytes) -> Found | None:
    """Air quality, of several boards."""
    if data[:1] != b"\x05" or len(data) != 24:
        return None
    board = data[1]
    found: Found = {
        "uri": f"{_ORGANIZATION}Smart_Sensor_Devices_AB/",
        "boardId": data[2:5].hex(),
        "pressure": u16(data, 7) * 10,
        "temperature": u16(data, 9) / 10,
        "relativeHumidity": u16(data, 11) / 10,
    }
    found |= {"soundPressure": 120 - b16(data, 5)} if board == 9 else {"illuminance": u16(data, 5)}
    if data[23] == 2:
        found["volatileOrganicCompoundsConcentration"] = u16(data, 13) / 100
    if board == 3:
        found |= {name: u16(data, at) / 10 for name, at in (("pm1.0", 15), ("pm2.5", 17), ("pm10", 19))}
    if board in {4, 5, 9}:
        found["nitrogenDioxideConcentration" if board == 5 else "carbonDioxideConcentration"] = b16(data, 21)
    return found


def moko(data: bytes) -> Found | None:
    """The proximity beacon."""
    if data[:1] != b"\x02" or len(data) < 18 or len(data) != data[1] + 2:
        return None
    return {
        "batteryVoltage": b16(data, 16) / 1000,
        "deviceIds": [address(data, 4) + RANDOM_48],
        "isContactDetected": [not data[2] & 8],
        "isMotionDetected": [bool(data[2] & 1)],
        "uri": f"{_ORGANIZATION}MOKO_Technology_Ltd/",
    }


def nordic(data: bytes) -> Found | None:
    """What MOKO sends under Nordic's id."""
    if data[:2] != b"\x07\x6c" or len(data) != 15 or data[11] != 1:
        return None
    uri = f"{_ORGANIZATION}MOKO_Technology_Ltd/"
    return {"batteryVoltage": u16(data, 2) / 1000, "distance": u16(data, 7) / 1000, "uri": uri}


def espruino(data: bytes) -> Found | None:
    """JSON, as Puck.js and Bangle.js may advertise it; of anything else only whose it is."""
    found: Found = {"uri": f"{_ORGANIZATION}Pur3_Ltd/"}
    try:
        value = _anything(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return found
    return {str(name): item for name, item in value.items()} | found if isinstance(value, dict) else found  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]


def wiliot(data: bytes) -> Found | None:
    """What has to be handed on to the maker's cloud."""
    if len(data) != 27:
        return None
    return {"relay": {"type": "wiliot", "payload": f"0005{data.hex()}"}, "uri": f"{_ORGANIZATION}Wiliot_Ltd/"}


def ibeacon(data: bytes) -> Found | None:
    """Apple's beacon: UUID, major, minor as its name."""
    if data[:2] != b"\x02\x15" or len(data) != 23:
        return None
    return {
        "deviceIds": [f"{data[2:18].hex()}/{data[18:20].hex()}/{data[20:22].hex()}"],
        "txPower": data[22] - 256 if data[22] > 127 else data[22],
        "uri": f"{_ORGANIZATION}Apple_Inc/iBeacon/",
    }


def diract(data: bytes) -> Found | None:
    """Who was near, or a page of who was how often."""
    if data[:1] not in {b"\x01", b"\x11"} or len(data) not in {9, 14, 19, 24}:
        return None
    length, page = data[1] & 0x1F, data[1] >> 5
    uri = f"{_ORGANIZATION}Code_Blue_Communications_Inc/DirAct/"
    found: Found = {"deviceIds": [data[2:6].hex()], "uri": uri}
    word = int.from_bytes(data[6:9], "big")
    others = [(data[at : at + 4].hex(), data[at + 4]) for at in (9, 14, 19) if at < length + 2 and at + 4 < len(data)]
    if data[0] == 0x11:
        counts = [{"deviceId": own, "count": (n & 0x7F) << 8 if n > 0x80 else n} for own, n in others]
        digest = {"timestamp": word & 0x7FFFFF, "interactions": [*[None] * (page * 3), *counts]}
        return found | {"interactionDigest": digest}
    axes = [word >> shift & 0x3F for shift in (18, 12, 6)]
    found["batteryPercentage"] = round(100 * (word & 0x3F) / 63)
    found["nearest"] = [{"deviceId": own, "rssi": (n & 0x3F) - 92} for own, n in others]
    if 0x20 not in axes:
        found["acceleration"] = [(axis - 64 if axis > 0x20 else axis) / 16 for axis in axes]
    return found


def ruuvi(data: bytes) -> Found | None:
    """RuuviTag's format 5 and Ruuvi Air's 6; of others only whose it is."""
    if data[:1] not in {b"\x05", b"\x06"} or len(data) not in {20, 24}:
        return {"uri": f"{_ORGANIZATION}Ruuvi_Innovations_Ltd/"}
    try:
        own = ruuvis.ruuvi(data)
    except Rejected:
        return None
    found: Found = {_RUUVI[name]: value for name, value in own.items() if name in _RUUVI and value is not None}
    if data[0] == 5:
        found["acceleration"] = [own[f"acceleration_{axis}"] for axis in "xyz"]
        found |= {"deviceIds": [data[18:24].hex()], "uri": "https://sniffypedia.org/Product/Ruuvi_RuuviTag/"}
        return found
    voc = own["voc"]
    if isinstance(voc, int) and voc < 501:
        found["volatileOrganicCompoundsConcentration"] = 0.58 * (math.log(501 - voc) - 6.24) * -0.38197
    return found | {"uri": "https://sniffypedia.org/Product/Ruuvi_Air/"}


_RUUVI = {
    "temperature": "temperature",
    "humidity": "relativeHumidity",
    "pressure": "pressure",
    "voltage": "batteryVoltage",
    "tx_power": "txPower",
    "measurement_sequence": "txCount",
    "pm_2_5": "pm2.5",
    "co2": "carbonDioxideConcentration",
    "nox": "nitrogenOxideIndex",
    "luminosity": "illuminance",
}

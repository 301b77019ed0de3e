"""Machines, plants and buildings: Acconeer, Blustream, MikroTik, HolyIOT, HHCC, Relsib.

In: manufacturer or service data. Out: values by name. Source of the layouts: github.com/custom-components/ble_monitor,
help.mikrotik.com "MikroTik tag advertisement formats".
"""

from math import sqrt
from struct import unpack

from ingest.decoders.ble.advert import Advert
from ingest.decoders.ble.reading import Reading, Values

_ACCONEER = {0x80: "Acconeer XM122", 0x90: "Acconeer XM126", 0x91: "Acconeer XM126"}
_NOT_READY = 0x8000


def acconeer(_: Advert, data: bytes) -> Reading | None:
    """Company acc0: model, battery, temperature, presence or distance."""
    if len(data) != 15 or data[0] not in _ACCONEER:
        return None
    battery, temperature, last = unpack("<HhH", data[1:7])
    values: Values = {"temperature": temperature, "battery": battery}
    values |= {"distance_mm": last} if data[0] == 0x90 else {"motion": bool(last)}
    return Reading("Acconeer", _ACCONEER[data[0]], values, data[1:].hex())


def blustream(_: Advert, data: bytes) -> Reading | None:
    """Company 0194: acceleration, humidity, temperature."""
    if len(data) != 9:
        return None
    acceleration, humidity, temperature = unpack(">BHh", data[4:])
    values: Values = {"temperature": temperature / 100, "humidity": humidity / 100, "acceleration": acceleration}
    return Reading("Blustream", "Blustream", values)


def mikrotik(_: Advert, data: bytes) -> Reading | None:
    """Company 094f: acceleration in g, temperature (TG-BT5-OUT), uptime, what made it speak."""
    if len(data) != 18:
        return None
    version, user, x, y, z, temperature, uptime, flags, battery = unpack("<BBxxhhhhIBB", data)
    axes = [_eighth(value) for value in (x, y, z)]
    values: Values = {
        "version": version,
        "user_data": user,
        "acceleration_x": axes[0],
        "acceleration_y": axes[1],
        "acceleration_z": axes[2],
        "acceleration": sqrt(sum(value**2 for value in axes)),
        "uptime": uptime,
        "battery": battery,
        "switch": bool(flags & 1),
        "tilt": bool(flags & 2),
        "dropping": bool(flags & 4),
        "impact": bool(flags & 56),
        "impact_x": bool(flags & 8),
        "impact_y": bool(flags & 16),
        "impact_z": bool(flags & 32),
    }
    if temperature == -32768:
        return Reading("Mikrotik", "TG-BT5-IN", values)
    return Reading("Mikrotik", "TG-BT5-OUT", values | {"temperature": temperature / 256})


def _eighth(raw: int) -> float:
    return raw / 256


def holyiot(advert: Advert, data: bytes) -> Reading | None:
    """Service 5242: battery, own address, kind of measurement, value."""
    if len(data) != 13 or (advert.address and advert.address != data[2:8].hex().upper()):
        return None
    value = _holyiot(data[10], data[11:13])
    if value is None:
        return None
    values = value | {"battery": data[1]}
    return Reading("HolyIOT", "HolyIOT BLE tracker", values, address=data[2:8].hex().upper())


def _holyiot(kind: int, body: bytes) -> Values | None:  # noqa: PLR0911 - one line a kind
    match kind:
        case 1:
            degrees, part = unpack(">bB", body)
            return {"temperature": degrees + (part if degrees >= 0 else -part) / 100}
        case 2:
            return {"pressure": (80000 + int.from_bytes(body, "big", signed=True))}
        case 3:
            return {"humidity": body[0]}
        case 4:
            return {"vibration": bool(body[0])}
        case 5:
            return {"side": body[0]}
        case 6:
            return {"button": "toggle" if body[0] == 1 else "no press"}
        case _:
            return None


def hhcc(_: Advert, data: bytes) -> Reading | None:
    """Service fd50, HHCCJCY10: moisture, temperature, illuminance, battery, conductivity."""
    if len(data) != 9:
        return None
    moisture, temperature = unpack(">BH", data[:3])
    battery, conductivity = unpack(">BH", data[6:9])
    values: Values = {
        "temperature": temperature / 10,
        "moisture": moisture,
        "illuminance": int.from_bytes(data[3:6], "big"),
        "conductivity": conductivity,
        "battery": battery,
    }
    return Reading("HHCC", "HHCCJCY10", values, data.hex())


def relsib(uuid: int, data: bytes) -> Reading | None:
    """EClerk Eco: services aa20 (with battery), aa21, aa22."""
    if len(data) != 22:
        return None
    at = 4 if uuid == 0xAA20 else 0
    temperature, humidity, co2 = unpack("<HHH", data[at : at + 6])
    values: Values = {
        "temperature": None if temperature == _NOT_READY else _signed(temperature) / 100,
        "humidity": None if humidity == _NOT_READY else humidity / 100,
        "co2": None if co2 == _NOT_READY else co2,
    }
    if uuid == 0xAA20:
        values["battery"] = 100 if data[13] & 0x80 else data[13] & 0x7F
    return Reading("Relsib", "EClerk Eco", values)


def _signed(raw: int) -> int:
    return raw - 65536 if raw > 32767 else raw


def relsib_probe(advert: Advert, data: bytes) -> Reading | None:
    """WH52 (services 1809 and 181a, 16-bit fractions) and WT51 (1809, text)."""
    humidity = advert.service_data.get("181a", b"")
    if len(data) == 2 and len(humidity) >= 2:
        values: Values = {
            "temperature": round(int.from_bytes(data, "big") / 65535 * 175 - 45, 2),
            "humidity": round(int.from_bytes(humidity[:2], "big") / 65535 * 175 - 45, 2),
        }
        return Reading("Relsib", "WH52", values)
    if len(data) != 6:
        return None
    text = data.decode("ascii", "replace").strip(" \0")
    try:
        return Reading("Relsib", "WT51", {"temperature": float(text)})
    except ValueError:
        return None

"""Qingping, formerly Cleargrass: services fdcd and fff9.

In: service data. Out: temperature, humidity, pressure, battery, motion, illuminance, pm25, pm10, co2, counter. Source:
Qingping's "BLE broadcast protocol", github.com/custom-components/ble_monitor.
"""

from struct import unpack

from ingest.decoders.ble.advert import Advert
from ingest.decoders.ble.reading import Reading, Values, backwards

_MODELS = {
    0x01: "CGG1",
    0x04: "CGH1",
    0x07: "CGG1",
    0x09: "CGP1W",
    0x0C: "CGD1",
    0x0E: "CGDN1",
    0x10: "CGDK2",
    0x12: "CGPR1",
    0x16: "CGG1",
    0x18: "CGP23W",
    0x1E: "CGC1",
    0x24: "CGDN1",
    0x33: "CGP22C",
    0x5D: "CGP22C",
}
_PACKET = 0x0F


def qingping(advert: Advert, data: bytes) -> Reading | None:
    """Flags, model, address (6, backwards), then type, length, value, each."""
    if len(data) <= 8 or data[1] not in _MODELS:
        return None
    model, values, packet = _MODELS[data[1]], Values(), None
    address = backwards(data[2:8])
    if advert.address and model != "CGDN1" and address != advert.address:
        return None
    at = 8
    while at + 2 <= len(data):
        kind, size = data[at], data[at + 1]
        body = data[at + 2 : at + 2 + size]
        at += 2 + size
        if len(body) < size:
            break
        if kind == _PACKET and size == 1:
            values |= {"opening": body[0] == 0} if packet is not None and model == "CGH1" else {}
            packet = body[0]
        values |= _value(kind, body)
    return Reading("Qingping", model, values, packet, "" if model == "CGDN1" and advert.address else address)


def _value(kind: int, body: bytes) -> Values:  # noqa: PLR0911 - one line a type
    match kind, len(body):
        case 0x01, 4:
            temperature, humidity = unpack("<hH", body)
            return {"temperature": temperature / 10, "humidity": humidity / 10}
        case 0x02, 1:
            return {"battery": body[0] & 0x7F}
        case 0x04, 1:
            return {"opening": body[0] == 0}
        case 0x07, 2:
            return {"pressure": int.from_bytes(body, "little") / 10}
        case 0x08, 4:
            motion, low, high = unpack("<BHB", body)
            values: Values = {"motion": bool(motion), "illuminance": low + (high << 16)}
            return values | ({"motion_timer": True} if motion else {})
        case 0x09, 4:
            return {"illuminance": int.from_bytes(body, "little")}
        case 0x11, 1:
            return {"light": bool(body[0])}
        case 0x12, 4:
            fine, coarse = unpack("<HH", body)
            return {"pm25": fine, "pm10": coarse}
        case 0x13, 2:
            return {"co2": int.from_bytes(body, "little")}
        case _:
            return {}

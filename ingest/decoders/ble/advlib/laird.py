"""Laird Connectivity (company 0x0077): BT510, BT610 and contact tracers.

In: the bytes behind the company id. Out: values by advlib's names; None for other protocols.
"""

from struct import unpack_from

from ingest.decoders.ble.advlib.words import RANDOM_48, Found, reversed_address, u16, u32

URI = "https://sniffypedia.org/Organization/Laird_Connectivity/"
_PASCAL_A_PSI = 6894.757
_SENSOR, _TRACER = 0x0001, 0xFF81
_TEMPERATURES = {1, 4, 5, 6, 7, 8, 9, 10}
_BATTERIES = {12, 13, 16}
_OF_FOUR = {18: ("temperatures", 1), 22: ("voltages", 1000), 26: ("amperages", 1)}


def laird(data: bytes) -> Found | None:
    """A record of a sensor, or what a contact tracer says."""
    if len(data) != 24 or u16(data, 0) not in {_SENSOR, _TRACER}:
        return None
    found: Found = {
        "networkId": u16(data, 2),
        "flags": u16(data, 4),
        "deviceIds": [reversed_address(data, 6) + RANDOM_48],
        "uri": URI,
    }
    if u16(data, 0) == _SENSOR:
        found |= {"recordNumber": u16(data, 13), "timestamp": u32(data, 15), **_record(data[12], data[19:23])}
    elif data[12] in {0x00, 0x10}:
        found |= {
            "profile": data[13],
            "timestamp": u32(data, 14),
            "txPower": data[18] - 256 if data[18] > 127 else data[18],
            "isMotionDetected": [data[19] > 0],
            "batteryVoltage": data[21] * 16 / 1000,
        }
    return found


def _record(kind: int, data: bytes) -> Found:
    if kind in _TEMPERATURES:
        return {"temperature": unpack_from("<i", data)[0] / 100}
    if kind in {2, 38}:
        return {"isContactDetected": [u32(data, 0) == 0]}
    if kind in _BATTERIES:
        return {"batteryVoltage": u32(data, 0) / 1000}
    if kind == 3:
        return {"isMotionDetected": [True]}
    return _analogue(kind, unpack_from("<f", data)[0])


def _analogue(kind: int, value: float) -> Found:
    for first, (name, factor) in _OF_FOUR.items():
        if first <= kind < first + 4:
            return {name: [value / factor if place == kind - first else None for place in range(4)]}
    if kind == 30:
        return {"distance": value / 1000}
    if kind in {31, 32}:
        return {"pressures": [value * _PASCAL_A_PSI if kind == place else None for place in (31, 32)]}
    return {}

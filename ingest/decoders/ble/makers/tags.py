"""Beacons with a sensor or a button: Radioland RDL52832, MOKO Beacon and BeaconX Pro, Feasycom, NodOn NIU.

In: service data, by its service. Out: acceleration in mG, temperature, humidity, voltage, presses. Formats: Feasycom's
and MOKO's beacon documents; lengths, places and scales as decoder.theengs.io describes these devices.
"""

from struct import unpack, unpack_from

from ingest.decoders.ble.advert import Advert
from ingest.decoders.ble.makers.beacons import ibeacon
from ingest.decoders.ble.reading import Reading, Values

_FEASYCOM = {
    0x15: "BP102",
    0x19: "BP109",
    0x1A: "BP103",
    0x1B: "BP104",
    0x1C: "BP201",
    0x1D: "BP106",
    0x1E: "BP101",
    0x24: "BP120",
    0x27: "BP108",
    0x28: "BP108N",
    0x29: "BP103B",
}
_PLUGGED_IN = 0x65
_PRESSES = ("press", "double press", "long press", "release", "triple press", "quadruple press", "quintuple press")
_COLOURS = {2: "White", 3: "TechBlue", 4: "CozyGrey", 5: "Wazabi", 6: "Lagoon", 7: "Softberry"}


def radioland(advert: Advert, data: bytes) -> Reading | None:
    """RDL52832: temperature, humidity, axes of sign, whole, tenths and hundredths of g; its iBeacon beside it."""
    if len(data) != 16 or not advert.local_name.startswith("RDL52832"):
        return None
    temperature, humidity = unpack_from(">hH", data)
    values: Values = {"temperature": temperature / 256, "humidity": humidity / 256}
    for place, axis in enumerate("xyz"):
        minus, whole, tenths, hundredths = data[4 + 4 * place : 8 + 4 * place]
        strength = whole * 1000 + tenths * 100 + hundredths * 10
        values[f"acceleration_{axis}"] = -strength if minus else strength
    beacon = ibeacon(advert, advert.manufacturer.get(0x004C, b""))
    return Reading("Radioland", "RDL52832", (dict(beacon.values) if beacon is not None else {}) | values)


def moko_beacon(_: Advert, data: bytes) -> Reading | None:
    """Service ff01: battery, …, axes."""
    if len(data) != 13 or data[0] > 100:
        return None
    return Reading("MOKO (Beacon)", "Mokobeacon", {"battery": data[0]} | _axes(data, 7))


def moko_x_pro(_: Advert, data: bytes) -> Reading | None:
    """Service feab: frames of what it is (40), of axes (60), of temperature and humidity (70)."""
    values: Values
    if data[:1] == b"\x40" and len(data) >= 5:
        values = {"voltage": unpack_from(">H", data, 3)[0] / 1000}
    elif data[:1] == b"\x60" and len(data) >= 14:
        values = _axes(data, 6) | {"voltage": unpack_from(">H", data, 12)[0] / 1000}
    elif data[:1] == b"\x70" and len(data) >= 9:
        temperature, humidity, millivolts = unpack_from(">hHH", data, 3)
        values = {"temperature": temperature / 10, "humidity": humidity / 10, "voltage": millivolts / 1000}
    else:
        return None
    return Reading("MOKO (BeaconX Pro)", "BeaconX Pro", values)


def _axes(data: bytes, at: int) -> Values:
    return {f"acceleration_{axis}": raw / 10 for axis, raw in zip("xyz", unpack_from(">3h", data, at), strict=True)}


def feasycom(_: Advert, data: bytes) -> Reading | None:
    """Service fff0: model, …, address, battery (101: it is plugged in)."""
    if len(data) != 11 or data[0] not in _FEASYCOM:
        return None
    values: Values = {"beacon_model": _FEASYCOM[data[0]], "plugged_in": data[10] == _PLUGGED_IN}
    if data[10] != _PLUGGED_IN:
        values["battery"] = data[10] & 0x7F
    return Reading("Feasycom", "Feasycom Beacon", values, address=data[4:10].hex().upper())


def nodon(_: Advert, data: bytes) -> Reading | None:
    """NIU, service 0000: colour, battery, press."""
    if len(data) != 16:
        return None
    colour, battery, press = unpack(">HB2xB", data[10:])
    if not 1 <= press <= len(_PRESSES) or colour not in _COLOURS:
        return None
    values: Values = {"button": _PRESSES[press - 1], "color": _COLOURS[colour], "battery": battery & 0x7F}
    return Reading("NodOn", "NodOn NIU", values)

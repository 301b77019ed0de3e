"""Levels of gas and water: Mopeka and Lippert, Otodata, Onset HOBO MX2001.

In: manufacturer data. Out: `level_cm` and `level_in`, or `level` (%). Formats:
github.com/Bluetooth-Devices/mopeka-iot-ble; the others by their published examples.
"""

from struct import unpack

from ingest.decoders.ble.advert import Advert
from ingest.decoders.ble.reading import Reading, Values

_PROPANE = (0.573045, -0.002822, -0.00000535)
"""Millimetres a unit of the echo's time, by the temperature's raw value: the speed of sound in liquid propane."""
_MOPEKA = {0x03, 0x04, 0x05, 0x06, 0x08, 0x09, 0x0A, 0x0B, 0x0C}
_INCH = 2.54
_OTODATA = b"OTOTELE"
_OTODATA_ABOUT = b"OTO3"


def mopeka(_: Advert, data: bytes) -> Reading | None:
    """Company 0059: model, battery, temperature and button, echo and quality, address (3), tilt in two axes."""
    if len(data) != 10 or data[0] not in _MOPEKA:
        return None
    volts, raw = (data[1] & 0x7F) / 32, data[2] & 0x7F
    echo = int.from_bytes(data[3:5], "little")
    first, second, third = _PROPANE
    level = (echo & 0x3FFF) * (first + second * raw + third * raw * raw) / 10
    x, y = unpack("bb", data[8:10])
    values: Values = {
        "temperature": raw - 40,
        "level_cm": level,
        "level_in": level / _INCH,
        "sync": data[2] > 0x7F,
        "voltage": volts,
        "battery": min(max((volts - 2.2) / 0.65 * 100, 0), 100),
        "quality": echo >> 14,
        "acceleration_x": x,
        "acceleration_y": y,
    }
    return Reading("Mopeka", f"Mopeka {data[0]:#04x}", values)


def otodata(_: Advert, data: bytes) -> Reading | None:
    """Company 03b1: the level in hundredths, or who it is."""
    if data[:7] == _OTODATA and len(data) >= 11:
        return Reading("Otodata", "TM6030", {"level": int.from_bytes(data[9:11], "little") / 100, "status": data[8]})
    if data[:4] == _OTODATA_ABOUT and len(data) == 22:
        serial, kind = (int.from_bytes(data[at : at + 4], "little") for at in (7, 18))
        return Reading("Otodata", "TM6030", {"serial": serial, "model_type": kind})
    return None


def hobo(_: Advert, data: bytes) -> Reading | None:
    """Company 00c5, MX2001: the level in metres, a float at its end."""
    if len(data) != 20:
        return None
    (metres,) = unpack("<f", data[16:20])
    if not -100 < metres < 1000:
        return None
    return Reading("Onset", "HOBO MX2001", {"level_cm": metres * 100, "level_in": metres * 100 / _INCH})

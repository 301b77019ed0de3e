"""Tyres: Michelin TMS, and the sensors of many names whose address begins with 80:EA:CA to 83:EA:CA.

In: manufacturer data. Out: temperature, pressure, battery or voltage, which wheel. Source of the layouts:
github.com/custom-components/ble_monitor, github.com/ra6070/BLE-TPMS.
"""

from struct import unpack

from ingest.decoders.ble.advert import Advert
from ingest.decoders.ble.reading import Reading, Values

_WHEELS = range(0x80, 0x88)


def tpms(_: Advert, data: bytes) -> Reading | None:
    """Company 0100: own address (6), pressure above the air's (Pa), temperature, battery, alarm."""
    if len(data) != 16 or data[0] not in _WHEELS or data[1:3] != b"\xea\xca":
        return None
    pressure, temperature, battery, alarm = unpack("<IiBB", data[6:16])
    values: Values = {
        "count": data[0] - _WHEELS.start + 1,
        "pressure": pressure / 100,
        "temperature": temperature / 100,
        "battery": battery,
        "alarm": bool(alarm),
    }
    return Reading("TPMS", "TPMS", values, address=data[:6].hex().upper())


def michelin(_: Advert, data: bytes) -> Reading | None:
    """Company 0828, frames 3 and 4: a tyre's temperature, voltage, absolute pressure (mbar), id, counter."""
    if len(data) != 14 or data[1] not in {3, 4}:
        return None
    temperature, voltage, pressure, tyre, steps, count = unpack("<BBH3sBL", data[2:14])
    values: Values = {
        "temperature": temperature - 60,
        "voltage": round(voltage / 100 + 1, 2),
        "pressure": pressure,
        "count": count,
        "steps": steps,
        "text": tyre.decode("utf-8", "replace"),
    }
    return Reading("TMS", "TMS", values, count)

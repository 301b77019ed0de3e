"""Aranet4 and Aranet2: company 0702, with "smart home integrations" switched on.

In: manufacturer data. Out: co2 (ppm), temperature, humidity, pressure, battery, `interval` and `age` (s). Format:
github.com/Anrijs/Aranet4-Python (MIT).
"""

from struct import unpack

from ingest.decoders.ble.advert import Advert
from ingest.decoders.ble.reading import Reading, Value, Values

_INTEGRATION = 0x20
_INVALID = 0x8000


def aranet(_: Advert, data: bytes) -> Reading | None:
    """Flags, version (4), hardware, type …, then values from the ninth byte on, counter last."""
    if len(data) >= 22 and data[0] & _INTEGRATION:
        return _aranet4(data)
    if len(data) >= 23 and data[0] == 1 and data[1] & _INTEGRATION:
        return _aranet2(data)
    return None


def _aranet4(data: bytes) -> Reading:
    co2, temperature, pressure, humidity, battery, status, interval, age, counter = unpack("<HHHBBBHHB", data[8:22])
    values: Values = {
        "co2": _valid(co2, 1),
        "temperature": _valid(temperature, 20),
        "pressure": _valid(pressure, 10),
        "humidity": humidity if humidity <= 100 else None,
        "battery": battery,
        "status": {1: "green", 2: "amber", 3: "red"}.get(status, "unknown"),
        "interval": interval,
        "age": age,
    }
    return Reading("Aranet", "Aranet4", values, counter)


def _aranet2(data: bytes) -> Reading:
    temperature, humidity, battery, interval, age, counter = unpack("<HxxHxBxHHB", data[9:23])
    values: Values = {
        "temperature": _valid(temperature, 20),
        "humidity": _valid(humidity, 10),
        "battery": battery,
        "interval": interval,
        "age": age,
    }
    return Reading("Aranet", "Aranet2", values, counter)


def _valid(raw: int, divisor: int) -> Value:
    """The highest bit marks what the sensor could not measure."""
    if raw & _INVALID:
        return None
    return raw if divisor == 1 else raw / divisor

"""Units that devices count in, and the usual one of each quantity, which all decoders convert to.

In: a number and its unit. Out: the number in the usual unit. Factors are exact by definition (SI, international yard).
"""

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import NamedTuple

_MARKS = re.compile(r"[^a-z0-9]")


class Unit(NamedTuple):
    """`usual` = value x `factor` + `offset`."""

    usual: str
    factor: float = 1.0
    offset: float = 0.0


UNITS: Mapping[str, Unit] = {
    "C": Unit("°C"),
    "°C": Unit("°C"),
    "F": Unit("°C", 5 / 9, -160 / 9),
    "°F": Unit("°C", 5 / 9, -160 / 9),
    "K": Unit("°C", 1.0, -273.15),
    "%": Unit("%"),
    "hPa": Unit("hPa"),
    "mbar": Unit("hPa"),
    "Pa": Unit("hPa", 0.01),
    "kPa": Unit("hPa", 10.0),
    "bar": Unit("hPa", 1000.0),
    "mmHg": Unit("hPa", 1.33322387415),
    "inHg": Unit("hPa", 33.86388640341),
    "psi": Unit("hPa", 68.94757293168),
    "V": Unit("V"),
    "mV": Unit("V", 0.001),
    "A": Unit("A"),
    "mA": Unit("A", 0.001),
    "W": Unit("W"),
    "kW": Unit("W", 1000.0),
    "mW": Unit("W", 0.001),
    "kWh": Unit("kWh"),
    "Wh": Unit("kWh", 0.001),
    "MWh": Unit("kWh", 1000.0),
    "J": Unit("kWh", 1 / 3_600_000),
    "m/s": Unit("m/s"),
    "km/h": Unit("m/s", 1 / 3.6),
    "mph": Unit("m/s", 0.44704),
    "kn": Unit("m/s", 1852 / 3600),
    "m": Unit("m"),
    "cm": Unit("m", 0.01),
    "mm": Unit("m", 0.001),
    "km": Unit("m", 1000.0),
    "ft": Unit("m", 0.3048),
    "in": Unit("m", 0.0254),
    "mi": Unit("m", 1609.344),
    "l": Unit("l"),
    "L": Unit("l"),
    "m³": Unit("l", 1000.0),
    "m3": Unit("l", 1000.0),
    "gal": Unit("l", 3.785411784),
    "s": Unit("s"),
    "ms": Unit("s", 0.001),
    "min": Unit("s", 60.0),
    "h": Unit("s", 3600.0),
    "ppm": Unit("ppm"),
    "ppb": Unit("ppm", 0.001),
    "lx": Unit("lx"),
    "dBm": Unit("dBm"),
    "dB": Unit("dB"),
    "Hz": Unit("Hz"),
    "kHz": Unit("Hz", 1000.0),
    "MHz": Unit("Hz", 1e6),
    "°": Unit("°"),
    "rad": Unit("°", 57.29577951308232),
}


_OF_NAMES: Mapping[str, str] = {
    "temperature": "°C",
    "tempc": "°C",
    "dewpoint": "°C",
    "tempf": "°F",
    "temperaturecalibrated": "°C",
    **{f"{name}{number}": "°C" for name in ("tempc", "temperatureprobe") for number in range(1, 7)},
    **{f"tempf{number}": "°F" for number in range(1, 7)},
    "tc": "°C",
    "humidity": "%",
    "hum": "%",
    "rh": "%",
    "moisture": "%",
    "moi": "%",
    "conductivity": "µS/cm",
    "fer": "µS/cm",
    "formaldehyde": "mg/m³",
    "impedance": "Ω",
    "heartrate": "bpm",
    "bpm": "bpm",
    "lvlcm": "cm",
    "levelcm": "cm",
    "battery": "%",
    "batt": "%",
    "batterypercentage": "%",
    "brightness": "",
    "pressure": "hPa",
    "pres": "hPa",
    "seapressure": "hPa",
    "voltage": "V",
    "volt": "V",
    "batteryvoltage": "V",
    "vcc": "V",
    "current": "A",
    "power": "W",
    "apower": "W",
    "activepower": "W",
    "apparentpower": "VA",
    "reactivepower": "var",
    "aprtpower": "VA",
    "energy": "kWh",
    "energytotal": "kWh",
    "energytoday": "kWh",
    "energyyesterday": "kWh",
    "aenergytotal": "Wh",
    "frequency": "Hz",
    "freq": "Hz",
    "rssi": "dBm",
    "signal": "dBm",
    "snr": "dB",
    "illuminance": "lx",
    "illuminancelux": "lx",
    "lux": "lx",
    "co2": "ppm",
    "carbondioxide": "ppm",
    "pm1": "µg/m³",
    "pm25": "µg/m³",
    "pm10": "µg/m³",
    "distance": "m",
    "vel": "km/h",
    "cog": "°",
    "uptime": "s",
    "uptimesec": "s",
}


@lru_cache(maxsize=16_384)
def usual_unit(field: str) -> str:
    """The unit of a field that decoders have normalised, by the end of its name; "" where the name does not tell."""
    above, _, last = field.lower().rpartition(".")
    whole = _MARKS.sub("", f"{above.rpartition('.')[2]}{last}")
    return _OF_NAMES.get(whole) or _OF_NAMES.get(_MARKS.sub("", last), "")


def normal(value: float, unit: str) -> float:
    """The value in the usual unit, to 12 digits; as it is where the unit is not known."""
    known = UNITS.get(unit)
    if known is None or (known.factor == 1.0 and known.offset == 0.0):
        return value
    return float(f"{value * known.factor + known.offset:.12g}")

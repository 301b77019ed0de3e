"""Units by the names of standards (UCUM, SenML): what is measured in them, and how to come to the usual one.

In: a unit's name, a value. Out: a field's name, the value in the usual unit; a description that says the units once.
"""

from collections.abc import Mapping

from headwater.message import Message, Number
from ingest.contract import Payload
from ingest.decoders.draft import Draft

MEASURED = {
    "Cel": "temperature",
    "K": "temperature",
    "%RH": "humidity",
    "%EL": "battery",
    "V": "voltage",
    "mV": "voltage",
    "A": "current",
    "mA": "current",
    "W": "power",
    "kW": "power",
    "Wh": "energy",
    "kWh": "energy",
    "lx": "illuminance",
    "Pa": "pressure",
    "hPa": "pressure",
    "dBm": "rssi",
    "dBW": "rssi",
    "ppm": "concentration",
    "ug/m3": "concentration",
    "m/s": "velocity",
    "km/h": "velocity",
    "m": "distance",
    "mm": "distance",
    "kg": "mass",
    "alt": "altitude",
    "Hz": "frequency",
    "lm": "luminous_flux",
    "pH": "ph",
    "dB": "sound_level",
    "count": "count",
    "S/m": "conductivity",
    "m3": "volume",
    "l": "volume",
    "l/s": "flow",
    "m3/s": "flow",
    "EL": "battery_life",
}
"""The name of a value that has a unit and no name."""

_USUAL: Mapping[str, tuple[str, float, float]] = {
    "Cel": ("°C", 1, 0),
    "K": ("°C", 1, -273.15),
    "%RH": ("%", 1, 0),
    "%EL": ("%", 1, 0),
    "mV": ("V", 1e-3, 0),
    "mA": ("A", 1e-3, 0),
    "kW": ("W", 1e3, 0),
    "Wh": ("kWh", 1e-3, 0),
    "dBW": ("dBm", 1, 30),
    "ug/m3": ("µg/m³", 1, 0),
}


def usual(unit: str) -> str:
    """What the unit is called here."""
    return _USUAL[unit][0] if unit in _USUAL else unit


def in_usual(value: Number, unit: str) -> Number:
    """The value in the usual unit."""
    factor = _USUAL.get(unit)
    if factor is None or (factor[1] == 1 and not factor[2]):
        return value
    return round(value * factor[1] + factor[2], 12)


def described(payload: Payload, device: str, units: Mapping[str, str], texts: Mapping[str, str]) -> list[Message]:
    """A description of a device's units and other texts, unless it was said before. `units`: by field."""
    said = {**texts, **{f"unit.{name}": unit for name, unit in units.items()}}
    key = f"described/{device}"
    known = payload.context.recall(key)
    before: dict[str, str] = known if isinstance(known, dict) else {}
    if all(before.get(name) == text for name, text in said.items()):
        return []
    payload.context.remember(key, {**(before if len(before) < 200 else {}), **said})
    draft = Draft(payload, device, "description")
    for name, text in said.items():
        draft.put(name, text)
    return [] if draft.empty else draft.messages()

"""What BTHome's object ids mean: name, length, form and factor of each.

In: nothing. Out: `OBJECTS`. The same table serves both versions; version 1 says length and form with each object.
Format: bthome.io/format, tables of sensors, binary sensors, events and device information.
"""

from enum import IntEnum
from typing import NamedTuple


class Form(IntEnum):
    """How bytes are read; the first five are version 1's own numbers."""

    UNSIGNED = 0
    SIGNED = 1
    FLOAT = 2
    TEXT = 3
    RAW = 4
    TRUTH = 5
    BUTTON = 6
    DIMMER = 7
    VERSION = 8


SPECIAL = frozenset({Form.TRUTH, Form.BUTTON, Form.DIMMER})
"""Forms that version 1 has too, and calls unsigned."""


class Object(NamedTuple):
    """`size` 0: a byte of length comes first. `decimals`: those of the factor. `unit`: where it is an unusual one."""

    name: str
    size: int = 1
    factor: float = 1
    form: Form = Form.UNSIGNED
    unit: str = ""
    decimals: int = 0


BUTTONS = {
    0x01: "press",
    0x02: "double_press",
    0x03: "triple_press",
    0x04: "long_press",
    0x05: "long_double_press",
    0x06: "long_triple_press",
    0x80: "hold_press",
}
DIMMERS = {0x01: "rotate_left", 0x02: "rotate_right"}

_S = Form.SIGNED

_SENSORS: dict[int, tuple[str, int, float, Form, str]] = {
    0x00: ("packet_id", 1, 1, Form.UNSIGNED, ""),
    0x01: ("battery", 1, 1, Form.UNSIGNED, ""),
    0x02: ("temperature", 2, 0.01, _S, ""),
    0x03: ("humidity", 2, 0.01, Form.UNSIGNED, ""),
    0x04: ("pressure", 3, 0.01, Form.UNSIGNED, ""),
    0x05: ("illuminance", 3, 0.01, Form.UNSIGNED, ""),
    0x06: ("mass", 2, 0.01, Form.UNSIGNED, ""),
    0x07: ("mass", 2, 0.01, Form.UNSIGNED, "lb"),
    0x08: ("dew_point", 2, 0.01, _S, ""),
    0x09: ("count", 1, 1, Form.UNSIGNED, ""),
    0x0A: ("energy", 3, 0.001, Form.UNSIGNED, ""),
    0x0B: ("power", 3, 0.01, Form.UNSIGNED, ""),
    0x0C: ("voltage", 2, 0.001, Form.UNSIGNED, ""),
    0x0D: ("pm25", 2, 1, Form.UNSIGNED, ""),
    0x0E: ("pm10", 2, 1, Form.UNSIGNED, ""),
    0x12: ("carbon_dioxide", 2, 1, Form.UNSIGNED, ""),
    0x13: ("volatile_organic_compounds", 2, 1, Form.UNSIGNED, ""),
    0x14: ("moisture", 2, 0.01, Form.UNSIGNED, ""),
    0x2E: ("humidity", 1, 1, Form.UNSIGNED, ""),
    0x2F: ("moisture", 1, 1, Form.UNSIGNED, ""),
    0x3D: ("count", 2, 1, Form.UNSIGNED, ""),
    0x3E: ("count", 4, 1, Form.UNSIGNED, ""),
    0x3F: ("rotation", 2, 0.1, _S, ""),
    0x40: ("distance", 2, 1, Form.UNSIGNED, "mm"),
    0x41: ("distance", 2, 0.1, Form.UNSIGNED, ""),
    0x42: ("duration", 3, 0.001, Form.UNSIGNED, ""),
    0x43: ("current", 2, 0.001, Form.UNSIGNED, ""),
    0x44: ("speed", 2, 0.01, Form.UNSIGNED, ""),
    0x45: ("temperature", 2, 0.1, _S, ""),
    0x46: ("uv_index", 1, 0.1, Form.UNSIGNED, ""),
    0x47: ("volume", 2, 0.1, Form.UNSIGNED, ""),
    0x48: ("volume", 2, 1, Form.UNSIGNED, "ml"),
    0x49: ("volume_flow_rate", 2, 0.001, Form.UNSIGNED, ""),
    0x4A: ("voltage", 2, 0.1, Form.UNSIGNED, ""),
    0x4B: ("gas", 3, 0.001, Form.UNSIGNED, ""),
    0x4C: ("gas", 4, 0.001, Form.UNSIGNED, ""),
    0x4D: ("energy", 4, 0.001, Form.UNSIGNED, ""),
    0x4E: ("volume", 4, 0.001, Form.UNSIGNED, ""),
    0x4F: ("water", 4, 0.001, Form.UNSIGNED, ""),
    0x50: ("timestamp", 4, 1, Form.UNSIGNED, ""),
    0x51: ("acceleration", 2, 0.001, Form.UNSIGNED, ""),
    0x52: ("gyroscope", 2, 0.001, Form.UNSIGNED, ""),
    0x53: ("text", 0, 1, Form.TEXT, ""),
    0x54: ("raw", 0, 1, Form.RAW, ""),
    0x55: ("volume_storage", 4, 0.001, Form.UNSIGNED, ""),
    0x56: ("conductivity", 2, 1, Form.UNSIGNED, ""),
    0x57: ("temperature", 1, 1, _S, ""),
    0x58: ("temperature", 1, 0.35, _S, ""),
    0x59: ("count", 1, 1, _S, ""),
    0x5A: ("count", 2, 1, _S, ""),
    0x5B: ("count", 4, 1, _S, ""),
    0x5C: ("power", 4, 0.01, _S, ""),
    0x5D: ("current", 2, 0.001, _S, ""),
    0x5E: ("direction", 2, 0.01, Form.UNSIGNED, ""),
    0x5F: ("precipitation", 2, 0.1, Form.UNSIGNED, ""),
    0x60: ("channel", 1, 1, Form.UNSIGNED, ""),
    0x61: ("rotational_speed", 2, 1, Form.UNSIGNED, ""),
    0x62: ("speed", 4, 0.000001, _S, ""),
    0x63: ("acceleration", 4, 0.000001, _S, ""),
    0x64: ("light_level", 1, 1, Form.UNSIGNED, ""),
    0x3A: ("button", 1, 1, Form.BUTTON, ""),
    0x3C: ("dimmer", 2, 1, Form.DIMMER, ""),
    0xF0: ("device_type_id", 2, 1, Form.UNSIGNED, ""),
    0xF1: ("firmware_version", 4, 1, Form.VERSION, ""),
    0xF2: ("firmware_version", 3, 1, Form.VERSION, ""),
}

_TRUTHS = {
    0x0F: "generic",
    0x10: "binary.power",
    0x11: "opening",
    0x15: "binary.battery",
    0x16: "battery_charging",
    0x17: "carbon_monoxide",
    0x18: "cold",
    0x19: "connectivity",
    0x1A: "door",
    0x1B: "garage_door",
    0x1C: "binary.gas",
    0x1D: "heat",
    0x1E: "light",
    0x1F: "lock",
    0x20: "binary.moisture",
    0x21: "motion",
    0x22: "moving",
    0x23: "occupancy",
    0x24: "plug",
    0x25: "presence",
    0x26: "problem",
    0x27: "running",
    0x28: "safety",
    0x29: "smoke",
    0x2A: "sound",
    0x2B: "tamper",
    0x2C: "vibration",
    0x2D: "window",
}
"""True: what it is named after is there. `binary.X` where X is a number's name too; `binary.battery`: it is low."""


def _decimals(factor: float) -> int:
    """Those of the factor's power of ten: 0.35 has one."""
    return max(0, -int(f"{factor:e}".rpartition("e")[2]))


OBJECTS: dict[int, Object] = {
    number: Object(name, size, factor, form, unit, _decimals(factor))
    for number, (name, size, factor, form, unit) in _SENSORS.items()
} | {number: Object(name, form=Form.TRUTH) for number, name in _TRUTHS.items()}

"""iNode energy meter and care sensors: the company id's high byte is the kind.

In: manufacturer data. Out: power (W) and energy (kWh, or m³ and counts where it counts those), temperature, humidity,
pressure, acceleration. Format: iNode's "advertisement structure", github.com/custom-components/ble_monitor.
"""

from math import sqrt
from struct import unpack

from ingest.decoders.ble.advert import Advert
from ingest.decoders.ble.reading import Reading, Values

KINDS = {
    0x82: "iNode Energy Meter",
    0x91: "iNode Care Sensor 1",
    0x92: "iNode Care Sensor 2",
    0x93: "iNode Care Sensor 3",
    0x94: "iNode Care Sensor 4",
    0x95: "iNode Care Sensor 5",
    0x96: "iNode Care Sensor 6",
    0x9A: "iNode Care Sensor T",
    0x9B: "iNode Care Sensor HT",
    0x9C: "iNode Care Sensor PT",
    0x9D: "iNode Care Sensor PHT",
}
_MOVES = range(0x91, 0x97)
_HUMID = {0x93, 0x9B, 0x9D}
_PRESSED = {0x9C, 0x9D}
_UNITS = (("W", "kWh", 100), ("m3", "m3", 1000), ("cnt", "cnt", 1), ("cnt", "cnt", 1))


def inode(_: Advert, company: int, data: bytes) -> Reading | None:
    """11 bytes of a meter, 22 of a sensor."""
    kind = company >> 8
    if kind == 0x82 and len(data) == 11:
        return Reading("iNode", KINDS[kind], _meter(data) | {"battery_low": bool(company & 4)}, data.hex())
    if kind in KINDS and kind != 0x82 and len(data) == 22:
        return Reading("iNode", KINDS[kind], _care(kind, data), data.hex())
    return None


def _meter(data: bytes) -> Values:
    """Mean of the last minute, sum, unit and constant, battery and light, yesterday's total."""
    mean, total, options, state, day = unpack("<HIHBH", data)
    power_unit, energy_unit, usual = _UNITS[options >> 14]
    constant = (options & 0x3FFF) or usual
    values: Values = {
        "energy": total / constant,
        "energy_unit": energy_unit,
        "power": 1000 * 60 * mean / constant,
        "power_unit": power_unit,
        "constant": constant,
        "light_level": (state & 0x0F) * 100 / 15,
        "week_day": day >> 13,
        "week_day_total": day & 0x1FFF,
    }
    return values | _battery(state >> 4)


def _care(kind: int, data: bytes) -> Values:
    groups, _, raw_p, raw_t, raw_h = unpack("<HHHHH", data[:10])
    values: Values = {"temperature": _temperature(kind, raw_t)} | _battery(groups >> 12)
    if kind in _HUMID:
        values["humidity"] = max(min(125 * raw_h * 4 / 65536 - 6, 100), 1)
    if kind in _PRESSED:
        values["pressure"] = raw_p / 16
    if kind == 0x95:
        values |= {"magnetic_field": raw_h, "magnetic_field_direction": kind << 4}
    if kind in _MOVES:
        x, y, z = (_signed(raw_p >> shift & 0x1F) for shift in (10, 5, 0))
        moved = bool(raw_p & 0x8000)
        values |= {"motion": moved, "motion_timer": moved, "acceleration": sqrt(x**2 + y**2 + z**2)}
        values |= {"acceleration_x": x, "acceleration_y": y, "acceleration_z": z}
    return values


def _temperature(kind: int, raw: int) -> float:
    if kind == 0x9C:
        return 42.5 + raw / 480
    if kind in _HUMID:
        value = 175.72 * raw * 4 / 65536 - 46.85
    elif kind in {0x92, 0x9A}:
        low, high = raw & 0xFF, raw >> 8
        value = low * 0.0625 + 16 * (high & 0x0F) - (256 if high & 0x10 else 0)
    else:
        value = raw - 8192 if raw > 127 else raw
    return max(min(value, 70), -30)


def _signed(five_bits: int) -> int:
    return five_bits - 32 if five_bits & 0x10 else five_bits


def _battery(level: int) -> Values:
    percent = 100 if level == 1 else 10 * (min(level, 11) - 1)
    return {"battery": percent, "voltage": (percent - 10) * 1.2 / 100 + 1.8}

"""Body scales and bands: Xiaomi Mi Scale 1 and 2, Amazfit, Mi Band, Xiaogui, Laica, Senssun.

In: service or manufacturer data. Out: weight (with `weight_unit` where it may be another than kg), `stabilized`,
impedance, pulse. Source of the layouts: github.com/custom-components/ble_monitor.
"""

from struct import unpack

from ingest.decoders.ble.advert import Advert
from ingest.decoders.ble.reading import Reading, Values


def mi_scale_1(_: Advert, data: bytes) -> Reading | None:
    """Service 181d: control, weight, time."""
    if len(data) != 10:
        return None
    control, weight = data[0], int.from_bytes(data[1:3], "little")
    value, unit = (
        (weight / 100, "lbs") if control & 1 else (weight / 100, "jin") if control & 16 else (weight / 200, "kg")
    )
    values = _weighed(value, unit, control)
    if control & 0x20 and not control & 0x80:
        values["weight"] = value
    return Reading("Mi Scale V1", "Mi Scale V1", values, data.hex())


def mi_scale_2(_: Advert, data: bytes) -> Reading | None:
    """Service 181b: unit, control, time (7), impedance, weight."""
    if len(data) != 13:
        return None
    kind, control = data[0], data[1]
    impedance, weight = unpack("<HH", data[9:13])
    if control & 0x40:
        value, unit = weight / 100, "jin"
    elif kind & 3 == 3:
        value, unit = weight / 100, "lbs"
    elif kind & 3 == 2:
        value, unit = weight / 200, "kg"
    else:
        value, unit = weight / 100, None
    values = _weighed(value, unit, control)
    if control & 0x20 and not control & 0x80:
        values["stabilized_weight"] = value
        if control & 2:
            values |= {"weight": value, "impedance": impedance}
    return Reading("Mi Scale V2", "Mi Scale V2", values, data.hex())


def _weighed(value: float, unit: str | None, control: int) -> Values:
    values: Values = {"non_stabilized_weight": value, "weight_removed": bool(control & 0x80)}
    if unit is not None:
        values["weight_unit"] = unit
    return values | {"stabilized": bool(control & 0x20)}


def amazfit(advert: Advert, data: bytes) -> Reading | None:
    """Service fee0: a scale's 20 bytes, or the steps of a Mi Band."""
    if len(data) == 20:
        impedance, weight, first, second, pulse = unpack("<5xHHBHB1x6x", data)
        values: Values = {"non_stabilized_weight": weight / 200, "weight_unit": "kg", "stabilized": False}
        if first or second:
            values |= {"stabilized": True, "weight": weight / 200, "impedance": impedance / 10, "pulse": pulse}
        return Reading("Amazfit", "Amazfit Smart Scale", values)
    band = advert.manufacturer.get(0x0157, b"")
    return _band(band, data) if len(band) == 24 else None


def mi_band(_: Advert, data: bytes) -> Reading | None:
    """Company 0157: the heart rate, ff while it is not measured."""
    return _band(data, b"") if len(data) == 24 else None


def _band(data: bytes, steps: bytes) -> Reading:
    values: Values = {"heart_rate": data[3] if data[3] != 0xFF else None}
    if len(steps) == 4:
        values["steps"] = int.from_bytes(steps, "little")
    return Reading("Mi Band", "Mi Band", values)


_XIAOGUI = {0x20: ("TZC4", 10, False), 0x21: ("TZC4", 10, True), 0x24: ("QJ-J", 100, False), 0x25: ("QJ-J", 100, True)}


def xiaogui(advert: Advert, company: int, data: bytes) -> Reading | None:
    """First byte of the company id c0, second a counter; weight, impedance, control, state, own address."""
    if len(data) != 13 or data[6] not in _XIAOGUI:
        return None
    if advert.address not in {"", data[7:13].hex().upper()}:
        return None
    weight, impedance = unpack(">HH", data[:4])
    model, divisor, stable = _XIAOGUI[data[6]]
    values: Values = {"non_stabilized_weight": weight / divisor, "weight_unit": "kg", "stabilized": stable}
    if stable:
        values |= {"weight": weight / divisor, "impedance": impedance / 10}
    return Reading("Xiaogui", model, values, (company & 0xFF00) | data[6], data[7:13].hex().upper())


def laica(_: Advert, data: bytes) -> Reading | None:
    """Company a0ac: its numbers are under an exclusive or with a0."""
    if len(data) != 12 or data[10] not in {0x06, 0x0D}:
        return None
    plain = bytes(byte ^ 0xA0 for byte in data[6:10])
    values: Values
    if data[10] == 0x06:
        values = {"impedance": min(max(int.from_bytes(plain[:2], "big"), 430), 630)}
    else:
        values = {"weight": round((int.from_bytes(plain, "big") & 0x3FFFF) / 100) / 10}
    return Reading("Laica", "Laica Smart Scale", values, data.hex())


def senssun(_: Advert, data: bytes) -> Reading | None:
    """Company 0100: division, weight, impedance, state."""
    if len(data) != 17:
        return None
    weight, impedance = unpack(">hh", data[10:14])
    values: Values = {"weight": weight / 100, "impedance": impedance, "stabilized": data[14] & 0xA0 == 0xA0}
    return Reading("Senssun", "Senssun Smart Scale", values, data[9:15].hex())

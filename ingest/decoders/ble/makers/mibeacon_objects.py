"""The objects of MiBeacon frames: type (2), length, value; one frame may carry several.

In: plain objects and the model. Out: values by name, and the time that an object gives. Formats: Xiaomi's "BLE object
definition" (iot.mi.com) and, from 4000 on, the models' miot-spec; names as in github.com/custom-components/ble_monitor.
"""

from collections.abc import Callable
from math import exp
from struct import Struct

from ingest.decoders.ble.makers import mibeacon_buttons as buttons
from ingest.decoders.ble.makers import mibeacon_locks as locks
from ingest.decoders.ble.reading import Values

_SECOND = 1_000_000
_FLOAT = Struct("<f")
_NO_LENGTH = frozenset({0x4A0C, 0x4A0D, 0x4A0E, 0x4E0C, 0x4E0D, 0x4E0E})
"""Buttons that say all by their type."""


def objects(data: bytes, model: str) -> tuple[Values, int | None]:
    """All of a frame. What is not known, or not of its length, says nothing."""
    values: Values = {}
    when: int | None = None
    at = 0
    while at + 3 <= len(data):
        kind, end = data[at] | data[at + 1] << 8, at + 3 + data[at + 2]
        body = data[at + 3 : end]
        if end > len(data):
            break
        if body or kind in _NO_LENGTH:
            values |= _object(kind, body, model)
            when = _when(kind, body) or when
        at = end
    return values, when


def _object(kind: int, body: bytes, model: str) -> Values:
    number = _NUMBERS.get(kind)
    if number is not None:
        name, sizes, signed, divisor = number
        if len(body) not in sizes:
            return {}
        value = int.from_bytes(body, "little", signed=signed)
        return {name: value / divisor if divisor != 1 else value}
    flag = _FLAGS.get(kind)
    if flag is not None:
        return {flag: bool(body[0])}
    decimal = _FLOATS.get(kind)
    if decimal is not None:
        return {decimal: _FLOAT.unpack(body)[0]} if len(body) == 4 else {}
    special = _SPECIAL.get(kind)
    if special is not None:
        return special(body)
    by_model = _BY_MODEL.get(kind)
    return by_model(body, model) if by_model is not None else {}


def _when(kind: int, body: bytes) -> int | None:
    """Locks and toothbrushes give the time of what happened, in seconds since 1970."""
    start = {0x0008: 1, 0x000B: 5, 0x0007: 1, 0x3003: 1}.get(kind)
    if start is None or len(body) < start + 4:
        return None
    return int.from_bytes(body[start : start + 4], "little") * _SECOND or None


_NUMBERS: dict[int, tuple[str, tuple[int, ...], bool, int]] = {
    0x000A: ("temperature", (2,), True, 100),
    0x1004: ("temperature", (2,), True, 10),
    0x1006: ("humidity", (2,), False, 10),
    0x1008: ("moisture", (1,), False, 1),
    0x1009: ("conductivity", (2,), False, 1),
    0x1010: ("formaldehyde", (2,), False, 100),
    0x1013: ("consumable", (1,), False, 1),
    0x4802: ("humidity", (1,), False, 1),
    0x4803: ("battery", (1,), False, 1),
    0x483C: ("pressure_state", (1,), False, 1),
    0x483D: ("pressure_present_duration", (4,), False, 1),
    0x483E: ("pressure_not_present_duration", (4,), False, 1),
    0x483F: ("pressure_present_time_set", (4,), False, 1),
    0x4840: ("pressure_not_present_time_set", (4,), False, 1),
    0x4850: ("motion_time", (1,), False, 1),
    0x4851: ("duration_occupancy_detected", (4,), False, 1),
    0x4852: ("duration_no_occupancy_detected", (4,), False, 1),
    0x4C02: ("humidity", (1,), False, 1),
    0x4C03: ("battery", (1,), False, 1),
    0x4C14: ("mode", (1,), False, 1),
    0x5003: ("battery", (1,), False, 1),
    0x5403: ("battery", (1,), False, 1),
    0x5414: ("mode", (1,), False, 1),
    0x6012: ("humidity", (1,), False, 1),
    0x605D: ("temperature", (1,), True, 1),
}
_FLAGS = {
    0x1012: "switch",
    0x1014: "moisture_detected",
    0x1015: "smoke",
    0x1018: "light",
    0x4806: "moisture_detected",
    0x4811: "snoring",
    0x4A01: "low_battery",
    0x4A1C: "reset",
    0x4E01: "low_battery",
    0x4E1C: "device_reset",
    0x5011: "snoring",
    0x5601: "low_battery",
}
_FLOATS = {
    0x4801: "temperature",
    0x4805: "illuminance",
    0x4808: "humidity",
    0x4C01: "temperature",
    0x4C08: "humidity",
}


def _motion(body: bytes) -> Values:
    return {"motion": bool(body[0]), "motion_timer": bool(body[0])}


def _still_for(body: bytes) -> Values:
    still = int.from_bytes(body, "little")
    return {"motion": still == 0, "no_motion_time": still} if len(body) in {1, 2, 4} else {}


def _temperature_and_humidity(body: bytes) -> Values:
    if len(body) != 4:
        return {}
    temperature = int.from_bytes(body[:2], "little", signed=True)
    return {"temperature": temperature / 10, "humidity": int.from_bytes(body[2:], "little") / 10}


def _light(body: bytes) -> Values:
    lux = int.from_bytes(body, "little")
    return {"illuminance": lux, "light": lux == 100} if len(body) == 3 else {}


def _battery(body: bytes) -> Values:
    return {"battery": body[0], "voltage": 2.2 + (3.1 - 2.2) * (body[0] / 100)}


def _opening(body: bytes) -> Values:
    status = ("opened", "closed", "closing timeout", "device reset")
    return {"opening": body[0] != 1, "status": status[body[0]]} if body[0] < len(status) else {"opening": False}


def _opened(body: bytes) -> Values:
    return {"opening": body[0] == 1} if body[0] in {1, 2} else {}


def _switch_and_temperature(body: bytes) -> Values:
    return {"switch": bool(body[0]), "temperature": body[1]} if len(body) >= 2 else {}


def _toothbrush(body: bytes) -> Values:
    values: Values = {"toothbrush": body[0] == 0}
    if len(body) > 1:
        values["counter" if body[0] == 0 else "score"] = body[1]
    return values


def _brushing(body: bytes) -> Values:
    values: Values = {"toothbrush": body[0] == 0} if body[0] in {0, 1} else {}
    return values | ({"score": body[5]} if len(body) == 6 else {})


def _body_temperature(body: bytes) -> Values:
    """Two thermometers; the curve fits what the maker's app shows between 36.5 and 37.8 °C."""
    if len(body) != 5:
        return {}
    first = int.from_bytes(body[:2], "little", signed=True) / 100
    second = int.from_bytes(body[2:4], "little", signed=True) / 100
    if not (0 <= first <= 60 and 0 <= second <= 60):
        return {"temperature": None, "battery": body[4]}
    bent = 3.71934e-11 * exp(0.69314 * first) - 1.02801e-8 * exp(0.53871 * second) + 36.413
    return {"temperature": bent, "battery": body[4]}


def _sleep(name: str) -> Callable[[bytes], Values]:
    def read(body: bytes) -> Values:
        return {name: "double press"} if body[0] == 2 else {"sleeping": body[0] == 1} if body[0] < 2 else {}

    return read


def _bed(body: bytes) -> Values:
    return {1: {"bed_occupancy": True}, 2: {"bed_occupancy": False}, 3: {"button": "double press"}}.get(body[0], {})  # pyright: ignore[reportReturnType]


def _motion_and_light(body: bytes) -> Values:
    if len(body) != 4:
        return {}
    return {"motion": True, "motion_timer": True, "illuminance": _FLOAT.unpack(body)[0]}


def _scale(body: bytes) -> Values:
    """Profile, then 11 bits weight, 7 bits pulse, 14 bits impedance."""
    packed = int.from_bytes(body[1:5], "little")
    if len(body) != 9 or not packed:
        return {}
    weight, pulse, impedance = packed & 0x7FF, packed >> 11 & 0x7F, packed >> 18
    values: Values = {"weight": weight / 10} if weight else {}
    if 0 < pulse < 127:
        values["heart_rate"] = pulse + 50
    if impedance:
        values["impedance" if weight else "impedance_low"] = impedance / 10
    return values | {"profile_id": body[0]}


def _said(values: Values, when: int = 1) -> Callable[[bytes], Values]:
    """These values if the first byte is `when`."""
    return lambda body: values if body[0] == when else {}


_SPECIAL: dict[int, Callable[[bytes], Values]] = {
    0x0003: _motion,
    0x0006: locks.fingerprint,
    0x0007: locks.door,
    0x0010: _toothbrush,
    0x1005: _switch_and_temperature,
    0x1007: _light,
    0x100A: _battery,
    0x100D: _temperature_and_humidity,
    0x1017: _still_for,
    0x1019: _opening,
    0x101B: _still_for,
    0x2000: _body_temperature,
    0x3003: _brushing,
    0x4804: _opened,
    0x4810: _sleep("button switch"),
    0x4818: _still_for,
    0x484F: _still_for,
    0x4A08: _motion_and_light,
    0x4A0C: lambda _: buttons.pressed("one_btn_switch", "single press"),
    0x4A0D: lambda _: buttons.pressed("one_btn_switch", "double press"),
    0x4A0E: lambda _: buttons.pressed("one_btn_switch", "long press"),
    0x4A0F: _said({"opening": True, "status": "door/window broken open"}),
    0x4A12: _opened,
    0x4A13: _said({"button": "toggle"}),
    0x4A1A: _said({"opening": True, "status": "door not closed"}),
    0x4E16: _said({"bed_occupancy": True}),
    0x4E17: _said({"bed_occupancy": False}),
    0x5010: _sleep("button"),
    0x5A16: _bed,
    0x6E16: _scale,
}


def _moving_with_light(body: bytes, model: str) -> Values:
    if len(body) != 3:
        return {}
    lux = int.from_bytes(body, "little")
    values: Values = {"motion": True, "motion_timer": True, "light": lux >= 100}
    return values | ({"illuminance": lux} if model == "CGPR1" else {})


def _occupancy(body: bytes, model: str) -> Values:
    if model in {"ES3", "XMOSB01XS"}:
        return {"occupancy": bool(body[0])}
    return {"motion": True, "motion_timer": True} if body[0] else {}


_BY_MODEL: dict[int, Callable[[bytes, str], Values]] = {
    0x0008: locks.armed,
    0x000B: locks.lock,
    0x000F: _moving_with_light,
    0x1001: buttons.button,
    0x100E: locks.attributes,
    0x484E: _occupancy,
    0x4E0C: lambda body, model: buttons.click(body, model, "single press"),
    0x4E0D: lambda body, model: buttons.click(body, model, "double press"),
    0x4E0E: lambda body, model: buttons.click(body, model, "long press"),
    0x560C: lambda body, model: buttons.click(body, model, "single press"),
    0x560D: lambda body, model: buttons.click(body, model, "double press"),
    0x560E: lambda body, model: buttons.click(body, model, "long press"),
}

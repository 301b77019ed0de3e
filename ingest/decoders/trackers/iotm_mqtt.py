"""IOTM: Ubiquitous trackers that publish binary records over MQTT.

Any topic with `?decoder=`, topic pattern `Iotm`, or by content: the payload begins with 02 02 08 00. The device is
the IMEI in its first record, else that of the topic.

    02 | 02 0800 9188752de7120300 | 01 0900 2000ad59 05 0030 9635 | f3

A payload is a version, records of type, length and body, and a checksum (the sum of all bytes before it). Out: a
message for each record: data (1) with its position and sensors, events (3) with `event`. Sensors known by number:
`external_voltage`, `voltage`, `adc1` to `adc3` (V), `battery` (%), `ignition`, `motion`, `rpm`, `odometer` (m),
`temperature1` to `temperature4`, `device_temperature` (°C) and others; those that are not are `ioNUMBER`. Speed is in
km/h.

Format: as Traccar's decoder of it has it.
"""

import struct
from collections.abc import Sequence

from headwater.errors import Rejected
from headwater.message import Message, Number
from ingest.contract import Payload
from ingest.decoders.clocks import seconds
from ingest.decoders.draft import Draft

_HEAD = b"\x02\x02\x08\x00"
_FIXED = {
    4: struct.Struct("<B"),
    5: struct.Struct("<H"),
    6: struct.Struct("<I"),
    7: struct.Struct("<q"),
    8: struct.Struct("<b"),
    9: struct.Struct("<h"),
    10: struct.Struct("<i"),
    11: struct.Struct("<q"),
    12: struct.Struct("<f"),
    13: struct.Struct("<d"),
}
_CONSTANT: dict[int, Number] = {0: False, 1: True, 3: 0}
_SHORT, _LONG = {32, 33}, {64, 65}
_LOCATION = 14
_PLACE = struct.Struct("<ffHBBHh")
_TRUTHS = {
    0x0002: "motion",
    0x0008: "jamming",
    0x009B: "jamming",
    0x001E: "button",
    0x0062: "door_front_left",
    0x0063: "door_front_right",
    0x0064: "door_rear_left",
    0x0065: "door_rear_right",
    0x006D: "ignition",
    0x008B: "hand_brake",
    0x008C: "foot_brake",
    0x0094: "output1",
    0x0095: "output2",
    0x0096: "output3",
    0x009A: "output4",
} | {0x0010 + place: f"input{place + 2}" for place in range(6)}
_NUMBERS: dict[int, tuple[str, float]] = {
    0x2000: ("obd_speed", 1),
    0x2001: ("satellites", 1),
    0x2006: ("throttle", 1),
    0x2007: ("fuel", 1),
    0x2008: ("coolant_temperature", 1),
    0x2009: ("fuel2", 1),
    0x200A: ("engine_load", 1),
    0x2041: ("battery", 1),
    0x3000: ("external_voltage", 0.001),
    0x3001: ("adc1", 0.001),
    0x3002: ("adc2", 0.001),
    0x3003: ("adc3", 0.001),
    0x3004: ("voltage", 0.001),
    0x300C: ("rpm", 1),
    0x3021: ("fuel_consumption", 0.05),
    0x3037: ("cargo_weight", 2),
    0x4001: ("fuel_used", 1),
    0x4002: ("hours", 1),
    0x4003: ("odometer", 5),
    0x4063: ("axle_weight", 1),
    0x5000: ("driver", 1),
    0x500D: ("trailer", 1),
    0xA000: ("device_temperature", 1),
    0xA001: ("acceleration", 1),
    0xA002: ("cornering", 1),
    0xB002: ("obd_odometer", 1),
} | {number + place: (f"temperature{place + 1}", 1) for number in (0x5004, 0xA017) for place in range(4)}
_NAMED = {0x5000, 0x500D}
_IMEI, _DATA, _EVENT = 2, 1, 3


def recognises(data: bytes) -> bool:
    """Version 2, and first the record with the IMEI."""
    return data[:4] == _HEAD


def decode(payload: Payload) -> Sequence[Message | Rejected]:
    """A message for each record of data or of an event; raises `Rejected`."""
    data = payload.data
    if len(data) < 5:
        raise Rejected("bad_shape", f"{len(data)} bytes are no version, record and checksum")
    if sum(data[:-1]) & 0xFF != data[-1]:
        raise Rejected("bad_value", "the checksum is not the sum of the bytes: the payload is damaged")
    device, at, made = "", 1, list[Message | Rejected]()
    while at + 3 <= len(data) - 1:
        kind, length = data[at], data[at + 1] | data[at + 2] << 8
        body = data[at + 3 : at + 3 + length]
        at += 3 + length
        if at > len(data) - 1:
            made.append(Rejected("bad_shape", "the last record is cut short"))
        elif kind == _IMEI and length == 8:
            device = str(int.from_bytes(body, "little"))
        elif kind in {_DATA, _EVENT}:
            try:
                made.append(_record(payload, device, kind, body))
            except struct.error:
                made.append(Rejected("bad_shape", "a record is cut short"))
            except Rejected as error:
                made.append(error)
    if not made:
        raise Rejected("no_fields", "there is neither a record of data nor of an event")
    return made


def _record(payload: Payload, device: str, kind: int, body: bytes) -> Message:
    draft = Draft(payload, device, "event" if kind == _EVENT else "telemetry")
    draft.at = seconds(struct.unpack_from("<I", body)[0])
    if kind == _EVENT:
        function, event = struct.unpack_from("<BB", body, 4)
        draft.put("function", function)
        draft.put("event", event)
        return draft.message()
    at = 4
    while at < len(body):
        kind_of, number = struct.unpack_from("<BH", body, at)
        at += 3
        if kind_of == _LOCATION:
            _location(draft, body, at)
            at += _PLACE.size
        else:
            value, at = _value(body, at, kind_of)
            _sensor(draft, number, value)
    return draft.message()


def _value(body: bytes, at: int, kind: int) -> tuple[Number | str, int]:
    """The value of this type at this place, and where the next one begins."""
    if kind in _CONSTANT:
        return _CONSTANT[kind], at
    fixed = _FIXED.get(kind)
    if fixed is not None:
        return fixed.unpack_from(body, at)[0], at + fixed.size
    if kind in _SHORT:
        start, length = at + 1, struct.unpack_from("<B", body, at)[0]
    elif kind in _LONG:
        start, length = at + 2, struct.unpack_from("<H", body, at)[0]
    else:
        raise Rejected("unsupported", f"a value of type {kind} is not known, nor how long it is")
    part = body[start : start + length]
    return part.hex() if kind & 1 else part.decode("latin-1"), start + length


def _sensor(draft: Draft, number: int, value: Number | str) -> None:
    if number in _TRUTHS and not isinstance(value, str):
        draft.put(_TRUTHS[number], value > 0)
        return
    name, factor = _NUMBERS.get(number, (f"io{number}", 1))
    if number in _NAMED:
        draft.put(name, str(value))
    elif isinstance(value, str) or factor == 1:
        draft.put(name, value)
    else:
        draft.put(name, round(value * factor, 6))


def _location(draft: Draft, body: bytes, at: int) -> None:
    lat, lon, speed, hdop, satellites, course, height = _PLACE.unpack_from(body, at)
    draft.place(round(lat, 7), round(lon, 7), height)
    draft.put("speed", speed)
    draft.put("hdop", hdop / 10)
    draft.put("satellites", satellites)
    draft.put("course", course)

"""What is in the 12 bytes that a Sigfox device sends, of the makers that are known here.

In: the frame and the device's model. Out: fields and position of a draft. Raises `IndexError` or `struct.error` if
the frame is cut. Formats: Digital Matter's Oyster Sigfox guide, and Traccar's decoder of Sigfox.
"""

import struct

from ingest.decoders.draft import Draft

_TRACK = struct.Struct("<iiBBB")
_AMBER = struct.Struct(">BBBbii")
_SOS = {0x22, 0x62}


def read_frame(draft: Draft, frame: bytes, model: str) -> None:
    """`data` of a callback: nothing is put where it is of no maker known here."""
    if not frame:
        return
    header = frame[0]
    if model == "Amber" or _is_amber(frame):
        _, flags, battery, temperature, lat, lon = _AMBER.unpack_from(frame)
        draft.put("motion", bool(flags & 2))
        draft.put("voltage", battery / 50)
        draft.put("temperature", temperature)
        draft.place(lat / 60_000, lon / 60_000)
    elif header in {0x0F, 0x1F} and len(frame) >= 10:
        if header == 0x0F:
            draft.note("position", "the device says that it is not valid")
        else:
            draft.place(_signed_magnitude(frame[1:5]) / 1e6, _signed_magnitude(frame[5:9]) / 1e6)
        draft.put("battery", frame[9])
    elif header >> 4 <= 3 and header & 0x0F == 0 and len(frame) == 12:
        lat, lon, course, speed, battery = _TRACK.unpack_from(frame, 1)
        draft.place(lat / 1e7, lon / 1e7)
        draft.put("course", course * 2)
        draft.put("speed", speed)
        draft.put("voltage", battery / 40)


def _is_amber(frame: bytes) -> bool:
    """Recognised by its values: no other frame known here has a believable voltage and place there."""
    if len(frame) != 12 or frame[0] != 0x01:
        return False
    _, _, battery, temperature, lat, lon = _AMBER.unpack_from(frame)
    near = abs(lat) <= 90 * 60_000 and abs(lon) <= 180 * 60_000 and (lat or lon)
    return bool(near) and battery >= 100 and -40 <= temperature <= 85


def _signed_magnitude(word: bytes) -> int:
    value = int.from_bytes(word, "big")
    return -(value & 0x7FFF_FFFF) if value >> 31 else value


def read_tagged(draft: Draft, frame: bytes, model: str) -> None:
    """`payload` of a callback: an event, then tags with values of fixed length."""
    del model
    if not frame:
        return
    draft.put("event", frame[0])
    if frame[0] in _SOS:
        draft.put("alarm", "sos")
    at = 1
    while at < len(frame):
        at += 1 + _tag(draft, frame, at)


def _tag(draft: Draft, frame: bytes, at: int) -> int:
    """Put the value of the tag at this place; its length."""
    tag = frame[at]
    at += 1
    match tag:
        case 0x01:
            draft.put("latitude_raw", int.from_bytes(frame[at : at + 3], "big", signed=True))
            draft.put("longitude_raw", int.from_bytes(frame[at + 3 : at + 6], "big", signed=True))
            return 6
        case 0x02:
            lat, lon = struct.unpack_from(">ff", frame, at)
            draft.place(lat, lon)
            return 8
        case 0x03:
            draft.put("temperature", struct.unpack_from(">b", frame, at)[0] / 2)
        case 0x04:
            draft.put("voltage", frame[at] / 10)
        case 0x05:
            draft.put("battery", frame[at])
        case 0x06:
            draft.put("wifi.mac", frame[at : at + 6].hex(":"))
            draft.put("wifi.rssi", -frame[at + 6])
            return 7
        case 0x07:
            return 10
        case 0x08:
            return 6
        case 0x09:
            draft.put("speed", frame[at])
        case _:
            draft.put("fence", frame[at])
    return 1

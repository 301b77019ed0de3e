"""Globalstar: satellite trackers (SmartOne, AtlasTrax), as its back office posts what they said, XML or JSON.

`POST /ingest?decoder=globalstar_http_xml`. The device is the `esn`.

    <stuMessages messageID="…"><stuMessage><esn>0-2682225</esn><unixTime>1585105370</unixTime>
    <payload length="9" source="pc" encoding="hex">0x00C583EACD37210A00</payload></stuMessage></stuMessages>

Out, for each message: position, `battery_good`, `input1`, `input1_triggered`, `input2`, `input2_triggered`,
`message_type`, `vibration`, `vibration_triggered`, `motion`. Where the device's model is `AtlasTrax`: position,
`input1`, `input2`, `charging`, `vibration`, `course`, `speed` (km/h), `battery_good`. Raw, truncated and diagnostic
messages are rejected as unsupported. JSON: `deviceInfo` by its own names. A document type in the XML is refused.

Formats: Globalstar's STU message schema, SmartOne's user manual; AtlasTrax as Traccar's decoder has it.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from headwater.errors import Rejected
from headwater.message import Message
from ingest.contract import Payload
from ingest.decoders.clocks import seconds
from ingest.decoders.draft import Draft
from ingest.decoders.naming import device_name
from ingest.decoders.trackers.reading import read_json
from ingest.decoders.trackers.xml_tree import read_xml

_NO_SPEED = 0xFF
_STANDARD = 0


def decode(payload: Payload) -> Sequence[Message | Rejected]:
    """A message for each one in it; raises `Rejected`."""
    data = payload.data.strip()
    made: list[Message | Rejected] = []
    if data[:1] == b"{":
        for item in _devices(read_json(data)):
            try:
                made.append(_from_json(payload, item))
            except Rejected as error:
                made.append(error)
        return made
    root = read_xml(data)
    messages = [root] if root.name == "stuMessage" else root.all("stuMessage")
    if not messages:
        raise Rejected("unsupported", f"`{root.name[:40]}` has no `stuMessage` in it")
    for message in messages:
        try:
            made.append(_from_xml(payload, message.values()))
        except Rejected as error:
            made.append(error)
    return made


def _from_xml(payload: Payload, values: Mapping[str, str]) -> Message:
    esn = values.get("esn", "")
    draft = Draft(payload, device_name(esn) if esn else "")
    draft.at = seconds(values.get("unixTime"))
    try:
        frame = bytes.fromhex(values.get("payload", "").removeprefix("0x").removeprefix("0X"))
    except ValueError:
        raise Rejected("bad_value", "the payload is not hexadecimal") from None
    if len(frame) < 9:
        raise Rejected("bad_value", f"the payload has {len(frame)} bytes, not 9")
    if payload.model.casefold() == "atlastrax":
        _atlas(draft, frame)
    else:
        _smart_one(draft, frame)
    return draft.message()


def _place(draft: Draft, frame: bytes) -> None:
    """Two turns in 24 bits each: a half of the circle is 2^23."""
    lat = int.from_bytes(frame[1:4], "big", signed=True) * 90 / (1 << 23)
    lon = int.from_bytes(frame[4:7], "big", signed=True) * 180 / (1 << 23)
    draft.place(round(lat, 6), round(lon, 6))


def _smart_one(draft: Draft, frame: bytes) -> None:
    flags, state, motion = frame[0], frame[7], frame[8]
    if flags & 3 != _STANDARD:
        raise Rejected("unsupported", f"a message of type {flags & 3} (raw, truncated, diagnostic) has no position")
    if flags & 8:
        draft.note("position", "the device says that it is not valid")
    else:
        _place(draft, frame)
    draft.fields |= {
        "battery_good": not flags & 4,
        "input1_triggered": bool(state & 1),
        "input1": bool(state & 2),
        "input2_triggered": bool(state & 4),
        "input2": bool(state & 8),
        "message_type": state >> 4,
        "vibration_triggered": bool(motion & 0x08),
        "vibration": bool(motion & 0x10),
        "motion": bool(motion & 0x40),
    }


def _atlas(draft: Draft, frame: bytes) -> None:
    flags = frame[0]
    if frame[7] == _NO_SPEED:
        raise Rejected("unsupported", "AtlasTrax: no position was taken")
    _place(draft, frame)
    draft.fields |= {
        "input1": not flags & 2,
        "input2": not flags & 4,
        "charging": not flags & 8,
        "vibration": bool(flags & 16),
        "course": (flags >> 5) * 45,
        "speed": frame[7],
        "battery_good": not frame[8] & 0x80,
    }


def _devices(root: Any) -> Sequence[Mapping[str, Any]]:
    entry = root.get("entry") if isinstance(root, dict) else None  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
    devices = entry.get("devices") if isinstance(entry, dict) else None  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
    if not isinstance(devices, list):
        raise Rejected("missing_field", "there is no `entry.devices`, a list")
    items: list[Any] = devices
    return [item if isinstance(item, dict) else {} for item in items]


def _from_json(payload: Payload, values: Mapping[str, Any]) -> Message:
    identity, place, about = (_object(values, name) for name in ("deviceIdentify", "gpsCoordinate", "deviceInfo"))
    esn = identity.get("esn")
    draft = Draft(payload, device_name(str(esn)) if isinstance(esn, str | int) and esn else "")
    draft.at = seconds(identity.get("unixTime"))
    draft.tree(about)
    battery = about.get("batteryStatus")
    if isinstance(battery, str):
        draft.put("battery_good", battery == "Good")
    if about.get("gpsDataValid") == "Invalid":
        draft.note("position", "the device says that it is not valid")
    else:
        draft.place(place.get("latitude"), place.get("longitude"))
    return draft.message()


def _object(values: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = values.get(name)
    return found if isinstance(found, dict) else {}  # pyright: ignore[reportUnknownVariableType]

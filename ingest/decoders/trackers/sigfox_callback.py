"""Sigfox: callbacks of its backend, and of platforms between, as JSON or a form, also JSON that came URL-encoded.

`POST /ingest?decoder=sigfox_callback`. The device is `device` or `deviceId`.

    {"device": "33827B", "time": "1574346702", "data": "1f03198e63807f08836402ff", "seqNumber": "3662"}

Out: position of `location`, `computedLocation`, `latitude`/`longitude`, `lat`/`lng` (with `data` they are the base
station's: `station.lat`, `station.lng`) or of the data; numbers as numbers, `"null"` absent; `data` as hex. Base
stations are those that heard it. Data that is understood: Oyster's and Yabby's positions (Digital Matter), frames
that begin with 0f or 1f, Amber's (also where the device's model is `Amber`), and `payload` of tag and value: `event`,
`alarm` sos, `temperature`, `voltage`, `battery`, `wifi.mac`, `speed`.

Formats: Sigfox's callback documentation; data as Traccar's decoder of it has them.
"""

import re
import struct
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import unquote_plus

from headwater.errors import Rejected
from headwater.message import Heard, Message
from ingest.contract import Payload
from ingest.decoders.clocks import instant
from ingest.decoders.draft import Draft, as_float
from ingest.decoders.naming import device_name
from ingest.decoders.parts import NESTED
from ingest.decoders.trackers.reading import asked, parameters, read_json
from ingest.decoders.trackers.sigfox_frames import read_frame, read_tagged

_IDS = ("device", "deviceId", "id")
_TIMES = ("time", "timestamp", "positionTime", "lastSeen")
_COUNTS = ("seqNumber", "seqNum", "seqNo")
_HEX = ("data", "payload", "recievedPayload", "receivedPayload")
_TEXTS = {*_IDS, *_HEX, "station", "deviceTypeId", "dlConfig", "fwVersion", "operator", "country", "messageType"}
_TRUTHS = {"moving", "magChange", "magStatus", "newPosition", "duplicate", "ack"}
_ELSEWHERE = {*_IDS, *_COUNTS, "time", "timestamp", "lat", "lng", "latitude", "longitude", "battery"}
_STATION = re.compile(r"[0-9A-Fa-f]{1,8}")


def decode(payload: Payload) -> Sequence[Message | Rejected]:
    """One message; raises `Rejected`."""
    values = _read(payload)
    own = next((str(values[name]) for name in _IDS if values.get(name)), "")
    draft = Draft(payload, device_name(own) if own else "")
    draft.at = next((at for name in _TIMES if (at := instant(values.get(name))) is not None), None)
    count = next((as_float(values[name]) for name in _COUNTS if name in values), None)
    draft.seq = int(count) if count is not None and 0 <= count < 2**53 else None
    for name, value in values.items():
        if name not in _ELSEWHERE:
            _put(draft, name, value)
    _battery(draft, values)
    station = values.get("station")
    if isinstance(station, str) and _STATION.fullmatch(station):
        draft.heard_by.append(Heard(device_name(station), as_float(values.get("rssi")), as_float(values.get("snr"))))
    _data(draft, values, payload.model)
    _position(draft, values)
    return (draft.message(),)


def _read(payload: Payload) -> Mapping[str, Any]:
    data = payload.data.strip()
    if data[:1] not in {b"{", b"["}:
        text = unquote_plus(data.decode("latin-1").partition("=")[0]).strip()
        if not text.startswith("{"):
            return {**asked(payload.source), **dict(parameters(data))}
        data = text.encode("utf-8", "replace")
    value = read_json(data)
    if isinstance(value, list):
        raise Rejected("bad_shape", "a callback is one object")
    return {**asked(payload.source), **value} if payload.source.query else value


def _put(draft: Draft, name: str, value: Any) -> None:
    if isinstance(value, NESTED):
        draft.tree(value, name)
    elif name in _TRUTHS and value in {"true", "false"}:
        draft.put(name, value == "true")
    elif name in _TEXTS and not isinstance(value, bool | None):
        draft.put(name, str(value))
    else:
        draft.number(name, value)


def _battery(draft: Draft, values: Mapping[str, Any]) -> None:
    """`battery` is volts here, `batteryPercentage` what the others call battery."""
    draft.put("voltage", as_float(values.get("battery")))
    draft.put("battery", as_float(values.get("batteryPercentage")))


def _position(draft: Draft, values: Mapping[str, Any]) -> None:
    for name in ("location", "computedLocation"):
        place = values.get(name)
        if isinstance(place, dict):
            found: dict[str, Any] = place
            lng = found.get("lng", found.get("longitude", found.get("lon")))
            draft.place(found.get("lat", found.get("latitude")), lng, None, found.get("radius"))
            return
    if "latitude" in values:
        draft.place(values["latitude"], values.get("longitude"))
    elif "data" in values:
        draft.number("station.lat", values.get("lat"))
        draft.number("station.lng", values.get("lng"))
    else:
        draft.place(values.get("lat"), values.get("lng"))


def _data(draft: Draft, values: Mapping[str, Any], model: str) -> None:
    for name, read in (("data", read_frame), ("payload", read_tagged)):
        text = values.get(name)
        if not isinstance(text, str) or not text:
            continue
        try:
            frame = bytes.fromhex(text.removeprefix("0x"))
        except ValueError:
            draft.note(name, "it is not hexadecimal")
            continue
        try:
            read(draft, frame, model)
        except (IndexError, struct.error):
            draft.note(name, "it is cut short")

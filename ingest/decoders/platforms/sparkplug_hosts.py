"""What hosts of Sparkplug B say: that they are there, and what they ask of a node.

In: the payload of a host's STATE; a time. Out: a status; the command by which a node is asked for a new birth.
"""

from typing import Any

import msgspec

from headwater.errors import Rejected
from headwater.message import Message
from ingest.contract import Payload
from ingest.decoders.draft import Draft
from ingest.decoders.naming import device_name

_host = msgspec.json.Decoder(dict[str, Any])


def rebirth(now: int) -> bytes:
    """A payload with the one metric `Node Control/Rebirth` = true. `now`: microseconds."""
    name, moment = b"Node Control/Rebirth", _number(now // 1000)
    metric = b"\x0a" + bytes([len(name)]) + name + b"\x18" + moment + b"\x20\x0b\x70\x01"
    return b"\x08" + moment + b"\x12" + bytes([len(metric)]) + metric


def _number(number: int) -> bytes:
    """A varint of Protocol Buffers."""
    found = bytearray()
    while number > 127:
        found.append(number & 127 | 128)
        number >>= 7
    return bytes([*found, number])


def state(payload: Payload, host: str) -> Message:
    """A host application says of itself `{"online": true, "timestamp": 1668114759262}`, or formerly `ONLINE`."""
    draft = Draft(payload, device_name(host), "status")
    word = payload.data.strip().upper()
    if word in (b"ONLINE", b"OFFLINE"):
        draft.put("status", word.decode().lower())
        return draft.message()
    try:
        said = _host.decode(payload.data)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise Rejected(
            "bad_json", "the state of a host is JSON with `online` and `timestamp`, or ONLINE or OFFLINE"
        ) from None
    online, moment = said.get("online"), said.get("timestamp")
    if not isinstance(online, bool):
        raise Rejected("missing_field", "the state of a host says `online`: true or false")
    draft.put("status", "online" if online else "offline")
    if online and isinstance(moment, int) and 0 < moment < 1 << 50:
        draft.at = moment * 1000  # the will, which says false, was written when the host connected
    elif isinstance(moment, int):
        draft.put("timestamp", moment)
    return draft.message()

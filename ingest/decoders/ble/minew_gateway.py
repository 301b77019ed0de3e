"""Minew's gateways (G1, MG series): the tags they hear, as JSON-LONG, JSON-RAW, long binary or Minew-Connect.

`POST /ingest?decoder=minew_gateway`, or MQTT on `/gw/GATEWAY/status`, `gw/GATEWAY/…`, `minew/GATEWAY/…`. An array of
JSON begins with the gateway's own row:

    [{"type": "Gateway", "mac": "AC233FC001EA", "gatewayFree": 98, "gatewayLoad": 0.05, "timestamp": …},
     {"type": "S1", "mac": "AC233FA018E3", "rssi": -54, "battery": 100, "temperature": 26.69, "humidity": 65.14, …}]

Out: a message for each row; a tag's device is its MAC address, heard by the gateway. `rawData` is read as an advert:
Minew's own frames (`temperature`, `humidity`, `battery`, `motion` …) and those of all makers that are known; of what
nobody knows, `rssi` and its bytes (`data`) remain. Binary: a message for each advert.

Formats: Minew's G1 data format documents, as barnowl-minew (reelyActive) reads them.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from headwater.errors import Rejected
from headwater.message import Message
from ingest.contract import Payload
from ingest.decoders.ble.crypto import keys_of
from ingest.decoders.ble.heard import hexadecimal, say, tag
from ingest.decoders.ble.minew_binary import read_binary
from ingest.decoders.ble.reading import Key
from ingest.decoders.clocks import instant
from ingest.decoders.draft import Draft
from ingest.decoders.naming import mac_name
from ingest.decoders.parts import NESTED
from ingest.decoders.trackers.reading import read_json

TOPICS = (
    "/gw/{device}/status",
    "#/gw/{device}/status",
    "#/gw/{device}/response",
    "#/gw/{device}/action",
    "#/minew/{device}/#",
)

Object = Mapping[str, Any]

_DONE = {"timestamp", "mac", "rssi", "rawData", "gateway", "raw"}


def recognises(data: bytes) -> bool:
    """Minew's binary protocols, whole, and its JSON by the gateway's row."""
    if data[:1] == b"[":
        return b'"gatewayFree"' in data[:400] or b'"gatewayLoad"' in data[:400]
    return data[:2] == b"\xbb\x01" and data[-1:] == b"\xdd" and int.from_bytes(data[2:6], "big") == len(data)


def decode(payload: Payload) -> Sequence[Message | Rejected]:
    """A message for each row; raises `Rejected`."""
    data = payload.data
    if not data.strip():
        return ()
    key = keys_of(payload)
    if data[:1] == b"\xbb":
        return _binary(payload, data, key)
    value = read_json(data)
    rows: list[Any] = value if isinstance(value, list) else [value]
    gateway = _named(payload, rows)
    made: list[Message | Rejected] = []
    for row in rows:
        try:
            if not isinstance(row, dict):
                raise Rejected("bad_shape", "a row is an object")  # noqa: TRY301 - of one row only
            own: dict[str, Any] = row
            said = _gateway(payload, own, gateway) if _is_gateway(own) else _tag(payload, own, gateway, key)
            made.append(said)
        except Rejected as error:
            made.append(error)
    return made


def _is_gateway(row: Object) -> bool:
    return row.get("type") == "Gateway" or ("gateway" in row and "mac" not in row)


def _named(payload: Payload, rows: Sequence[Any]) -> str:
    """The gateway that the first row names, else the topic or path."""
    first: Any = rows[0] if rows else None
    if isinstance(first, dict):
        row: dict[str, Any] = first
        own = row.get("mac") if row.get("type") == "Gateway" else row.get("gateway")
        if isinstance(own, str) and own:
            return own
    return payload.source.device


def _gateway(payload: Payload, row: Object, gateway: str) -> Message:
    draft = Draft(payload, mac_name(gateway) if gateway else "")
    draft.at = instant(row.get("timestamp"))
    for name, value in row.items():
        if name not in _DONE:
            draft.tree(value, name)
    return draft.message()


def _tag(payload: Payload, row: Object, gateway: str, key: Key) -> Message:
    own = row.get("mac")
    draft = tag(payload, gateway, own if isinstance(own, str) else "", row.get("rssi"))
    draft.at = instant(row.get("timestamp"))
    say(draft, hexadecimal(row.get("rawData") or row.get("raw")), key)
    for name, value in row.items():
        if name not in _DONE:
            draft.number(name, value) if not isinstance(value, NESTED) else draft.tree(value, name)
    return draft.message()


def _binary(payload: Payload, data: bytes, key: Key) -> Sequence[Message | Rejected]:
    made: list[Message | Rejected] = []
    for gateway, address, rssi, advert in read_binary(data):
        try:
            draft = tag(payload, gateway or payload.source.device, address, rssi)
            say(draft, advert, key)
            made.append(draft.message())
        except Rejected as error:
            made.append(error)
    return made

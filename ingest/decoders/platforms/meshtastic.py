"""Meshtastic: nodes of a LoRa mesh, as a gateway node publishes their packets in JSON.

Topics: `msh/REGION/2/json/CHANNEL/!GATEWAY`, `msh/REGION/2/e/CHANNEL/!GATEWAY`, `msh/REGION/2/map/` and
`msh/REGION/2/stat/!GATEWAY`, also with more or fewer levels of a root. Packets in Protocol Buffers say the same as
JSON, unless they are `encrypted`: then turn "encryption enabled" off in the gateway's MQTT settings, or JSON output on.
By HTTP `?decoder=meshtastic`.

    {"from": 3818489127, "sender": "!833c2233", "type": "telemetry", "id": 603466231, "timestamp": 1763700000,
     "rssi": -14, "snr": 11.25, "payload": {"battery_level": 93, "voltage": 4.1}}

Comes out: device `e3998527` (`from`, in hex), heard by the gateway `833c2233` with RSSI and SNR. Telemetry has its own
names, `battery_level` is `battery`, above 100 it is powered; a position is the position; a nodeinfo or map report is a
description (name, short_name); texts, waypoints, routes and detections are events; the gateway's own state is a
status. The packet's id is the message's id, so what several gateways heard counts once.

Source of the format: Meshtastic firmware, MeshPacketSerializer, and its .proto; documentation, "MQTT Module".
"""

from collections.abc import Mapping, Sequence
from typing import Any

from headwater.errors import Rejected
from headwater.message import Heard, Message
from ingest.contract import Payload
from ingest.decoders.clocks import instant
from ingest.decoders.draft import COMMAND, Draft, as_float
from ingest.decoders.naming import device_name
from ingest.decoders.platforms.jsons import read_object, text_at
from ingest.decoders.platforms.meshtastic_packets import envelope

_EVENTS = frozenset({"text", "waypoint", "traceroute", "detection", "gpios_read_reply"})
_KINDS = {"nodeinfo": "description", "mapreport": "description"}
_PLACES = ("position", "mapreport")
_ABOUT = {
    **dict.fromkeys(("longname", "longName", "long_name"), "name"),
    **dict.fromkeys(("shortname", "shortName"), "short_name"),
    "hw_model": "model",
    "firmware_version": "firmware",
}
_COMMANDS = frozenset({"sendtext", "sendposition"})
"""What others publish below `json/mqtt` for a gateway to send."""

_LINK = ("hops_away", "hop_start", "channel", "to")
_ENVELOPE = frozenset({"from", "sender", "type", "id", "timestamp", "rssi", "snr", "payload", *_LINK})
_POWERED = 101
_EVERYONE = 0xFFFF_FFFF


def decode(payload: Payload) -> Sequence[Message | Rejected]:
    """One message."""
    levels = payload.source.topic.split("/")
    data = payload.data.strip()
    if not data:
        return ()
    if "stat" in levels:
        return [_state(payload, levels[-1], data)]
    said = read_object(data) if data[:1] == b"{" else envelope(payload.data)
    return _packet(payload, said, levels[-1] if levels[-1].startswith("!") else "")


def _state(payload: Payload, gateway: str, data: bytes) -> Message:
    word = data.decode("ascii", "replace").lower()
    if word not in ("online", "offline"):
        raise Rejected("bad_value", "the state of a gateway is online or offline")
    draft = Draft(payload, _node(gateway), "status")
    draft.put("status", word)
    return draft.message()


def _packet(payload: Payload, said: dict[str, Any], gateway: str) -> list[Message]:
    kind = text_at(said, "type")
    sender = text_at(said, "sender") or gateway
    own = _node(said["from"]) if isinstance(said.get("from"), int) else _node(sender)
    values = said.get("payload")
    if "payload" not in said:  # also those who write the values beside the type
        values = {name: value for name, value in said.items() if name not in _ENVELOPE}
    if not kind or values in (None, {}):
        raise Rejected("unsupported", f"a packet of type {kind or 'unknown'} has no values in JSON")
    draft = Draft(payload, own, _kind(kind))
    draft.at = instant(said.get("timestamp"))
    draft.id = text_at(said, "id")[:64]
    _link(draft, said, _node(sender))
    if kind in _EVENTS:
        draft.put("event", kind)
    if isinstance(values, dict):
        _values(draft, kind, values)
    else:
        draft.tree(values, kind)
    return draft.messages()


def _kind(kind: str) -> str:
    if kind in _EVENTS:
        return "event"
    return COMMAND if kind in _COMMANDS else _KINDS.get(kind, "telemetry")


def _link(draft: Draft, said: Mapping[str, Any], gateway: str) -> None:
    """How it came: a gateway's own packets have not been heard by it."""
    for name in _LINK:
        value = said.get(name)
        if name == "to" and isinstance(value, int):
            value = "everyone" if value & _EVERYONE == _EVERYONE else _node(value)
        if not isinstance(value, dict | list):
            draft.put(name, value)
    rssi, snr = as_float(said.get("rssi")), as_float(said.get("snr"))
    if gateway and gateway != draft.device:
        draft.heard_by.append(Heard(gateway, rssi or None, snr))
    if rssi:  # 0: it was not heard by radio
        draft.put("rssi", rssi)
        draft.put("snr", snr)


def _values(draft: Draft, kind: str, values: dict[str, Any]) -> None:
    if kind in _PLACES:
        draft.place(_degrees(values.get("latitude_i")), _degrees(values.get("longitude_i")), values.get("altitude"))
    for name, value in values.items():
        if kind in _PLACES and name in ("latitude_i", "longitude_i", "altitude"):
            continue
        if kind in _KINDS:
            draft.tree(value, _ABOUT.get(name, name))
        elif kind == "text" and isinstance(value, str):
            draft.put(name, value.replace("\0", ""))
        elif name == "battery_level":
            _battery(draft, value)
        else:
            draft.tree(value, name)


def _battery(draft: Draft, value: Any) -> None:
    level = as_float(value)
    if level is not None and level >= _POWERED:
        draft.note("battery", f"{value}: it is powered")
        draft.put("powered", value=True)
    elif level is not None:
        draft.put("battery", value)


def _degrees(value: Any) -> float | None:
    found = as_float(value)
    return None if found is None else round(found / 1e7, 7)


def _node(own: int | str) -> str:
    """`!833c2233`, or its number, also a negative one, → `833c2233`."""
    if isinstance(own, int):
        return f"{own & 0xFFFF_FFFF:08x}"
    return device_name(own.lstrip("!")) if own.lstrip("!") else ""

"""ThingsBoard: what devices and gateways made for it send by its MQTT and HTTP device API.

Topics: `v1/devices/me/telemetry`, `.../attributes`, `.../rpc/...`, the short ones `v2/t`, `v2/a`, `v2/r/...`, and of
gateways `v1/gateway/telemetry`, `attributes`, `connect`, `disconnect`, `rpc`. By HTTP `?decoder=thingsboard`, where the
shape says what it is. `me` is whoever has logged in, or the device of the path.

    [{"ts": 1763700000000, "values": {"temperature": 26, "humidity": 87}}]

Comes out: a message for each time; attributes are descriptions; a gateway's children (`{"Device A": [...]}`) are
devices of their own, heard by the gateway; connect and disconnect are their status. What the platform says (answers to
requests, calls, shared attributes of a child) is of kind `command`, an answer to a call is an event.

Source of the format: ThingsBoard documentation, "MQTT Device API" and "MQTT Gateway API".
"""

from collections.abc import Mapping, Sequence
from typing import Any

from headwater.errors import Rejected
from headwater.message import Heard, Message
from ingest.contract import Payload
from ingest.decoders.clocks import instant
from ingest.decoders.draft import Draft
from ingest.decoders.many import each
from ingest.decoders.naming import device_name
from ingest.decoders.parts import short
from ingest.decoders.platforms.jsons import read, text_at

_SHORT = {"t": "telemetry", "a": "attributes", "r": "rpc"}


def decode(payload: Payload) -> Sequence[Message | Rejected]:
    """Messages of a device, or of a gateway's children."""
    if not payload.data.strip():
        return ()
    levels = payload.source.topic.split("/")
    action, rest, gateway = _action(levels)
    if action in ("claim", "provision", "sw", "fw"):
        raise Rejected("unsupported", f"{short(action)} is between a device and ThingsBoard; it has no values")
    if levels[-1] == "p":
        raise Rejected("unsupported", "ThingsBoard's Protocol Buffers depend on a profile; send JSON")
    said = read(payload.data)
    if gateway:
        return _gateway(payload, action, rest, said)
    if action == "rpc":
        return _call(payload, "", rest, said)
    if action == "attributes":
        if rest[:1] == ["request"]:
            return ()
        return _values(payload, "", "command" if rest else "description", said)
    return _telemetry(payload, "", said)


def _action(levels: list[str]) -> tuple[str, list[str], bool]:
    """(what it is, further levels, whether a gateway speaks)."""
    for place, level in enumerate(levels[:-1]):
        if level == "v1" and levels[place + 1] == "gateway" and len(levels) > place + 2:
            return levels[place + 2], levels[place + 3 :], True
        if level == "v1" and levels[place + 1] == "devices" and len(levels) > place + 3:
            return levels[place + 3], levels[place + 4 :], False
        if level == "v2":
            short_rest = {"req": "request", "res": "response"}
            rest = [short_rest.get(one, one) for one in levels[place + 2 :]]
            return (
                _SHORT.get(levels[place + 1], levels[place + 1]),
                [one for one in rest if one not in ("j", "p")],
                False,
            )
    return "", [], False


def _gateway(payload: Payload, action: str, rest: list[str], said: Any) -> list[Message | Rejected]:
    if not isinstance(said, dict):
        raise Rejected("bad_shape", "what a gateway says is an object")
    child = text_at(said, "device")
    if action in ("connect", "disconnect"):
        draft = _draft(payload, child, "status")
        draft.put("status", "online" if action == "connect" else "offline")
        draft.put("type", said.get("type"))
        return [draft.message()]
    if action == "rpc":
        inner = said.get("data")
        method = isinstance(inner, dict) and "method" in inner
        return _call(payload, child, ["request" if method else "response"], inner)
    if action == "attributes":
        if rest[:1] == ["request"]:
            return []
        if rest or ("data" in said and child):  # said to the child: an answer, or a shared attribute that changed
            return _values(
                payload, child, "command", said.get("data") or said.get("values") or {"value": said.get("value")}
            )
    if action == "attributes":
        return each(said.items(), lambda one: _values(payload, one[0], "description", one[1]))
    return each(said.items(), lambda one: _telemetry(payload, *one))


def _telemetry(payload: Payload, child: str, said: Any) -> list[Message | Rejected]:
    """Values, values with a time, or a list of either."""
    return each(said if isinstance(said, list) else [said], lambda one: _point(payload, child, one))


def _point(payload: Payload, child: str, one: Any) -> list[Message | Rejected]:
    if isinstance(one, dict) and isinstance(one.get("values"), dict) and ("ts" in one or len(one) == 1):
        return _values(payload, child, "telemetry", one["values"], one.get("ts"))
    return _values(payload, child, "telemetry", one)


def _values(payload: Payload, child: str, kind: str, said: Any, ts: Any = None) -> list[Message | Rejected]:
    if not isinstance(said, dict):
        raise Rejected("bad_shape", "values are an object of names and values, with `ts` or without")
    draft = _draft(payload, child, kind)
    draft.at = instant(ts)
    draft.tree(said)
    _place(draft, said)
    if draft.empty or not (draft.fields or draft.texts):
        raise Rejected("no_fields", "there is no value in it")
    return [*draft.messages()]


def _call(payload: Payload, child: str, rest: list[str], said: Any) -> list[Message | Rejected]:
    """A remote procedure call is said to a device; its answer, and a call by the device, are events."""
    to_device = rest[:1] == ["request"]
    draft = _draft(payload, child, "command" if to_device else "event")
    draft.tree(said if isinstance(said, dict) else {"value": said})
    return [*draft.messages()]


def _draft(payload: Payload, child: str, kind: str) -> Draft:
    if not child:
        return Draft(payload, kind=kind)
    draft = Draft(payload, device_name(child), kind)
    gateway = payload.source.device
    if gateway and gateway != draft.device:
        draft.heard_by.append(Heard(gateway))
    return draft


def _place(draft: Draft, said: Mapping[str, Any]) -> None:
    if "latitude" in said and "longitude" in said:
        draft.place(said["latitude"], said["longitude"], said.get("altitude"))

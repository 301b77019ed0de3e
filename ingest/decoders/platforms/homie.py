"""Homie: devices that say on MQTT what they are and have, one topic a value; conventions 2 to 5.

Topics: `homie/DEVICE/...` and, of convention 5, `homie/5/DEVICE/...`. A property's value stands alone on its topic:

    homie/5/super-car/engine/temperature → 21.5

Comes out: device `super-car`, field `engine.temperature` = 21.5. Which type a value has comes from `$description` or
`$datatype`; before these are known a number is a number, true and false are booleans. `$state` is a status (online:
ready, alert, sleeping; offline: disconnected, lost; the word itself is `state`), and a lost root device takes its
children with it. `$name`, `$fw/...`, `$mac`, `$localip`, `$implementation`, `$description` and units are descriptions;
`$stats/...` telemetry (`stats.uptime`, `battery`); `.../set` and `$target` are of kind `command`; `$log` and `$alert`
are events. Broadcasts, and what is deleted, say nothing.

Source of the format: Homie convention, 2.0 to 5.0.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from headwater.errors import Rejected
from headwater.message import Message
from ingest.contract import Payload
from ingest.decoders.draft import Draft, numeric
from ingest.decoders.naming import device_name
from ingest.decoders.platforms.jsons import read_object, text_at
from ingest.decoders.units import UNITS, normal

_STATES = {
    "ready": "online",
    "alert": "online",
    "sleeping": "online",
    "disconnected": "offline",
    "lost": "offline",
}
_ABOUT = {
    "$name": "name",
    "$implementation": "model",
    "$fw/name": "firmware_name",
    "$fw/version": "firmware",
    "$mac": "mac",
    "$localip": "ip",
    "$type": "type",
    "$homie": "homie",
}
_SILENT = frozenset(
    {"$nodes", "$extensions", "$properties", "$broadcast", "$format", "$settable", "$retained", "$array"}
)
_TEXTS = frozenset({"string", "enum", "color", "datetime", "duration"})
_MOST = 1000

Known = dict[str, Sequence[str]]
"""(datatype, unit) by field."""


def decode(payload: Payload) -> Sequence[Message | Rejected]:
    """What one topic says."""
    levels = payload.source.topic.split("/")
    if "homie" not in levels[:-1]:
        raise Rejected("bad_topic", "values of Homie need their topic: homie/DEVICE/NODE/PROPERTY")
    levels = levels[levels.index("homie") + 1 :]
    if levels[0] == "5" and len(levels) > 1:
        levels = levels[1:]
    device, rest = levels[0], levels[1:]
    if not payload.data or device == "$broadcast" or not rest:
        return ()
    text = "" if payload.data == b"\0" else payload.data.decode("utf-8", "replace")
    own = device_name(device)
    if rest[0].startswith("$"):
        return _device(payload, own, rest, text)
    return _node(payload, own, rest, text)


def _device(payload: Payload, own: str, rest: list[str], text: str) -> Sequence[Message | Rejected]:
    """An attribute of the device itself."""
    name = "/".join(rest)
    match rest[0]:
        case "$state" | "$online":
            return _state(payload, own, text)
        case "$description":
            return _description(payload, own, payload.data)
        case "$stats" if len(rest) > 1 and rest[1] != "interval":
            draft = Draft(payload, own)
            draft.number("battery" if rest[1] == "battery" else f"stats.{rest[1]}", text)
        case "$log" | "$alert":
            draft = Draft(payload, own, "event")
            draft.put("event", ".".join(rest)[1:])
            draft.put("text", text)
        case _:
            if name not in _ABOUT:
                return ()
            draft = Draft(payload, own, "description")
            draft.put(_ABOUT[name], text)
    return () if draft.empty else draft.messages()


def _state(payload: Payload, own: str, text: str) -> list[Message]:
    word = {"true": "ready", "false": "lost"}.get(text, text)  # convention 2 says $online
    made: list[Message] = []
    for device in (own, *(_children(payload, own) if word == "lost" else ())):
        draft = Draft(payload, device, "status")
        draft.put("state", word)
        draft.put("status", _STATES.get(word))
        made += draft.messages()
    return made


def _children(payload: Payload, own: str) -> list[str]:
    known = payload.context.recall(f"homie/{own}/children")
    return known if isinstance(known, list) else []


def _description(payload: Payload, own: str, data: bytes) -> Sequence[Message | Rejected]:
    """The document of convention 5."""
    said = read_object(data)
    draft = Draft(payload, own, "description")
    for name in ("name", "type", "homie", "parent", "root"):
        draft.put(name, text_at(said, name))
    known: Known = {}
    for node, about in _objects(said.get("nodes")):
        for part, prop in _objects(about.get("properties")):
            unit, field = text_at(prop, "unit"), f"{node}.{part}"
            known[field] = (text_at(prop, "datatype"), unit)
            draft.put(f"unit.{field}", UNITS[unit].usual if unit in UNITS else unit)
    payload.context.learn(own, f"homie/{own}", known, payload.received)
    children = said.get("children")
    if isinstance(children, list):
        names = [device_name(child) for child in children[:_MOST] if isinstance(child, str) and child]
        payload.context.learn(own, f"homie/{own}/children", names, payload.received)
    return () if draft.empty else draft.messages()


def _objects(said: Any) -> list[tuple[str, Mapping[str, Any]]]:
    return [(name, about) for name, about in said.items() if isinstance(about, dict)] if isinstance(said, dict) else []


def _node(payload: Payload, own: str, rest: list[str], text: str) -> Sequence[Message | Rejected]:
    """A property, or an attribute of a node or property."""
    if len(rest) == 1 or rest[1] in ("$name", "$type") or rest[-1] in _SILENT:
        return ()
    field = f"{rest[0]}.{rest[1]}"
    last = rest[2] if len(rest) > 2 else ""
    if last in ("$datatype", "$unit"):
        if len(payload.context.below(f"homie{last}/{own}")) < _MOST:
            payload.context.learn(own, f"homie{last}/{own}/{field}", text, payload.received)
        if last == "$datatype":
            return ()
        draft = Draft(payload, own, "description")
        draft.put(f"unit.{field}", UNITS[text].usual if text in UNITS else text)
        return draft.messages()
    if last not in ("", "set", "$target"):
        return ()
    draft = Draft(payload, own, "command" if last else "telemetry")
    _value(draft, field, text, *_known(payload, own, field))
    return () if draft.empty else draft.messages()


def _known(payload: Payload, own: str, field: str) -> tuple[str, str]:
    """(datatype, unit) of a field: by convention 5 in the device's document, before that in topics of their own."""
    known = payload.context.recall(f"homie/{own}")
    types: Known = known if isinstance(known, dict) else {}
    datatype, unit = types.get(field, ("", ""))
    said = [payload.context.recall(f"homie{last}/{own}/{field}") for last in ("$datatype", "$unit")]
    return str(said[0] or datatype), str(said[1] or unit)


def _value(draft: Draft, field: str, text: str, datatype: str, unit: str) -> None:
    number = None if datatype in _TEXTS else numeric(text)
    if number is not None:
        draft.put(field, normal(number, unit))
    elif datatype not in _TEXTS and text in ("true", "false"):
        draft.put(field, text == "true")
    elif datatype in ("integer", "float"):
        draft.note(field, f"{text[:64]} is no number")
    else:
        draft.put(field, text)

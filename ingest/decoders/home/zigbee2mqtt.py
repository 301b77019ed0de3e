"""Zigbee2MQTT: a bridge between Zigbee devices and MQTT.

Topics: `zigbee2mqtt/NAME` (state, JSON), `zigbee2mqtt/NAME/ATTRIBUTE` (the same as one bare value each),
`zigbee2mqtt/NAME/availability`, `…/set`, `…/get`, `zigbee2mqtt/bridge/…`; NAME, the friendly name, may have slashes.
Another base topic: name it in the configuration's topics of this decoder.

Out: names as Zigbee2MQTT writes them, nested ones with dots: `{"temperature":21.5,"battery":98,"linkquality":80}`.
`last_seen` is the time. A message with `action` is an event; availability is a status; `set` and `get` are commands.
`bridge/devices`, `bridge/groups` and `bridge/info` describe: name, model, manufacturer, firmware, units of all fields.
The bridge itself is a device named like the base topic.

Format: zigbee2mqtt.io, "MQTT topics and messages", "Exposes".
"""

from collections.abc import Mapping, Sequence
from typing import Any

from headwater.errors import Rejected
from headwater.message import Message
from ingest.contract import Payload
from ingest.decoders.clocks import instant
from ingest.decoders.draft import Draft
from ingest.decoders.home import zigbee2mqtt_bridge as bridge
from ingest.decoders.home.values import bare, fill, read
from ingest.decoders.naming import device_name
from ingest.decoders.parts import short

TOPICS = (
    "#/zigbee2mqtt/bridge/#",
    "#/zigbee2mqtt/{device#}/availability",
    "#/zigbee2mqtt/{device#}/set|get",
    "#/zigbee2mqtt/{device#}/set|get/+",
    "#/zigbee2mqtt/{device#}",
)
_BASE = "zigbee2mqtt"


def decode(payload: Payload) -> Sequence[Message | Rejected]:
    """A payload of any of the topics, or the JSON of a device's state."""
    if not payload.data.strip():
        return ()
    base, levels = _place(payload.source.topic, payload.source.device)
    value = read(payload.data)
    if levels[:1] == ["bridge"]:
        return bridge.decode(payload, base, "/".join(levels[1:]), value)
    for at in (-1, -2):
        if len(levels) > -at and levels[at] in {"set", "get"}:
            return _command(payload, levels[:at], levels[at], levels[at + 1] if at < -1 else "", value)
    if levels[-1:] == ["availability"]:
        return [_availability(payload, levels[:-1], value)]
    if isinstance(value, dict):
        return _state(payload, levels, value)
    if isinstance(value, list):
        raise Rejected("bad_shape", "a device's state is a JSON object, this is an array")
    return [_attribute(payload, levels, value)]


def _place(topic: str, device: str) -> tuple[str, list[str]]:
    """The base topic, and the levels after it: where another base topic is configured, from the device's on."""
    levels = topic.split("/") if topic else []
    at = 0
    if _BASE in levels:
        at = levels.index(_BASE)
    elif device:
        starts = (at for at in range(len(levels) - 1) if _named(levels[at + 1 :]) == device)
        at = next(starts, 0)
    return "/".join(levels[: at + 1]) or _BASE, levels[at + 1 :]


def _named(levels: Sequence[str]) -> str:
    return device_name("/".join(levels)) if levels else ""


def _state(payload: Payload, levels: Sequence[str], value: dict[str, Any]) -> list[Message | Rejected]:
    """Everything known of the device; with `device` in it also what it is."""
    made: list[Message | Rejected] = []
    device = _named(levels)
    about = value.get("device")
    if isinstance(about, dict) and ("friendlyName" in about or "ieeeAddr" in about):
        value = {name: item for name, item in value.items() if name != "device"}
        made.append(bridge.information(payload, device, about))
    seen = value.get("last_seen")
    happened = value.get("action") not in {None, ""} if isinstance(value.get("action"), str | None) else False
    draft = Draft(payload, device, "event" if happened else "telemetry")
    draft.at = instant(seen)
    fill(draft, value if draft.at is None else {name: item for name, item in value.items() if name != "last_seen"})
    for name in ("update.installed_version", "update.latest_version"):
        if draft.fields.get(name) == -1:
            del draft.fields[name]
            draft.note(name, "-1: not known")
    if draft.empty and (made or (value and all(item is None for item in value.values()))):  # nothing is known yet
        return made
    return [*made, *draft.messages()]


def _attribute(payload: Payload, levels: Sequence[str], text: str) -> Message:
    """One value under a topic of its own; `color-x` is `color.x`."""
    if len(levels) < 2:
        raise Rejected("bad_json", f"a device's state is a JSON object, this is {short(text)}")
    draft = Draft(payload, _named(levels[:-1]))
    name = levels[-1].replace("-", ".")
    if name == "last_seen":
        draft.at = instant(text)
    draft.put(name, bare(text))
    return draft.message()


def _availability(payload: Payload, levels: Sequence[str], value: Any) -> Message:
    said = value.get("state") if isinstance(value, Mapping) else value
    draft = Draft(payload, _named(levels), "status")
    draft.texts["status"] = bridge.state_of(said)
    return draft.message()


def _command(payload: Payload, levels: Sequence[str], verb: str, attribute: str, value: Any) -> list[Message]:
    """What others say to the device: values to set, or names of what it is to report."""
    draft = Draft(payload, _named(levels), "command")
    if verb == "get":
        names = [attribute] if attribute else list(value) if isinstance(value, dict) else [str(value)]
        draft.put("get", ",".join(names))
    elif isinstance(value, dict):
        fill(draft, {f"{attribute}.{name}" if attribute else name: item for name, item in value.items()})
    else:
        draft.tree(bare(value) if isinstance(value, str) else value, attribute or "state")
    if draft.empty:
        draft.texts["command"] = verb
    return draft.messages()

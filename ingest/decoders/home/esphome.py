"""ESPHome: firmware for ESP32, ESP8266 and others, by its MQTT component.

Topics, below a prefix that is the device's name or one's own: `PREFIX/sensor/ID/state`,
`PREFIX/binary_sensor/ID/state`, `PREFIX/switch/ID/state`, `PREFIX/light/ID/state` (JSON),
`PREFIX/climate/ID/mode/state` …, `…/command`, `PREFIX/status`, `PREFIX/debug`; `esphome/discover/NAME`.

Out: `PREFIX/sensor/temperature/state` `24.8` → `sensor.temperature` 24.8; `climate.heater.mode` `heat`. Binary sensors
and switches are booleans; `nan` is no value. `status` is a status, a line of the log an event, `command` a command.
What the fields are called and measured in comes by Home Assistant's discovery, which ESPHome sends by itself.

Format: esphome.io, "MQTT Client Component".
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from headwater.errors import Rejected
from headwater.message import Message
from ingest.contract import Payload
from ingest.decoders.draft import Draft
from ingest.decoders.home import ha_mqtt_discovery, shelly_gen2
from ingest.decoders.home.values import bare, fill, read, text_of
from ingest.decoders.naming import device_name
from ingest.decoders.parts import short

COMPONENTS = (
    *("sensor", "binary_sensor", "switch", "light", "climate", "cover", "fan", "lock", "number", "select", "text"),
    *("text_sensor", "button", "event", "valve", "update", "date", "time", "datetime", "alarm_control_panel"),
)
TOPICS = (
    "esphome/discover/{device}",
    f"{{device#}}/{'|'.join(COMPONENTS)}/+/state|command",
    f"{{device#}}/{'|'.join(COMPONENTS)}/+/+/state|command",
    "{device#}/debug",
    "{device#}/status",
)
_BOOLEANS = frozenset({"binary_sensor", "switch"})
_COLOURS = re.compile(r"\x1b\[[0-9;]{0,16}m")


def decode(payload: Payload) -> Sequence[Message | Rejected]:
    """A payload of any of the topics."""
    if not payload.data.strip():
        return ()
    topic = payload.source.topic
    if topic.endswith("/config"):
        return ha_mqtt_discovery.decode(payload)
    if topic.endswith("/debug"):
        return [_log(payload)]
    value = read(payload.data)
    if isinstance(value, dict) and topic.endswith("/status") and "sys" in value:
        return shelly_gen2.decode(payload)
    return _said(payload, topic, value)


def _said(payload: Payload, topic: str, value: Any) -> list[Message]:
    device, parts = _place(topic)
    device = payload.source.device or device
    if isinstance(value, dict) and "mac" in value and "version" in value:
        return [_described(payload, value)]
    if topic.endswith("/status") or not parts:
        return [_status(payload, device, value)]
    name = ".".join(parts[:-1])
    if parts[-1] == "command":
        draft = Draft(payload, device, "command")
        draft.tree(bare(value) if isinstance(value, str) else value, name)
        return draft.messages()
    return _state(payload, device, parts[0], name, value)


def field_of(topic: str) -> str:
    """`a/b/climate/x/mode/state` → `climate.x.mode`; "" for a topic that has no component."""
    return ".".join(_place(topic)[1][:-1])


def _place(topic: str) -> tuple[str, list[str]]:
    """The device, and the levels from the component on."""
    levels = topic.split("/")
    for back in (3, 4):
        if len(levels) > back and levels[-back] in COMPONENTS:
            return device_name("/".join(levels[:-back])), levels[-back:]
    return "", []


def _state(payload: Payload, device: str, component: str, name: str, value: Any) -> list[Message]:
    """The state of one component: a bare value, or the JSON of a lamp, an event, an update."""
    draft = Draft(payload, device, "event" if component == "event" else "telemetry")
    if isinstance(value, Mapping):
        fill(draft, value, f"{name}.")
    elif isinstance(value, list):
        raise Rejected("bad_shape", "a state is a value or a JSON object, this is an array")
    elif component in _BOOLEANS and value in {"ON", "OFF"}:
        draft.fields[name] = value == "ON"
    elif value.casefold() == "nan":
        draft.note(name, "nan: no reading")
    else:
        draft.put(name, bare(value))
    return [] if draft.empty else draft.messages()


def _status(payload: Payload, device: str, value: Any) -> Message:
    said = value.casefold() if isinstance(value, str) else ""
    if said not in {"online", "offline"}:
        raise Rejected("bad_value", f"a status is online or offline, this is {short(str(value))}")
    draft = Draft(payload, device, "status")
    draft.texts["status"] = said
    return draft.message()


def _log(payload: Payload) -> Message:
    draft = Draft(payload, kind="event")
    line = _COLOURS.sub("", payload.data[:4096].decode("utf-8", "replace")).strip()
    draft.put("log", "".join(letter if letter.isprintable() else " " for letter in line))
    if line[:1] == "[" and line[2:3] == "]":
        draft.put("level", line[1])
    return draft.message()


def _described(payload: Payload, value: Mapping[str, Any]) -> Message:
    """What `esphome/discover` says."""
    draft = Draft(payload, device_name(text_of(value, "name")) if "name" in value else "", "description")
    fill(draft, {key: item for key, item in value.items() if key not in {"name", "friendly_name", "version"}})
    draft.put("name", text_of(value, "friendly_name", "name"))
    draft.put("firmware", text_of(value, "version"))
    draft.put("model", text_of(value, "board", "platform"))
    draft.texts["manufacturer"] = "ESPHome"
    return draft.message()

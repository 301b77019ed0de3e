"""Shelly devices of the second generation and later (Plus, Pro, Mini, Gen3, Gen4, BLU Gateway).

Topics, below a prefix that is the device's id or one's own: `PREFIX/events/rpc`, `PREFIX/status/switch:0`,
`PREFIX/status`, `PREFIX/online`, `PREFIX/rpc`, `PREFIX/command/switch:0`, `PREFIX/debug/log`; by HTTP the answers of
`Shelly.GetStatus`, `Shelly.GetDeviceInfo`, `Shelly.GetConfig`, `Switch.GetStatus` …

Out: names as Shelly writes them below their component: `{"id":0,"apower":8.9,"temperature":{"tC":44.1}}` on
`status/switch:0` → `switch:0.apower`, `switch:0.temperature.tC`; `aenergy.total` is Wh. `rssi` and `battery` beside
them. `NotifyEvent` are events, each a message; a BLU device that a script reads, and what its scanner hears, are
devices of their own, by the Bluetooth formats known here. `online` is a status; `GetDeviceInfo` and `GetConfig`
describe; `rpc` with a method, and `command`, are commands.

Format: Shelly Gen2 API reference (shelly-api-docs.shelly.cloud/gen2), RPC protocol and MQTT.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from headwater.errors import Rejected
from headwater.message import Message
from ingest.contract import Payload
from ingest.decoders.clocks import instant
from ingest.decoders.draft import Draft
from ingest.decoders.home import shelly_events
from ingest.decoders.home.shelly_status import report, tidy
from ingest.decoders.home.values import fill, pairs, read, text_of
from ingest.decoders.naming import device_name, mac_name
from ingest.decoders.parts import short

_SINGLE = "*:*|sys|wifi|ble|mqtt|cloud|ws|eth|modbus|bthome|knx|matter|ui|plugs_ui"
_PARTS = ("events/rpc", f"status/{_SINGLE}", "command/*:*", "debug/log", "online")
TOPICS = (
    *(f"#/shellies/{{device}}/{part}" for part in (*_PARTS, "rpc")),
    *(f"{{device:shelly*}}/{part}" for part in (*_PARTS, "rpc|status|announce|command")),
    *(f"{{device#}}/{part}" for part in _PARTS),
)
_COMPONENTS = (  # a field that only this component has, and the component
    ("current_pos", "cover"),
    ("last_direction", "cover"),
    ("brightness", "light"),
    ("output", "switch"),
    ("tC", "temperature"),
    ("rh", "humidity"),
    ("battery", "devicepower"),
    ("a_act_power", "em"),
    ("act_power", "em1"),
)


def decode(payload: Payload) -> Sequence[Message | Rejected]:
    """A payload of any of the topics, or the JSON of an HTTP answer."""
    if not payload.data.strip():
        return report(payload, pairs(payload.source.query)) if payload.source.query else ()
    device, part = _place(payload)
    value = read(payload.data)
    if isinstance(value, str):
        return [_text(payload, device, part, value)]
    if isinstance(value, list):
        raise Rejected("bad_shape", "Shelly sends JSON objects, this is an array")
    if part.startswith("command"):
        return _command(payload, device, part.removeprefix("command/"), value)
    if "method" in value or "result" in value or "error" in value:
        return _frame(payload, device, value)
    if part.startswith("status/"):
        return _component(payload, device, part.removeprefix("status/"), value)
    return _answer(payload, device, value)


def recognises(data: bytes) -> bool:
    """A notification."""
    return data.startswith((b'{"src":"shelly', b'{"src": "shelly'))


def _place(payload: Payload) -> tuple[str, str]:
    """The device, and the part of the topic after it."""
    topic, own = payload.source.topic, payload.source.device
    for mark in (
        "/status/",
        "/events/rpc",
        "/command/",
        "/online",
        "/debug/log",
        "/status",
        "/announce",
        "/command",
        "/rpc",
    ):
        before, found, after = topic.partition(mark)
        if found and (mark.endswith("/") or not after):
            return own or device_name(before), mark[1:] + after
    return own, ""


def _frame(payload: Payload, device: str, frame: Mapping[str, Any]) -> Sequence[Message | Rejected]:
    """A frame of the RPC protocol: a notification, a request, or the answer to one."""
    source = text_of(frame, "src")
    if "method" not in frame:
        device = payload.source.device or device_name(source) if source else device
        result = frame.get("result")
        if isinstance(result, dict) and result:
            return _answer(payload, device, result)
        draft = Draft(payload, device, "event")
        draft.tree(frame.get("error"), "error")
        draft.put("request", text_of(frame, "id"))
        return draft.messages()
    device = device or (device_name(source) if source else "")
    method, params = text_of(frame, "method"), frame.get("params")
    if not isinstance(params, dict):
        params = {}
    if method in {"NotifyStatus", "NotifyFullStatus"}:
        return _status(payload, device, params)
    if method == "NotifyEvent":
        return shelly_events.events(payload, device, params)
    return _command(payload, device, method, params)


def _status(payload: Payload, device: str, status: Mapping[str, Any]) -> list[Message]:
    """Components and what is said of them; `ts`, or the system's clock, is the time."""
    system = status.get("sys")
    clock = status.get("ts", system.get("unixtime") if isinstance(system, dict) else None)
    if not device and isinstance(system, dict):
        mac = text_of(system, "mac")
        device = mac_name(mac) if mac else ""
    draft = Draft(payload, device)
    draft.at = instant(clock)
    for name, said in status.items():
        if name == "ts":
            continue
        if isinstance(said, dict):
            fill(draft, _without_id(name, said), f"{name}.")
        else:
            draft.tree(said, name)
    tidy(draft)
    return [] if draft.empty else draft.messages()


def _component(payload: Payload, device: str, name: str, value: Mapping[str, Any]) -> list[Message]:
    return _status(payload, device, {name: value})


def _without_id(name: str, said: Mapping[str, Any]) -> Mapping[str, Any]:
    """The component's number is in its name."""
    return {key: item for key, item in said.items() if key != "id"} if ":" in name else said


def _answer(payload: Payload, device: str, value: dict[str, Any]) -> list[Message]:
    """The answer of a Get… method, or a whole status."""
    device = device or payload.source.device
    system = value.get("sys")
    if "fw_id" in value and "mac" in value:
        return [_described(payload, device, value)]
    if isinstance(system, dict) and isinstance(system.get("device"), dict):
        return _configured(payload, device, value, system["device"])
    if any(isinstance(item, dict) and (":" in name or name == "sys") for name, item in value.items()):
        return _status(payload, device, value)
    for field, component in _COMPONENTS:
        if field in value and isinstance(value.get("id"), int):
            return _component(payload, device, f"{component}:{value['id']}", value)
    draft = Draft(payload, device)
    fill(draft, value)
    tidy(draft)
    return draft.messages()


def _described(payload: Payload, device: str, value: Mapping[str, Any]) -> Message:
    """`Shelly.GetDeviceInfo`, and the announcement that is the same."""
    own = text_of(value, "id")
    draft = Draft(payload, device or (device_name(own) if own else mac_name(text_of(value, "mac"))), "description")
    fill(draft, value)
    draft.put("name", text_of(value, "name") or own)
    draft.put("firmware", text_of(value, "ver"))
    draft.texts["manufacturer"] = "Shelly"
    return draft.message()


def _configured(payload: Payload, device: str, value: Mapping[str, Any], own: Mapping[str, Any]) -> list[Message]:
    """`Shelly.GetConfig`: its components' names and settings; no network's, no broker's."""
    mac = text_of(own, "mac")
    draft = Draft(payload, device or (mac_name(mac) if mac else ""), "description")
    draft.put("name", text_of(own, "name"))
    draft.put("mac", mac)
    draft.put("fw_id", text_of(own, "fw_id"))
    draft.texts["manufacturer"] = "Shelly"
    for name, said in value.items():
        if ":" in name and isinstance(said, dict):
            fill(draft, _without_id(name, said), f"{name}.")
    for name in [name for name in draft.texts if name.endswith((".key", ".pass", ".password"))]:
        del draft.texts[name]
    return draft.messages()


def _command(payload: Payload, device: str, method: str, params: Mapping[str, Any]) -> list[Message]:
    draft = Draft(payload, device, "command")
    draft.put("method", method)
    fill(draft, params)
    return draft.messages()


def _text(payload: Payload, device: str, part: str, text: str) -> Message:
    """Bare texts: whether it is there, a line of its log, a command."""
    if part == "online" or (not part and text in {"true", "false"}):
        if text not in {"true", "false"}:
            raise Rejected("bad_value", f"online is true or false, this is {short(text)}")
        draft = Draft(payload, device, "status")
        draft.texts["status"] = "online" if text == "true" else "offline"
        return draft.message()
    if part == "debug/log":
        draft = Draft(payload, device, "event")
        draft.put("log", text)
        return draft.message()
    if part.startswith("command/"):
        draft = Draft(payload, device, "command")
        draft.put(part.removeprefix("command/"), text)
        return draft.message()
    found = pairs(text)
    if found and not part:
        return report(payload, found)[0]
    raise Rejected("bad_json", f"{part or 'an answer'} is a JSON object, this is {short(text)}")

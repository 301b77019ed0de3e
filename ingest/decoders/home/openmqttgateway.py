"""OpenMQTTGateway: an ESP32 or the like that puts Bluetooth, 433 MHz, LoRa, infrared and wired sensors on MQTT.

Topics: `home/GATEWAY/BTtoMQTT/MAC`, `…/RTL_433toMQTT/MODEL/ID`, `…/433toMQTT`, `…/LORAtoMQTT`, `…/SYStoMQTT`, `…/LWT`,
any other `…/XtoMQTT/…`, `…/commands/MQTTtoX/…`, `home/home_presence/GATEWAY`; base topic and gateway's name are free.

Out: `home/gw/BTtoMQTT/AABBCCDDEEFF` `{"id":"AA:BB:CC:DD:EE:FF","rssi":-63,"tempc":21.5,"batt":82}` → device
`AABBCCDDEEFF` heard by `gw`, with the names as they are; `batt` also as `battery`; `tempf` beside `tempc` goes. Adverts
that it hands on undecoded are read as `theengs_ble` does. What has no address is the gateway's: sensors wired to it
below their subtopic (`htu.tempc`), codes from remote controls and sensors of 433 MHz as events. `LWT` is a status,
`SYStoMQTT` describes it too, `commands` are commands.

Format: docs.openmqttgateway.com, "Use".
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from headwater.errors import Rejected
from headwater.message import Heard, Message
from ingest.contract import Payload
from ingest.decoders.ble.theengs_ble import supplement
from ingest.decoders.clocks import instant
from ingest.decoders.draft import Draft, as_float
from ingest.decoders.home.values import bare, fill, read, text_of, unquote_numbers
from ingest.decoders.naming import device_name, mac_name
from ingest.decoders.parts import short

TOPICS = (
    "#/{device}/commands/MQTTto*/#",
    "#/home_presence/{device}",
    "#/{device}/*toMQTT|*ToMQTT/#",
    "home/{device}/LWT|version",
)
_EVENTS = frozenset({"433", "IR", "SRFB", "RF2", "Pilight", "RF", "RFM69", "2G", "SMS", "LORA", "WEATHER"})
_CODES = frozenset({"raw", "bits", "protocol", "hex", "switchType"})
_IDS = frozenset(
    {"id", "servicedata", "manufacturerdata", "mfid", "uuid", "hex", "raw", "addr", "mac", "servicedatauuid"}
)
_UUID = re.compile(r"[0-9A-Fa-f]{32}|[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")
_TIMES = ("UTCtime", "unixtime", "time")
_DISCONNECTED = -127


def decode(payload: Payload) -> Sequence[Message | Rejected]:
    """A payload of any of the topics, or the JSON of one."""
    if not payload.data.strip():
        return ()
    gateway, kind, rest = _place(payload)
    value = read(payload.data)
    if kind == "LWT" or (not kind and isinstance(value, str)):
        return [_status(payload, gateway, value)]
    if kind == "commands":
        draft = Draft(payload, gateway, "command")
        draft.tree(bare(value) if isinstance(value, str) else value, ".".join(rest))
        return draft.messages()
    if isinstance(value, str):
        draft = Draft(payload, gateway)
        draft.put(".".join(rest) or kind, bare(value))
        return draft.messages()
    if isinstance(value, list):
        raise Rejected("bad_shape", "OpenMQTTGateway sends JSON objects, this is an array")
    return _system(payload, gateway, value) if kind == "SYS" else _object(payload, gateway, kind, rest, value)


def _object(
    payload: Payload, gateway: str, kind: str, rest: Sequence[str], value: Mapping[str, Any]
) -> Sequence[Message]:
    """What was received: of a device with an address, or the gateway's own."""
    child = _child(kind, rest, value)
    if child:
        return [_heard(payload, gateway, child, value)]
    own = Draft(payload, gateway, "event" if kind in _EVENTS or (not kind and _CODES & value.keys()) else "telemetry")
    fill(own, value, "".join(f"{level}." for level in rest) if kind not in _EVENTS else "")
    _tidy(own, value)
    return own.messages()


def _place(payload: Payload) -> tuple[str, str, list[str]]:
    """The gateway, what the topic is about (`BT`, `SYS`, `LWT`, `commands` …), and the levels after it."""
    own = payload.source.device
    levels = payload.source.topic.split("/")
    for at, level in enumerate(levels):
        if at and level == "commands":
            return own or device_name(levels[at - 1]), level, levels[at + 1 :]
        if at and level.endswith(("toMQTT", "ToMQTT")):  # the latter for touch alone
            return own or device_name(levels[at - 1]), level[:-6], levels[at + 1 :]
        if level == "home_presence" and levels[at + 1 :]:
            return own or device_name("/".join(levels[at + 1 :])), "BT", []
    return own, levels[-1], []


def _child(kind: str, rest: Sequence[str], value: Mapping[str, Any]) -> str:
    """Whom the payload is about; "" for the gateway itself.

    An iBeacon's UUID in the topic is more than the address in the payload, which changes.
    """
    own = text_of(value, "id")
    if kind == "RTL_433" or (text_of(value, "model") and "mod" in value):
        model = text_of(value, "model") or (rest[0] if rest else "")
        parts = [model, text_of(value, "subtype"), text_of(value, "channel"), own]
        return device_name("/".join(part for part in parts if part)) if model else ""
    if kind == "BT" and rest:
        return mac_name(rest[-1] if not own or _UUID.fullmatch(rest[-1]) else own)
    if kind in {"BT", "LORA", ""} and own:
        return mac_name(own)
    return ""


def _heard(payload: Payload, gateway: str, child: str, value: Mapping[str, Any]) -> Message:
    draft = Draft(payload, child, "event" if "success" in value else "telemetry")
    fill(draft, {**supplement(payload, value), **{name: item for name, item in value.items() if name != "id"}})
    _tidy(draft, value)
    if gateway and gateway != child:
        draft.heard_by = [Heard(gateway, as_float(value.get("rssi")), as_float(value.get("snr")))]
    return draft.message()


def _tidy(draft: Draft, value: Mapping[str, Any]) -> None:
    """Numbers that came as texts, °F beside °C, what is no reading, and the time."""
    fields, texts = draft.fields, draft.texts
    if texts:
        unquote_numbers(draft, _IDS)
    for name in [*fields]:
        last = name.rpartition(".")[2]
        if last[:5] == "tempf" and f"{name[: len(name) - len(last)]}tempc{last[5:]}" in fields:
            del fields[name]
        elif last[:5] == "tempc" and fields[name] == _DISCONNECTED:
            del fields[name]
            draft.note(name, "-127: the sensor is not connected")
    percent = fields.get("batt")
    if percent is not None and 0 <= percent <= 100:
        fields["battery"] = percent
    for name in _TIMES:
        if name in value:
            draft.at = instant(value[name])
            break


def _system(payload: Payload, gateway: str, value: Mapping[str, Any]) -> list[Message]:
    """What the gateway measures of itself, and what it is."""
    state = Draft(payload, gateway)
    fill(state, value)
    _tidy(state, value)
    about = Draft(payload, gateway, "description")
    about.put("name", text_of(value, "gateway_name") or gateway)
    about.put("model", text_of(value, "env", "board"))
    about.put("firmware", text_of(value, "version"))
    about.put("mac", text_of(value, "mac"))
    about.texts["manufacturer"] = "OpenMQTTGateway"
    return [*about.messages(), *([] if state.empty else state.messages())]


def _status(payload: Payload, gateway: str, value: Any) -> Message:
    folded = value.casefold() if isinstance(value, str) else ""
    if folded not in {"online", "offline"}:
        raise Rejected("bad_value", f"a last will is online or offline, this is {short(str(value))}")
    draft = Draft(payload, gateway, "status")
    draft.texts["status"] = folded
    return draft.message()

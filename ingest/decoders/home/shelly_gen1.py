"""Shelly devices of the first generation (Shelly 1, 2.5, Plug S, EM, 3EM, H&T, Motion, Flood, Gas, TRV, i3 …).

Topics: `shellies/NAME/relay/0`, `…/emeter/0/power`, `…/sensor/temperature`, `…/online`, `…/info`, `…/input_event/0`,
`shellies/announce` …; by HTTP the JSON of `/status`, `/settings` and `/shelly`, and report URLs (`?temp=21.5&hum=40`).

Out: names as the topic has them, with dots: `shellies/plug/relay/0/power` `12.5` → `relay.0.power` 12.5. Relays, lamps
and inputs are booleans (`overpower`: false, and `relay.0.overpower` true). `/status` and `info` keep the JSON's names;
`rssi` and `battery` beside them. Energies stay in Shelly's units, with `unit.NAME`: `energy` W·min, `total` Wh.
`announce` and `/settings` describe; `online` is a status; `input_event` is an event; `command` and `set` are commands.

Format: Shelly Gen1 API reference (shelly-api-docs.shelly.cloud/gen1).
"""

from collections.abc import Mapping, Sequence
from typing import Any

from headwater.errors import Rejected
from headwater.message import Message
from ingest.contract import Payload
from ingest.decoders.clocks import instant
from ingest.decoders.draft import Draft
from ingest.decoders.home import shelly_gen2, shelly_status
from ingest.decoders.home.values import bare, fill, pairs, read, text_of
from ingest.decoders.naming import device_name, mac_name
from ingest.decoders.parts import short

_PARTS = (
    "relay|roller|emeter|emeter_n|sensor|light|color|white|input|longpush|input_event|"
    "ext_temperature|ext_humidity|ext_switch|adc|valve|thermostat|thermostats"
)
_SINGLE = (
    "online|info|announce|status|settings|command|temperature|temperature_f|voltage|temperature_status|"
    "overtemperature|overload|ext_temperatures|ext_humidities|loaderror"
)
TOPICS = (
    "#/shellies/announce|command",
    f"#/shellies/{{device}}/{_PARTS}/#",
    f"#/shellies/{{device}}/{_SINGLE}",
)
_SWITCHES = frozenset({"relay", "light", "color", "white"})
_FLAGS = frozenset({"input", "longpush", "overtemperature", "overload", "ext_switch"})
_ENERGIES = {"energy": "W·min", "returned_energy": "W·min", "total": "Wh", "total_returned": "Wh"}
_PRIVATE = frozenset({"name", "mac", "fw", "unixtime", "time", "lat", "lng", "timezone", "pin_code"})
_SECRETS = ("_url", "_urls", "key", "password", "ssid")
_ON = {"on": True, "off": False, "overpower": False}


def decode(payload: Payload) -> Sequence[Message | Rejected]:
    """A payload of any of the topics, or the JSON or query of an HTTP request."""
    if not payload.data.strip():
        return shelly_status.report(payload, pairs(payload.source.query)) if payload.source.query else ()
    parts = _parts(payload.source.topic)
    value = read(payload.data)
    if parts and parts[-1] in {"command", "set"}:
        return _command(payload, parts, value)
    if isinstance(value, dict):
        return _object(payload, parts, value)
    if isinstance(value, list):
        return _tree(payload, parts, value)
    if not parts:
        found = pairs(value)
        if found:
            return shelly_status.report(payload, found)
        raise Rejected("bad_shape", f"without its topic {short(value)} says nothing; post the JSON of /status")
    return [_scalar(payload, parts, value)]


def recognises(data: bytes) -> bool:
    """The JSON of `/status`: the Wi-Fi first, or in it."""
    return data.startswith((b'{"wifi_sta":{', b'{"actions_stats":{'))


def _parts(topic: str) -> list[str]:
    """The levels after the device's."""
    levels = topic.split("/")
    if "shellies" not in levels:
        return []
    at = len(levels) - 1 - levels[::-1].index("shellies")
    return levels[at + 2 :] or levels[at + 1 :]


def _object(payload: Payload, parts: Sequence[str], value: dict[str, Any]) -> Sequence[Message | Rejected]:
    if "sys" in value or "method" in value:
        return shelly_gen2.decode(payload)
    if parts == ["announce"] or "fw_ver" in value:
        return [_announced(payload, value)]
    if parts == ["settings"] or isinstance(value.get("device"), dict) or ("type" in value and "fw" in value):
        return _settings(payload, value)
    if parts in ([], ["info"], ["status"]):
        return shelly_status.status(payload, value)
    return _tree(payload, parts, value)


def _tree(payload: Payload, parts: Sequence[str], value: Any) -> list[Message]:
    """JSON at a topic of its own: the state of a lamp, a button's event, external sensors."""
    if not parts:
        raise Rejected("bad_shape", "Shelly sends JSON objects, this is an array")
    happened = (
        parts[0] == "input_event"
        and isinstance(value, dict)
        and isinstance(value.get("event"), str)
        and value["event"] != ""
    )
    draft = Draft(payload, kind="event" if happened else "telemetry")
    name = ".".join(parts)
    if isinstance(value, Mapping):
        fill(draft, value, f"{name}.")
        shelly_status.tidy(draft)
    else:
        draft.put(name, ",".join(str(one) for one in value))
    return draft.messages() if not draft.empty else []


def _scalar(payload: Payload, parts: Sequence[str], text: str) -> Message:
    if parts == ["online"]:
        if text not in {"true", "false"}:
            raise Rejected("bad_value", f"online is true or false, this is {short(text)}")
        draft = Draft(payload, kind="status")
        draft.texts["status"] = "online" if text == "true" else "offline"
        return draft.message()
    draft = Draft(payload)
    name = ".".join(parts)
    if parts[0] in _SWITCHES and len(parts) == 2 and text in _ON:
        draft.fields[name] = _ON[text]
        if text == "overpower":
            draft.fields[f"{name}.overpower"] = True
    elif parts[0] in _FLAGS and text in {"0", "1"}:
        draft.fields[name] = text == "1"
    else:
        draft.put(name, bare(text))
        shelly_status.tidy(draft)
        if parts[-1] in _ENERGIES and name in draft.fields:
            draft.texts[f"unit.{name}"] = _ENERGIES[parts[-1]]
        if name == "sensor.battery" and name in draft.fields:
            draft.fields["battery"] = draft.fields[name]
    return draft.message()


def _command(payload: Payload, parts: Sequence[str], value: Any) -> list[Message]:
    own = payload.source.device or "shellies"
    draft = Draft(payload, own, "command")
    if isinstance(value, Mapping):
        fill(draft, value, f"{'.'.join(parts[:-1])}." if parts[1:] else "")
    else:
        draft.put(".".join(parts[:-1]) or "command", bare(value) if isinstance(value, str) else str(value))
    return draft.messages()


def _announced(payload: Payload, value: Mapping[str, Any]) -> Message:
    name = text_of(value, "id")
    own = "" if payload.source.topic else payload.source.device
    draft = Draft(payload, own or (device_name(name) if name else ""), "description")
    fill(draft, {key: item for key, item in value.items() if key not in {"id", "fw_ver"}})
    draft.put("name", name)
    draft.put("firmware", text_of(value, "fw_ver"))
    draft.texts["manufacturer"] = "Shelly"
    return draft.message()


def _settings(payload: Payload, value: Mapping[str, Any]) -> list[Message]:
    """`/settings` and `/shelly`: what it is and how it is set up; nothing of networks, brokers, people and pages."""
    inner = value.get("device")
    own: Mapping[str, Any] = inner if isinstance(inner, dict) else value
    mac = text_of(own, "mac")
    draft = Draft(payload, payload.source.device or (mac_name(mac) if mac else ""), "description")
    draft.put("name", text_of(value, "name") or text_of(own, "hostname"))
    draft.put("model", text_of(own, "type"))
    draft.put("firmware", text_of(value, "fw"))
    draft.put("mac", mac)
    draft.texts["manufacturer"] = "Shelly"
    draft.at = instant(value.get("unixtime"))
    # Objects are networks, brokers, people; arrays are relays, meters, inputs.
    fill(draft, {key: item for key, item in value.items() if key not in _PRIVATE and not isinstance(item, dict)})
    for key in [key for key in draft.texts if key.endswith(_SECRETS)]:
        del draft.texts[key]
    return draft.messages()

"""Tasmota: firmware for plugs, switches, bulbs, sensors and bridges.

Topics: `tele/NAME/SENSOR`, `tele/NAME/STATE`, `stat/NAME/RESULT`, `stat/NAME/POWER1`, `stat/NAME/STATUS8`,
`tele/NAME/LWT`, `cmnd/NAME/Power` …, with any FullTopic that has `%prefix%` (`home/tele/NAME/SENSOR`,
`NAME/tele/SENSOR`); NAME may have several levels. `tasmota/discovery/MAC/config` and `sensors` describe.

Out: names as Tasmota writes them, `{"Time":"2026-01-01T07:00:00","SI7021":{"Temperature":5.4},"TempUnit":"C"}` →
`SI7021.Temperature` 5.4. `POWER` and `POWER1` … are booleans, `Uptime` is seconds, `rssi` the Wi-Fi signal in dBm.
°F, mmHg, inHg, knots, mph, feet and yards a second become °C, hPa and m/s. Zigbee (`ZbReceived`), LoRaWAN
(`LwReceived`), iBeacon and Bluetooth devices are devices of their own, heard by the Tasmota that reports them.
Remote controls, RFID tags and buttons are events; `Status`, `INFO1` … `INFO3` and discovery describe; `cmnd` is a
command.
Times without a zone count as UTC: `Timezone 0`, or `Time 4` on the device, makes them so.

Format: Tasmota documentation (MQTT, Commands, JSON-Status-Responses, Zigbee, Bluetooth pages).
"""

from collections.abc import Mapping, Sequence
from typing import Any

from headwater.errors import Rejected
from headwater.message import Message
from ingest.contract import Payload
from ingest.decoders.draft import Draft
from ingest.decoders.home import tasmota_about as about
from ingest.decoders.home import tasmota_children as children
from ingest.decoders.home.tasmota_values import instant_of, put_all, truth
from ingest.decoders.home.values import decimal, read
from ingest.decoders.parts import short

_PREFIXES = ("tele", "stat", "cmnd")
_OBJECTS = frozenset({"SENSOR", "STATE", "RESULT", "INFO1", "INFO2", "INFO3"})
_EVENTS = frozenset({"RfRaw", "Gesture", "IrHVAC", "RC522", "PN532", "RDM6300", "Wiegand", "Event", "EspNow"})

_LAST = "SENSOR|STATE|RESULT|LWT|INFO*|STATUS*|POWER*|UPTIME|HASS_STATE|MARGINS|ENERGY|BLE"
TOPICS = (
    "tasmota/discovery/+/config|sensors",
    f"{{device#}}/tele|stat/{_LAST}",
    "#/tele|stat|cmnd/{device#}/+",
    "{device#}/cmnd/+",
)


def decode(payload: Payload) -> Sequence[Message | Rejected]:
    """A payload of any of Tasmota's topics, or the JSON of one."""
    if not payload.data.strip():
        return ()
    role, last = _place(payload.source.topic)
    value = read(payload.data)
    if last in {"SENSOR", "STATE"} and isinstance(value, str):
        raise Rejected("bad_json", f"{last} is a JSON object, this is {short(value)}")
    if role == "cmnd":
        return _command(payload, last, value)
    if isinstance(value, str):
        return [_scalar(payload, last, value)]
    if isinstance(value, list):
        raise Rejected("bad_shape", "Tasmota sends JSON objects, this is an array")
    found = about.discovery(payload, value)
    if found is not None:
        return found
    return _report(payload, last, value)


def _place(topic: str) -> tuple[str, str]:
    """(prefix, last level) of a topic; blank where there is none."""
    levels = topic.split("/")
    for level in levels:
        if level in _PREFIXES:
            return level, levels[-1]
    return "", levels[-1]


def _report(payload: Payload, last: str, value: dict[str, Any]) -> list[Message | Rejected]:
    """What one JSON object says: of the device itself, and of others that it hears."""
    made: list[Message | Rejected] = []
    if last[:4] == "INFO" or (last[:6] in {"STATUS", ""} and any(key.startswith("Status") for key in value)):
        made += about.status(payload, last, value)
        value = {**value.get("StatusSNS", {}), **value.get("StatusSTS", {})} if _nested(value) else {}
        if not value:
            return made
    heard, own = children.split(payload, last, value)
    made += heard
    at = instant_of(value)
    if own:
        draft = Draft(payload, kind="telemetry" if last == "STATE" else _kind(own))
        put_all(draft, own, value)
        draft.at = at
        if at is None and "Time" in own and "Time" not in draft.texts:
            draft.note("Time", f"{short(str(own['Time']))} is no time")
        if draft.empty and at is not None:  # it is there, and has nothing to say: without sensors, or asleep again
            draft.put("Time", value.get("Time"))
        if not draft.empty:
            made += draft.messages()
    if not made:
        raise Rejected("no_fields", "there is no value in it")
    return made


def _nested(value: Mapping[str, Any]) -> bool:
    return all(isinstance(value.get(name, {}), dict) for name in ("StatusSNS", "StatusSTS"))


def _kind(own: Mapping[str, Any]) -> str:
    """Something that happened once is an event: a button, a remote control, a tag held to a reader."""
    for key, value in own.items():
        if key in _EVENTS or key.endswith(("Received", "_INT", "_INP")):
            return "event"
        if isinstance(value, dict) and "Action" in value:
            return "event"
    return "telemetry"


def _scalar(payload: Payload, last: str, text: str) -> Message:
    """A bare text: the last will, the state of a relay, or one value under its topic's name."""
    folded = text.casefold()
    if last == "LWT" or (not last and folded in {"online", "offline"}):
        if folded not in {"online", "offline"}:
            raise Rejected("bad_value", f"a last will is Online or Offline, this is {short(text)}")
        draft = Draft(payload, kind="status")
        draft.texts["status"] = folded
        return draft.message()
    if not last or last in _OBJECTS or last.startswith("STATUS"):
        raise Rejected("bad_json", f"{last or 'without a topic, a payload'} is a JSON object, this is {short(text)}")
    if not payload.source.topic or not any(prefix in payload.source.topic for prefix in _PREFIXES):
        raise Rejected("bad_topic", f"{short(payload.source.topic)} is no topic of Tasmota's")
    draft = Draft(payload)
    _put(draft, last, text)
    return draft.message()


def _put(draft: Draft, name: str, text: str) -> None:
    on = truth(name, text)
    number = decimal(text) if on is None else None
    draft.put(name, on if on is not None else text if number is None else number)


def _command(payload: Payload, last: str, value: Any) -> Sequence[Message]:
    """What others say to the device: the command's name, and its parameter."""
    draft = Draft(payload, kind="command")
    if isinstance(value, str):
        number = decimal(value)
        draft.put(last, value if number is None else number)
    else:
        draft.tree(value, last)
    return draft.messages()

"""ESPresense: an ESP32 in each room that hears Bluetooth devices and says how far they are.

Topics: `espresense/devices/ID/ROOM`, `espresense/rooms/ROOM/telemetry`, `…/status`, `…/motion`, `…/temperature` …,
`espresense/settings/ID/config`; of ESPresense Companion `espresense/companion/ID` and `…/ID/attributes`.

Out: `espresense/devices/phone:ann/office` `{"id":"phone:ann","rssi":-82.4,"distance":2.66,"name":"Ann"}` → device
`phone:ann` heard by `office`, with `distance` in metres. A room is a device: its sensors by their topic's name, motion
and buttons as booleans, its status; settings describe; `set` is a command.

Format: espresense.com, "MQTT"; the firmware's source.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from headwater.errors import Rejected
from headwater.message import Heard, Message
from ingest.contract import Payload
from ingest.decoders.draft import Draft, as_float
from ingest.decoders.home.values import bare, fill, read, text_of
from ingest.decoders.naming import device_name, mac_name
from ingest.decoders.parts import short

TOPICS = (
    "#/espresense/devices/{device}/+",
    "#/espresense/rooms/{device}/+/set",
    "#/espresense/rooms/{device}/+",
    "#/espresense/settings/{device}/+",
    "#/espresense/settings/{device}/+/set",
    "#/espresense/rooms|companion/{device}",
    "#/espresense/companion/{device}/attributes",
)
_BOOLEANS = ("motion", "pir", "radar", "button", "charging")


def decode(payload: Payload) -> Sequence[Message | Rejected]:
    """A payload of any of the topics, or the JSON of a sighting."""
    if not payload.data.strip():
        return ()
    levels = payload.source.topic.split("/")
    at = levels.index("espresense") if "espresense" in levels else -1
    what, own, *rest = [*levels[at + 1 :], "", ""] if at >= 0 else ["", "", ""]
    value = read(payload.data)
    if rest[1:2] == ["set"] or (what == "settings" and rest[:1] == ["set"]):
        draft = Draft(payload, "espresense" if own == "*" else mac_name(own), "command")  # `*`: all rooms
        draft.tree(bare(value) if isinstance(value, str) else value, rest[0])
        return draft.messages()
    if what == "rooms":
        return _room(payload, own, rest[0] or "telemetry", value)
    if what == "companion":
        return _located(payload, own, value)
    if not isinstance(value, dict):
        raise Rejected("bad_shape", f"a sighting is a JSON object, this is {short(str(value))}")
    if what == "settings":
        return [_named(payload, own, value)]
    return [_seen(payload, own, rest[0], value)]


def _seen(payload: Payload, own: str, room: str, value: Mapping[str, Any]) -> Message:
    """A device in a room. Without a topic the path names the room."""
    known = text_of(value, "id") or own
    draft = Draft(payload, mac_name(known) if known else "")
    fill(draft, {name: item for name, item in value.items() if name != "id"})
    gateway = device_name(room) if room else payload.source.device
    if gateway and gateway != draft.device:
        draft.heard_by = [Heard(gateway, as_float(value.get("rssi")))]
    percent = draft.fields.get("batt")
    if percent is not None:
        draft.fields["battery"] = percent
    return draft.message()


def _room(payload: Payload, own: str, part: str, value: Any) -> list[Message | Rejected]:
    """What the room's ESP32 says of itself and of the sensors wired to it."""
    room = device_name(own)
    if part == "status":
        folded = value.casefold() if isinstance(value, str) else ""
        if folded not in {"online", "offline"}:
            raise Rejected("bad_value", f"a status is online or offline, this is {short(str(value))}")
        draft = Draft(payload, room, "status")
        draft.texts["status"] = folded
        return [draft.message()]
    draft = Draft(payload, room)
    if isinstance(value, Mapping):
        fill(draft, value, "" if part == "telemetry" else f"{part}.")
        made: list[Message | Rejected] = [*draft.messages()]
        return [*made, _about(payload, room, value)] if part == "telemetry" and "ver" in value else made
    if isinstance(value, str) and part.startswith(_BOOLEANS) and value in {"ON", "OFF"}:
        draft.fields[part] = value == "ON"
    else:
        draft.tree(bare(value) if isinstance(value, str) else value, part)
    return [*draft.messages()]


def _located(payload: Payload, own: str, value: Any) -> list[Message | Rejected]:
    """Where the companion's program has found a device: its room, or its place in the building in metres."""
    if own == "status":
        return _room(payload, "espresense/companion", "status", value)
    draft = Draft(payload, mac_name(own))
    if isinstance(value, Mapping):
        fill(draft, value)
    else:
        draft.put("room", str(value))
    return [*draft.messages()]


def _about(payload: Payload, room: str, value: Mapping[str, Any]) -> Message:
    draft = Draft(payload, room, "description")
    draft.put("name", f"ESPresense {room}")
    draft.put("model", text_of(value, "firm"))
    draft.put("firmware", text_of(value, "ver"))
    draft.put("ip", text_of(value, "ip"))
    draft.texts["manufacturer"] = "ESPresense"
    return draft.message()


def _named(payload: Payload, own: str, value: Mapping[str, Any]) -> Message:
    """`settings/ID/config`: under which id and name a device is known."""
    known = text_of(value, "id") or own
    draft = Draft(payload, mac_name(known) if known else "", "description")
    fill(draft, {name: item for name, item in value.items() if name != "id"})
    draft.put("address", own if own != known else "")
    return draft.message()

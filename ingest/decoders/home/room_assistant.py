"""room-assistant, and Home Assistant's MQTT Room: who is in which room, by Bluetooth and other sensors.

Topics: `room-assistant/entity/INSTANCE/TYPE/ENTITY`, `room-assistant/COMPONENT/ENTITY/state`, `…/attributes`,
`…/status`, `room-assistant/status/INSTANCE`, `room-assistant/mqtt-room/ROOM`, `room_presence/ROOM`.

Out: `room_presence/bedroom` `{"id":"AA:BB:CC:DD:EE:FF","name":"Keys","distance":1.2}` → device `AABBCCDDEEFF` heard by
`bedroom`, `distance` in metres. An entity is a device with `state` and its attributes, heard by every instance that
measured it. An instance's and an entity's status are statuses.

Format: room-assistant.io, "MQTT", "Home Assistant"; home-assistant.io, "MQTT Room Presence".
"""

from collections.abc import Mapping, Sequence
from typing import Any

from headwater.errors import Rejected
from headwater.message import Heard, Message
from ingest.contract import Payload
from ingest.decoders.clocks import instant
from ingest.decoders.draft import Draft, as_float
from ingest.decoders.home.values import bare, fill, read, text_of
from ingest.decoders.naming import device_name, mac_name
from ingest.decoders.parts import short

TOPICS = (
    "#/room-assistant/status/{device}",
    "#/room-assistant/mqtt-room/+",
    "#/room-assistant/entity/+/+/{device}",
    "#/room-assistant/+/{device}/state|attributes|status|command",
    "#/room_presence/+",
)


def decode(payload: Payload) -> Sequence[Message | Rejected]:
    """A payload of any of the topics, or the JSON of one."""
    if not payload.data.strip():
        return ()
    topic = payload.source.topic
    levels = topic.split("/")
    last = levels[-1]
    if "/camera/" in topic and last == "state":
        raise Rejected("unsupported", "a picture is no message; fetch it from room-assistant")
    value = read(payload.data)
    if last == "status" or levels[-2:-1] == ["status"]:
        return [_status(payload, levels[-2] if last == "status" else last, value)]
    if isinstance(value, dict):
        if isinstance(value.get("entity"), dict):
            return _entity(payload, value["entity"])
        if "id" in value and last not in {"attributes", "state"}:
            return [_seen(payload, last, value)]
    if not isinstance(value, Mapping) and last not in {"state", "command"}:
        raise Rejected("bad_shape", f"what comes here is a JSON object, this is {short(str(value))}")
    own = levels[-2] if len(levels) > 2 else ""
    draft = Draft(payload, device_name(own) if own else "", "command" if last == "command" else "telemetry")
    if isinstance(value, Mapping):
        fill(draft, value)
        draft.at = instant(value.get("lastUpdatedAt"))
    else:
        draft.tree(bare(value) if isinstance(value, str) else value, last)
    return draft.messages()


def _seen(payload: Payload, room: str, value: Mapping[str, Any]) -> Message:
    """A device in a room. Without a topic the path names the room."""
    draft = Draft(payload, mac_name(text_of(value, "id")) if text_of(value, "id") else "")
    fill(draft, {name: item for name, item in value.items() if name != "id"})
    gateway = device_name(room) if room else payload.source.device
    if gateway and gateway != draft.device:
        draft.heard_by = [Heard(gateway, as_float(value.get("rssi")))]
    return draft.message()


def _entity(payload: Payload, entity: Mapping[str, Any]) -> list[Message]:
    """The whole of an entity; what changed in it is in it already."""
    own = text_of(entity, "id")
    draft = Draft(payload, mac_name(own) if own else "")
    attributes = entity.get("attributes")
    measured = entity.get("measuredValues")
    fill(draft, {name: item for name, item in entity.items() if name not in {"id", "attributes"}})
    if isinstance(attributes, dict):
        fill(draft, attributes)
        draft.at = instant(attributes.get("lastUpdatedAt"))
    if isinstance(measured, dict):
        for room, said in [*measured.items()][:64]:
            if isinstance(said, dict):
                draft.heard_by.append(Heard(device_name(room), as_float(said.get("rssi"))))
    return draft.messages()


def _status(payload: Payload, own: str, value: Any) -> Message:
    folded = value.casefold() if isinstance(value, str) else ""
    if folded not in {"online", "offline"}:
        raise Rejected("bad_value", f"a status is online or offline, this is {short(str(value))}")
    draft = Draft(payload, device_name(own) if own else "", "status")
    draft.texts["status"] = folded
    return draft.message()

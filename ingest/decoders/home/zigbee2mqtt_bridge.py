"""What Zigbee2MQTT says of itself and of its devices: `zigbee2mqtt/bridge/…`.

In: a topic below `bridge` and a JSON value. Out: descriptions of devices, groups and the bridge; events; its status.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from headwater.errors import Rejected
from headwater.message import Message
from ingest.contract import Payload
from ingest.decoders.draft import Draft
from ingest.decoders.home.values import fill, text_of
from ingest.decoders.many import each
from ingest.decoders.naming import device_name
from ingest.decoders.parts import short

_DEEPEST = 4
_OTHER = {"status": "interview"}  # `status` says whether a device is there
_LISTS = frozenset({"devices", "groups", "converters", "extensions"})
_MOST = 256
_LONG = frozenset({"config", "config_schema", "devices", "exposes", "options", "definition"})


def decode(payload: Payload, base: str, part: str, value: Any) -> Sequence[Message | Rejected]:
    """`part`: the topic below `bridge`."""
    own = device_name(base)
    if part == "state":
        return [_status(payload, own, value)]
    part = part.removeprefix("config/") if part.startswith(("config/devices", "config/groups")) else part
    if part in _LISTS:
        return _listed(payload, own, part, value)
    if part.startswith(("request/", "config/")):
        draft = Draft(payload, own, "command")
        name = part.partition("/")[2]
        draft.tree(value, name)
        if draft.empty:
            draft.texts["command"] = name
        return draft.messages()
    if not isinstance(value, dict):
        raise Rejected("bad_shape", f"bridge/{part} is a JSON object, this is {short(str(value))}")
    if part in {"info", "config"}:
        return _info(payload, own, value)
    if part == "event":
        return [_event(payload, own, value)]
    if part in {"logging", "log", "health"} or part.startswith("response/"):
        return _said(payload, own, part, value)
    raise Rejected("unsupported", f"bridge/{short(part)} has nothing that a device said")


def state_of(said: Any) -> str:
    """`online` or `offline`; raises `Rejected` for anything else."""
    folded = said.casefold() if isinstance(said, str) else ""
    if folded not in {"online", "offline"}:
        raise Rejected("bad_value", f"availability is online or offline, this is {short(str(said))}")
    return folded


def information(payload: Payload, device: str, about: Mapping[str, Any]) -> Message:
    """The object `device` within a state, where `include_device_information` is on."""
    draft = Draft(payload, device or device_name(text_of(about, "friendlyName", "ieeeAddr")), "description")
    fill(draft, {name: item for name, item in about.items() if name not in {"friendlyName", "model"}})
    draft.put("name", text_of(about, "friendlyName"))
    draft.put("model", text_of(about, "model"))
    draft.put("manufacturer", text_of(about, "manufacturerName"))
    draft.put("firmware", text_of(about, "softwareBuildID"))
    return draft.message()


def units(exposes: Any, prefix: str = "", depth: int = 0) -> Iterator[tuple[str, str]]:
    """(field, unit) of everything exposed that has one; composites' features are nested in their property."""
    if not isinstance(exposes, list) or depth > _DEEPEST:
        return
    for one in exposes:
        if not isinstance(one, dict):
            continue
        own = text_of(one, "property")
        unit = text_of(one, "unit")
        if own and unit:
            yield prefix + own, unit
        inner = f"{prefix}{own}." if own and one.get("type") == "composite" else prefix
        yield from units(one.get("features"), inner, depth + 1)


def _described(payload: Payload, own: str, part: str, one: Any) -> list[Message]:
    """One device or group."""
    if not isinstance(one, dict):
        raise Rejected("bad_shape", f"an entry of bridge/{part} is a JSON object, this is {short(str(one))}")
    return [_group(payload, one) if part == "groups" else _device(payload, own, one)]


def _device(payload: Payload, own: str, one: Mapping[str, Any]) -> Message:
    name = text_of(one, "friendly_name", "ieee_address", "ieeeAddr")
    if not name:
        raise Rejected("missing_device", "a device of bridge/devices has neither friendly_name nor ieee_address")
    definition = one.get("definition")
    known: Mapping[str, Any] = definition if isinstance(definition, dict) else {}
    draft = Draft(payload, own if one.get("type") == "Coordinator" else device_name(name), "description")
    texts = {
        "name": name,
        "model": text_of(known, "model") or text_of(one, "model_id", "model", "modelID"),
        "manufacturer": text_of(known, "vendor") or text_of(one, "manufacturer", "vendor", "manufacturerName"),
        "firmware": text_of(one, "software_build_id", "softwareBuildID"),
        "description": text_of(one, "description") or text_of(known, "description"),
    }
    for field in ("ieee_address", "type", "power_source", "date_code", "interview_state"):
        texts[field] = text_of(one, field)
    for field, text in texts.items():
        draft.put(field, text)
    for field in ("supported", "disabled", "interview_completed", "network_address"):
        if isinstance(one.get(field), bool | int):
            draft.put(field, one[field])
    for field, unit in units(known.get("exposes")):
        if len(draft.texts) >= 200:
            break
        draft.put(f"unit.{field}"[:128], unit)
    return draft.message()


def _group(payload: Payload, one: Mapping[str, Any]) -> Message:
    name = text_of(one, "friendly_name", "id")
    if not name:
        raise Rejected("missing_device", "a group of bridge/groups has neither friendly_name nor id")
    draft = Draft(payload, device_name(name), "description")
    members = one.get("members")
    addresses = (
        [text_of(each, "ieee_address") for each in members if isinstance(each, dict)]
        if isinstance(members, list)
        else []
    )
    draft.put("name", name)
    draft.put("type", "Group")
    draft.put("description", text_of(one, "description"))
    draft.put("members", ",".join(addresses))
    if isinstance(one.get("id"), int):
        draft.put("group", one["id"])
    return draft.message()


def _info(payload: Payload, own: str, value: Mapping[str, Any]) -> list[Message]:
    draft = Draft(payload, own, "description")
    fill(draft, {name: item for name, item in value.items() if name not in _LONG})
    coordinator = value.get("coordinator")
    draft.put("name", "Zigbee2MQTT")
    draft.put("manufacturer", "Zigbee2MQTT")
    draft.put("firmware", text_of(value, "version"))
    draft.put("model", text_of(coordinator, "type") if isinstance(coordinator, dict) else "")
    return draft.messages()


def _event(payload: Payload, own: str, value: Mapping[str, Any]) -> Message:
    """What happened to a device: joined, left, interviewed."""
    data = value.get("data")
    known: Mapping[str, Any] = data if isinstance(data, dict) else {}
    name = text_of(known, "friendly_name", "ieee_address")
    draft = Draft(payload, device_name(name) if name else own, "event")
    draft.put("event", text_of(value, "type"))
    fill(draft, {_OTHER.get(key, key): item for key, item in known.items() if key not in _LONG})
    definition = known.get("definition")
    if isinstance(definition, dict):
        draft.put("model", text_of(definition, "model"))
        draft.put("manufacturer", text_of(definition, "vendor"))
    return draft.message()


def _status(payload: Payload, own: str, value: Any) -> Message:
    draft = Draft(payload, own, "status")
    draft.texts["status"] = state_of(value.get("state") if isinstance(value, dict) else value)
    return draft.message()


def _result(name: str, value: Any) -> bool:
    """What was asked for: a map of the network, a backup."""
    return name == "zip" or (name == "value" and (isinstance(value, dict) or len(str(value)) > _MOST))


def _listed(payload: Payload, own: str, part: str, value: Any) -> list[Message | Rejected]:
    """Devices or groups; or the names of what somebody has added to the bridge: their code is not kept."""
    if not isinstance(value, list):
        raise Rejected("bad_shape", f"bridge/{part} is a JSON array")
    if part in {"devices", "groups"}:
        return each(value, lambda one: _described(payload, own, part, one))
    draft = Draft(payload, own, "description")
    draft.put(part, ",".join(text_of(one, "name") for one in value if isinstance(one, dict)))
    return [] if draft.empty else [*draft.messages()]


def _said(payload: Payload, own: str, part: str, value: Mapping[str, Any]) -> list[Message]:
    """The log, the answer to a request (without long results), or the bridge's own health."""
    draft = Draft(payload, own, "telemetry" if part == "health" else "event")
    if part.startswith("response/"):
        draft.texts["response"] = part.removeprefix("response/")[:128]
        data = value.get("data")
        known = {k: v for k, v in data.items() if not _result(k, v)} if isinstance(data, dict) else {"data": data}
        names = {"result": "status", "error": "error", "transaction": "transaction"}
        value = {**known, **{ours: value.get(theirs) for ours, theirs in names.items()}}
    fill(draft, {_OTHER.get(name, name): item for name, item in value.items() if name not in _LONG})
    return draft.messages()

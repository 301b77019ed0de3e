"""Home Assistant's MQTT discovery: what devices and their values are called, and their units.

Topics: `homeassistant/COMPONENT/[NODE/]OBJECT/config`, `homeassistant/device/OBJECT/config`, whoever sends them
(Zigbee2MQTT, ESPHome, OpenMQTTGateway, Tasmota …), abbreviated or not; also `homeassistant/status`, and what Home
Assistant's statestream sends, `homeassistant/DOMAIN/ENTITY/state`.

Out: descriptions: `{"name":"Temperature","stat_t":"zigbee2mqtt/attic","val_tpl":"{{ value_json.temperature }}",
"unit_of_meas":"°C","dev":{"ids":["0x1"],"name":"Attic"}}` → device `attic`, `name` `Attic`, `unit.temperature` `°C`,
`label.temperature`, `class.temperature`; a button is `trigger.ID` `button_1 button_short_press`, and what has no name
at all, such as a reader of tags, `topic.ID`. The device is whom the state topic names, where a decoder knows that
topic; else the first identifier. An empty payload, which removes an entity, says nothing.

Format: home-assistant.io, "MQTT", "Discovery"; abbreviations as there.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from headwater.errors import Rejected
from headwater.message import Message
from ingest.contract import Payload
from ingest.decoders.draft import Draft
from ingest.decoders.home.ha_topics import field_and_device
from ingest.decoders.home.values import bare, read, text_of
from ingest.decoders.naming import device_name, mac_name
from ingest.decoders.parts import short

TOPICS = (
    "#/homeassistant/+/+/config",
    "#/homeassistant/+/+/+/config",
    "homeassistant/status",
    "homeassistant/+/{device}/+",
)
_LONG = {
    "dev": "device",
    "cmps": "components",
    "p": "platform",
    "uniq_id": "unique_id",
    "dev_cla": "device_class",
    "unit_of_meas": "unit_of_measurement",
    "temp_unit": "temperature_unit",
    "stat_t": "state_topic",
    "atype": "automation_type",
    "stype": "subtype",
    "val_tpl": "value_template",
    "stat_val_tpl": "value_template",
    "state_value_template": "value_template",
    "json_attr_t": "json_attributes_topic",
    "cmd_t": "command_topic",
    "avty_t": "availability_topic",
    "t": "topic",
}
_LONG_DEVICE = {
    "ids": "identifiers",
    "cns": "connections",
    "mf": "manufacturer",
    "mdl": "model",
    "sw": "sw_version",
    "hw": "hw_version",
    "sa": "suggested_area",
    "sn": "serial_number",
}
_WHERE = ("state_topic", "topic", "command_topic", "json_attributes_topic", "availability_topic")
_MOST = 200


def decode(payload: Payload) -> Sequence[Message | Rejected]:
    """A payload of any of the topics, or the JSON of a configuration."""
    if not payload.data.strip():
        return ()
    topic = payload.source.topic
    value = read(payload.data)
    if topic == "homeassistant/status":
        return [_status(payload, value)]
    if topic and not topic.endswith("/config"):
        return [_streamed(payload, topic, value)]
    if not isinstance(value, dict):
        raise Rejected("bad_shape", f"a configuration is a JSON object, this is {short(str(value))}")
    config = _expanded(value, _LONG)
    found = config.get("device")
    about = _expanded(found, _LONG_DEVICE) if isinstance(found, dict) else {}
    entities = list(_entities(config, topic))
    device = _device(payload, about, entities, topic)
    draft = Draft(payload, device, "description")
    _describe(draft, about, entities)
    if draft.empty:
        for own, entity in entities:
            draft.put(f"topic.{own[:100]}", text_of(entity, *_WHERE))
    if draft.empty:
        raise Rejected("no_fields", "the configuration has neither a name nor a topic")
    return draft.messages()


def _expanded(value: Mapping[str, Any], long: Mapping[str, str]) -> dict[str, Any]:
    """With names as they are in full, and `~` in topics replaced."""
    base = value.get("~")
    made: dict[str, Any] = {}
    for name, item in value.items():
        full = long.get(name, name)
        if (
            isinstance(base, str)
            and isinstance(item, str)
            and (name[-2:] == "_t" or name[-5:] == "topic" or name == "t")
        ):
            made[full] = base + item[1:] if item[:1] == "~" else item[:-1] + base if item[-1:] == "~" else item
        else:
            made[full] = item
    return made


def _entities(config: dict[str, Any], topic: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """(id, configuration) of each entity: one, or all components of a device."""
    components = config.get("components")
    if isinstance(components, dict):
        shared = {name: item for name, item in config.items() if name in _WHERE or name == "~"}
        for own, one in list(components.items())[:_MOST]:
            if isinstance(one, dict):
                yield own, _expanded({**shared, **one}, _LONG)
        return
    levels = topic.split("/")
    yield (levels[-2] if len(levels) > 2 else text_of(config, "unique_id")), config


def _device(
    payload: Payload, about: Mapping[str, Any], entities: Sequence[tuple[str, Mapping[str, Any]]], topic: str
) -> str:
    """Whom the state topic names; else an identifier, the node, the entity."""
    if payload.source.device and not topic:
        return payload.source.device
    for _, entity in entities:
        for where in _WHERE:
            found = field_and_device(text_of(entity, where))[1]
            if found:
                return found
    own = _first(about.get("identifiers")) or _first(about.get("connections"))
    if own:
        return mac_name(own)
    levels = topic.split("/")
    node = levels[-3] if len(levels) > 4 and levels[-5] == "homeassistant" else ""
    own = (
        node or next((text_of(one, "unique_id") for _, one in entities), "") or (levels[-2] if len(levels) > 2 else "")
    )
    return device_name(own) if own else payload.source.device


def _first(value: Any) -> str:
    """The first of `"x"`, `["x"]`, `[["mac", "x"]]`."""
    for _ in range(3):
        if not isinstance(value, list):
            break
        value = value[-1 if len(value) == 2 and value[0] == "mac" else 0] if value else ""
    return str(value) if isinstance(value, str | int) and not isinstance(value, bool) else ""


def _describe(draft: Draft, about: Mapping[str, Any], entities: Sequence[tuple[str, Mapping[str, Any]]]) -> None:
    for own, entity in entities:
        template = text_of(entity, "value_template")
        field = field_and_device(text_of(entity, "state_topic"), template)[0] or own or "value"
        field = field[:100]
        label = text_of(entity, "name")
        draft.put(f"unit.{field}", text_of(entity, "unit_of_measurement", "temperature_unit"))
        draft.put(f"class.{field}", text_of(entity, "device_class"))
        draft.put(f"label.{field}", label)
        if entity.get("automation_type") == "trigger":  # a button that is nothing but the event on its topic
            draft.put(f"trigger.{field}", " ".join(filter(None, (text_of(entity, "subtype"), text_of(entity, "type")))))
        if label and not about:
            draft.put("name", label)
    draft.put("name", text_of(about, "name"))
    draft.put("model", text_of(about, "model"))
    draft.put("manufacturer", text_of(about, "manufacturer"))
    draft.put("firmware", text_of(about, "sw_version"))
    draft.put("hardware", text_of(about, "hw_version"))
    draft.put("serial_number", text_of(about, "serial_number"))
    draft.put("area", text_of(about, "suggested_area"))


def _status(payload: Payload, value: Any) -> Message:
    """Home Assistant's own birth and last will."""
    if value not in {"online", "offline"} if isinstance(value, str) else True:
        raise Rejected("bad_value", f"a status is online or offline, this is {short(str(value))}")
    draft = Draft(payload, "homeassistant", "status")
    draft.texts["status"] = value
    return draft.message()


def _streamed(payload: Payload, topic: str, value: Any) -> Message:
    """The state of an entity, or one of its attributes, in JSON."""
    levels = topic.split("/")
    draft = Draft(payload, device_name(levels[-2]) if len(levels) > 3 else "")
    draft.tree(bare(value) if isinstance(value, str) else value, levels[-1])
    return draft.message()

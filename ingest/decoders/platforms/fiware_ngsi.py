"""FIWARE NGSI: entities and notifications of context brokers (Orion, Scorpio, Stellio), NGSI v2 and NGSI-LD.

By HTTP `?decoder=fiware_ngsi`, for example as the address a subscription notifies. Entities may be normalized, concise
or key-values, one, a list, a batch (`entities`), or the `data` of a notification; NGSI v1 is read as well.

    {"id": "urn:ngsi-ld:Room:1", "type": "Room", "temperature": {"type": "Number", "value": 21.5}}

Comes out: device `urn:ngsi-ld:Room:1`, field `temperature` = 21.5, text `type`. Structures are taken by their paths, a
relationship is a text, `location` is the position. A `Number` in quotes is a number. `observedAt` (also as metadata
`TimeInstant`) parts a message for each time; else the entity's `dateObserved`, `TimeInstant`, `observedAt` or
`timestamp` counts. `unitCode` (UN/CEFACT) goes to a description, Fahrenheit is made Celsius. A `batteryLevel` of 0 to 1
is also `battery` in percent. Entities of type DeviceModel are descriptions.

Source of the format: FIWARE-NGSI v2 specification; ETSI GS CIM 009 (NGSI-LD); Smart Data Models.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from headwater.errors import Rejected
from headwater.message import Message
from ingest.contract import Payload
from ingest.decoders.clocks import instant
from ingest.decoders.draft import DEPTH, SCALARS, Draft, numeric
from ingest.decoders.many import each
from ingest.decoders.naming import device_name
from ingest.decoders.platforms.jsons import point, read, text_at
from ingest.decoders.platforms.units import described

_OWN = frozenset({"id", "@id", "type", "@type", "@context", "scope"})
_VALUES = ("value", "object", "languageMap", "vocab", "json", "valueList", "objectList")
_VALUED = frozenset(_VALUES)
_MARKS = _VALUED | {"type", "@value"}
"""An object without any of these is no attribute."""

_LD_TYPES = frozenset(
    {
        "Property",
        "GeoProperty",
        "Relationship",
        "LanguageProperty",
        "VocabProperty",
        "JsonProperty",
        "ListProperty",
        "ListRelationship",
    }
)
_NUMBERS = ("Number", "Integer", "Float")  # no set: a type may be anything
_BESIDES = frozenset(
    {
        "type",
        "metadata",
        "observedAt",
        "unitCode",
        "datasetId",
        "createdAt",
        "modifiedAt",
        "instanceId",
        "objectType",
        *_VALUES,
    }
)
_FEW = 2
_KNOWN = frozenset({"TimeInstant", "timestamp", "unitCode", "unit", "dateCreated", "dateModified", "observedAt"})
_TIMES = ("TimeInstant", "observedAt", "dateObserved", "timestamp", "timeStamp", "dateModified", "modifiedAt")
_UNITS = {
    "CEL": "°C",
    "FAH": "°C",
    "KEL": "K",
    "P1": "%",
    "A97": "hPa",
    "PAL": "Pa",
    "MBR": "mbar",
    "VLT": "V",
    "2Z": "mV",
    "AMP": "A",
    "4K": "mA",
    "WTT": "W",
    "KWT": "kW",
    "KWH": "kWh",
    "WHR": "Wh",
    "LUX": "lx",
    "59": "ppm",
    "GQ": "µg/m³",
    "GP": "mg/m³",
    "MTS": "m/s",
    "KMH": "km/h",
    "MTR": "m",
    "CMT": "cm",
    "MMT": "mm",
    "KGM": "kg",
    "SEC": "s",
    "LTR": "l",
    "MTQ": "m³",
    "HTZ": "Hz",
    "DD": "°",
    "2N": "dB",
}
_DESCRIBES = {"modelName": "model", "manufacturerName": "manufacturer", "firmwareVersion": "firmware", "name": "name"}
_ODD = frozenset({"location", "batteryLevel", *_DESCRIBES})
"""Attributes that may say more than a value."""

_NULL = "urn:ngsi-ld:null"
_FIRST = re.compile(rb'\s*+[\[{]\s*+\{?\s*+"(?:id"\s*+:\s*+"[^"]*+"\s*+,\s*+"type"\s*+:\s*+"|subscriptionId"\s*+:)')

_ATTRIBUTE = re.compile(rb'\{\s*+"(?:type"\s*+:\s*+"[^"]*+"\s*+,\s*+"(?:value|object)|value)"\s*+:')


def recognises(data: bytes) -> bool:
    """An entity that begins with id and type and has attributes of this form, or a notification."""
    if _FIRST.match(data) is None:
        return False
    return b'"urn:ngsi' in data or b'"@context"' in data or _ATTRIBUTE.search(data) is not None


def decode(payload: Payload) -> Sequence[Message | Rejected]:
    """A message for each entity and time."""
    if not payload.data.strip():
        return ()
    return each(_entities(read(payload.data)), lambda one: _messages(payload, one))


def _entities(said: Any) -> list[Any]:
    if isinstance(said, dict) and said.get("type") in (None, "Notification", "FeatureCollection"):
        for name in ("data", "entities", "features", "contextElements", "contextResponses"):
            if isinstance(said.get(name), list):
                return said[name]
    return said if isinstance(said, list) else [said]


def _unwrapped(said: Any) -> dict[str, Any]:
    """The entity alone, with its attributes by name: of NGSI v1, of GeoJSON."""
    if not isinstance(said, dict):
        raise Rejected("bad_shape", "an entity of NGSI is an object")
    entity: dict[str, Any] = said["contextElement"] if isinstance(said.get("contextElement"), dict) else said
    if entity.get("type") == "Feature" and isinstance(entity.get("properties"), dict):
        entity = {"id": entity.get("id"), "location": entity.get("geometry"), **entity["properties"]}
    if isinstance(entity.get("attributes"), list):
        attributes = entity.pop("attributes")
        entity |= {text_at(one, "name"): one for one in attributes if isinstance(one, dict)}
    return entity


def _messages(payload: Payload, one: Any) -> list[Message]:
    entity = _unwrapped(one)
    own, kind = text_at(entity, "id", "@id"), text_at(entity, "type", "@type")
    device = device_name(own) if own else payload.source.device
    says = "description" if kind == "DeviceModel" else "telemetry"
    at = _time(entity)
    drafts: dict[int | None, Draft] = {}
    units: dict[str, str] = {}
    for name, said in entity.items():
        if name in _OWN:
            continue
        value, moment, unit = (said, None, "") if said.__class__ in SCALARS else _attribute(said)
        draft = drafts.get(moment or at)
        if draft is None:
            draft = drafts[moment or at] = Draft(payload, device, says)
            draft.at = moment or at
            draft.put("type", kind)
        if unit:
            value = _in_usual(value, unit)
            if unit in _UNITS:
                units[name] = _UNITS[unit]
        if value.__class__ in SCALARS and name not in _ODD:
            draft.put(name, value if value != _NULL else None)
        else:
            _put(draft, name, value)
        if said.__class__ is dict and len(said) > _FEW:
            _beside(draft, name, said)
    made = described(payload, device, units, {}) if units else []
    for draft in drafts.values():
        made += draft.messages()
    if not made:
        raise Rejected("no_fields", "the entity has no attribute")
    return made


def _in_usual(value: Any, unit: str) -> Any:
    return round((value - 32) / 1.8, 9) if unit == "FAH" and _is_number(value) else value


def _put(draft: Draft, name: str, value: Any) -> None:
    """What may be more than a value: a place, a battery's charge, a structure, a name."""
    if name == "location" or (value.__class__ is dict and _is_place(value)):
        place = point(value) or _written_place(value)
        if place is not None and (name == "location" or draft.position is None):
            draft.place(*place)
            return
    if draft.kind == "description":
        name = _DESCRIBES.get(name, name)
    if name == "batteryLevel" and _is_number(value):
        if value == -1:
            draft.note(name, "-1: it cannot be known now")
            return
        draft.put("battery", round(value * 100, 6) if 0 <= value <= 1 else value)
    if value.__class__ not in SCALARS:
        draft.tree(value, name)
    elif value != _NULL:
        draft.put(name, value)


def _beside(draft: Draft, name: str, said: Mapping[str, Any]) -> None:
    """What an attribute says of itself in attributes of its own: how it was measured, how good it is."""
    about = said.get("metadata")
    if isinstance(about, dict) and _is_attribute(said):
        more = {key: item for key, item in about.items() if key not in _KNOWN}
    elif _is_linked(said):
        more = {key: item for key, item in said.items() if key not in _BESIDES}
    else:
        return
    for key, item in more.items():
        if isinstance(item, dict) and _is_attribute(item):
            draft.tree(_bare(item, 0), f"{name}.{key.strip()}")


def _attribute(said: Any) -> tuple[Any, int | None, str]:
    """(value, time, unit) of an attribute, in whichever form."""
    if said.__class__ is not dict:
        return _bare(said, 0), None, ""
    if len(said) == _FEW and "value" in said and said.get("type").__class__ is str:  # by far the most
        return _value_of(said, 0), None, ""
    if not _is_attribute(said):
        return _bare(said, 0), None, ""
    value = _value_of(said, 0)
    about = said.get("metadata")
    if about.__class__ is not dict:
        about = {}
    moment = instant(said.get("observedAt") or _bare(about.get("TimeInstant") or about.get("timestamp"), 0))
    unit = said.get("unitCode") or _bare(about.get("unitCode") or about.get("unit"), 0)
    return value, moment, unit if isinstance(unit, str) else ""


def _is_linked(said: Mapping[str, Any]) -> bool:
    """An attribute of NGSI-LD, normalized."""
    kind = said.get("type")
    return kind.__class__ is str and kind in _LD_TYPES


def _is_attribute(said: Mapping[str, Any]) -> bool:
    """Normalized or concise: it has a value, and a type of its own or nothing that is not said beside values."""
    if _VALUED.isdisjoint(said):
        return _is_linked(said)
    return said.get("type").__class__ is str or _BESIDES.issuperset(said)


def _value_of(said: Mapping[str, Any], depth: int) -> Any:
    """The bare value of an attribute; a number in quotes is a number if its type says so."""
    if "@value" in said:
        return said["@value"]
    value: Any = said["value"] if "value" in said else next((said[name] for name in _VALUES if name in said), None)
    kind = value.__class__
    if kind is str and said.get("type") in _NUMBERS:
        found = numeric(value)
        return value if found is None else found
    return value if kind in SCALARS else _bare(value, depth + 1)


def _bare(said: Any, depth: int) -> Any:
    """The value without what is said about it, all the way down."""
    kind = said.__class__
    if kind in SCALARS or depth >= DEPTH:
        return said
    if kind is list:
        return said if SCALARS.issuperset(map(type, said)) else [_bare(one, depth + 1) for one in said]
    if not _MARKS.isdisjoint(said):
        if "@value" in said:
            return said["@value"]
        if _is_attribute(said):
            return _value_of(said, depth)
    if SCALARS.issuperset(map(type, said.values())):
        return said
    return {name: one if one.__class__ in SCALARS else _bare(one, depth + 1) for name, one in said.items()}


def _is_number(value: Any) -> bool:
    return value.__class__ is int or value.__class__ is float


def _is_place(value: Any) -> bool:
    return isinstance(value, dict) and value.get("type") == "Point" and "coordinates" in value


def _written_place(value: Any) -> tuple[str, str, None] | None:
    """A geo:point of NGSI v2: `"52.5, 13.4"`, latitude first."""
    if not isinstance(value, str) or value.count(",") != 1:
        return None
    lat, lon = value.split(",")
    return (lat, lon, None) if numeric(lat) is not None and numeric(lon) is not None else None


def _time(entity: Mapping[str, Any]) -> int | None:
    for name in _TIMES:
        if name in entity:
            value = _bare(entity[name], 0)
            found = instant(value.rpartition("/")[2] if isinstance(value, str) else value)
            if found is not None:
                return found
    return None

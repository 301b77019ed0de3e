"""OGC SensorThings: observations and entities as clients post them and servers such as FROST publish them.

Topics: `v1.1/Observations`, `v1.1/Datastreams(ID)/Observations`, `v1.1/Things(ID)` and the like, also v1.0; by HTTP
`?decoder=ogc_sensorthings`, best with `&topic=v1.1/Datastreams(ID)/Observations`.

    {"result": 21.5, "phenomenonTime": "2025-11-21T04:40:00Z", "Datastream": {"@iot.id": 7}}

Comes out: an observation is telemetry of its Thing, the field called as the Datastream is; both are taken from what is
expanded in it, or from entities seen before. Where neither says, the device is that of the path, else
`Datastream:7`, and the field `Datastream(7).result` or `result`. An interval counts by its end; the parameters are
`parameters.NAME`. Rows of a data array (`CreateObservations`) are a message each. Things are descriptions (name,
description, properties), as are Datastreams (units), Sensors and others of a device that the path names; a Location is
the position of its Thing. Observations within a Datastream are telemetry, too. Lists of entities (`value`) are taken
one by one.

Source of the format: OGC SensorThings API Part 1: Sensing, 1.0 and 1.1.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from headwater.errors import Rejected
from headwater.message import Message
from ingest.contract import Payload
from ingest.decoders.clocks import instant
from ingest.decoders.draft import Draft, shared
from ingest.decoders.many import each
from ingest.decoders.naming import device_name
from ingest.decoders.platforms.jsons import object_at, point, read, text_at

_ID = "@iot.id"
_OF_TOPIC = re.compile(r"(Things|Datastreams|MultiDatastreams|Locations|Sensors)\(([^)]+)\)")
_PARTS = {"feature": "FeatureOfInterest.", "metadata": "Sensor.", "definition": "ObservedProperty."}
"""What tells an entity that is no Thing from one."""

_FAHRENHEIT = frozenset({"°F", "degF", "[degF]", "℉"})


class _Stream(NamedTuple):
    """What is known of a Datastream: its Thing's device, its name, its unit. Blanks: nothing."""

    device: str = ""
    name: str = ""
    unit: str = ""


def decode(payload: Payload) -> Sequence[Message | Rejected]:
    """A message for each observation or entity."""
    if not payload.data.strip():
        return ()
    said = read(payload.data)
    if isinstance(said, dict) and isinstance(said.get("value"), list):
        said = said["value"]
    return each(said if isinstance(said, list) else [said], lambda one: _entity(payload, one))


def _entity(payload: Payload, one: Any) -> list[Message]:
    if not isinstance(one, dict):
        raise Rejected("bad_shape", "an entity of SensorThings is an object")
    if "result" in one:
        return _observation(payload, one, _stream(payload, one))
    if "dataArray" in one:
        return _rows(payload, one)
    if "unitOfMeasurement" in one or "observationType" in one or "multiObservationDataTypes" in one:
        return _datastream(payload, one, object_at(one, "Thing"))
    if "location" in one:
        return _location(payload, one)
    return _description(payload, one)


def _observation(payload: Payload, one: Mapping[str, Any], stream: _Stream, number: str | None = None) -> list[Message]:
    number = _stream_id(payload, one) if number is None else number
    device = stream.device or payload.source.device
    name = stream.name or ("result" if not number or not device else f"Datastream({number}).result")
    draft = Draft(payload, device or (device_name(f"Datastream:{number}") if number else ""))
    when = one.get("phenomenonTime") or one.get("resultTime")
    if isinstance(when, str) and "/" in when:
        draft.put("phenomenonTime", when)
        when = when.rpartition("/")[2]
    draft.at = instant(when)
    result = one["result"]
    if stream.unit in _FAHRENHEIT and isinstance(result, int | float) and not isinstance(result, bool):
        result = round((result - 32) / 1.8, 9)
    draft.tree(result, name)
    draft.tree(one.get("parameters") or {}, "parameters")
    if one.get("resultQuality") is not None:
        draft.tree(one["resultQuality"], "resultQuality")
    feature = point(object_at(one, "FeatureOfInterest").get("feature"))
    if feature is not None:
        draft.place(*feature)
    return draft.messages()


def _rows(payload: Payload, one: Mapping[str, Any]) -> list[Message]:
    """The extension Data Array: names of components, and a row for each observation."""
    names, rows = one.get("components"), one["dataArray"]
    if not isinstance(names, list) or not isinstance(rows, list) or "result" not in names:
        raise Rejected("bad_shape", "a data array has `components` with `result`, and rows")
    stream, number = _stream(payload, one), _stream_id(payload, one)
    made: list[Message] = []
    for row in rows:
        if not isinstance(row, list) or len(row) != len(names):
            raise Rejected("bad_shape", "a row has as many values as there are components")
        made += _observation(payload, {**one, **dict(zip(map(str, names), row, strict=True))}, stream, number)
    return made


def _datastream(payload: Payload, one: dict[str, Any], thing: Mapping[str, Any]) -> list[Message]:
    device = _thing_device(payload, thing) or payload.source.device
    name = shared(text_at(object_at(one, "ObservedProperty"), "name") or text_at(one, "name", "description"))
    unit = text_at(object_at(one, "unitOfMeasurement"), "symbol", "name")
    number = text_at(one, _ID)
    if number and name:
        _learn(payload, device, f"Datastream/{number}", [device, name, unit])
    draft = Draft(payload, device or _named(one, "Datastream"), "description")
    _texts(draft, one, f"{name or 'Datastream'}.")
    if unit:
        draft.put(f"unit.{name or 'result'}", "°C" if unit in _FAHRENHEIT else unit)
    for part in ("ObservedProperty", "Sensor"):
        about = object_at(one, part)
        _texts(
            draft, about if about.get("name") != name else {**about, "name": None}, f"{name or 'Datastream'}.{part}."
        )
    several = one.get("unitOfMeasurements")
    for index, each_unit in enumerate(several if isinstance(several, list) else []):
        if isinstance(each_unit, dict):
            draft.put(f"unit.{name or 'result'}.{index}", text_at(each_unit, "symbol", "name"))
    made = [] if draft.empty else draft.messages()
    return [*made, *_within(payload, one, _Stream(draft.device, name, unit))] or draft.messages()


def _within(payload: Payload, one: Mapping[str, Any], stream: _Stream) -> list[Message]:
    """Observations that stand in the entity that they are of."""
    inner = one.get("Observations")
    found = [each for each in inner if isinstance(each, dict) and "result" in each] if isinstance(inner, list) else []
    return [message for each in found for message in _observation(payload, each, stream)]


def _location(payload: Payload, one: dict[str, Any]) -> list[Message]:
    """A Location says where its Things are."""
    things = one.get("Things")
    named = [thing for thing in things if isinstance(thing, dict)] if isinstance(things, list) else []
    devices = [device for device in (_thing_device(payload, thing) for thing in named) if device]
    made: list[Message] = []
    for device in devices or [payload.source.device or _named(one, "Location")]:
        draft = Draft(payload, device, "telemetry")
        place = point(one["location"])
        if place is None:
            draft.note("position", "the location is no Point")
        else:
            draft.place(*place)
        draft.put("location", text_at(one, "name", "description"))
        if "name" in one:
            draft.put("location.description", text_at(one, "description"))
        made += draft.messages()
    return made


def _description(payload: Payload, one: dict[str, Any]) -> list[Message]:
    """A Thing, or an entity that says something about one."""
    part = next((kind for sign, kind in _PARTS.items() if sign in one), "")
    own = (
        payload.source.device if part else _thing_device(payload, one) or payload.source.device or _named(one, "Thing")
    )
    draft = Draft(payload, own, "description")
    _texts(draft, one, part)
    place = point(one.get("feature"))
    made: list[Message] = []
    streams, locations = one.get("Datastreams"), one.get("Locations")
    for stream in streams if isinstance(streams, list) else []:
        if isinstance(stream, dict):
            made += _datastream(payload, stream, one)
    for location in locations if isinstance(locations, list) else []:
        place = (point(location.get("location")) if isinstance(location, dict) else None) or place
    if place is not None:
        draft.place(*place)
    made += _within(payload, one, _Stream(draft.device))
    return [*([] if draft.empty else draft.messages()), *made] or draft.messages()


def _texts(draft: Draft, one: Mapping[str, Any], part: str) -> None:
    """What an entity says of itself. `part`: before the names, where it is no Thing."""
    for name in ("name", "description", "metadata", "definition"):
        if isinstance(one.get(name), str):
            draft.put(part + name, one[name])
    draft.tree(one.get("properties") or {}, f"{part}properties")


def _stream_id(payload: Payload, one: Mapping[str, Any]) -> str:
    for name in ("Datastream", "MultiDatastream"):
        found = text_at(object_at(one, name), _ID)
        if found:
            return shared(found)
    link = text_at(one, "Datastream@iot.navigationLink", "MultiDatastream@iot.navigationLink")
    kind, number = _in_path(link) if "stream" in link.rpartition("/")[0] else _in_path(payload.source.topic)
    return number if "atastream" in kind else ""


def _in_path(path: str) -> tuple[str, str]:
    """The last entity with a number in a topic or link: `Things(1)/Datastreams('a')` → (`Datastreams`, `a`)."""
    found = _OF_TOPIC.findall(path)
    return (found[-1][0], found[-1][1].strip("'\"")) if found else ("", "")


def _stream(payload: Payload, one: Mapping[str, Any]) -> _Stream:
    """What is expanded in an observation, and what was seen of its Datastream before."""
    number = _stream_id(payload, one)
    known = payload.context.recall(f"sensorthings/Datastream/{number}") if number else None
    known = _Stream(*known) if isinstance(known, list) and len(known) == 3 else _Stream()  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType] - as it was learned
    said = object_at(one, "Datastream") or object_at(one, "MultiDatastream")
    return _Stream(
        _thing_device(payload, object_at(said, "Thing"), expanded=True) or known.device,
        shared(text_at(object_at(said, "ObservedProperty"), "name") or text_at(said, "name")) or known.name,
        text_at(object_at(said, "unitOfMeasurement"), "symbol") or known.unit,
    )


def _thing_device(payload: Payload, thing: Mapping[str, Any], *, expanded: bool = False) -> str:
    """A Thing's device: its name, or that seen with its number, else `Thing:NUMBER`; "" where it has neither."""
    name, number = text_at(thing, "name"), text_at(thing, _ID)
    if not number and not expanded:
        kind, number = _in_path(payload.source.topic)
        number = number if kind == "Things" else ""
    if name:
        if number:
            _learn(payload, device_name(name), f"Thing/{number}", device_name(name))
        return device_name(name)
    if not number:
        return ""
    known = payload.context.recall(f"sensorthings/Thing/{number}")
    return known if isinstance(known, str) else device_name(f"Thing:{number}")


def _learn(payload: Payload, device: str, key: str, what: object) -> None:
    payload.context.learn(device, f"sensorthings/{key}", what, payload.received)


def _named(one: Mapping[str, Any], kind: str) -> str:
    """A device for an entity that belongs to none: its own name, or its number."""
    name = text_at(one, "name")
    number = text_at(one, _ID)
    return device_name(name) if name else device_name(f"{kind}:{number}") if number and kind else ""

"""Eclipse Ditto: things' features and attributes in messages of the Ditto protocol, by whichever connection.

Topics are anyone's; the envelope says all. By MQTT also below the protocol's own topic, `NS/NAME/things/twin/...`, by
HTTP `?decoder=eclipse_ditto`.

    {"topic": "com.acme/xdk_53/things/twin/events/modified", "path": "/features/accelerometer/properties",
     "value": {"x": 3.141, "unit": "g"}, "revision": 1}

Comes out: device `com.acme:xdk_53`; features as telemetry (`accelerometer.x`), attributes as `attributes.NAME`, an
attribute or feature with latitude and longitude is the position. Desired properties, live commands and messages to the
thing are of kind `command`; definitions and the policy's id are descriptions; what is deleted, messages from the thing,
announcements and errors are events. `revision` is `seq`. A thing as it is (the normalized form, `thingId`) is read too.
What a connection adds in `extra`, and things that are listed, are read as well.
Requests, acknowledgements and answers without a value say nothing; access rights are not read.

Source of the format: Eclipse Ditto documentation, "Protocol specification" and "Protocol topic".
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from headwater.errors import Rejected
from headwater.message import Message
from ingest.contract import Payload
from ingest.decoders.clocks import instant
from ingest.decoders.draft import Draft, as_float
from ingest.decoders.many import each
from ingest.decoders.naming import device_name
from ingest.decoders.parts import SEQ_MOST, short
from ingest.decoders.platforms.jsons import object_at, read_object, text_at

_FIRST = re.compile(
    rb'\s*+\{[^{]{0,400}?"(?:topic"\s*+:\s*+"[^"/]++/[^"/]++/(?:things|policies)/|thingId"\s*+:\s*+"[^":]*+:)'
)
_DESCRIPTIONS = ("definition", "policyId")
_DELETIONS = ("delete", "deleted", "merge", "merged")  # to merge nothing is to delete
_SILENT = ("acks", "search", "streaming")
_RIGHTS = ("acl", "policy", "_policy")


class _Said(NamedTuple):
    """An envelope. `criterion`: commands, events, messages and the like. `action`: modify, created; or the subject."""

    device: str
    channel: str
    criterion: str
    action: str
    path: tuple[str, ...]
    body: Mapping[str, Any]


def recognises(data: bytes) -> bool:
    """An object with a topic of the protocol, or a `thingId`, near its beginning."""
    return _FIRST.match(data) is not None


def decode(payload: Payload) -> Sequence[Message | Rejected]:
    """Messages of one envelope."""
    if not payload.data.strip():
        return ()
    said = _envelope(payload, read_object(payload.data))
    value, status = said.body.get("value"), said.body.get("status")
    if said.criterion == "errors" or (isinstance(status, int) and status >= 400):
        return _event(payload, said, value, "error")
    if said.criterion in ("messages", "announcements"):
        return _message(payload, said)
    if value is not None:
        return _valued(payload, said, value)
    if said.action in _DELETIONS:
        return _event(payload, said, None, "deleted")
    if status is None and said.criterion not in _SILENT and said.action != "retrieve":
        raise Rejected("missing_field", "an envelope that changes something has a `value`")
    return ()


def _valued(payload: Payload, said: _Said, value: Any) -> Sequence[Message | Rejected]:
    """What is changed; or the things that a search or a retrieval has found, but not what it asks for."""
    if said.criterion == "search" and isinstance(value, dict):
        value = value.get("items")
    asked = said.action == "retrieve" and not said.path
    if isinstance(value, list) and (asked or said.criterion == "search"):
        return each(value, lambda one: _listed(payload, one))
    if said.criterion in _SILENT or (asked and isinstance(value, dict) and "thingIds" in value):
        return ()
    return _change(payload, said)


def _listed(payload: Payload, thing: Any) -> Sequence[Message | Rejected]:
    if not isinstance(thing, dict) or not isinstance(thing.get("thingId"), str):
        raise Rejected("bad_shape", "a thing in a list is an object with its `thingId`")
    return _change(payload, _bare(thing))


def _envelope(payload: Payload, body: dict[str, Any]) -> _Said:
    topic = body.get("topic")
    if topic is None and isinstance(body.get("thingId"), str):  # the normalized form: the thing itself
        return _bare(body)
    if not isinstance(topic, str):
        raise Rejected("missing_field", "an envelope of the Ditto protocol has a `topic`")
    levels = topic.split("/")
    if levels[2:3] == ["policies"]:
        raise Rejected("unsupported", "a policy says nothing of a device")
    if len(levels) < 5 or levels[2] != "things":
        detail = (
            f"a topic of the Ditto protocol is NAMESPACE/NAME/things/CHANNEL/CRITERION/ACTION; {short(topic)} is none"
        )
        raise Rejected("bad_topic", detail)
    space, name = levels[0], levels[1]
    own = name if space == "_" else f"{space}:{name}"
    device = payload.source.device if name == "_" else device_name(own)
    path = body.get("path", "/")
    parts = tuple(part for part in path.split("/") if part)[:64] if isinstance(path, str) else ()
    return _Said(device, levels[3], levels[4], "/".join(levels[5:]), parts, body)


def _bare(body: dict[str, Any]) -> _Said:
    context = object_at(body, "_context")
    about = {name: body.get(f"_{name}", context.get(name)) for name in ("revision", "timestamp")}
    thing = {name: part for name, part in body.items() if not name.startswith("_")}
    about["timestamp"] = about["timestamp"] or body.get("_modified")
    return _Said(device_name(body["thingId"]), "twin", "events", "modified", (), {**about, "value": thing})


def _change(payload: Payload, said: _Said) -> list[Message | Rejected]:
    """What a command or event sets, wherever in the thing it is."""
    thing = said.body["value"]
    for part in reversed(said.path):
        thing = {part: thing}
    if not isinstance(thing, dict):
        raise Rejected("bad_shape", "a thing is an object")
    if said.path and said.path[0] in _RIGHTS:
        raise Rejected("unsupported", "access rights say nothing of a device")
    command = said.channel == "live" and said.criterion == "commands"
    values = _draft(payload, said, "command" if command else "telemetry")
    wished = _draft(payload, said, "command")
    about = _draft(payload, said, "description")
    _attributes(values, thing)
    for name, feature in object_at(thing, "features").items():
        if isinstance(feature, dict):
            _feature(name, feature, values, wished, about)
    for name in _DESCRIPTIONS:
        about.put(name, text_at(thing, name))
    _enrich(values, said.body.get("extra"))
    drafts = [draft for draft in (values, wished, about) if not draft.empty]
    if not drafts:
        raise Rejected("no_fields", "there is no feature, attribute or definition in it")
    return [message for draft in drafts for message in draft.messages()]


def _enrich(values: Draft, extra: Any) -> None:
    """What a connection adds to an event of what the thing was before; what the event itself says goes first."""
    if not isinstance(extra, dict):
        return
    fields, texts, place = values.fields, values.texts, values.position
    values.fields, values.texts = {}, {}
    _attributes(values, extra)
    features = extra.get("features")
    for name, feature in features.items() if isinstance(features, dict) else ():
        if isinstance(feature, dict):
            values.tree(feature.get("properties"), name)
    values.fields = {name: value for name, value in values.fields.items() if name not in texts} | fields
    values.texts = {name: text for name, text in values.texts.items() if name not in fields} | texts
    values.position = place or values.position


def _attributes(draft: Draft, thing: Mapping[str, Any]) -> None:
    attributes = thing.get("attributes")
    if not isinstance(attributes, dict):
        return
    draft.tree(attributes, "attributes")
    for place in (attributes, *attributes.values()):
        _place(draft, place)


def _feature(name: str, feature: Mapping[str, Any], values: Draft, wished: Draft, about: Draft) -> None:
    properties = feature.get("properties")
    values.tree(properties, name)
    _place(values, properties)
    wished.tree(feature.get("desiredProperties"), name)
    about.tree(feature.get("definition"), f"{name}.definition")


def _place(draft: Draft, values: Any) -> None:
    if isinstance(values, dict) and draft.position is None:
        lat, lon = values.get("latitude", values.get("lat")), values.get("longitude", values.get("lon"))
        if as_float(lat) is not None and as_float(lon) is not None:
            draft.place(lat, lon, values.get("altitude"))


def _message(payload: Payload, said: _Said) -> list[Message | Rejected]:
    """A message to a thing (`inbox`) is a command; one of it (`outbox`), or an announcement, is an event."""
    box = next((part for part in said.path if part in ("inbox", "outbox")), "outbox")
    draft = _draft(payload, said, "command" if box == "inbox" else "event")
    draft.put("event", said.action)
    _tree(draft, said.body.get("value"))
    return [*draft.messages()]


def _event(payload: Payload, said: _Said, value: Any, what: str) -> list[Message | Rejected]:
    draft = _draft(payload, said, "event")
    draft.put("event", what)
    draft.put("path", "/" + "/".join(said.path))
    status = said.body.get("status")
    if isinstance(status, int):
        draft.put("status", status)
    _tree(draft, value)
    return [*draft.messages()]


def _tree(draft: Draft, value: Any) -> None:
    if isinstance(value, dict):
        draft.tree(value)
    else:
        draft.tree(value, "value")


def _draft(payload: Payload, said: _Said, kind: str) -> Draft:
    draft = Draft(payload, said.device, kind)
    draft.at = instant(said.body.get("timestamp"))
    revision = said.body.get("revision")
    if isinstance(revision, int) and not isinstance(revision, bool) and 0 <= revision <= SEQ_MOST:
        draft.seq = revision
    return draft

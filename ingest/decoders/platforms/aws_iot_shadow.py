"""AWS IoT Device Shadow: what things report and what is wished of them, as a bridge from AWS IoT Core brings it.

Topics: `$aws/things/THING/shadow/...` and, of named shadows, `$aws/things/THING/shadow/name/SHADOW/...`, also below a
prefix. By HTTP `?decoder=aws_iot_shadow`; then the payload's shape says what it is.

    {"state": {"reported": {"color": {"r": 10}, "engine": "ON"}}, "version": 18, "timestamp": 1763700000}

Comes out: device `THING`; what is reported is telemetry (`color.r`, `engine`), what is desired, or a delta, is of kind
`command`; of `documents` the current state counts. Fields of a named shadow begin with its name. `version` is `seq`;
the time is that of the answer, else the newest of the metadata. A rejection is an event (`code`, `message`). Requests
without a state (`get`, `delete`) say nothing.

Source of the format: AWS IoT Core developer guide, "Device Shadow service documents" and "Device Shadow MQTT topics".
"""

from collections.abc import Mapping, Sequence
from typing import Any

from headwater.errors import Rejected
from headwater.message import Message
from ingest.contract import Payload
from ingest.decoders.clocks import seconds
from ingest.decoders.draft import DEPTH, Draft
from ingest.decoders.naming import device_name
from ingest.decoders.parts import SEQ_MOST
from ingest.decoders.platforms.jsons import object_at, read_object


def decode(payload: Payload) -> Sequence[Message | Rejected]:
    """Messages of what is reported and of what is desired."""
    if not payload.data.strip():
        return ()
    said = read_object(payload.data)
    device, shadow, action = _place(payload)
    if action.endswith("rejected") or ("code" in said and "state" not in said):
        return [_rejection(payload, device, said)]
    if isinstance(said.get("current"), dict):
        said = {**said["current"], "timestamp": said.get("timestamp")}
    if "state" not in said:
        if action in ("update", "update/accepted", ""):
            raise Rejected("missing_field", "a shadow's document has a `state`")
        return ()
    state = object_at(said, "state")
    made: list[Message | Rejected] = []
    for part, kind, values in _parts(state):
        made += _values(payload, device, shadow, said, values, part, kind)
    return made


def _parts(state: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    """(name, kind of message, values) of what a state is made of; one of neither part is itself a delta."""
    if "reported" not in state and "desired" not in state:
        return [("", "command", state)] if state else []
    wished = "desired" if state.get("desired") else "delta"  # a delta is the part of it that is not reported yet
    parts = [("reported", "telemetry", object_at(state, "reported")), (wished, "command", object_at(state, wished))]
    return [part for part in parts if part[2]]


def _values(
    payload: Payload, device: str, shadow: str, said: Mapping[str, Any], values: dict[str, Any], part: str, kind: str
) -> list[Message]:
    draft = Draft(payload, device, kind)
    draft.at = seconds(said.get("timestamp")) or _newest(
        object_at(said, "metadata").get(part) if part else said.get("metadata")
    )
    version = said.get("version")
    if isinstance(version, int) and not isinstance(version, bool) and 0 <= version <= SEQ_MOST:
        draft.seq = version
    draft.tree(values, shadow)
    return [] if draft.empty else draft.messages()


def _newest(metadata: Any) -> int | None:
    """The newest `timestamp` below a part of the metadata."""
    newest = 0
    waiting = [(metadata, 0)]
    while waiting:
        one, depth = waiting.pop()
        if isinstance(one, dict):
            newest = max(newest, seconds(one.get("timestamp")) or 0)
            below = list(one.values())
        else:
            below = one if isinstance(one, list) else []
        if depth < DEPTH:
            waiting += [(part, depth + 1) for part in below if isinstance(part, dict | list)]
    return newest or None


def _rejection(payload: Payload, device: str, said: dict[str, Any]) -> Message:
    draft = Draft(payload, device, "event")
    draft.at = seconds(said.get("timestamp"))
    draft.put("event", "rejected")
    for name in ("code", "message"):
        draft.tree(said.get(name), name)
    return draft.message()


def _place(payload: Payload) -> tuple[str, str, str]:
    """(device, name of the shadow or "", what was done: `update/delta`) by the topic, or by the path."""
    levels = payload.source.topic.split("/")
    if "$aws" not in levels:
        return payload.source.device, "", ""
    levels = levels[levels.index("$aws") + 1 :]
    if len(levels) < 4 or levels[0] != "things" or levels[2] != "shadow":
        raise Rejected("bad_topic", "topics of a shadow are $aws/things/THING/shadow/ACTION")
    device, rest = device_name(levels[1]), levels[3:]
    shadow = ""
    if rest[0] == "name" and len(rest) > 2:
        shadow, rest = rest[1], rest[2:]
    return device, shadow, "/".join(rest)

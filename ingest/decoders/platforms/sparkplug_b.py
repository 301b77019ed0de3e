"""Sparkplug B: births, data, deaths and commands of edge nodes and their devices, as industrial gateways publish them.

Topics: `spBv1.0/GROUP/TYPE/NODE` and `spBv1.0/GROUP/TYPE/NODE/DEVICE` (also below a prefix), TYPE one of NBIRTH, NDATA,
NDEATH, NCMD, DBIRTH, DDATA, DDEATH, DCMD; `spBv1.0/STATE/HOST` and `STATE/HOST` of host applications. The payload is
Protocol Buffers (sparkplug_b.proto), so an example cannot be shown as a text: a metric `Inputs/Temperature` = 21.5.

Comes out: device `NODE` or `NODE:DEVICE`. A birth is a status `online`, a description (name, group, manufacturer,
model, firmware, units from `engUnit`) and its values; data are telemetry, one message for each of the times that
metrics bring; a death is a status `offline`, that of a node also for all its devices; commands are of kind `command`.
Metrics keep their names (`Inputs/A`), parts of arrays, data sets and templates follow after a dot (`Wave.0`).

Data refer to names by numbers that only the birth explains; all gateways know it, also after a restart. Where it was
missed, or a sequence number is missing, the node is asked for a new one (`Node Control/Rebirth` to its NCMD); values
without a name are refused as `unknown_alias`, and can be sent on once they have one (`headwater rejected retry`).
A node's will that is older than its birth (another bdSeq) is an event, not a death.

Source of the format: Eclipse Sparkplug 3.0 specification; Eclipse Tahu, sparkplug_b.proto.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from headwater.errors import Rejected
from headwater.message import Message
from ingest.contract import Payload
from ingest.decoders.draft import Draft
from ingest.decoders.naming import device_name
from ingest.decoders.parts import short
from ingest.decoders.platforms.sparkplug_births import Node, devices, known, learn
from ingest.decoders.platforms.sparkplug_hosts import rebirth, state
from ingest.decoders.platforms.sparkplug_metrics import Contents, Metric, contents, value

_LEVEL = "spBv1.0"
_TYPES = frozenset({"NBIRTH", "NDATA", "NDEATH", "NCMD", "DBIRTH", "DDATA", "DDEATH", "DCMD"})
_MAKES = ("properties/hardware make", "properties/manufacturer", "properties/make", "manufacturer")
_MODELS = ("properties/hardware model", "properties/model", "model")
_FIRMWARES = ("properties/fw", "properties/firmware", "properties/firmware version", "properties/fw version")
_DESCRIBES = {
    **dict.fromkeys(_MAKES, "manufacturer"),
    **dict.fromkeys(_MODELS, "model"),
    **dict.fromkeys(_FIRMWARES, "firmware"),
    "properties/os version": "os_version",
    "properties/os": "os",
}
_QUALITIES = {0: "bad", 500: "stale"}


class _Place(NamedTuple):
    """What the topic says. `part`: the device below the node, "" for the node itself."""

    group: str
    kind: str
    node: str
    part: str

    @property
    def device(self) -> str:
        return device_name(f"{self.node}:{self.part}" if self.part else self.node)

    @property
    def key(self) -> str:
        return f"{self.group}/{self.node}"


def decode(payload: Payload) -> Sequence[Message | Rejected]:
    """One payload of any type. Without a topic, what is in it says which type it is."""
    levels = payload.source.topic.split("/")
    if "STATE" in levels[:-1] and levels[-2] == "STATE":
        return [state(payload, levels[-1])]
    if not payload.data:
        return ()
    said = contents(payload.data)
    place = _place(levels, payload, said)
    if place.kind in ("NBIRTH", "DBIRTH"):
        return _birth(payload, place, said)
    node = known(payload.context, place.key, place.part)
    match place.kind:
        case "NDEATH":
            return _node_death(payload, place, said, node)
        case "DDEATH":
            return [_status(payload, place, said, "offline", _gap(payload, place, said, node))]
        case _:
            return _values(payload, place, said, node)


def _place(levels: list[str], payload: Payload, said: Contents) -> _Place:
    if _LEVEL in levels:
        parts = levels[levels.index(_LEVEL) + 1 :]
        if not 3 <= len(parts) <= 4 or parts[1] not in _TYPES or (parts[1][0] == "D") != (len(parts) == 4):
            detail = (
                f"topics of Sparkplug B are spBv1.0/GROUP/TYPE/NODE[/DEVICE]; {short(payload.source.topic)} is none"
            )
            raise Rejected("bad_topic", detail)
        return _Place(parts[0], parts[1], parts[2], parts[3] if len(parts) == 4 else "")
    names = {one.name for one in said.metrics}
    kind = "NDATA"
    if "bdSeq" in names:
        kind = "NDEATH" if len(names) == 1 else "NBIRTH"
    if not payload.source.device:
        raise Rejected("missing_device", "name the node by the topic, spBv1.0/GROUP/TYPE/NODE, or in the path")
    return _Place("", kind, payload.source.device, "")


def _birth(payload: Payload, place: _Place, said: Contents) -> list[Message | Rejected]:
    born = None if place.part else _session(said)
    node = learn(payload.context, place.key, place.part, place.device, said.metrics, born, payload.received)
    late = {}
    if not place.part:
        node.seq = said.seq
    else:
        late = _gap(payload, place, said, node)
    made: list[Message | Rejected] = [_status(payload, place, said, "online", late)]
    made += _description(payload, place, said)
    return made + list(_telemetry(payload, place, said, node, "telemetry", {}))


def _node_death(payload: Payload, place: _Place, said: Contents, node: Node | None) -> list[Message | Rejected]:
    session = _session(said)
    if node is not None and node.born is not None and session is not None and session != node.born:
        draft = Draft(payload, place.device, "event")
        draft.put("bdSeq", session)
        draft.note("status", f"the will of session {session}; the node was born again with {node.born}")
        return [draft.message()]
    # A will is written when the node connects: its time is not that of the death.
    will = said._replace(at=None, seq=None)
    parts = devices(payload.context, place.key, node)
    nothing = Contents(None, None, [])
    return [
        _status(payload, place, will, "offline", {}, said.at),
        *(_status(payload, place._replace(part=part), nothing, "offline", {}) for part in parts),
    ]


def _values(payload: Payload, place: _Place, said: Contents, node: Node | None) -> list[Message | Rejected]:
    command = place.kind.endswith("CMD")
    gap = {} if command else _gap(payload, place, said, node)
    if not command and (node is None or place.part not in node.types):
        _ask(payload, place)
    return list(_telemetry(payload, place, said, node or Node(), "command" if command else "telemetry", gap))


def _telemetry(
    payload: Payload, place: _Place, said: Contents, node: Node, kind: str, gap: dict[str, str]
) -> Iterator[Message | Rejected]:
    """A message for each time that the metrics have, and one rejection for all that have no name."""
    drafts: dict[tuple[int | None, bool], Draft] = {}
    nameless: list[str] = []
    types = node.types.get(place.part, {})
    aliases: Mapping[int | None, str] = node.aliases.get(place.part, {})  # pyright: ignore[reportAssignmentType]  # only read
    for metric in said.metrics:
        name = metric.name or aliases.get(metric.alias) or node.name(place.part, metric.alias)
        if not name:
            nameless.append(str(metric.alias))
            continue
        key = (said.at if metric.at is None else metric.at, metric.historical)
        draft = drafts.get(key)
        if draft is None:
            draft = drafts[key] = _draft(payload, place, key[0], said.seq, kind)
            if metric.historical:
                draft.put("historical", value=True)
        _put(draft, name, metric, types.get(name, 0))
    for draft in drafts.values():
        draft.texts.update(gap)
        gap = {}
        if not draft.empty:
            yield from draft.messages()
    if nameless:
        if kind != "command":
            _ask(payload, place)
        some = ", ".join(nameless[:8]) + (" …" if len(nameless) > 8 else "")
        yield Rejected(
            "unknown_alias", f"no birth of {short(place.device)} has named the aliases {some}; it is asked for"
        )


def _put(draft: Draft, name: str, metric: Metric, kind: int) -> None:
    try:
        found = value(metric, kind)
    except Rejected as problem:
        draft.note(name, problem.detail)
        return
    if found is None:
        draft.note(name, "null" if metric.null else "it has no value")
    elif metric.slot < 16:
        draft.put(name, found)
    else:
        draft.tree(found, name)
    if metric.properties:
        quality = _QUALITIES.get(metric.properties.get("Quality", 192))
        if quality:
            draft.note(name, f"its quality is {quality}")


def _description(payload: Payload, place: _Place, said: Contents) -> list[Message]:
    draft = _draft(payload, place, said.at, None, "description")
    draft.put("name", place.part or place.node)
    draft.put("group", place.group)
    for metric in said.metrics:
        what = _DESCRIBES.get(metric.name.lower())
        found = value(metric) if what and metric.slot == 15 else None
        if what and found is not None:
            draft.put(what, str(found))
        unit = metric.properties.get("engUnit")
        if unit:
            draft.put(f"unit.{metric.name}", str(unit))
    return draft.messages()


def _status(
    payload: Payload, place: _Place, said: Contents, status: str, gap: dict[str, str], written: int | None = None
) -> Message:
    draft = _draft(payload, place, said.at, said.seq, "status")
    draft.put("status", status)
    draft.put("timestamp", written)
    if not place.part:
        draft.put("bdSeq", _session(said))
    draft.texts.update(gap)
    return draft.message()


def _draft(payload: Payload, place: _Place, moment: int | None, seq: int | None, kind: str) -> Draft:
    draft = Draft(payload, place.device, kind)
    draft.at = moment * 1000 if moment is not None and 0 < moment < 1 << 50 else None
    draft.seq = seq if seq is not None and seq < 1 << 63 else None
    return draft


def _session(said: Contents) -> int | None:
    """bdSeq, which a node's birth and the will of the same connection share."""
    for metric in said.metrics:
        if metric.name == "bdSeq":
            found = value(metric)
            return found if isinstance(found, int) else None
    return None


def _gap(payload: Payload, place: _Place, said: Contents, node: Node | None) -> dict[str, str]:
    """A note where sequence numbers are missing; they count all that a node sends, 0 to 255 and round again."""
    if node is None or said.seq is None:
        return {}
    last, node.seq = node.seq, said.seq
    if last is None or said.seq in (last, (last + 1) % 256):
        return {}
    if payload.source.transport == "bridge" and not payload.context.alone:
        return {}  # another gateway has read what is missing here
    _ask(payload, place)
    return {"note.seq": f"{(last + 1) % 256} was to come, {said.seq} came: messages of this node are missing"}


def _ask(payload: Payload, place: _Place) -> None:
    if not place.group:
        return
    topic = payload.source.topic
    prefix = topic[: topic.index(_LEVEL)]
    payload.context.ask(f"{prefix}{_LEVEL}/{place.group}/NCMD/{place.node}", rebirth(payload.received))

"""How records are written as JSON, in the shapes of `answer_models`. Times are RFC 3339 in UTC.

In: records. Out: dictionaries. The models are not in between: a page of ten thousand rows has to be cheap.
"""

from base64 import b64encode
from collections.abc import Mapping
from typing import Any

from headwater.config_models import FieldModel
from headwater.message import Candidate, Heard, Message, Position, RejectedMessage
from headwater.times import rfc3339
from ingest.decoders.units import usual_unit
from storage.contract import LakeRow, LiveDevice, LiveValue, Rollup

Json = dict[str, Any]
_OURS = {"", "native", "flat"}
"""Whose fields are called what their sender likes: a name says nothing of a unit."""
_SHOWN = 1024
"""Bytes of a rejected payload that are shown unless more are asked for."""


def latest(device: LiveDevice, units: Mapping[str, str]) -> Json:
    """A `LatestAnswer`. `units`: field → unit, as its model says; else what the device or its format says."""
    fields: Json = {}
    texts: Json = {}
    for name, held in sorted(device.values.items()):
        answer: Json = {"value": held.value, "time": rfc3339(held.time), "received": rfc3339(held.received)}
        unit = units.get(name) or _unit(name, device)
        if unit:
            answer["unit"] = unit
        (texts if isinstance(held.value, str) else fields)[name] = answer
    return {
        "device": device.device,
        "kind": device.kind,
        "seen": rfc3339(device.seen),
        "time": rfc3339(device.time),
        "fields": fields,
        "texts": texts,
        "position": _place(device.position),
        "position_time": None if device.position_time is None else rfc3339(device.position_time),
        "heard_by": _heard(device.heard_by),
        "via": device.via or None,
        "decoder": device.decoder,
        "entries": device.entries,
    }


def _unit(name: str, device: LiveDevice) -> str:
    said = device.values.get(f"unit.{name}")
    if said is not None:
        return str(said.value)
    if device.decoder in _OURS or isinstance(device.values[name].value, str | bool):
        return ""
    return usual_unit(name)


def device(known: LiveDevice, model: str, fields: Mapping[str, FieldModel]) -> Json:
    """A `DeviceAnswer`. `fields`: what its model says of them."""
    return {
        "device": known.device,
        "model": model,
        "kind": known.kind,
        "seen": rfc3339(known.seen),
        "time": rfc3339(known.time),
        "via": known.via or None,
        "entries": known.entries,
        "fields": [_field(name, known.values.get(name), fields.get(name)) for name in sorted({*known.values, *fields})],
    }


def _field(name: str, held: LiveValue | None, model: FieldModel | None) -> Json:
    if model is not None:
        kind, unit, low, high = model.type, model.unit or None, model.min, model.max
    else:
        kind, unit, low, high = _kind(held), None, None, None
    time = None if held is None else rfc3339(held.time)
    return {"name": name, "type": kind, "unit": unit, "min": low, "max": high, "time": time}


def _kind(held: LiveValue | None) -> str:
    match None if held is None else held.value:
        case bool():
            return "boolean"
        case str():
            return "text"
        case _:
            return "number"


def message(said: Message, partition: int, offset: int) -> Json:
    """A `HistoryItem`."""
    return {
        "device": said.device,
        "id": said.id,
        "time": rfc3339(said.time),
        "received": rfc3339(said.received),
        "at": None if said.at is None else rfc3339(said.at),
        "flag": said.flag,
        "seq": said.seq,
        "kind": said.kind,
        "fields": said.fields,
        "texts": said.texts,
        "position": _place(said.position),
        "heard_by": _heard(said.heard_by),
        "via": said.via or None,
        "partition": partition,
        "offset": offset,
    }


def row(said: Message) -> Json:
    """A `RowItem`: as a `HistoryItem`, without where it stands on the log."""
    return {name: value for name, value in message(said, 0, 0).items() if name not in {"partition", "offset"}}


def rollup(one: Rollup) -> Json:
    """A `RollupItem`. The sum is exact, so it is text."""
    return {
        "device": one.device,
        "field": one.field,
        "start": rfc3339(one.start),
        "count": one.count,
        "sum": format(one.sum, "f"),
        "min": one.min,
        "max": one.max,
        "last": one.last,
    }


def history(row: LakeRow, field: str | None = None) -> Json:
    """A `HistoryItem`, with all values or one."""
    answer = message(row.message, row.partition, row.offset)
    if field is not None:
        for kind in ("fields", "texts"):
            answer[kind] = {name: value for name, value in answer[kind].items() if name == field}
    return answer


def candidate(row: Candidate) -> Json:
    """A `CandidateItem`."""
    origin = row.origin
    return {
        "id": row.id,
        "device": row.device,
        "time": rfc3339(row.time),
        "rule": row.rule,
        "rule_version": row.rule_version,
        "reasons": row.reasons,
        "kind": row.kind,
        "revision": row.revision,
        "origin": {"partition": origin.partition, "offset": origin.offset, "n": origin.n},
        "message": message(row.message, origin.partition, origin.offset),
    }


def rejected(row: RejectedMessage, shown: int = _SHOWN) -> Json:
    """A `RejectedItem`, with so many bytes of its payload."""
    payload = row.payload[:shown]
    try:
        text, plain = payload.decode(), True
    except UnicodeDecodeError:
        text, plain = payload.decode("utf-8", "replace"), False
    origin = row.origin
    return {
        "id": row.id,
        "received": rfc3339(row.received),
        "reason": row.reason,
        "detail": row.detail,
        "device": row.device,
        "via": row.via or None,
        "transport": row.transport,
        "topic": row.topic,
        "peer": row.peer,
        "decoder": row.decoder,
        "stage": row.stage,
        "size": row.size,
        "sha256": row.sha256,
        "payload": text,
        "payload_base64": None if plain else b64encode(payload).decode(),
        "origin": None if origin is None else {"partition": origin.partition, "offset": origin.offset, "n": origin.n},
    }


def _place(position: Position | None) -> Json | None:
    if position is None:
        return None
    return {"lat": position.lat, "lon": position.lon, "alt": position.alt, "accuracy": position.accuracy}


def _heard(heard: list[Heard]) -> list[Json]:
    return [{"gateway": one.gateway, "rssi": one.rssi, "snr": one.snr} for one in heard]

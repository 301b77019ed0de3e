"""What the API answers, as JSON: the shapes for the schema, and how records are written in them.

In: records. Out: dictionaries of these shapes; the models document and are compared with the answers by tests, but do
not stand between a record and its JSON: a page of ten thousand rows has to be cheap. Times are RFC 3339 in UTC.
"""

from base64 import b64encode
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, Field

from headwater.config import FieldModel
from headwater.message import Candidate, Heard, Message, Position, RejectedMessage
from headwater.times import rfc3339
from storage.contract import LakeRow, LiveDevice, LiveValue

Json = dict[str, Any]
_WHEN = "2026-11-21T07:40:00.123Z"
_SHOWN = 1024
"""Bytes of a rejected payload that are shown unless more are asked for."""


class Place(BaseModel):
    """WGS 84 degrees; altitude and accuracy in metres."""

    lat: float = Field(examples=[48.137])
    lon: float = Field(examples=[11.575])
    alt: float | None = None
    accuracy: float | None = None


class HeardBy(BaseModel):
    """A gateway that heard the device: received signal strength in dBm, signal-to-noise ratio in dB."""

    gateway: str = Field(examples=["gateway-3"])
    rssi: float | None = Field(default=None, examples=[-71.0])
    snr: float | None = None


class NewestValue(BaseModel):
    """The newest value of a field: by the device's time, not by arrival."""

    value: bool | int | float | str = Field(examples=[647])
    time: str = Field(description="When it was so.", examples=[_WHEN])
    received: str = Field(description="When the message arrived.", examples=[_WHEN])
    unit: str | None = Field(default=None, description="From the device's model.", examples=["V"])


class LatestAnswer(BaseModel):
    """A device now."""

    device: str = Field(examples=["7"])
    kind: str = Field(description="Of its newest message.", examples=["telemetry"])
    seen: str = Field(description="When anything last arrived.", examples=[_WHEN])
    time: str = Field(description="Of its newest message.", examples=[_WHEN])
    fields: dict[str, NewestValue] = Field(description="Numbers and booleans.")
    texts: dict[str, NewestValue] = Field(description="Strings.")
    position: Place | None = None
    position_time: str | None = None
    heard_by: list[HeardBy] = Field(description="By whom its newest message was heard.")
    via: str | None = Field(description="Who sent its newest message, where that was not the device itself.")
    messages: int = Field(description="How many messages it has sent.", examples=[42])


class DevicePage(BaseModel):
    """Devices by name."""

    items: list[LatestAnswer]
    next: str | None = Field(description="Give it as `after` for those behind; null if there are none.")


class FieldAnswer(BaseModel):
    """A field of a device, and what its model says of it."""

    name: str = Field(examples=["voltage"])
    type: str = Field(description="`number`, `integer`, `boolean` or `text`.", examples=["number"])
    unit: str | None = Field(default=None, examples=["V"])
    min: float | None = None
    max: float | None = None
    time: str | None = Field(description="When it was last said; null if never.", examples=[_WHEN])


class DeviceAnswer(BaseModel):
    """What is known about a device, without its values."""

    device: str = Field(examples=["7"])
    model: str = Field(description="By which model its messages are checked and selected.", examples=["default"])
    kind: str = Field(examples=["telemetry"])
    seen: str = Field(examples=[_WHEN])
    time: str = Field(examples=[_WHEN])
    via: str | None
    messages: int = Field(examples=[42])
    fields: list[FieldAnswer]


class HistoryItem(BaseModel):
    """One message, and where it stands on the log."""

    device: str = Field(examples=["7"])
    id: str = Field(description="Unique within the device.", examples=["5f0c3a9be2d14477"])
    time: str = Field(description="What orders it: `at` where that can be believed, else `received`.", examples=[_WHEN])
    received: str = Field(description="Our clock.", examples=[_WHEN])
    at: str | None = Field(description="The device's clock.", examples=[_WHEN])
    flag: str = Field(description="Why `time` is not `at`: `none`, `past`, `future`; empty if it is.", examples=[""])
    seq: int | None = Field(examples=[400])
    kind: str = Field(examples=["telemetry"])
    fields: dict[str, bool | int | float] = Field(examples=[{"voltage": 647}])
    texts: dict[str, str] = Field(examples=[{"state": "on"}])
    position: Place | None
    heard_by: list[HeardBy]
    via: str | None
    partition: int
    offset: int


class HistoryPage(BaseModel):
    """Messages of a device."""

    items: list[HistoryItem]
    next: str | None = Field(description="Give it as `cursor` for those behind; null if there are none.")


class OriginAnswer(BaseModel):
    """Where a candidate's message stands on the log."""

    partition: int
    offset: int
    n: int


class CandidateItem(BaseModel):
    """A record that a rule chose, and why."""

    id: str
    device: str
    time: str = Field(examples=[_WHEN])
    rule: str = Field(examples=["default"])
    rule_version: int
    reasons: list[str] = Field(examples=[["voltage changed"]])
    kind: str = Field(description="`message`; `silent`: nothing has come since `time`.", examples=["message"])
    revision: int
    origin: OriginAnswer
    message: HistoryItem


class CandidatePage(BaseModel):
    """Candidate records."""

    items: list[CandidateItem]
    next: str | None = Field(description="Give it as `cursor` for those behind; null if there are none.")


class RejectedItem(BaseModel):
    """What was not valid, and why."""

    id: str
    received: str = Field(examples=[_WHEN])
    reason: str = Field(description="A code of a closed set.", examples=["bad_json"])
    detail: str = Field(description="What to change, for people.")
    device: str
    via: str | None = Field(description="Who sent it, where that was not the device itself.")
    transport: str = Field(examples=["http"])
    topic: str
    peer: str
    decoder: str
    stage: str = Field(description="`ingest`, or the store that refused it.", examples=["ingest"])
    size: int = Field(description="Bytes of the whole payload.")
    sha256: str = Field(description="Of the whole payload.")
    payload: str = Field(description="Its beginning as text; what is no UTF-8 is replaced.")
    payload_base64: str | None = Field(description="The same bytes, where they are no UTF-8.")
    origin: OriginAnswer | None


class RejectedPage(BaseModel):
    """Rejected messages, newest first. To go on, ask again with `to` the last one's `received`."""

    items: list[RejectedItem]


def latest(device: LiveDevice, units: Mapping[str, str]) -> Json:
    """A `LatestAnswer`. `units`: field → unit."""
    fields: Json = {}
    texts: Json = {}
    for name, held in sorted(device.values.items()):
        answer: Json = {"value": held.value, "time": rfc3339(held.time), "received": rfc3339(held.received)}
        if name in units:
            answer["unit"] = units[name]
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
        "messages": device.messages,
    }


def device(known: LiveDevice, model: str, fields: Mapping[str, FieldModel]) -> Json:
    """A `DeviceAnswer`. `fields`: what its model says of them."""
    return {
        "device": known.device,
        "model": model,
        "kind": known.kind,
        "seen": rfc3339(known.seen),
        "time": rfc3339(known.time),
        "via": known.via or None,
        "messages": known.messages,
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

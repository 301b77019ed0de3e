"""A candidate as a MongoDB document, natural to a person who opens the collection, and back again, exactly.

In: a candidate. Out: a document such as

    {_id: "pump-7/0123456789abcdef", id: "0123456789abcdef", device: "pump-7", time: ISODate(…), rule: "change", …,
     origin: {partition: 3, offset: 17, n: 0}, exact: {time: 1763700000123456}, expires: ISODate(…),
     message: {id: …, received: ISODate(…), fields: {temperature: 21.5}, location: {type: "Point", …}, exact: {…}, …}}

- `_id` is "device/id": an id has 64 bits, enough for one device, too few for all of them; a device's name has no slash.
- Dates of BSON have milliseconds. `exact` has the same times in microseconds since 1970.
- Names of fields: `.`, `$`, `%` and NUL are written `%2E`, `%24`, `%25`, `%00`, so that each can be asked for by path.
- Integers of a message beyond 64 bits are Decimal128, up to 34 digits; larger ones raise `ArithmeticError`.
- What has its usual value is left out, as on the log.
"""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any
from urllib.parse import unquote

from bson.datetime_ms import DatetimeMS
from bson.decimal128 import Decimal128
from bson.int64 import Int64

from headwater.message import FORMAT_VERSION, Candidate, Heard, Message, Number, Origin, Position

Document = dict[str, Any]

_ESCAPES = str.maketrans({"%": "%25", ".": "%2E", "$": "%24", "\0": "%00"})


@lru_cache(10_000)
def field_name(name: str) -> str:
    """A field's name as it stands in a document."""
    return name.translate(_ESCAPES)


@lru_cache(10_000)
def _own_name(name: str) -> str:
    return unquote(name) if "%" in name else name


@lru_cache(256)  # a message has the same time in several places
def date(micros: int) -> DatetimeMS:
    """A BSON date; microseconds are cut."""
    return DatetimeMS(micros // 1000)


def document(candidate: Candidate, retention: int) -> Document:
    """What is stored. `retention` (microseconds): `expires` is so long after its `time`, never a fraction earlier."""
    origin = candidate.origin
    made: Document = {
        "_id": f"{candidate.device}/{candidate.id}",
        "id": candidate.id,
        "device": candidate.device,
        "time": date(candidate.time),
        "rule": candidate.rule,
        "rule_version": candidate.rule_version,
        "reasons": candidate.reasons,
        "kind": candidate.kind,
        "revision": candidate.revision,
        "origin": {"partition": origin.partition, "offset": origin.offset, "n": origin.n},
        "message": _message(candidate.message, candidate.device),
        "exact": {"time": candidate.time},
        "expires": date(candidate.time + retention + 999),
    }
    if candidate.v != FORMAT_VERSION:
        made["v"] = candidate.v
    return made


def _message(message: Message, device: str) -> Document:
    exact = {"time": message.time, "received": message.received}
    made: Document = {
        "id": message.id,
        "kind": message.kind,
        "time": date(message.time),
        "received": date(message.received),
        "fields": {field_name(name): _number(value) for name, value in message.fields.items()},
        "exact": exact,
    }
    if message.at is not None:
        made["at"] = date(message.at)
        exact["at"] = message.at
    if message.seq is not None:
        made["seq"] = _number(message.seq)
    if message.texts:
        made["texts"] = {field_name(name): text for name, text in message.texts.items()}
    if message.position is not None:
        made |= _located(message.position)
    if message.heard_by:
        made["heard_by"] = [_present(gateway=by.gateway, rssi=by.rssi, snr=by.snr) for by in message.heard_by]
    if message.device != device:
        made["device"] = message.device
    _add_rarities(made, message)
    return made


def _add_rarities(made: Document, message: Message) -> None:
    if message.flag:
        made["flag"] = message.flag
    if message.via:
        made["via"] = message.via
    if message.decoder != "native":
        made["decoder"] = message.decoder
    if message.raw is not None:
        made["raw"] = message.raw
    if message.v != FORMAT_VERSION:
        made["v"] = message.v


def _number(value: Number) -> Number | Decimal128:
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        return Decimal128(str(value))
    return value


def _located(position: Position) -> Document:
    point = {"type": "Point", "coordinates": [position.lon, position.lat]}
    return _present(location=point, altitude=position.alt, accuracy=position.accuracy)


def _present(**values: object) -> Document:
    return {name: value for name, value in values.items() if value is not None}


def candidate_of(stored: Mapping[str, Any]) -> Candidate:
    """The candidate that the document was made of."""
    origin = stored["origin"]
    return Candidate(
        id=stored["id"],
        device=stored["device"],
        time=int(stored["exact"]["time"]),
        rule=stored["rule"],
        rule_version=int(stored["rule_version"]),
        reasons=stored["reasons"],
        origin=Origin(int(origin["partition"]), int(origin["offset"]), int(origin["n"])),
        message=_message_of(stored["message"], stored["device"]),
        kind=stored["kind"],
        revision=int(stored["revision"]),
        v=stored.get("v", FORMAT_VERSION),
    )


def _message_of(stored: Mapping[str, Any], device: str) -> Message:
    exact = stored["exact"]
    return Message(
        device=stored.get("device", device),
        id=stored["id"],
        received=int(exact["received"]),
        time=int(exact["time"]),
        at=_own_number(exact.get("at")),
        seq=_own_number(stored.get("seq")),
        flag=stored.get("flag", ""),
        via=stored.get("via", ""),
        kind=stored["kind"],
        fields={_own_name(name): _own_number(value) for name, value in stored["fields"].items()},
        texts={_own_name(name): text for name, text in stored.get("texts", {}).items()},
        position=_position_of(stored),
        heard_by=[Heard(by["gateway"], by.get("rssi"), by.get("snr")) for by in stored.get("heard_by", ())],
        decoder=stored.get("decoder", "native"),
        raw=stored.get("raw"),
        v=stored.get("v", FORMAT_VERSION),
    )


def _own_number(value: Any) -> Any:
    """The driver gives 64-bit integers a class of their own, which nobody else encodes."""
    if isinstance(value, Decimal128):
        return int(value.to_decimal())
    return int(value) if isinstance(value, Int64) else value


def _position_of(stored: Mapping[str, Any]) -> Position | None:
    if "location" not in stored:
        return None
    lon, lat = stored["location"]["coordinates"]
    return Position(lat, lon, stored.get("altitude"), stored.get("accuracy"))

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

_MOST_NAMES = 10_000
_ESCAPES = str.maketrans({"%": "%25", ".": "%2E", "$": "%24", "\0": "%00"})


class _Names(dict[str, str]):
    """Names of fields as they stand in a document: a look-up where they are known."""

    def __missing__(self, name: str) -> str:
        if len(self) >= _MOST_NAMES:
            self.clear()
        self[name] = written = name.translate(_ESCAPES)
        return written


_names = _Names()


@lru_cache(10_000)
def _own_name(name: str) -> str:
    return unquote(name) if "%" in name else name


def date(micros: int) -> DatetimeMS:
    """A BSON date; microseconds are cut."""
    return DatetimeMS(micros // 1000)


def document(candidate: Candidate, retention: int, *, large: bool = False) -> Document:
    """What is stored. `retention` (microseconds): `expires` is so long after its `time`, never a fraction earlier.

    `large`: look for integers beyond 64 bits. Without it they stay what they are, and have no BSON (`OverflowError`).
    """
    device, ident, time = candidate.device, candidate.id, candidate.time
    origin = candidate.origin
    made: Document = {
        "_id": f"{device}/{ident}",
        "id": ident,
        "device": device,
        "time": DatetimeMS(time // 1000),
        "rule": candidate.rule,
        "rule_version": candidate.rule_version,
        "reasons": candidate.reasons,
        "kind": candidate.kind,
        "revision": candidate.revision,
        "origin": {"partition": origin.partition, "offset": origin.offset, "n": origin.n},
        "message": _message(candidate.message, device),
        "exact": {"time": time},
        "expires": DatetimeMS((time + retention + 999) // 1000),
    }
    if large:
        _make_decimals(made["message"])
    if candidate.v != FORMAT_VERSION:
        made["v"] = candidate.v
    return made


def _message(message: Message, device: str) -> Document:
    time, received = message.time, message.received
    exact = {"time": time, "received": received}
    at = DatetimeMS(time // 1000)
    made: Document = {
        "id": message.id,
        "kind": message.kind,
        "time": at,
        "received": at if received == time else DatetimeMS(received // 1000),
        "fields": {_names[name]: value for name, value in message.fields.items()},
        "exact": exact,
    }
    if message.at is not None:
        made["at"] = at if message.at == time else DatetimeMS(message.at // 1000)
        exact["at"] = message.at
    if message.texts:
        made["texts"] = {_names[name]: text for name, text in message.texts.items()}
    if (position := message.position) is not None:
        made["location"] = {"type": "Point", "coordinates": [position.lon, position.lat]}
        if position.alt is not None:
            made["altitude"] = position.alt
        if position.accuracy is not None:
            made["accuracy"] = position.accuracy
    _add_rarities(made, message, device)
    return made


def _add_rarities(made: Document, message: Message, device: str) -> None:
    if message.seq is not None:
        made["seq"] = message.seq
    if message.heard_by:
        made["heard_by"] = [_present(gateway=by.gateway, rssi=by.rssi, snr=by.snr) for by in message.heard_by]
    if message.device != device:
        made["device"] = message.device
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


def _make_decimals(message: Document) -> None:
    message["fields"] = {name: _number(value) for name, value in message["fields"].items()}
    if "seq" in message:
        message["seq"] = _number(message["seq"])


def _number(value: Number) -> Number | Decimal128:
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        return Decimal128(str(value))
    return value


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

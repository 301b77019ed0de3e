"""The flat form: one JSON object whose every key is a value of its own: `{"device_id": 7, "voltage": 647}`.

In: the object. Out: one message. `device_id`, else `device`, names the device; `sequence`, else `seq`, is `seq`; `id`
and `at` are as in the native form; `lat` and `lon`, or `latitude` and `longitude`, are the position where both are
numbers; `client_id` is always a text. Other numbers and booleans are fields, strings texts, null is nothing.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from headwater.errors import Rejected
from headwater.message import Message, Number, Position
from headwater.times import parse_at
from ingest.decoders.parts import SEQ_MOST, Scalar, Values, apart, check_shape, check_sizes, device_of

decode_values = msgspec.json.Decoder(dict[str, Scalar]).decode
"""Fast, and right wherever it does not raise; it is too strict with numbers that are names, times or sequences."""


def is_native(values: Mapping[str, object]) -> bool:
    """True if this is the native form: one of its own keys is there, at the top."""
    known = values.get
    return known("fields") is not None or known("position") is not None or known("heard_by") is not None


def message(values: Values, device: str, received: int) -> Message:
    """The message of an object of scalars, which it takes apart. `device`: what topic or path say, or ""."""
    take = values.pop
    own = take("device_id", None)
    if own is None:
        own = take("device", None)
    seq = take("sequence", None)
    if seq is None:
        seq = take("seq", None)
    at = take("at", None)
    given = take("id", None)
    client = take("client_id", None)
    position = _position(values) if "lat" in values or "latitude" in values else None
    fields, texts = apart(values)
    if client is not None:
        texts["client_id"] = str(client).lower() if isinstance(client, bool) else str(client)
    return Message(
        device_of(None if own is None else _name(own, "device_id"), device),
        "" if given is None else _name(given, "id"),
        received,
        received,
        None if at is None else _at(at),
        None if seq is None else _seq(seq),
        "",
        "",
        "telemetry",
        fields,
        texts,
        position,
        [],
        "flat",
    )


def message_checked(values: dict[str, Any], device: str, received: int) -> Message:
    """`message` for an object of anything; raises `Rejected` naming the key that is wrong."""
    check_shape(values)
    made = message(values, device, received)
    check_sizes(made.fields)
    return made


def _name(value: Number | str, key: str) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, bool | float):
        raise Rejected("wrong_type", f"`{key}` is a text or a whole number")
    return str(value)


def _at(value: Number | str) -> int:
    if isinstance(value, bool):
        raise Rejected("wrong_type", "`at` is milliseconds since 1970 or an RFC 3339 text")
    return parse_at(value)


def _seq(value: Number | str) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise Rejected("wrong_type", "a sequence number is a whole number")
    if value < 0:
        raise Rejected("bad_value", "a sequence number is not negative")
    if value > SEQ_MOST:
        raise Rejected("number_too_large", "a sequence number is below 2^63")
    return value


def _position(values: Values) -> Position | None:
    for north, east in (("lat", "lon"), ("latitude", "longitude")):
        lat, lon = values.get(north), values.get(east)
        if isinstance(lat, bool | str | None) or isinstance(lon, bool | str | None):
            continue
        if not (-90 <= lat <= 90 and -180 <= lon <= 180):
            raise Rejected("bad_position", f"`{north}` is from -90 to 90 degrees, `{east}` from -180 to 180")
        del values[north], values[east]
        return Position(float(lat), float(lon))
    return None

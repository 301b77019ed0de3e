"""Headwater's own decoder: the native form, and the flat form where none of the native form's own keys is there.

In: one JSON object. Out: one message. Native: `device`, `at`, `id`, `seq`, `kind`, `fields`, `position`, `heard_by`;
any other key is rejected, so that a slip of the pen loses nothing silently. `fields`, `position` or `heard_by` makes it
native.
"""

from collections.abc import Sequence
from typing import Annotated

import msgspec

from headwater.message import Heard, Message, Position
from headwater.times import HIGHEST_MS, parse_at
from ingest.contract import Payload
from ingest.decoders import flat
from ingest.decoders.explain import parse, refuse
from ingest.decoders.parts import SEQ_MOST, Scalar, Values, apart, device_of


class _Position(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    lat: Annotated[float, msgspec.Meta(ge=-90, le=90)]
    lon: Annotated[float, msgspec.Meta(ge=-180, le=180)]
    alt: float | None = None
    accuracy: Annotated[float, msgspec.Meta(ge=0)] | None = None


class _Heard(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    gateway: Annotated[str, msgspec.Meta(min_length=1, max_length=128)]
    rssi: float | None = None
    snr: float | None = None


class Form(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    device: str | int | None = None
    at: Annotated[int, msgspec.Meta(ge=0, le=HIGHEST_MS)] | float | str | None = None
    id: str | int | None = None
    seq: Annotated[int, msgspec.Meta(ge=0, le=SEQ_MOST)] | None = None
    kind: Annotated[str, msgspec.Meta(min_length=1, max_length=64)] | None = None
    fields: dict[str, Scalar] | None = None
    position: _Position | None = None
    heard_by: list[_Heard] | None = None


read_form = msgspec.json.Decoder(Form).decode
"""Strict: where it does not raise and there are `fields`, the payload is in the native form."""


def decode(payload: Payload) -> Sequence[Message]:
    """One message; raises `Rejected`."""
    return (read(payload.data, payload.source.device, payload.received),)


def read(data: bytes, device: str, received: int) -> Message:
    """`decode` without its wrapping, for the hot path. `device`: what topic or path say, or ""."""
    try:
        if data.find(b'"fields"') >= 0:  # a guess at the form, which decoding confirms; `in` takes twice as long
            form = read_form(data)
            if form.fields is not None:
                return _message(form, form.fields, device, received)
        else:
            values = flat.decode_values(data)
            if not flat.is_native(values):
                return flat.message(values, device, received)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        pass  # read again, slowly, for the form or for what is wrong
    return _read_slowly(data, device, received)


def _read_slowly(data: bytes, device: str, received: int) -> Message:
    values = parse(data)
    if not flat.is_native(values):
        return flat.message_checked(values, device, received)
    try:
        form = read_form(data)
    except msgspec.ValidationError as error:
        refuse(error, values)
    return _message(form, form.fields or {}, device, received)


def _message(form: Form, values: Values, device: str, received: int) -> Message:
    own, given, at, place = form.device, form.id, form.at, form.position
    if device or not isinstance(own, str):
        own = device_of(str(own) if isinstance(own, int) else own, device)
    fields, texts = apart(values)
    return Message(
        own,
        "" if given is None else str(given),
        received,
        received,
        at * 1000 if isinstance(at, int) else None if at is None else parse_at(at),
        form.seq,
        "",
        "",
        form.kind or "telemetry",
        fields,
        texts,
        None if place is None else Position(place.lat, place.lon, place.alt, place.accuracy),
        [Heard(one.gateway, one.rssi, one.snr) for one in form.heard_by] if form.heard_by else [],
    )

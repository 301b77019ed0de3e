"""Binary payloads as Telegraf reads them: CBOR and MessagePack by themselves, everything else by a layout.

By HTTP `?decoder=telegraf_binary`, or the content types application/cbor and application/msgpack. CBOR and MessagePack
name their values; keys that are numbers are `n258`, bytes that are no text are in hex. Any other payload needs its
layout, in the words of Telegraf's `binary` parser:

    ?decoder=telegraf_binary&endianness=le&entries=_::32,x:float32,y:float32,:unix

Comes out: one message of the device of the path, or that which `device`, `host` or the like names, with the fields `x`
and `y` and the time. Several `entries` are tried in turn, each with its condition (`@16:8:0x0C`: the third byte is 12).
Hex and base64 are undone, as `encoding` says, or where they are plainly that. A payload of 4 or 8 bytes without
a layout is one floating point number, `value`. Protocol Buffers need the part of their schema that is of use,
`&protobuf=1.1:host,1.4:value:float64,1.5::unix_ns&rows=1`: PATH:NAME:TYPE of each field, and which field repeats.

Source of the format: Telegraf's parsers `binary` and `xpath_cbor`, `xpath_msgpack`.
"""

import binascii
import re
from base64 import b64decode
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from headwater.errors import Rejected
from headwater.message import Message
from ingest.contract import Payload
from ingest.decoders.clocks import instant
from ingest.decoders.draft import DEPTH, Draft
from ingest.decoders.naming import device_name
from ingest.decoders.platforms.cbor import cbor
from ingest.decoders.platforms.layouts import Format, Layout, fitting, read_format, values
from ingest.decoders.platforms.schemas import Value, read_schema, rows_of
from ingest.decoders.platforms.tags import device_tag

_HEX = re.compile(rb"0?[xX][0-9A-Fa-f\s]{2,}|(?:[0-9A-Fa-f]{2}\s*){4,}")
_PREFIX = re.compile(rb"^0?[xX]")
_BASE64 = re.compile(rb"(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)")
_FACTORS = {"unix": 1_000_000, "unix_ms": 1000, "unix_us": 1, "unix_ns": 1e-3}
_ONE = {4: "float32", 8: "float64"}
_NAMES_BEGIN = 0x80
"""With a lesser byte begins no array and no map, neither of CBOR nor of MessagePack."""

_TIMES = ("timestamp", "time", "ts")
_unpack = msgspec.msgpack.Decoder().decode


def decode(payload: Payload) -> Sequence[Message | Rejected]:
    """One message, or one for each map of an array."""
    form = read_format(payload.source.query)
    data = _bytes(payload.data, form.coding)
    if not data:
        return ()
    schema = read_schema(payload.source.query)
    if schema is not None:
        return [_message(payload, _counted(row)) for row in rows_of(schema, data)]
    if form.layouts:
        layout = fitting(form.layouts, data)
        if layout is None:
            raise Rejected("unsupported", "none of the layouts fits this payload")
        return [_laid_out(payload, data, layout, form)]
    said = _named(data)
    if said is not None:
        return [message for one in said for message in _mapped(payload, one)]
    if len(data) in _ONE:
        (layout,) = read_format(f"entries=value:{_ONE[len(data)]}").layouts
        return [_laid_out(payload, data, layout, form)]
    raise Rejected("unsupported", "only its layout says what is in it: give it as ?entries=NAME:TYPE,…")


def _bytes(data: bytes, coding: str) -> bytes:
    body = data.strip()
    try:
        if coding == "hex" or (not coding and _HEX.fullmatch(body)):
            prefix = _PREFIX.match(body)
            return binascii.unhexlify(b"".join(body[prefix.end() if prefix else 0 :].split()))
        if coding == "base64" or (not coding and _BASE64.fullmatch(body)):
            return b64decode(body, validate=True)
    except (binascii.Error, ValueError):
        raise Rejected("bad_encoding", f"this is no {coding or 'hex or base64'}") from None
    return data


def _laid_out(payload: Payload, data: bytes, layout: Layout, form: Format) -> Message:
    found = values(layout, data, little=form.little)
    return _message(payload, [(entry.name, entry.kind, value) for entry, value in found])


def _counted(row: list[Value]) -> list[Value]:
    """The second value of a name, and what follows, is called `NAME.1`."""
    seen: dict[str, int] = {}
    made: list[Value] = []
    for name, kind, value in row:
        count = seen[name] = seen.get(name, -1) + 1
        made.append((f"{name}.{count}" if count else name, kind, value))
    return made


def _message(payload: Payload, row: list[Value]) -> Message:
    device = device_tag({name: value for name, _, value in row})
    draft = Draft(payload, device_name(device) if device else "")
    for name, kind, value in row:
        factor = _FACTORS.get(kind)
        if factor is None:
            draft.put(name, value)
        elif isinstance(value, int) and 0 < value * factor < 1 << 56:
            draft.at = round(value * factor)
    return draft.message()


def _named(data: bytes) -> list[dict[Any, Any]] | None:
    """The maps of a payload that names its values; None: it is none."""
    if data[0] < _NAMES_BEGIN:
        return None
    for read in (cbor, _unpack):
        try:
            said = read(data)
        except (Rejected, msgspec.DecodeError, ValueError, RecursionError):
            continue
        said = said if isinstance(said, list) else [said]
        if said and all(isinstance(one, dict) and one for one in said):
            return said
    return None


def _mapped(payload: Payload, one: Mapping[Any, Any]) -> list[Message]:
    said = _plain(one, 0)
    device = device_tag(said)
    draft = Draft(payload, device_name(device) if device else "")
    draft.at = next((found for name in _TIMES if (found := instant(said.get(name))) is not None), None)
    draft.tree(said)
    return draft.messages()


def _plain(one: Any, depth: int) -> Any:
    """With texts for names and for bytes, and nothing that is neither."""
    if depth > DEPTH:
        raise Rejected("too_deep", f"maps or arrays are nested more than {DEPTH} deep")
    if isinstance(one, Mapping):
        return {f"n{key}" if isinstance(key, int) else str(key): _plain(value, depth + 1) for key, value in one.items()}
    if isinstance(one, list):
        return [_plain(value, depth + 1) for value in one]
    if isinstance(one, bytes):
        try:
            text = one.decode()
        except UnicodeDecodeError:
            return one.hex()
        return text if text.isprintable() else one.hex()
    return one if one is None or isinstance(one, bool | int | float | str) else str(one)

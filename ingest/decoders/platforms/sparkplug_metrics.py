"""The metrics of a Sparkplug B payload: names, times, types and values.

In: the bytes of a payload. Out: `Contents` with its `Metric`s, whose values are scalars, or lists and mappings of them.
Format: sparkplug_b.proto of Eclipse Tahu, and "Payloads" of the Sparkplug 3.0 specification.
"""

import zlib
from collections.abc import Mapping
from struct import Struct, error
from typing import Any, NamedTuple

from headwater.errors import Rejected
from ingest.decoders.platforms.wire import blob, double, fields, shortest, signed, single, text, whole

_SIGNED = {1: 8, 2: 16, 3: 32, 4: 64}
_ARRAYS = {22: "b", 23: "h", 24: "i", 25: "q", 26: "B", 27: "H", 28: "I", 29: "Q", 30: "f", 31: "d", 34: "q"}
_BOOLEAN, _BYTES, _FILE, _BOOLEANS, _TEXTS = 11, 17, 18, 32, 33
_DEEPEST = 8
_MOST_UNPACKED = 1 << 20
_MOST_VALUES = 256
_SHOWN = 64


class Metric(NamedTuple):
    """`name` "" where only the alias says which it is; `kind` 0 where the birth said which type it has.

    `slot` and `raw`: the value as it stands on the wire, since its type may have to be looked up; slot 0: none.
    """

    name: str
    alias: int | None
    at: int | None
    kind: int
    historical: bool
    null: bool
    properties: Mapping[str, Any]
    slot: int
    raw: int | bytes


class Contents(NamedTuple):
    """A payload: `at` in milliseconds since 1970, `seq` from 0 to 255."""

    at: int | None
    seq: int | None
    metrics: list[Metric]


def contents(data: bytes, *, packed: bool = False) -> Contents:
    """What a payload says; raises `Rejected`."""
    at: int | None = None
    seq: int | None = None
    metrics: list[Metric] = []
    uuid, body = "", b""
    for number, value in fields(data):
        if number == 2:
            metrics.append(_metric(blob(value)))
        elif number == 1:
            at = whole(value)
        elif number == 3:
            seq = whole(value)
        elif number == 4:
            uuid = text(value)
        elif number == 5:
            body = blob(value)
    if uuid == "SPBV1.0_COMPRESSED" and not packed:
        inner = contents(_unpacked(body), packed=True)
        return Contents(inner.at or at, seq if seq is not None else inner.seq, inner.metrics)
    return Contents(at, seq, metrics)


def _unpacked(body: bytes) -> bytes:
    """The body of a compressed payload, DEFLATE or GZIP: its own first bytes say which."""
    unpack = zlib.decompressobj(zlib.MAX_WBITS | 32)
    try:
        data = unpack.decompress(body, _MOST_UNPACKED)
    except zlib.error as failure:
        raise Rejected("bad_encoding", f"the compressed body cannot be unpacked: {failure}") from None
    if unpack.unconsumed_tail:
        raise Rejected("too_large", f"the compressed body is more than {_MOST_UNPACKED} bytes")
    return data


def _metric(data: bytes) -> Metric:
    name, alias, at, kind, slot = "", None, None, 0, 0
    raw: int | bytes = 0
    historical = null = False
    properties: Mapping[str, Any] = {}
    for number, value in fields(data):
        if 10 <= number <= 18:
            slot, raw = number, value
        elif number == 3:
            at = whole(value)
        elif number == 2:
            alias = whole(value)
        elif number == 1:
            name = text(value)
        elif number == 4:
            kind = whole(value)
        elif number == 5:
            historical = bool(whole(value))
        elif number == 7:
            null = bool(whole(value))
        elif number == 9:
            properties = _property_set(blob(value), 0)
    return Metric(name, alias, at, kind, historical, null, properties, slot, raw)


def value(metric: Metric, kind: int = 0, depth: int = 0) -> Any:
    """Its value: a scalar, or lists and mappings of scalars; None: it has none. `kind`: the type it had at birth.

    Raises `Rejected` for what is no value of its type, and for one with too many parts.
    """
    slot = metric.slot
    if metric.null or not slot:
        return None
    if slot < 16:
        return _scalar(metric.kind or kind, slot, metric.raw)
    if slot == 16:
        return _bytes(metric.kind or kind, blob(metric.raw))
    return _data_set(blob(metric.raw)) if slot == 17 else _template(blob(metric.raw), depth)


def _scalar(kind: int, slot: int, raw: int | bytes) -> Any:
    if slot == 12:
        return single(raw)
    if slot == 13:
        return double(raw)
    if slot == 15:
        return text(raw)
    number = whole(raw)
    if slot == 14 or kind == _BOOLEAN:
        return bool(number)
    bits = _SIGNED.get(kind)
    return signed(number, bits) if bits else number


def _bytes(kind: int, data: bytes) -> Any:
    letter = _ARRAYS.get(kind)
    if letter is not None:
        item = Struct("<" + letter)
        if len(data) // item.size > _MOST_VALUES:
            raise Rejected("too_many_fields", f"an array of {len(data) // item.size} values")
        try:
            found = [one[0] for one in item.iter_unpack(data)]
        except error:
            raise Rejected("bad_value", f"{len(data)} bytes are no array of values of {item.size} bytes") from None
        return [shortest(one) for one in found] if letter == "f" else found
    if kind == _BOOLEANS:
        count = int.from_bytes(data[:4], "little")
        if count > _MOST_VALUES or len(data) < 4 + (count + 7) // 8:
            raise Rejected("bad_value", f"{len(data)} bytes are no array of {count} booleans")
        return [bool(data[4 + at // 8] >> (7 - at % 8) & 1) for at in range(count)]
    if kind == _TEXTS:
        found = data.decode("utf-8", "replace").removesuffix("\0").split("\0", _MOST_VALUES)
        if len(found) > _MOST_VALUES:
            raise Rejected("too_many_fields", f"an array of more than {_MOST_VALUES} texts")
        return found
    if len(data) > _SHOWN:
        raise Rejected("unsupported", f"{'a file' if kind == _FILE else 'bytes'} of {len(data)} bytes")
    return data.hex()


def _property_set(data: bytes, depth: int) -> dict[str, Any]:
    if depth > _DEEPEST:
        raise Rejected("too_deep", f"property sets are nested more than {_DEEPEST} deep")
    keys: list[str] = []
    values: list[Any] = []
    for number, item in fields(data):
        if number == 1:
            keys.append(text(item))
        elif number == 2:
            values.append(_property(blob(item), depth))
    return dict(zip(keys, values, strict=False))


def _property(data: bytes, depth: int) -> Any:
    found: Any = None
    kind = 0
    for number, item in sorted(fields(data), key=lambda pair: pair[0]):
        if number == 1:
            kind = whole(item)
        elif number == 2 and whole(item):
            return None
        elif 3 <= number <= 8:
            found = _scalar(kind, number + 7, item)
        elif number == 9:
            found = _property_set(blob(item), depth + 1)
    return found


def _data_set(data: bytes) -> list[dict[str, Any]]:
    """Its rows, each by the names of the columns."""
    columns: list[str] = []
    kinds: list[int] = []
    rows: list[bytes] = []
    for number, item in fields(data):
        if number == 2:
            columns.append(text(item))
        elif number == 3:
            kinds += [item] if isinstance(item, int) else item  # one at a time, or packed: types are below 128
        elif number == 4:
            rows.append(blob(item))
    if len(rows) * len(columns) > _MOST_VALUES:
        raise Rejected("too_many_fields", f"a data set of {len(rows)} rows of {len(columns)} columns")
    kinds += [0] * (len(columns) - len(kinds))
    return [
        {name: _cell(cell, kind) for name, kind, cell in zip(columns, kinds, _cells(row), strict=False)} for row in rows
    ]


def _cells(row: bytes) -> list[bytes]:
    return [blob(item) for number, item in fields(row) if number == 1]


def _cell(data: bytes, kind: int) -> Any:
    found = [(number, item) for number, item in fields(data) if 1 <= number <= 6]
    return _scalar(kind, found[-1][0] + 9, found[-1][1]) if found else None


def _template(data: bytes, depth: int) -> dict[str, Any] | None:
    """Its members and parameters by name; None for a definition, which has no values."""
    if depth > _DEEPEST:
        raise Rejected("too_deep", f"templates are nested more than {_DEEPEST} deep")
    members: dict[str, Any] = {}
    for number, item in fields(data):
        if number == 2:
            one = _metric(blob(item))
            members[one.name or str(one.alias)] = value(one, depth=depth + 1)
        elif number == 3:
            name, found = _parameter(blob(item))
            members[name] = found
        elif number == 5 and whole(item):
            return None
    return members


def _parameter(data: bytes) -> tuple[str, Any]:
    name, kind, found = "", 0, None
    for number, item in sorted(fields(data), key=lambda pair: pair[0]):
        if number == 1:
            name = text(item)
        elif number == 2:
            kind = whole(item)
        elif 3 <= number <= 8:
            found = _scalar(kind, number + 7, item)
    return name, found

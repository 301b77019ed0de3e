"""Payloads in Protocol Buffers, by the part of their schema that a query gives.

In: `protobuf=1.1:host,1.4:value:float64,1.5::unix_ns&rows=1`. Out: the values by name, for each row. An item is
PATH:NAME:TYPE, the path the numbers of the fields from the outside in; a type is int, sint, bool, float32, float64,
fixed32, fixed64, bytes, text, or a unix time; without one a varint is a whole number and all else a text. `rows`: the
number of a repeated field of the outermost message, each of which is a message of its own.
"""

from functools import lru_cache
from typing import NamedTuple
from urllib.parse import parse_qs

from headwater.errors import Rejected
from headwater.message import Number
from ingest.decoders.parts import short
from ingest.decoders.platforms.wire import blob, double, fields, signed, single, text, whole

Path = tuple[int, ...]

_KINDS = frozenset({"", "int", "sint", "bool", "float32", "float64", "fixed32", "fixed64", "bytes", "text"})
TIMES = frozenset({"unix", "unix_ms", "unix_us", "unix_ns"})
_DEEPEST = 16
_MOST = 256


class Value(NamedTuple):
    """One value. `kind`: its type in the schema."""

    name: str
    kind: str
    value: Number | str


class Schema(NamedTuple):
    """Name and type by path; `inner`: paths of messages in which there are such; `rows`: 0 for none."""

    names: dict[Path, tuple[str, str]]
    inner: frozenset[Path]
    rows: int


@lru_cache(maxsize=256)
def read_schema(query: str) -> Schema | None:
    """The schema of a query, None where it has none; raises `Rejected("bad_value")`."""
    try:
        said = parse_qs(query, max_num_fields=100)
    except ValueError:
        return None
    if "protobuf" not in said:
        return None
    names: dict[Path, tuple[str, str]] = {}
    items = said["protobuf"][-1].split(",")
    for item in items:
        where, name, kind = (*item.split(":"), "", "")[:3]
        path = tuple(int(one) for one in where.split(".") if one.isdecimal() and len(one) < 10)
        known = (kind in TIMES or (kind in _KINDS and name != "")) and len(path) == where.count(".") + 1 <= _DEEPEST
        if not known:
            raise Rejected("bad_value", f"{short(item)} is no field: PATH:NAME[:TYPE], as 1.4:value:float64")
        names[path] = (name, kind)
    rows = said.get("rows", ["0"])[-1]
    if len(names) > _MOST or not rows.isdecimal():
        raise Rejected("bad_value", f"a schema has at most {_MOST} fields, and `rows` is a field's number")
    inner = frozenset(path[:length] for path in names for length in range(1, len(path)))
    return Schema(names, inner, int(rows[:10]))


def rows_of(schema: Schema, data: bytes) -> list[list[Value]]:
    """The values of each row, those outside of rows in all of them; without rows, of the one message."""
    rows: list[list[Value]] = []
    common: list[Value] = []
    for number, value in fields(data):
        if number == schema.rows:
            rows.append(_below(schema, (number,), blob(value)))
        else:
            common += _one(schema, (number,), value)
    return [common + row for row in rows] if schema.rows else [common]


def _below(schema: Schema, path: Path, data: bytes) -> list[Value]:
    return [found for number, value in fields(data) for found in _one(schema, (*path, number), value)]


def _one(schema: Schema, path: Path, value: int | bytes) -> list[Value]:
    if path in schema.inner:
        return _below(schema, path, blob(value))
    known = schema.names.get(path)
    return [Value(*known, _typed(known[1], value))] if known is not None else []


def _typed(kind: str, value: int | bytes) -> Number | str:
    if kind.startswith("float"):
        return double(value) if kind == "float64" else single(value)
    if kind.startswith("fixed"):
        return int.from_bytes(blob(value), "little")
    if kind == "bytes":
        return blob(value).hex()
    if kind == "text" or not isinstance(value, int):
        return text(value)
    if kind == "sint":
        return (whole(value) >> 1) ^ -(whole(value) & 1)
    return bool(value) if kind == "bool" else signed(value, 64) if kind == "int" else value

"""Payloads in Protocol Buffers, by the part of their schema that a query gives.

In: `protobuf=1.1:host,1.4:value:float64,1.5::unix_ns&rows=1`. Out: the values by name, for each row. An item is
PATH:NAME:TYPE, the path the numbers of the fields from the outside in; a type is int, sint, bool, float32, float64,
fixed32, fixed64, bytes, text, or a unix time; without one a varint is a whole number and all else a text. `rows`: the
number of a repeated field of the outermost message, each of which is a message of its own.
"""

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import parse_qs

from headwater.errors import Rejected
from headwater.message import Number
from ingest.decoders.parts import short
from ingest.decoders.platforms.wire import blob, double, fields, signed, single, text

_KINDS = frozenset({"", "int", "sint", "bool", "float32", "float64", "fixed32", "fixed64", "bytes", "text"})
TIMES = frozenset({"unix", "unix_ms", "unix_us", "unix_ns"})
_DEEPEST = 16
_MOST = 256


Value = tuple[str, str, Number | str]
"""Name, type in the schema, value."""

Fields = dict[int, "tuple[str, str] | Fields"]
"""By number: name and type of a value, or the fields of a message in there."""


class Schema(NamedTuple):
    """`rows`: 0 for none."""

    fields: Fields
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
    names: dict[tuple[int, ...], tuple[str, str]] = {}
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
    return Schema(_tree(names), int(rows[:10]))


def _tree(names: Mapping[tuple[int, ...], tuple[str, str]]) -> Fields:
    """A number that is both a value and a message is a message."""
    root: Fields = {}
    for path in sorted(names):
        fields = root
        for number in path[:-1]:
            inner = fields.get(number)
            if not isinstance(inner, dict):
                inner = fields[number] = {}
            fields = inner
        fields[path[-1]] = names[path]
    return root


def rows_of(schema: Schema, data: bytes) -> list[list[Value]]:
    """The values of each row, those outside of rows in all of them; without rows, of the one message."""
    rows: list[list[Value]] = []
    common: list[Value] = []
    for number, value in fields(data):
        known = schema.fields.get(number)
        if number == schema.rows:
            rows.append([])
            _message(known if isinstance(known, dict) else {}, blob(value), rows[-1])
        elif known is not None:
            _field(known, value, common)
    return [common + row for row in rows] if schema.rows else [common]


def _message(known: Fields, data: bytes, found: list[Value]) -> None:
    for number, value in fields(data):
        if number in known:
            _field(known[number], value, found)


def _field(known: tuple[str, str] | Fields, value: int | bytes, found: list[Value]) -> None:
    if isinstance(known, dict):
        _message(known, blob(value), found)
    else:
        name, kind = known
        found.append((name, kind, _typed(kind, value)))


def _fixed(value: int | bytes) -> int:
    return int.from_bytes(blob(value), "little")


def _hex(value: int | bytes) -> str:
    return blob(value).hex()


_WIRED: Mapping[str, Callable[[int | bytes], Number | str]] = {
    "float32": single,
    "float64": double,
    "fixed32": _fixed,
    "fixed64": _fixed,
    "bytes": _hex,
    "text": text,
}
"""Types whose values are on the wire in one way only."""

_VARINTS: Mapping[str, Callable[[int], Number]] = {
    "sint": lambda value: (value >> 1) ^ -(value & 1),
    "int": lambda value: signed(value, 64),
    "bool": bool,
}


def _typed(kind: str, value: int | bytes) -> Number | str:
    if kind in _WIRED:
        return _WIRED[kind](value)
    if isinstance(value, bytes):
        return text(value)
    return _VARINTS[kind](value) if kind in _VARINTS else value

"""Layouts of binary payloads, written in a query as Telegraf's `binary` parser has them in its configuration.

In: `entries=@16:8:0x0A,_::32,count:int16,value:float64,:unix`. Out: names and values of bytes. An entry is
NAME:TYPE:BITS; a name `_` is passed over; the time needs no name. BITS may be left out where the type says them; a
`string` of 0 bits ends with a null byte. `@OFFSET:BITS:HEX` before the entries says which payloads have this layout.
"""

from collections.abc import Sequence
from functools import lru_cache
from struct import unpack
from typing import NamedTuple
from urllib.parse import parse_qs

from headwater.errors import Rejected
from headwater.message import Number
from ingest.decoders.parts import short
from ingest.decoders.platforms.wire import shortest

_BITS = {
    **{f"{sign}int{bits}": bits for bits in (8, 16, 32, 64) for sign in ("", "u")},
    **dict.fromkeys(("unix", "unix_ms", "unix_us", "unix_ns"), 64),
    "float32": 32,
    "float64": 64,
    "bool": 1,
    "string": 0,
    "": 0,
}
_MOST = 256
_LONGEST = 8192


class Entry(NamedTuple):
    """`kind` "": bits to be passed over."""

    name: str
    kind: str
    bits: int


class Match(NamedTuple):
    """Bits that must be this number."""

    offset: int
    bits: int
    value: int


class Layout(NamedTuple):
    """One way to read a payload."""

    matches: tuple[Match, ...]
    entries: tuple[Entry, ...]


class Format(NamedTuple):
    """What a query says. `coding`: hex, base64, none, or "" to find out. `little`: the least byte comes first."""

    layouts: tuple[Layout, ...]
    little: bool
    coding: str


@lru_cache(maxsize=256)
def read_format(query: str) -> Format:
    """The layouts of a query, none where it has none; raises `Rejected("bad_value")`."""
    try:
        said = parse_qs(query, max_num_fields=100)
    except ValueError:
        said = {}
    order = said.get("endianness", ["be"])[-1]
    coding = said.get("encoding", [""])[-1]
    if order not in ("be", "big", "le", "little"):
        raise Rejected("bad_value", f"endianness is be or le, not {short(order)}")
    if coding not in ("", "none", "hex", "base64"):
        raise Rejected("bad_value", f"encoding is none, hex or base64, not {short(coding)}")
    return Format(tuple(_layout(text) for text in said.get("entries", [])), order[0] == "l", coding)


def _layout(text: str) -> Layout:
    matches: list[Match] = []
    entries: list[Entry] = []
    for item in text.split(","):
        parts = [part.strip() for part in item.split(":")]
        try:
            if item.startswith("@"):
                matches.append(Match(int(parts[0][1:]), int(parts[1]), int(parts[2], 16)))
            else:
                name, kind, bits = (*parts, "", "")[:3]
                entries.append(Entry(name, kind, int(bits) if bits else _BITS[kind]))
        except (ValueError, KeyError, IndexError):
            raise Rejected("bad_value", f"{short(item)} is no entry: NAME:TYPE[:BITS] or @OFFSET:BITS:HEX") from None
    good = all(0 <= one.bits <= _LONGEST for one in entries) and all(
        0 <= one.offset <= 1 << 20 and 0 < one.bits <= _LONGEST for one in matches
    )
    if len(entries) > _MOST or not good:
        raise Rejected("bad_value", f"a layout has at most {_MOST} entries of at most {_LONGEST} bits")
    return Layout(tuple(matches), tuple(entries))


def fitting(layouts: Sequence[Layout], data: bytes) -> Layout | None:
    """The first layout whose bits are as it says."""
    for layout in layouts:
        if all(_number(data, one.offset, one.bits) == one.value for one in layout.matches):
            return layout
    return None


def values(layout: Layout, data: bytes, *, little: bool) -> list[tuple[Entry, Number | str]]:
    """Every entry with its value; raises `Rejected` for a payload that is too short."""
    found: list[tuple[Entry, Number | str]] = []
    place = 0
    for entry in layout.entries:
        if entry.kind == "string" and not entry.bits:
            end = data.find(b"\0", place // 8)
            end = len(data) if end < 0 else end
            found.append((entry, data[place // 8 : end].decode("utf-8", "replace")))
            place = (end + 1) * 8
            continue
        number = _number(data, place, entry.bits)
        if number is None:
            raise Rejected("bad_shape", f"{len(data)} bytes end before {short(entry.name or entry.kind)} of the layout")
        place += entry.bits
        if entry.kind and entry.name != "_":
            found.append((entry, _value(entry, number, little=little)))
    return found


def _number(data: bytes, offset: int, bits: int) -> int | None:
    """Bits as an unsigned number, the first one the highest; None: the payload has not so many."""
    end = offset + bits
    if end > len(data) * 8:
        return None
    whole = int.from_bytes(data[offset // 8 : -(-end // 8)], "big")
    return whole >> (-end % 8) & ((1 << bits) - 1)


def _value(entry: Entry, number: int, *, little: bool) -> Number | str:
    size = -(-entry.bits // 8)
    if entry.kind == "string":
        return number.to_bytes(size, "big").rstrip(b"\0").decode("utf-8", "replace")
    if entry.kind == "bool":
        return number != 0
    if little and size > 1:
        number = int.from_bytes(number.to_bytes(size, "big"), "little")
    full = _BITS[entry.kind]
    if entry.kind.startswith("float"):
        data = (number & ((1 << full) - 1)).to_bytes(full // 8, "big")
        return shortest(unpack(">f", data)[0]) if full == 32 else unpack(">d", data)[0]
    if entry.kind.startswith("int"):
        number &= (1 << full) - 1
        return number - (1 << full) if number >> (full - 1) else number
    return number

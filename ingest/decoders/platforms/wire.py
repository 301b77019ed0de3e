"""Protocol Buffers without a schema: the fields of one message as they stand on the wire.

In: bytes. Out: (field number, value) pairs: an int for a varint, bytes for everything else. Format: "Encoding" of the
Protocol Buffers documentation. Fields come in any order and as often as they like; the last one of a kind counts.
"""

from struct import Struct

from headwater.errors import Rejected

Field = tuple[int, int | bytes]

_SIZES = {0: 0, 1: 8, 2: -1, 5: 4}
"""Bytes of a value by wire type; 0: it is a varint itself, -1: a varint before it says how many."""

_FLOAT = Struct("<f")
_DOUBLE = Struct("<d")


def fields(data: bytes) -> list[Field]:
    """All fields of a message; raises `Rejected("bad_encoding")` where the bytes are none."""
    found: list[Field] = []
    place, end = 0, len(data)
    try:
        while place < end:
            key = data[place]
            place += 1
            if key > 127:
                key, place = _varint(data, place - 1)
            size = _SIZES[key & 7]
            if size <= 0:
                number = data[place]
                place += 1
                if number > 127:
                    number, place = _varint(data, place - 1)
                if not size:
                    found.append((key >> 3, number))
                    continue
                size = number
            found.append((key >> 3, data[place : place + size]))
            place += size
    except IndexError:
        place = end + 1
    except KeyError:
        raise Rejected("bad_encoding", "this is no Protocol Buffers message: it has a field of no known type") from None
    if place > end:
        raise Rejected("bad_encoding", "this is no Protocol Buffers message: it ends in the middle of a field")
    return found


def _varint(data: bytes, place: int) -> tuple[int, int]:
    """A number of more than one byte, and where it ends."""
    value, shift = data[place] & 127, 7
    while True:
        place += 1
        byte = data[place]
        if byte < 128:
            return (value | byte << shift) & 0xFFFF_FFFF_FFFF_FFFF, place + 1
        value |= (byte & 127) << shift
        shift += 7
        if shift > 63:
            raise Rejected("bad_encoding", "this is no Protocol Buffers message: a number has more than 64 bits")


def whole(value: int | bytes) -> int:
    """A varint; raises `Rejected` for anything else."""
    if isinstance(value, bytes):
        raise Rejected("bad_encoding", "a field that is a whole number has another wire type")
    return value


def blob(value: int | bytes) -> bytes:
    """Bytes or a nested message; raises `Rejected` for a varint."""
    if isinstance(value, int):
        raise Rejected("bad_encoding", "a field that is a text or a message has another wire type")
    return value


def text(value: int | bytes) -> str:
    """A text; what is not UTF-8 in it is replaced, since the rest of the message is still good."""
    return blob(value).decode("utf-8", "replace")


def single(value: int | bytes) -> float:
    """A float as its sender wrote it: 12.1, not 12.100000381469727."""
    data = blob(value)
    if len(data) != 4:
        raise Rejected("bad_encoding", "a field that is a 32-bit float has another wire type")
    return shortest(_FLOAT.unpack(data)[0])


def double(value: int | bytes) -> float:
    """A 64-bit float."""
    data = blob(value)
    if len(data) != 8:
        raise Rejected("bad_encoding", "a field that is a 64-bit float has another wire type")
    return _DOUBLE.unpack(data)[0]


def shortest(value: float) -> float:
    """The decimal number with the fewest digits that is this 32-bit float."""
    near = float(f"{value:.7g}")
    try:
        return near if _FLOAT.unpack(_FLOAT.pack(near))[0] == value else float(f"{value:.9g}")
    except OverflowError:
        return value


def signed(value: int, bits: int) -> int:
    """Two's complement: the lowest `bits` of a number that was sent without its sign."""
    value &= (1 << bits) - 1
    return value - (1 << bits) if value >> (bits - 1) else value

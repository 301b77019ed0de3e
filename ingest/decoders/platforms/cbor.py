"""CBOR, as small devices send it instead of JSON.

In: bytes. Out: one value of Python's own types; keys of maps are texts or whole numbers. Format: RFC 8949. Tags are
left off their values, except those of decimal fractions and big numbers; `undefined` is None.
"""

from struct import unpack_from
from typing import Any

from headwater.errors import Rejected
from ingest.decoders.platforms.wire import shortest

_DEEPEST = 32
_FLOATS = {25: (2, ">e"), 26: (4, ">f"), 27: (8, ">d")}
_SIMPLE = {20: False, 21: True, 22: None, 23: None}
_BREAK = object()


def cbor(data: bytes) -> Any:
    """The value that these bytes are, all of them; raises `Rejected("bad_encoding")`."""
    reader = _Reader(data)
    try:
        value = reader.item(0)
    except (IndexError, UnicodeDecodeError):
        raise Rejected("bad_encoding", "this is no CBOR: it ends too soon, or has a text that is no UTF-8") from None
    if value is _BREAK or reader.place != len(data):
        raise Rejected("bad_encoding", "this is no CBOR: bytes follow its value")
    return value


class _Reader:
    __slots__ = ("data", "place")

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.place = 0

    def item(self, depth: int) -> Any:
        if depth > _DEEPEST:
            raise Rejected("too_deep", f"arrays or maps are nested more than {_DEEPEST} deep")
        head = self.data[self.place]
        self.place += 1
        major, low = head >> 5, head & 31
        if major == 7:
            return self._simple(low)
        if major < 2:
            number = self._number(low)
            return -1 - number if major else number
        if major == 6:
            return _tagged(self._number(low), self.item(depth + 1))
        return self._sized(major, None if low == 31 else self._number(low), depth)

    def _sized(self, major: int, size: int | None, depth: int) -> Any:
        """Bytes, a text, an array or a map; `size` None: it ends with a break."""
        if major == 4:
            return self._items(size, depth)
        if major == 5:
            flat = self._items(None if size is None else 2 * size, depth)
            return {_key(key): value for key, value in zip(flat[::2], flat[1::2], strict=False)}
        body = self._chunks(major) if size is None else self._take(size)
        return body.decode() if major == 3 else body

    def _number(self, low: int) -> int:
        if low < 24:
            return low
        if low > 27:
            raise Rejected("bad_encoding", "this is no CBOR: it has a length of no known form")
        return int.from_bytes(self._take(1 << (low - 24)), "big")

    def _take(self, size: int) -> bytes:
        body = self.data[self.place : self.place + size]
        if len(body) != size:
            raise IndexError
        self.place += size
        return body

    def _items(self, count: int | None, depth: int) -> list[Any]:
        if count is not None and count > len(self.data) - self.place:
            raise IndexError
        found: list[Any] = []
        while count is None or len(found) < count:
            value = self.item(depth + 1)
            if value is _BREAK:
                if count is not None:
                    raise IndexError
                break
            found.append(value)
        return found

    def _chunks(self, major: int) -> bytes:
        parts: list[bytes] = []
        while self.data[self.place] != 0xFF:
            if self.data[self.place] >> 5 != major:
                raise Rejected("bad_encoding", "this is no CBOR: a text in parts has a part that is none")
            self.place += 1
            parts.append(self._take(self._number(self.data[self.place - 1] & 31)))
        self.place += 1
        return b"".join(parts)

    def _simple(self, low: int) -> Any:
        if low in _FLOATS:
            size, form = _FLOATS[low]
            value = unpack_from(form, self._take(size))[0]
            return shortest(value) if low == 26 else value
        if low == 31:
            return _BREAK
        if low == 24:
            self._take(1)
            return None
        return _SIMPLE.get(low)


def _key(key: Any) -> str | int:
    return key if isinstance(key, str | int) else str(key)


def _tagged(tag: int, value: Any) -> Any:
    if tag in (2, 3) and isinstance(value, bytes) and len(value) <= 32:
        number = int.from_bytes(value, "big")
        return number if tag == 2 else -1 - number
    if tag in (4, 5) and isinstance(value, list) and len(value) == 2:
        power, digits = value
        if isinstance(power, int) and isinstance(digits, int) and -400 < power < 400 and abs(digits) < 1 << 64:
            return float(f"{digits}e{power}") if tag == 4 else float(digits) * 2.0**power
    if value is _BREAK:
        raise IndexError
    return value

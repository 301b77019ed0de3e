"""Numbers in makers' frames. In: bytes and a place. Out: numbers; `IndexError` or `struct.error` where they end."""

from struct import unpack_from
from typing import Any

Found = dict[str, Any]
"""Values by name; a list stands for several sensors of a kind, None in it for one that says nothing."""

EUI_48, RANDOM_48 = "/2", "/3"


def signed_88(data: bytes, at: int) -> float:
    """A signed byte and 256ths."""
    return unpack_from(">h", data, at)[0] / 256


def u16(data: bytes, at: int) -> int:
    """Two bytes, the first the lower one."""
    return unpack_from("<H", data, at)[0]


def i16(data: bytes, at: int) -> int:
    """Two bytes with a sign, the first the lower one."""
    return unpack_from("<h", data, at)[0]


def b16(data: bytes, at: int) -> int:
    """Two bytes, the first the higher one."""
    return unpack_from(">H", data, at)[0]


def u32(data: bytes, at: int) -> int:
    """Four bytes, the first the lowest."""
    return unpack_from("<I", data, at)[0]


def address(data: bytes, at: int) -> str:
    """Six bytes as they stand."""
    return data[at : at + 6].hex()


def reversed_address(data: bytes, at: int) -> str:
    """Six bytes, last first."""
    return data[at : at + 6][::-1].hex()

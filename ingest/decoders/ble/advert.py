"""Bluetooth adverts taken apart: who sent them, and what they carry by company and by service.

In: an HCI event `04 3e …` as a radio's driver hands it on, or the advert's bare AD structures. Out: `Advert`s.
Format: Bluetooth Core Specification 5.4, vol 4 part E 7.7.65.2 and 7.7.65.13 (LE Advertising Report, LE Extended
Advertising Report), vol 3 part C 11 (AD structures), and the types of the Supplement to it.
"""

from collections.abc import Iterator, Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import Any, NamedTuple

from headwater.errors import Rejected

MOST = 1650
"""The most bytes an advert has, extended and in parts."""

_EVENT = 0x04
_LE_META = 0x3E
_REPORT = 0x02
_EXTENDED_REPORT = 0x0D
_NO_RSSI = 127
_UUID_SIZE = {0x02: 2, 0x03: 2, 0x04: 4, 0x05: 4, 0x06: 16, 0x07: 16}
_DATA_UUID_SIZE = {0x16: 2, 0x20: 4, 0x21: 16}


_NONE: Mapping[Any, bytes] = MappingProxyType({})


class Advert(NamedTuple):
    """What one radio said, and how loud it was heard.

    `address`: 12 upper-case hex digits, "" if not known. `manufacturer`: company id → bytes after it; `service_data`:
    UUID (4, 8 or 32 lower-case hex digits) → bytes after it; of what is there twice the first. `tx_power`: dBm.
    `structures`: (AD type, bytes) of all, in order.
    """

    address: str = ""
    rssi: int | None = None
    local_name: str = ""
    flags: int | None = None
    manufacturer: Mapping[int, bytes] = _NONE
    service_data: Mapping[str, bytes] = _NONE
    service_uuids: tuple[str, ...] = ()
    tx_power: int | None = None
    structures: tuple[tuple[int, bytes], ...] = ()


def read_hci(data: bytes) -> list[Advert]:
    """The adverts of an HCI event packet, with or without its first byte `04`. Raises `Rejected`."""
    start = 1 if data[:2] == b"\x04\x3e" else 0
    if data[start : start + 1] != b"\x3e" or len(data) < start + 4:
        raise Rejected("bad_shape", "an HCI advertising report begins with 04 3e, its length, 02 or 0d")
    if len(data) != start + 2 + data[start + 1]:
        detail = f"the HCI event says {data[start + 1]} bytes and brings {len(data) - start - 2}: it is cut, or more"
        raise Rejected("bad_shape", detail)
    kind, count = data[start + 2], data[start + 3]
    if kind not in {_REPORT, _EXTENDED_REPORT}:
        raise Rejected("unsupported", f"HCI event {kind:#04x} is no advertising report (02, 0d)")
    found: list[Advert] = []
    at = start + 4
    for _ in range(count):
        advert, at = _report(data, at) if kind == _REPORT else _extended(data, at)
        found.append(advert)
    if not found:
        raise Rejected("bad_shape", "the HCI event has no report in it")
    return found


def read_ad(data: bytes, address: str = "", rssi: int | None = None) -> Advert:
    """Bare AD structures: length, type, value, each. One that is cut short ends them. Raises `Rejected` beyond `MOST`.

    `address`: in any of the usual forms.
    """
    if len(data) > MOST:
        raise Rejected("too_large", f"an advert has at most {MOST} bytes, this has {len(data)}")
    structures = tuple(_structures(data))
    name, named = "", False
    flags = power = None
    manufacturer: dict[int, bytes] = {}
    services: dict[str, bytes] = {}
    uuids: list[str] = []
    for kind, body in structures:
        if kind == 0xFF and len(body) >= 2:
            manufacturer.setdefault(body[0] | body[1] << 8, body[2:])
        elif kind in _DATA_UUID_SIZE and len(body) >= _DATA_UUID_SIZE[kind]:
            size = _DATA_UUID_SIZE[kind]
            services.setdefault(body[:size][::-1].hex(), body[size:])
        elif kind in _UUID_SIZE:
            size = _UUID_SIZE[kind]
            uuids += [body[i : i + size][::-1].hex() for i in range(0, len(body) - size + 1, size)]
        elif kind == 0x09 or (kind == 0x08 and not named):
            name, named = body.decode("utf-8", "replace").rstrip("\0"), kind == 0x09
        elif kind == 0x01 and body:
            flags = body[0]
        elif kind == 0x0A and body:
            power = body[0] - 256 if body[0] > 127 else body[0]
    return Advert(plain_address(address), rssi, name, flags, manufacturer, services, tuple(uuids), power, structures)


@lru_cache(maxsize=16_384)
def plain_address(address: str) -> str:
    """`a4:c1:38:8d:18:b2`, `A4-C1-38-8D-18-B2` → `A4C1388D18B2`; anything that is no address → ""."""
    plain = address.replace(":", "").replace("-", "").upper()
    return plain if len(plain) == 12 and all(digit in "0123456789ABCDEF" for digit in plain) else ""


def _structures(data: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at + 1 < len(data):
        end = at + 1 + data[at]
        if end > len(data) or end == at + 1:  # cut short, or padding from here on
            return
        yield data[at + 1], data[at + 2 : end]
        at = end


def _report(data: bytes, at: int) -> tuple[Advert, int]:
    """Event type, address type, address (6, backwards), length, advert, RSSI."""
    start = at + 9
    if start > len(data) or start + data[start - 1] + 1 > len(data):
        raise Rejected("bad_shape", "the advertising report is cut short")
    end = start + data[start - 1]
    return _advert(data[at + 2 : at + 8], data[start:end], data[end]), end + 1


def _extended(data: bytes, at: int) -> tuple[Advert, int]:
    """Event type (2), address type, address (6), PHYs, set, power, RSSI, interval, direct address, length, advert."""
    start = at + 24
    if start > len(data) or start + data[start - 1] > len(data):
        raise Rejected("bad_shape", "the extended advertising report is cut short")
    end = start + data[start - 1]
    return _advert(data[at + 3 : at + 9], data[start:end], data[at + 13]), end


def _advert(backwards: bytes, data: bytes, rssi: int) -> Advert:
    loud = rssi - 256 if rssi > 127 else rssi
    return read_ad(data, backwards[::-1].hex(), None if loud == _NO_RSSI else loud)

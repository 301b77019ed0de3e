"""Minew's binary protocols: long binary (bb 01) and Minew-Connect (bb 02).

In: bytes. Out: (gateway's address or "", tag's address, RSSI, advert) for each advert. Raises `Rejected`.
Format: as barnowl-minew (reelyActive) reads them.
"""

from collections.abc import Iterator

from headwater.errors import Rejected

Sighting = tuple[str, str, int, bytes]

_LONG, _CONNECT = b"\xbb\x01", b"\xbb\x02"
_TAIL = 0xDD


def read_binary(data: bytes) -> list[Sighting]:
    """Everything in it; a frame that is cut short is refused as a whole."""
    try:
        if data[:2] == _LONG:
            return list(_long(data))
        if data[:2] == _CONNECT:
            return list(_connect(data))
    except IndexError:
        raise Rejected("bad_shape", "the binary frame is cut short") from None
    raise Rejected("unsupported", f"Minew's protocol {data[:2].hex(' ')} is not known: bb 01 and bb 02 are")


def _signed(byte: int) -> int:
    return byte - 256 if byte > 127 else byte


def _long(data: bytes) -> Iterator[Sighting]:
    """Length (4), gateway (6), transmitters (2); each: address (6), packets (2); each: length, advert, flags, RSSI."""
    if int.from_bytes(data[2:6], "big") != len(data) or data[-1] != _TAIL:
        raise Rejected("bad_shape", f"the frame says {int.from_bytes(data[2:6], 'big')} bytes, this has {len(data)}")
    gateway, transmitters, at = data[6:12].hex(), data[12] << 8 | data[13], 14
    for _ in range(transmitters):
        address, packets = data[at : at + 6].hex(), data[at + 6] << 8 | data[at + 7]
        at += 8
        for _ in range(packets):
            end = at + 1 + data[at]
            yield gateway, address, _signed(data[end + 1]), data[at + 1 : end]
            at = end + 2


def _connect(data: bytes) -> Iterator[Sighting]:
    """Twenty bytes of lengths; then each: length (2), gateway's number, flags, address (6), RSSI, length, advert."""
    if int.from_bytes(data[6:10], "little") != len(data) or data[14:16] != b"\x84\x3e":
        raise Rejected("bad_shape", "the frame's lengths or its kind are not those of adverts")
    at = 20
    while at < len(data):
        length = data[at] | data[at + 1] << 8
        if length < 10:
            raise Rejected("bad_shape", f"an advert's frame of {length} bytes is too short")
        end = at + 12 + data[at + 11]
        yield "", data[at + 4 : at + 10].hex(), _signed(data[at + 10]), data[at + 12 : end]
        at += 2 + length

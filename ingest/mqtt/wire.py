"""MQTT's data types: integers, variable byte integers, strings, binary data. Source: OASIS MQTT 5.0, section 1.5.

In: bytes, a place in them, and where they must end. Out: the value and the place behind it, or `MalformedPacket`.
"""

from ingest.mqtt.reasons import MalformedPacket, ReasonCode

LARGEST_INTEGER = 268_435_455
"""The largest variable byte integer: four bytes of seven bits."""


def malformed(detail: str) -> MalformedPacket:
    """The packet cannot be read at all."""
    return MalformedPacket(ReasonCode.MALFORMED_PACKET, detail)


def against_protocol(detail: str) -> MalformedPacket:
    """The packet can be read, and the standard does not allow it."""
    return MalformedPacket(ReasonCode.PROTOCOL_ERROR, detail)


def read_byte(data: bytes, at: int, stop: int) -> tuple[int, int]:
    if at >= stop:
        raise malformed("a byte is missing")
    return data[at], at + 1


def read_two(data: bytes, at: int, stop: int) -> tuple[int, int]:
    if at + 2 > stop:
        raise malformed("a two byte integer is cut short")
    return data[at] << 8 | data[at + 1], at + 2


def read_four(data: bytes, at: int, stop: int) -> tuple[int, int]:
    if at + 4 > stop:
        raise malformed("a four byte integer is cut short")
    return int.from_bytes(data[at : at + 4], "big"), at + 4


def read_variable(data: bytes, at: int, stop: int) -> tuple[int, int]:
    value = shift = 0
    for place in range(at, min(at + 4, stop)):
        byte = data[place]
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            if not byte and shift:
                raise malformed("a variable byte integer has more bytes than it needs")
            return value, place + 1
        shift += 7
    raise malformed("a variable byte integer does not end")


def read_binary(data: bytes, at: int, stop: int) -> tuple[bytes, int]:
    size, at = read_two(data, at, stop)
    if at + size > stop:
        raise malformed("binary data is cut short")
    return data[at : at + size], at + size


def read_text(data: bytes, at: int, stop: int) -> tuple[str, int]:
    raw, at = read_binary(data, at, stop)
    return decode_text(raw), at


def decode_text(raw: bytes) -> str:
    """UTF-8 without surrogates and without U+0000, as the standard asks of every string."""
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        raise malformed("a string is not UTF-8") from None
    if "\0" in text:
        raise malformed("a string has a null character")
    return text


def write_variable(value: int) -> bytes:
    """One to four bytes; `value` is 0 to `LARGEST_INTEGER`."""
    if value < 0x80:
        return bytes((value,))
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def write_binary(data: bytes) -> bytes:
    """`data` with its length before it; 65,535 bytes at most."""
    return len(data).to_bytes(2, "big") + data


def write_text(text: str) -> bytes:
    return write_binary(text.encode())

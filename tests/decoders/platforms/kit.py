"""What these tests share: a payload on a topic or for a decoder by HTTP, a memory, and bytes of Protocol Buffers."""

import struct
from collections.abc import Sequence

from headwater.errors import Rejected
from headwater.message import Message
from ingest.contract import NOTHING_KNOWN, Context, Decoder, Payload, Source

NOW = 1_763_700_000_000_000


def payload(
    data: bytes | str,
    topic: str = "",
    *,
    device: str = "",
    query: str = "",
    content_type: str = "",
    context: Context = NOTHING_KNOWN,
) -> Payload:
    body = data.encode() if isinstance(data, str) else data
    source = Source("mqtt" if topic else "http", topic, device, "", content_type, "127.0.0.1:5", query)
    return Payload(body, source, NOW, context)


def messages(decoder: Decoder, one: Payload) -> list[Message]:
    """All of it is messages."""
    made = decoder(one)
    assert all(isinstance(part, Message) for part in made), made
    return [part for part in made if isinstance(part, Message)]


def only(decoder: Decoder, one: Payload) -> Message:
    """It is one message."""
    (made,) = messages(decoder, one)
    return made


def reason(decoder: Decoder, one: Payload) -> str:
    """All of it is refused, for this reason."""
    try:
        made = decoder(one)
    except Rejected as error:
        return error.reason
    reasons = {part.reason if isinstance(part, Rejected) else "accepted" for part in made}
    return reasons.pop() if len(reasons) == 1 else f"{made}"


def of_kind(made: Sequence[Message], kind: str) -> list[Message]:
    return [one for one in made if one.kind == kind]


def varint(number: int) -> bytes:
    found = bytearray()
    while number > 127:
        found.append(number & 127 | 128)
        number >>= 7
    return bytes([*found, number])


def field(number: int, value: float | bytes | str, *, wide: bool = True) -> bytes:
    """One field: an int is a varint, a float 8 bytes (4 if not `wide`), a text or bytes have their length before."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    if isinstance(value, float):
        return varint(number << 3 | (1 if wide else 5)) + struct.pack("<d" if wide else "<f", value)
    body = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(body)) + body

"""Writes packets. Sources: OASIS MQTT 3.1.1 and 5.0, section 3.

In: packets, and the protocol version of the connection. Out: their bytes. What version 4 has no place for (properties,
reason codes) is left out.
"""

import struct
from typing import Final

from ingest.mqtt import packets, properties, wire
from ingest.mqtt.packets import (
    Answer,
    Auth,
    Connack,
    Connect,
    Disconnect,
    Packet,
    Pingreq,
    Pingresp,
    Puback,
    Pubcomp,
    Publish,
    Pubrec,
    Pubrel,
    Suback,
    Subscribe,
    Subscription,
    Unsuback,
    Unsubscribe,
)
from ingest.mqtt.properties import NONE, Properties
from ingest.mqtt.reasons import ReasonCode, return_code

_FIRST: Final[dict[type[Answer], int]] = {
    Puback: packets.PUBACK,
    Pubrec: packets.PUBREC,
    Pubrel: packets.PUBREL,
    Pubcomp: packets.PUBCOMP,
}


def encode(packet: Packet, version: int) -> bytes:  # noqa: C901, PLR0911  one case a packet type
    """The packet's bytes. Raises `OverflowError` or `ValueError` for what MQTT cannot carry (the caller's mistake)."""
    five = version == 5
    match packet:
        case Publish():
            head, tail = publish_parts(packet, version)
            return b"".join((head, packet.packet_id.to_bytes(2, "big"), tail)) if packet.packet_id else head + tail
        case Answer():
            body = packet.packet_id.to_bytes(2, "big") + (_ending(packet.code, packet.properties) if five else b"")
            return _framed(_FIRST[type(packet)], body)
        case Connect():
            return _framed(packets.CONNECT, _connect(packet))
        case Connack():
            code = packet.code if five else return_code(packet.code)
            body = bytes((packet.session_present, code)) + (properties.write(packet.properties) if five else b"")
            return _framed(packets.CONNACK, body)
        case Subscribe():
            filters = [
                wire.write_text(item.filter) + bytes((_options(item, version),)) for item in packet.subscriptions
            ]
            return _framed(packets.SUBSCRIBE, _listing(packet.packet_id, packet.properties, filters, five=five))
        case Unsubscribe():
            filters = [wire.write_text(item) for item in packet.filters]
            return _framed(packets.UNSUBSCRIBE, _listing(packet.packet_id, packet.properties, filters, five=five))
        case Suback():
            codes = packet.codes if five else [min(code, ReasonCode.UNSPECIFIED_ERROR) for code in packet.codes]
            return _framed(packets.SUBACK, _listing(packet.packet_id, packet.properties, [bytes(codes)], five=five))
        case Unsuback():
            codes = bytes(packet.codes) if five else b""
            return _framed(packets.UNSUBACK, _listing(packet.packet_id, packet.properties, [codes], five=five))
        case Disconnect():
            return _framed(packets.DISCONNECT, _ending(packet.code, packet.properties) if five else b"")
        case Auth():
            return _framed(packets.AUTH, _ending(packet.code, packet.properties))
        case Pingreq():
            return b"\xc0\0"
        case Pingresp():
            return b"\xd0\0"


def publish_parts(packet: Publish, version: int) -> tuple[bytes, bytes]:
    """A PUBLISH in two parts, between which the packet id belongs if QoS is 1 or 2: so many clients share them."""
    topic = wire.write_text(packet.topic)
    tail = properties.write(packet.properties) + packet.payload if version == 5 else packet.payload
    size = len(topic) + len(tail) + (2 if packet.flags & (packets.QOS_1 | packets.QOS_2) else 0)
    return b"".join((bytes((packets.PUBLISH | packet.flags,)), wire.write_variable(size), topic)), tail


word: Final = struct.Struct(">I").pack
"""One of `words`."""


def words(answers: list[int]) -> bytes:
    """Many four-byte packets at once, each `first byte << 24 | 2 << 16 | packet id`: PUBACK and the like, SUCCESS."""
    if len(answers) == 1:
        return word(answers[0])
    return struct.pack(f">{len(answers)}I", *answers)


def _framed(first: int, body: bytes) -> bytes:
    return bytes((first,)) + wire.write_variable(len(body)) + body


def _ending(code: ReasonCode, given: Properties) -> bytes:
    if given is not NONE:
        return bytes((code,)) + properties.write(given)
    return bytes((code,)) if code else b""


def _listing(packet_id: int, given: Properties, items: list[bytes], *, five: bool) -> bytes:
    return b"".join((packet_id.to_bytes(2, "big"), properties.write(given) if five else b"", *items))


def _options(item: Subscription, version: int) -> int:
    if version == 4:
        return item.qos
    return item.qos | item.no_local << 2 | item.retain_as_published << 3 | item.retain_handling << 4


def _connect(packet: Connect) -> bytes:
    five = packet.version == 5
    will = packet.will
    flags = packet.clean << 1 | (packet.password is not None) << 6 | (packet.username is not None) << 7
    if will is not None:
        flags |= 0x04 | will.qos << 3 | will.retain << 5
    parts = [b"\0\4MQTT", bytes((packet.version, flags)), packet.keep_alive.to_bytes(2, "big")]
    if five:
        parts.append(properties.write(packet.properties))
    parts.append(wire.write_text(packet.client_id))
    if will is not None:
        if five:
            parts.append(properties.write(will.properties))
        parts += [wire.write_text(will.topic), wire.write_binary(will.payload)]
    if packet.username is not None:
        parts.append(wire.write_text(packet.username))
    if packet.password is not None:
        parts.append(wire.write_binary(packet.password))
    return b"".join(parts)

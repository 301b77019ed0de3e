"""Reads the body of every packet but PUBLISH. Sources: OASIS MQTT 3.1.1 and 5.0, section 3.

In: bytes, where the body begins and ends, the protocol version. Out: a packet, or `MalformedPacket`; never anything
else, whatever the bytes are.
"""

from collections.abc import Callable
from typing import Final

from ingest.mqtt import packets, properties, shared, topics, wire
from ingest.mqtt.packets import (
    Auth,
    Connack,
    Connect,
    Disconnect,
    Packet,
    Pingreq,
    Pingresp,
    Puback,
    Pubcomp,
    Pubrec,
    Pubrel,
    Suback,
    Subscribe,
    Subscription,
    Unsuback,
    Unsubscribe,
    Will,
)
from ingest.mqtt.properties import NONE, In, Properties
from ingest.mqtt.reasons import MalformedPacket, ReasonCode

FILTERS = 1000
"""Filters in one SUBSCRIBE or UNSUBSCRIBE at most."""

_R = ReasonCode
_RECEIVED: Final = frozenset(
    {
        _R.SUCCESS,
        _R.NO_MATCHING_SUBSCRIBERS,
        _R.UNSPECIFIED_ERROR,
        _R.IMPLEMENTATION_SPECIFIC_ERROR,
        _R.NOT_AUTHORIZED,
        _R.TOPIC_NAME_INVALID,
        _R.PACKET_IDENTIFIER_IN_USE,
        _R.QUOTA_EXCEEDED,
        _R.PAYLOAD_FORMAT_INVALID,
    }
)
_RELEASED: Final = frozenset({_R.SUCCESS, _R.PACKET_IDENTIFIER_NOT_FOUND})
_LEAVING: Final = frozenset(
    {
        _R.SUCCESS,
        _R.DISCONNECT_WITH_WILL_MESSAGE,
        _R.UNSPECIFIED_ERROR,
        _R.MALFORMED_PACKET,
        _R.PROTOCOL_ERROR,
        _R.IMPLEMENTATION_SPECIFIC_ERROR,
        _R.NOT_AUTHORIZED,
        _R.SERVER_BUSY,
        _R.SERVER_SHUTTING_DOWN,
        _R.KEEP_ALIVE_TIMEOUT,
        _R.SESSION_TAKEN_OVER,
        *(code for code in _R if code >= _R.TOPIC_FILTER_INVALID),
    }
) - {_R.PACKET_IDENTIFIER_IN_USE, _R.PACKET_IDENTIFIER_NOT_FOUND}
_AUTHENTICATING: Final = frozenset({_R.SUCCESS, _R.CONTINUE_AUTHENTICATION, _R.RE_AUTHENTICATE})
_ANY: Final = frozenset(_R)
_RETURNED: Final = {
    0: _R.SUCCESS,
    1: _R.UNSUPPORTED_PROTOCOL_VERSION,
    2: _R.CLIENT_IDENTIFIER_NOT_VALID,
    3: _R.SERVER_UNAVAILABLE,
    4: _R.BAD_USER_NAME_OR_PASSWORD,
    5: _R.NOT_AUTHORIZED,
}


def read_protocol(data: bytes, at: int, stop: int) -> tuple[str, int, int]:
    """How a CONNECT begins: protocol name and level, and where it goes on."""
    name, at = wire.read_text(data, at, stop)
    level, at = wire.read_byte(data, at, stop)
    return name, level, at


def read_connect(data: bytes, at: int, stop: int, version: int) -> Connect:
    """The rest of a CONNECT, behind name and level."""
    flags, at = wire.read_byte(data, at, stop)
    _check_connect_flags(flags, version)
    keep_alive, at = wire.read_two(data, at, stop)
    given, at = _properties(data, at, stop, In.CONNECT, version)
    client_id, at = wire.read_text(data, at, stop)
    will = None
    if flags & 0x04:
        will_properties, at = _properties(data, at, stop, In.WILL, version)
        topic, at = wire.read_text(data, at, stop)
        topics.check_name(topic)
        payload, at = wire.read_binary(data, at, stop)
        will = Will(topic, payload, flags >> 3 & 3, bool(flags & 0x20), will_properties)
    username = password = None
    if flags & 0x80:
        username, at = wire.read_text(data, at, stop)
    if flags & 0x40:
        password, at = wire.read_binary(data, at, stop)
    _ended(at, stop)
    return Connect(version, client_id, bool(flags & 0x02), keep_alive, username, password, will, given)


def _check_connect_flags(flags: int, version: int) -> None:
    if flags & 0x01:
        raise wire.malformed("the reserved connect flag is set")
    if flags & 0x18 == 0x18:
        raise wire.malformed("the will's QoS is 3")
    if not flags & 0x04 and flags & 0x38:
        raise wire.malformed("will flags without a will")
    if version == 4 and flags & 0xC0 == 0x40:
        raise wire.malformed("a password without a user name")


def _connack(data: bytes, at: int, stop: int, version: int) -> Connack:
    present, at = wire.read_byte(data, at, stop)
    if present > 1:
        raise wire.malformed("reserved connect acknowledge flags are set")
    number, at = wire.read_byte(data, at, stop)
    if version == 5:
        code = _code(number, _ANY)
    elif number in _RETURNED:
        code = _RETURNED[number]
    else:
        raise wire.malformed(f"return code {number} does not exist")
    given, at = _properties(data, at, stop, In.CONNACK, version)
    _ended(at, stop)
    return Connack(code, bool(present), given)


def _answer(data: bytes, at: int, stop: int, version: int, place: In) -> tuple[int, ReasonCode, Properties]:
    packet_id, at = _packet_id(data, at, stop)
    allowed = _RECEIVED if place in In.PUBACK | In.PUBREC else _RELEASED
    return packet_id, *_ending(data, at, stop, version, place, allowed)


def _puback(data: bytes, at: int, stop: int, version: int) -> Puback:
    return Puback(*_answer(data, at, stop, version, In.PUBACK))


def _pubrec(data: bytes, at: int, stop: int, version: int) -> Pubrec:
    return Pubrec(*_answer(data, at, stop, version, In.PUBREC))


def _pubrel(data: bytes, at: int, stop: int, version: int) -> Pubrel:
    return Pubrel(*_answer(data, at, stop, version, In.PUBREL))


def _pubcomp(data: bytes, at: int, stop: int, version: int) -> Pubcomp:
    return Pubcomp(*_answer(data, at, stop, version, In.PUBCOMP))


def _subscribe(data: bytes, at: int, stop: int, version: int) -> Subscribe:
    packet_id, at = _packet_id(data, at, stop)
    given, at = _properties(data, at, stop, In.SUBSCRIBE, version)
    items: list[Subscription] = []
    while at < stop:
        pattern, at = wire.read_text(data, at, stop)
        options, at = wire.read_byte(data, at, stop)
        items.append(_subscription(pattern, options, version))
        _check_count(len(items))
    if not items:
        raise wire.against_protocol("a SUBSCRIBE without a filter")
    return Subscribe(packet_id, tuple(items), given)


def _subscription(pattern: str, options: int, version: int) -> Subscription:
    if options & (0xC0 if version == 5 else 0xFC):
        raise wire.malformed("reserved subscription options are set")
    if options & 3 == 3:
        raise wire.malformed("a subscription's QoS is 3")
    retain_handling = options >> 4 & 3
    if retain_handling == 3:
        raise wire.against_protocol("retain handling is 3")
    no_local = bool(options & 0x04)
    if no_local and pattern.startswith(shared.SHARED):
        raise wire.against_protocol("no-local on a shared subscription")
    return Subscription(pattern, options & 3, no_local, bool(options & 0x08), retain_handling)


def _suback(data: bytes, at: int, stop: int, version: int) -> Suback:
    packet_id, at = _packet_id(data, at, stop)
    given, at = _properties(data, at, stop, In.SUBACK, version)
    return Suback(packet_id, tuple(_code(number, _ANY) for number in data[at:stop]), given)


def _unsubscribe(data: bytes, at: int, stop: int, version: int) -> Unsubscribe:
    packet_id, at = _packet_id(data, at, stop)
    given, at = _properties(data, at, stop, In.UNSUBSCRIBE, version)
    filters: list[str] = []
    while at < stop:
        pattern, at = wire.read_text(data, at, stop)
        filters.append(pattern)
        _check_count(len(filters))
    if not filters:
        raise wire.against_protocol("an UNSUBSCRIBE without a filter")
    return Unsubscribe(packet_id, tuple(filters), given)


def _unsuback(data: bytes, at: int, stop: int, version: int) -> Unsuback:
    packet_id, at = _packet_id(data, at, stop)
    given, at = _properties(data, at, stop, In.UNSUBACK, version)
    if version == 4:
        _ended(at, stop)
    return Unsuback(packet_id, tuple(_code(number, _ANY) for number in data[at:stop]), given)


def _pingreq(data: bytes, at: int, stop: int, version: int) -> Pingreq:  # noqa: ARG001  one signature for all
    _ended(at, stop)
    return Pingreq()


def _pingresp(data: bytes, at: int, stop: int, version: int) -> Pingresp:  # noqa: ARG001  one signature for all
    _ended(at, stop)
    return Pingresp()


def _disconnect(data: bytes, at: int, stop: int, version: int) -> Disconnect:
    return Disconnect(*_ending(data, at, stop, version, In.DISCONNECT, _LEAVING))


def _auth(data: bytes, at: int, stop: int, version: int) -> Auth:
    if version == 4:
        raise wire.malformed("there is no AUTH in MQTT 3.1.1")
    return Auth(*_ending(data, at, stop, version, In.AUTH, _AUTHENTICATING))


READ: Final[dict[int, Callable[[bytes, int, int, int], Packet]]] = {
    packets.CONNACK: _connack,
    packets.PUBACK: _puback,
    packets.PUBREC: _pubrec,
    packets.PUBREL: _pubrel,
    packets.PUBCOMP: _pubcomp,
    packets.SUBSCRIBE: _subscribe,
    packets.SUBACK: _suback,
    packets.UNSUBSCRIBE: _unsubscribe,
    packets.UNSUBACK: _unsuback,
    packets.PINGREQ: _pingreq,
    packets.PINGRESP: _pingresp,
    packets.DISCONNECT: _disconnect,
    packets.AUTH: _auth,
}
"""First byte → (data, where the body begins, where it ends, version) → packet."""


def _properties(data: bytes, at: int, stop: int, place: In, version: int) -> tuple[Properties, int]:
    return properties.read(data, at, stop, place) if version == 5 else (NONE, at)


def _ending(
    data: bytes, at: int, stop: int, version: int, place: In, allowed: frozenset[ReasonCode]
) -> tuple[ReasonCode, Properties]:
    """A reason code and properties, both of which version 5 lets a packet leave out, and version 4 does not have."""
    if at == stop:
        return ReasonCode.SUCCESS, NONE
    if version == 4:
        raise wire.malformed("the packet is too long")
    code = _code(data[at], allowed)
    at += 1
    if at == stop:
        return code, NONE
    given, at = properties.read(data, at, stop, place)
    _ended(at, stop)
    return code, given


def _code(number: int, allowed: frozenset[ReasonCode]) -> ReasonCode:
    if number not in allowed:
        raise wire.malformed(f"reason code 0x{number:02x} has no place here")
    return ReasonCode(number)


def _packet_id(data: bytes, at: int, stop: int) -> tuple[int, int]:
    packet_id, at = wire.read_two(data, at, stop)
    if not packet_id:
        raise wire.against_protocol("a packet identifier is not 0")
    return packet_id, at


def _check_count(filters: int) -> None:
    if filters > FILTERS:
        raise MalformedPacket(ReasonCode.QUOTA_EXCEEDED, f"more than {FILTERS} filters in a packet")


def _ended(at: int, stop: int) -> None:
    if at != stop:
        raise wire.malformed("the packet is longer than what it says")

"""MQTT 5 properties: read, checked, written. Source: OASIS MQTT 5.0, section 2.2.2.

In: the bytes of a packet's property section, and the kind of packet they stand in. Out: one `Properties`, or
`MalformedPacket` for whatever that packet may not say, or may not say twice.
"""

from collections.abc import Callable
from enum import IntFlag
from typing import Any, Final, Literal, NamedTuple

import msgspec

from ingest.mqtt import wire
from ingest.mqtt.reasons import MalformedPacket, ReasonCode

USER_PROPERTIES = 32
"""The most user properties of a packet: they are kept and passed on, so they cannot be endless."""


class In(IntFlag):
    """The places where properties stand: the packet types, and the will of a CONNECT."""

    WILL = 1 << 0
    CONNECT = 1 << 1
    CONNACK = 1 << 2
    PUBLISH = 1 << 3
    PUBACK = 1 << 4
    PUBREC = 1 << 5
    PUBREL = 1 << 6
    PUBCOMP = 1 << 7
    SUBSCRIBE = 1 << 8
    SUBACK = 1 << 9
    UNSUBSCRIBE = 1 << 10
    UNSUBACK = 1 << 11
    DISCONNECT = 1 << 14
    AUTH = 1 << 15


class Properties(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """Every property of the standard; None where it was not given. Intervals in seconds."""

    payload_format_indicator: int | None = None
    message_expiry_interval: int | None = None
    content_type: str | None = None
    response_topic: str | None = None
    correlation_data: bytes | None = None
    subscription_identifiers: tuple[int, ...] = ()
    session_expiry_interval: int | None = None
    assigned_client_identifier: str | None = None
    server_keep_alive: int | None = None
    authentication_method: str | None = None
    authentication_data: bytes | None = None
    request_problem_information: int | None = None
    will_delay_interval: int | None = None
    request_response_information: int | None = None
    response_information: str | None = None
    server_reference: str | None = None
    reason_string: str | None = None
    receive_maximum: int | None = None
    topic_alias_maximum: int | None = None
    topic_alias: int | None = None
    maximum_qos: int | None = None
    retain_available: int | None = None
    user_properties: tuple[tuple[str, str], ...] = ()
    maximum_packet_size: int | None = None
    wildcard_subscription_available: int | None = None
    subscription_identifiers_available: int | None = None
    shared_subscription_available: int | None = None


NONE: Final = Properties()

_Kind = Literal["flag", "two", "four", "variable", "text", "binary", "pair"]


class _Spec(NamedTuple):
    name: str
    kind: _Kind
    allowed: In


_ANSWERS = In.PUBACK | In.PUBREC | In.PUBREL | In.PUBCOMP | In.SUBACK | In.UNSUBACK
_EVERY = (
    _ANSWERS | In.WILL | In.CONNECT | In.CONNACK | In.PUBLISH | In.SUBSCRIBE | In.UNSUBSCRIBE | In.DISCONNECT | In.AUTH
)
_MESSAGE = In.PUBLISH | In.WILL
_LOGIN = In.CONNECT | In.CONNACK

_SPECS: Final[dict[int, _Spec]] = {
    0x01: _Spec("payload_format_indicator", "flag", _MESSAGE),
    0x02: _Spec("message_expiry_interval", "four", _MESSAGE),
    0x03: _Spec("content_type", "text", _MESSAGE),
    0x08: _Spec("response_topic", "text", _MESSAGE),
    0x09: _Spec("correlation_data", "binary", _MESSAGE),
    0x0B: _Spec("subscription_identifiers", "variable", In.PUBLISH | In.SUBSCRIBE),
    0x11: _Spec("session_expiry_interval", "four", _LOGIN | In.DISCONNECT),
    0x12: _Spec("assigned_client_identifier", "text", In.CONNACK),
    0x13: _Spec("server_keep_alive", "two", In.CONNACK),
    0x15: _Spec("authentication_method", "text", _LOGIN | In.AUTH),
    0x16: _Spec("authentication_data", "binary", _LOGIN | In.AUTH),
    0x17: _Spec("request_problem_information", "flag", In.CONNECT),
    0x18: _Spec("will_delay_interval", "four", In.WILL),
    0x19: _Spec("request_response_information", "flag", In.CONNECT),
    0x1A: _Spec("response_information", "text", In.CONNACK),
    0x1C: _Spec("server_reference", "text", In.CONNACK | In.DISCONNECT),
    0x1F: _Spec("reason_string", "text", _ANSWERS | In.CONNACK | In.DISCONNECT | In.AUTH),
    0x21: _Spec("receive_maximum", "two", _LOGIN),
    0x22: _Spec("topic_alias_maximum", "two", _LOGIN),
    0x23: _Spec("topic_alias", "two", In.PUBLISH),
    0x24: _Spec("maximum_qos", "flag", In.CONNACK),
    0x25: _Spec("retain_available", "flag", In.CONNACK),
    0x26: _Spec("user_properties", "pair", _EVERY),
    0x27: _Spec("maximum_packet_size", "four", _LOGIN),
    0x28: _Spec("wildcard_subscription_available", "flag", In.CONNACK),
    0x29: _Spec("subscription_identifiers_available", "flag", In.CONNACK),
    0x2A: _Spec("shared_subscription_available", "flag", In.CONNACK),
}

_NOT_ZERO: Final = frozenset({"receive_maximum", "maximum_packet_size", "subscription_identifiers"})
_REPEATED: Final = frozenset({"user_properties", "subscription_identifiers"})


def _read_pair(data: bytes, at: int, stop: int) -> tuple[tuple[str, str], int]:
    name, at = wire.read_text(data, at, stop)
    value, at = wire.read_text(data, at, stop)
    return (name, value), at


_READ: Final[dict[_Kind, Callable[[bytes, int, int], tuple[Any, int]]]] = {
    "flag": wire.read_byte,
    "two": wire.read_two,
    "four": wire.read_four,
    "variable": wire.read_variable,
    "text": wire.read_text,
    "binary": wire.read_binary,
    "pair": _read_pair,
}
_WRITE: Final[dict[_Kind, Callable[[Any], bytes]]] = {
    "flag": lambda value: bytes((value,)),
    "two": lambda value: value.to_bytes(2, "big"),
    "four": lambda value: value.to_bytes(4, "big"),
    "variable": wire.write_variable,
    "text": wire.write_text,
    "binary": wire.write_binary,
    "pair": lambda pair: wire.write_text(pair[0]) + wire.write_text(pair[1]),
}


def read(data: bytes, at: int, stop: int, place: In) -> tuple[Properties, int]:
    """Read a property section, its length first, from `data[at:stop]`; also returns where it ends."""
    size, at = wire.read_variable(data, at, stop)
    end = at + size
    if end > stop:
        raise wire.malformed("the properties are cut short")
    if not size:
        return NONE, end
    values: dict[str, Any] = {}
    while at < end:
        number, at = wire.read_variable(data, at, end)
        spec = _SPECS.get(number)
        if spec is None or not spec.allowed & place:
            raise wire.malformed(f"property 0x{number:02x} is not one of {place.name}")
        value, at = _READ[spec.kind](data, at, end)
        _put(values, spec, value, place)
    if "authentication_data" in values and "authentication_method" not in values:
        raise wire.against_protocol("authentication data without a method")
    return Properties(**values), end


def _put(values: dict[str, Any], spec: _Spec, value: Any, place: In) -> None:
    name = spec.name
    if spec.kind == "flag" and value > 1:
        raise wire.against_protocol(f"{name} is neither 0 nor 1")
    if not value and name in _NOT_ZERO:
        raise wire.against_protocol(f"{name} is 0")
    if name == "response_topic" and (not value or "+" in value or "#" in value):
        raise wire.against_protocol("the response topic is not a topic name")
    if name == "topic_alias" and not value:
        raise MalformedPacket(ReasonCode.TOPIC_ALIAS_INVALID, "a topic alias is not 0")
    if name not in _REPEATED or (name == "subscription_identifiers" and place is In.SUBSCRIBE):
        if name in values:
            raise wire.against_protocol(f"{name} is given twice")
        values[name] = (value,) if name in _REPEATED else value
        return
    values[name] = (*values.get(name, ()), value)
    if len(values[name]) > USER_PROPERTIES:
        raise MalformedPacket(ReasonCode.QUOTA_EXCEEDED, f"more than {USER_PROPERTIES} {name}")


def write(properties: Properties) -> bytes:
    """The property section, its length first. What may stand in which packet is the caller's to know."""
    if properties is NONE:
        return b"\0"
    out = bytearray()
    for number, spec in _SPECS.items():
        value = getattr(properties, spec.name)
        if value is None:
            continue
        encode = _WRITE[spec.kind]
        for item in value if spec.name in _REPEATED else (value,):
            out.append(number)
            out += encode(item)
    return wire.write_variable(len(out)) + out

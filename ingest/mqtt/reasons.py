"""Why MQTT ends or refuses something: reason codes with the standard's names, and what our own reasons become.

In: reasons of `headwater.errors`. Out: MQTT 5 reason codes and MQTT 3.1.1 return codes. Source: OASIS MQTT 5.0, section
2.4, and OASIS MQTT 3.1.1, table 3.1.
"""

from collections.abc import Mapping
from enum import IntEnum
from typing import Final

from headwater.errors import HeadwaterError, Reason, RefusedReason


class ReasonCode(IntEnum):
    """MQTT 5. From 0x80 on something failed. SUCCESS is also "normal disconnection" and "granted QoS 0"."""

    SUCCESS = 0x00
    GRANTED_QOS_1 = 0x01
    GRANTED_QOS_2 = 0x02
    DISCONNECT_WITH_WILL_MESSAGE = 0x04
    NO_MATCHING_SUBSCRIBERS = 0x10
    NO_SUBSCRIPTION_EXISTED = 0x11
    CONTINUE_AUTHENTICATION = 0x18
    RE_AUTHENTICATE = 0x19
    UNSPECIFIED_ERROR = 0x80
    MALFORMED_PACKET = 0x81
    PROTOCOL_ERROR = 0x82
    IMPLEMENTATION_SPECIFIC_ERROR = 0x83
    UNSUPPORTED_PROTOCOL_VERSION = 0x84
    CLIENT_IDENTIFIER_NOT_VALID = 0x85
    BAD_USER_NAME_OR_PASSWORD = 0x86
    NOT_AUTHORIZED = 0x87
    SERVER_UNAVAILABLE = 0x88
    SERVER_BUSY = 0x89
    BANNED = 0x8A
    SERVER_SHUTTING_DOWN = 0x8B
    BAD_AUTHENTICATION_METHOD = 0x8C
    KEEP_ALIVE_TIMEOUT = 0x8D
    SESSION_TAKEN_OVER = 0x8E
    TOPIC_FILTER_INVALID = 0x8F
    TOPIC_NAME_INVALID = 0x90
    PACKET_IDENTIFIER_IN_USE = 0x91
    PACKET_IDENTIFIER_NOT_FOUND = 0x92
    RECEIVE_MAXIMUM_EXCEEDED = 0x93
    TOPIC_ALIAS_INVALID = 0x94
    PACKET_TOO_LARGE = 0x95
    MESSAGE_RATE_TOO_HIGH = 0x96
    QUOTA_EXCEEDED = 0x97
    ADMINISTRATIVE_ACTION = 0x98
    PAYLOAD_FORMAT_INVALID = 0x99
    RETAIN_NOT_SUPPORTED = 0x9A
    QOS_NOT_SUPPORTED = 0x9B
    USE_ANOTHER_SERVER = 0x9C
    SERVER_MOVED = 0x9D
    SHARED_SUBSCRIPTIONS_NOT_SUPPORTED = 0x9E
    CONNECTION_RATE_EXCEEDED = 0x9F
    MAXIMUM_CONNECT_TIME = 0xA0
    SUBSCRIPTION_IDENTIFIERS_NOT_SUPPORTED = 0xA1
    WILDCARD_SUBSCRIPTIONS_NOT_SUPPORTED = 0xA2


class ReturnCode(IntEnum):
    """MQTT 3.1.1: what CONNACK may say."""

    CONNECTION_ACCEPTED = 0
    UNACCEPTABLE_PROTOCOL_VERSION = 1
    IDENTIFIER_REJECTED = 2
    SERVER_UNAVAILABLE = 3
    BAD_USER_NAME_OR_PASSWORD = 4
    NOT_AUTHORIZED = 5


class MalformedPacket(HeadwaterError):
    """What came is not MQTT, or not allowed here: answer with `code` where there is an answer, and close."""

    def __init__(self, code: ReasonCode, detail: str) -> None:
        super().__init__(f"{code.name}: {detail}")
        self.code = code
        self.detail = detail


_PAYLOAD = ReasonCode.PAYLOAD_FORMAT_INVALID
_TOPIC = ReasonCode.TOPIC_NAME_INVALID
_QUOTA = ReasonCode.QUOTA_EXCEEDED
_OWN = ReasonCode.IMPLEMENTATION_SPECIFIC_ERROR

OF_REJECTION: Final[Mapping[Reason, ReasonCode]] = {
    "bad_json": _PAYLOAD,
    "bad_encoding": _PAYLOAD,
    "bad_shape": _PAYLOAD,
    "bad_value": _PAYLOAD,
    "bad_device": _TOPIC,
    "bad_id": _PAYLOAD,
    "bad_time": _PAYLOAD,
    "bad_position": _PAYLOAD,
    "bad_topic": _TOPIC,
    "missing_device": _PAYLOAD,
    "missing_field": _PAYLOAD,
    "device_mismatch": _PAYLOAD,
    "no_fields": _PAYLOAD,
    "too_many_fields": _QUOTA,
    "too_deep": _PAYLOAD,
    "too_large": _QUOTA,
    "number_too_large": _PAYLOAD,
    "unknown_field": _PAYLOAD,
    "wrong_type": _PAYLOAD,
    "out_of_range": _PAYLOAD,
    "no_decoder": _TOPIC,
    "unknown_decoder": _OWN,
    "decoder_failed": _OWN,
    "encrypted": _PAYLOAD,
    "unknown_alias": _OWN,
    "unsupported": _OWN,
    "not_authorized": ReasonCode.NOT_AUTHORIZED,
    "refused_by_store": _OWN,
}
"""What a PUBACK or PUBREC says of a message that was not valid."""

OF_REFUSAL: Final[Mapping[RefusedReason, ReasonCode]] = {
    "no_credentials": ReasonCode.NOT_AUTHORIZED,
    "bad_credentials": ReasonCode.BAD_USER_NAME_OR_PASSWORD,
    "not_authorized": ReasonCode.NOT_AUTHORIZED,
    "disabled": ReasonCode.NOT_AUTHORIZED,
    "over_quota": ReasonCode.QUOTA_EXCEEDED,
}
"""What CONNACK says to someone who may not come in."""

_RETURN_CODES: Final[Mapping[ReasonCode, ReturnCode]] = {
    ReasonCode.SUCCESS: ReturnCode.CONNECTION_ACCEPTED,
    ReasonCode.UNSUPPORTED_PROTOCOL_VERSION: ReturnCode.UNACCEPTABLE_PROTOCOL_VERSION,
    ReasonCode.CLIENT_IDENTIFIER_NOT_VALID: ReturnCode.IDENTIFIER_REJECTED,
    ReasonCode.BAD_USER_NAME_OR_PASSWORD: ReturnCode.BAD_USER_NAME_OR_PASSWORD,
    ReasonCode.NOT_AUTHORIZED: ReturnCode.NOT_AUTHORIZED,
    ReasonCode.BANNED: ReturnCode.NOT_AUTHORIZED,
}


def return_code(code: ReasonCode) -> ReturnCode:
    """What a CONNACK of MQTT 3.1.1 says for it: `SERVER_UNAVAILABLE` where 3.1.1 has no word of its own."""
    return _RETURN_CODES.get(code, ReturnCode.SERVER_UNAVAILABLE)

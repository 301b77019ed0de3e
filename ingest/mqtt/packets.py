"""Every MQTT packet as a value. Sources: OASIS MQTT 3.1.1 and 5.0, section 3.

`reader` makes them of bytes, `encoding` makes bytes of them. Protocol version 4 is MQTT 3.1.1, which has no properties
and hardly any reason codes; 5 is 5.
"""

import msgspec

from ingest.mqtt.properties import NONE, Properties
from ingest.mqtt.reasons import ReasonCode

CONNECT, CONNACK, PUBLISH, PUBACK, PUBREC, PUBREL, PUBCOMP = 0x10, 0x20, 0x30, 0x40, 0x50, 0x62, 0x70
SUBSCRIBE, SUBACK, UNSUBSCRIBE, UNSUBACK, PINGREQ, PINGRESP = 0x82, 0x90, 0xA2, 0xB0, 0xC0, 0xD0
DISCONNECT, AUTH = 0xE0, 0xF0
"""First bytes: packet type and the flags that the standard fixes for it (PUBLISH has flags of its own)."""

RETAIN, QOS_1, QOS_2, DUP = 0x01, 0x02, 0x04, 0x08
"""The flags of a PUBLISH."""


class Will(msgspec.Struct, frozen=True):
    """What is published for a client that goes without a word."""

    topic: str
    payload: bytes
    qos: int = 0
    retain: bool = False
    properties: Properties = NONE


class Connect(msgspec.Struct, frozen=True):
    """`clean`: clean session (3.1.1), clean start (5). `keep_alive` in seconds, 0 for none."""

    version: int
    client_id: str = ""
    clean: bool = True
    keep_alive: int = 0
    username: str | None = None
    password: bytes | None = None
    will: Will | None = None
    properties: Properties = NONE


class Connack(msgspec.Struct, frozen=True):
    """Version 4 reads and writes the code as the return code nearest to it."""

    code: ReasonCode = ReasonCode.SUCCESS
    session_present: bool = False
    properties: Properties = NONE


class Publish(msgspec.Struct, gc=False):
    """`packet_id` is 0 with QoS 0. Not frozen, because one is made for every message that comes in."""

    topic: str
    payload: bytes
    flags: int = 0
    packet_id: int = 0
    properties: Properties = NONE

    @property
    def qos(self) -> int:
        return self.flags >> 1 & 3

    @property
    def retain(self) -> bool:
        return bool(self.flags & RETAIN)


class Answer(msgspec.Struct, frozen=True):
    """What PUBACK, PUBREC, PUBREL and PUBCOMP have in common."""

    packet_id: int
    code: ReasonCode = ReasonCode.SUCCESS
    properties: Properties = NONE


class Puback(Answer, frozen=True): ...


class Pubrec(Answer, frozen=True): ...


class Pubrel(Answer, frozen=True): ...


class Pubcomp(Answer, frozen=True): ...


class Subscription(msgspec.Struct, frozen=True):
    """One filter of a SUBSCRIBE and its options; version 4 knows only `qos`."""

    filter: str
    qos: int = 0
    no_local: bool = False
    retain_as_published: bool = False
    retain_handling: int = 0


class Subscribe(msgspec.Struct, frozen=True):
    packet_id: int
    subscriptions: tuple[Subscription, ...]
    properties: Properties = NONE


class Suback(msgspec.Struct, frozen=True):
    """One code a filter, in their order. Version 4 has one for failure, 0x80: UNSPECIFIED_ERROR."""

    packet_id: int
    codes: tuple[ReasonCode, ...]
    properties: Properties = NONE


class Unsubscribe(msgspec.Struct, frozen=True):
    packet_id: int
    filters: tuple[str, ...]
    properties: Properties = NONE


class Unsuback(msgspec.Struct, frozen=True):
    """Version 4 has no codes: `()`."""

    packet_id: int
    codes: tuple[ReasonCode, ...] = ()
    properties: Properties = NONE


class Pingreq(msgspec.Struct, frozen=True): ...


class Pingresp(msgspec.Struct, frozen=True): ...


class Disconnect(msgspec.Struct, frozen=True):
    code: ReasonCode = ReasonCode.SUCCESS
    properties: Properties = NONE


class Auth(msgspec.Struct, frozen=True):
    code: ReasonCode = ReasonCode.SUCCESS
    properties: Properties = NONE


Packet = (
    Connect | Connack | Publish | Puback | Pubrec | Pubrel | Pubcomp | Subscribe | Suback | Unsubscribe | Unsuback
    | Pingreq | Pingresp | Disconnect | Auth
)  # fmt: skip

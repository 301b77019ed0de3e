"""What a CONNECT asks for and what it gets: decided here, told in the CONNACK, kept for the connection.

In: a CONNECT that can be read. Out: `Terms`, or `MalformedPacket` with the reason code that refuses it.
"""

from typing import NamedTuple, Self
from uuid import uuid4

import msgspec

from headwater.config import Mqtt
from headwater.config_quotas import Quota
from headwater.registry import Identity
from ingest.mqtt import wire
from ingest.mqtt.packets import Connack, Connect
from ingest.mqtt.properties import Properties
from ingest.mqtt.reasons import MalformedPacket, ReasonCode
from ingest.mqtt.topics import TOPIC_LENGTH

CLIENT_ID_LENGTH = 256
"""Characters of a client id at most; the standard asks for 23."""

ALIASES = 16
"""Topic aliases a client may set: more than a device has topics."""

_BESIDE_PAYLOAD = 16 * 2**10 + TOPIC_LENGTH
"""Bytes that a PUBLISH may have beside its payload: topic, packet id, properties."""


class Terms(msgspec.Struct, frozen=True, gc=False):
    """What holds for one connection.

    `keep_alive`: seconds, always above 0. `window`: QoS 1 and 2 messages it takes before it acknowledges.
    `packet_limit`: the largest packet it takes. `explain`: it wants reasons in words on every packet. `expiry`: seconds
    that its session outlives the connection; `asked_expiry`: those that it asked for. `aliases`: topic aliases that it
    takes.
    """

    version: int
    client_id: str
    keep_alive: int
    window: int
    packet_limit: int
    explain: bool
    expiry: int
    asked_expiry: int
    aliases: int = 0


class Limits(NamedTuple):
    """What the endpoint takes of one client: the endpoint's own limits, or those of its quota where they are less."""

    payload_size: int
    in_flight: int
    subscriptions: int
    topic_length: int

    @classmethod
    def of(cls, config: Mqtt, quota: Quota) -> Self:
        """Both together."""
        return cls(
            min(config.payload_size, quota.packet_size),
            min(config.in_flight, quota.in_flight),
            min(config.subscriptions, quota.subscriptions),
            quota.topic_length,
        )


def packet_limit(payload_size: int) -> int:
    """The largest packet that is accepted."""
    return payload_size + _BESIDE_PAYLOAD


def longest_keep_alive(config: Mqtt) -> int:
    """Seconds; a packet has 16 bits for it."""
    return max(1, min(65_535, int(config.keep_alive)))


def agree(connect: Connect, config: Mqtt, connected: int) -> Terms:
    """What this client gets, if `connected` are there. Raises `MalformedPacket`: the CONNACK then says its code."""
    asked = connect.properties
    if connected >= config.connections:
        raise MalformedPacket(ReasonCode.SERVER_BUSY, "too many connections")
    if asked.authentication_method is not None:
        raise MalformedPacket(ReasonCode.BAD_AUTHENTICATION_METHOD, "there is no enhanced authentication")
    if len(connect.client_id) > CLIENT_ID_LENGTH:
        raise MalformedPacket(
            ReasonCode.CLIENT_IDENTIFIER_NOT_VALID, f"a client identifier has {CLIENT_ID_LENGTH} characters at most"
        )
    if not connect.client_id and connect.version == 4 and not connect.clean:
        raise MalformedPacket(ReasonCode.CLIENT_IDENTIFIER_NOT_VALID, "a session needs a client identifier")
    if connect.will is not None and len(connect.will.payload) > config.payload_size:
        raise MalformedPacket(ReasonCode.PACKET_TOO_LARGE, f"a payload has {config.payload_size} bytes at most")
    longest = longest_keep_alive(config)
    asked_expiry = asked.session_expiry_interval or 0
    if connect.version == 4 and not connect.clean:
        asked_expiry = wire.LARGEST_INTEGER
    return Terms(
        version=connect.version,
        client_id=connect.client_id or f"headwater-{uuid4().hex}",
        keep_alive=min(connect.keep_alive or longest, longest),
        window=min(asked.receive_maximum or config.in_flight, config.in_flight),
        packet_limit=asked.maximum_packet_size or wire.LARGEST_INTEGER + 5,
        explain=asked.request_problem_information != 0,
        expiry=min(asked_expiry, int(config.session_expiry)) if config.sessions else 0,
        asked_expiry=asked_expiry,
        aliases=asked.topic_alias_maximum or 0,
    )


def accepted(terms: Terms, connect: Connect, limits: Limits, identity: Identity, *, present: bool) -> Connack:
    """The CONNACK that tells a client what it gets. `present`: there was a session to go on with."""
    if terms.version == 4:
        return Connack(session_present=present)
    answers_at = f"devices/{identity.device}/" if identity.device else None
    return Connack(
        session_present=present,
        properties=Properties(
            session_expiry_interval=terms.expiry if terms.expiry != terms.asked_expiry else None,
            assigned_client_identifier=None if connect.client_id else terms.client_id,
            server_keep_alive=terms.keep_alive if terms.keep_alive != connect.keep_alive else None,
            receive_maximum=limits.in_flight,
            topic_alias_maximum=ALIASES,
            maximum_packet_size=packet_limit(limits.payload_size),
            response_information=answers_at if connect.properties.request_response_information else None,
        ),
    )


def refused(code: ReasonCode, detail: str) -> Connack:
    """The CONNACK that says no."""
    return Connack(code, properties=Properties(reason_string=detail))

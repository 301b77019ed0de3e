"""Who a CONNECT comes from: by a certificate, by user name and password, or by being on this machine.

In: a CONNECT, and the stream it came over. Out: an `Identity`, or `MalformedPacket` with the CONNACK's code.
"""

from typing import Literal

from headwater.credentials import is_claim_code
from headwater.errors import Refused, Unavailable
from headwater.registry import Identity
from ingest.contract import Door
from ingest.mqtt.broker import Broker
from ingest.mqtt.packets import Connect
from ingest.mqtt.reasons import OF_REFUSAL, MalformedPacket, ReasonCode
from ingest.mqtt.stream import Stream

Certified = Literal["registry", "cn", "san", "none"]
"""Whose a client certificate is; "none": nobody's, it has opened the line and no more."""


def identify(packet: Connect, stream: Stream, broker: Broker, certified: Certified) -> Identity:
    """Ask the door. Raises `MalformedPacket`."""
    if not broker.quotas.has_room(loopback=stream.loopback):
        broker.metrics.throttled_connects.inc()
        raise MalformedPacket(ReasonCode.CONNECTION_RATE_EXCEEDED, "too many connect at once")
    try:
        secret = (packet.password or b"").decode()
    except UnicodeDecodeError:
        raise MalformedPacket(ReasonCode.BAD_USER_NAME_OR_PASSWORD, "the password is not UTF-8") from None
    if is_claim_code(secret):
        _check_pace(stream, broker)
    try:
        identity = _known(packet.username or "", secret, stream, broker.door, certified)
    except Refused as error:
        broker.metrics.refused.labels("mqtt", error.reason).inc()
        broker.quotas.refused(stream.host)
        raise MalformedPacket(OF_REFUSAL[error.reason], error.detail) from None
    except Unavailable as error:
        raise MalformedPacket(ReasonCode.SERVER_UNAVAILABLE, str(error)) from None
    if packet.will is not None and broker.quotas.owes_wills(identity):
        broker.metrics.throttled_connects.inc()
        raise MalformedPacket(ReasonCode.CONNECTION_RATE_EXCEEDED, "too many wills of this sender were published")
    if identity.claim:
        if not secret:
            _check_pace(stream, broker)
        if packet.will is not None or not packet.clean or packet.properties.session_expiry_interval:
            detail = "who comes by a claim has neither will nor session: connect with a clean one, without expiry"
            raise MalformedPacket(ReasonCode.NOT_AUTHORIZED, detail)
    return identity


def _check_pace(stream: Stream, broker: Broker) -> None:
    """So many may come by claims from one address, right or wrong."""
    if broker.quotas.provisioning(stream.host):
        broker.metrics.throttled_connects.inc()
        raise MalformedPacket(ReasonCode.CONNECTION_RATE_EXCEEDED, "too many come from this address by claims")


def _known(name: str, secret: str, stream: Stream, door: Door, certified: Certified) -> Identity:
    """Who shows a certificate and says a name or password as well must be the same by all of them."""
    certificate = None if certified == "none" else stream.certificate()
    if (claimed := door.claimed(secret, certificate)) is not None:
        return claimed
    if certificate is None or certified == "none":
        return door.identify(name, secret, loopback=stream.loopback)
    identity = door.identify_certificate(certificate, certified)
    said = door.identify(name, secret, loopback=False).name if secret else name or identity.name
    if said != identity.name:
        raise Refused("bad_credentials", "the user name is not that of the certificate")
    return identity

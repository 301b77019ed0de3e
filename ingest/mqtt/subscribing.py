"""SUBSCRIBE and UNSUBSCRIBE: what a session is granted, filter by filter.

In: the packet and the session it came from. Out: the SUBACK or UNSUBACK, and the subscriptions changed.
"""

from ingest.mqtt import topics
from ingest.mqtt.packets import Suback, Subscribe, Subscription, Unsuback, Unsubscribe
from ingest.mqtt.reasons import MalformedPacket, ReasonCode
from ingest.mqtt.router import Router
from ingest.mqtt.sessions import Session
from ingest.mqtt.subscriptions import Grant


def subscribe(packet: Subscribe, session: Session, router: Router, most: int) -> Suback:
    """Grant what may be granted, `most` subscriptions in all: for each filter the QoS asked for, or why not."""
    identifiers = packet.properties.subscription_identifiers
    identifier = identifiers[0] if identifiers else 0
    codes = tuple(_grant(item, identifier, session, router, most) for item in packet.subscriptions)
    return Suback(packet.packet_id, codes)


def _grant(item: Subscription, identifier: int, session: Session, router: Router, most: int) -> ReasonCode:
    try:
        topics.check_filter(item.filter)
    except MalformedPacket as error:
        return error.code
    if not topics.may_subscribe(session.identity, item.filter):
        return ReasonCode.NOT_AUTHORIZED
    if len(session.filters) >= most and item.filter not in session.filters:
        return ReasonCode.QUOTA_EXCEEDED
    session.filters.add(item.filter)
    grant = Grant(item.qos, item.no_local, item.retain_as_published, identifier)
    router.subscriptions.add(item.filter, session, grant)
    return ReasonCode(item.qos)


def unsubscribe(packet: Unsubscribe, session: Session, router: Router, version: int) -> Unsuback:
    """End the subscriptions named."""
    codes: list[ReasonCode] = []
    for pattern in packet.filters:
        session.filters.discard(pattern)
        ended = router.subscriptions.remove(pattern, session)
        codes.append(ReasonCode.SUCCESS if ended else ReasonCode.NO_SUBSCRIPTION_EXISTED)
    return Unsuback(packet.packet_id, tuple(codes) if version == 5 else ())


def unsubscribe_all(session: Session, router: Router) -> None:
    """The session is over."""
    for pattern in session.filters:
        router.subscriptions.remove(pattern, session)
    session.filters.clear()

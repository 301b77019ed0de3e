"""SUBSCRIBE and UNSUBSCRIBE: what a session is granted, filter by filter.

In: the packet and the session it came from. Out: the SUBACK or UNSUBACK, and the subscriptions changed.
"""

from typing import NamedTuple

from ingest.mqtt import topics
from ingest.mqtt.broker import Broker
from ingest.mqtt.lasting import KeptSession
from ingest.mqtt.packets import Suback, Subscribe, Subscription, Unsuback, Unsubscribe
from ingest.mqtt.reasons import MalformedPacket, ReasonCode
from ingest.mqtt.sessions import Session
from ingest.mqtt.shared import SHARED, names_commands
from ingest.mqtt.subscriptions import Grant


class Subscribed(NamedTuple):
    """The answer, and the subscriptions that retained messages are wanted for."""

    answer: Suback
    wants: list[tuple[str, Grant]]


def subscribe(packet: Subscribe, session: Session, broker: Broker) -> Subscribed:
    """Grant what may be granted: for each filter the QoS asked for, or why not."""
    identifiers = packet.properties.subscription_identifiers
    identifier = identifiers[0] if identifiers else 0
    wants: list[tuple[str, Grant]] = []
    codes = tuple(_grant(item, identifier, session, broker, wants) for item in packet.subscriptions)
    return Subscribed(Suback(packet.packet_id, codes), wants)


def send_retained(wants: list[tuple[str, Grant]], session: Session, broker: Broker) -> None:
    """Once all that came before the SUBSCRIBE is in the table."""

    def send() -> None:
        for pattern, grant in wants:
            session.outbox.follow(broker.plane.retained_for(pattern, grant, session.key))

    if wants:
        broker.plane.when_retained(send)


def send_commands(session: Session, broker: Broker) -> None:
    """What waits for the devices that it stands for."""
    if broker.courier is not None:
        broker.courier.subscribed(session)


def _grant(
    item: Subscription, identifier: int, session: Session, broker: Broker, wants: list[tuple[str, Grant]]
) -> ReasonCode:
    try:
        topics.check_filter(item.filter)
    except MalformedPacket as error:
        return error.code
    if not broker.rights.may_subscribe(session.identity, item.filter):
        return ReasonCode.NOT_AUTHORIZED
    if names_commands(item.filter):
        return ReasonCode.SHARED_SUBSCRIPTIONS_NOT_SUPPORTED
    shared = item.filter.startswith(SHARED)
    before = session.filters.get(item.filter)
    new = before is None
    most = min(broker.config.subscriptions, broker.quotas.of(session.identity).subscriptions)
    if new and len(session.filters) >= most:
        return ReasonCode.QUOTA_EXCEEDED
    since = broker.plane.routed_next if before is None else before.since  # what waits by it waits on
    grant = Grant(item.qos, item.no_local, item.retain_as_published, identifier, since)
    hold(item.filter, grant, session, broker)
    if not shared and not session.identity.claim and (item.retain_handling == 0 or (item.retain_handling == 1 and new)):
        wants.append((item.filter, grant))
    return ReasonCode(item.qos)


def hold(pattern: str, grant: Grant, session: Session, broker: Broker) -> None:
    """A subscription is in force. Those shared of a session that is on the log are so when that has been read back.

    Who came by a claim is told what concerns it alone: nothing that anyone publishes.
    """
    session.filters[pattern] = grant
    if session.identity.claim:
        return
    if not pattern.startswith(SHARED):
        broker.router.subscriptions.add(pattern, session, grant)
    elif not isinstance(session, KeptSession):
        broker.plane.table.groups.add(pattern, session.key, grant)


def unsubscribe(packet: Unsubscribe, session: Session, broker: Broker, version: int) -> Unsuback:
    """End the subscriptions named."""
    codes: list[ReasonCode] = []
    for pattern in packet.filters:
        there = session.filters.pop(pattern, None) is not None
        _let_go(pattern, session, broker)
        codes.append(ReasonCode.SUCCESS if there else ReasonCode.NO_SUBSCRIPTION_EXISTED)
    return Unsuback(packet.packet_id, tuple(codes) if version == 5 else ())


def unsubscribe_all(session: Session, broker: Broker) -> None:
    """Its connection is over."""
    for pattern in session.filters:
        _let_go(pattern, session, broker)
    session.filters.clear()


def _let_go(pattern: str, session: Session, broker: Broker) -> None:
    if not pattern.startswith(SHARED):
        broker.router.subscriptions.remove(pattern, session)
    elif not isinstance(session, KeptSession):
        broker.plane.table.groups.remove(pattern, session.key)

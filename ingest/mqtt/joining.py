"""From a CONNECT that is accepted to its session: a new one, or the one that the log has.

In: what was agreed, and what the log says. Out: sessions with their outboxes, subscriptions in force.
"""

from functools import partial

from headwater.registry import Identity
from ingest.mqtt.broker import Broker
from ingest.mqtt.lasting import KeptSession
from ingest.mqtt.lasting_outbox import Keeping, LastingOutbox
from ingest.mqtt.outbox import Outbox
from ingest.mqtt.ownership import Joined
from ingest.mqtt.reasons import MalformedPacket, ReasonCode
from ingest.mqtt.sessions import Line
from ingest.mqtt.stream import Stream
from ingest.mqtt.subscribing import hold
from ingest.mqtt.terms import Terms


def check_room(agreed: Terms, identity: Identity, key: str, broker: Broker) -> None:
    """There may be one more session that the log has. Raises `MalformedPacket`."""
    plane = broker.plane
    table = plane.table
    if plane.pressure.full and plane.owner.needs_claim(key, lasting=agreed.expiry > 0):
        raise MalformedPacket(ReasonCode.SERVER_BUSY, "too much waits for the log")
    if agreed.expiry and key not in table.sessions:
        mine = table.kept[identity.name] >= broker.quotas.of(identity).sessions
        if mine or table.lasting >= broker.config.sessions:
            raise MalformedPacket(ReasonCode.QUOTA_EXCEEDED, "too many sessions outlive their connections")


def check_pace(identity: Identity, key: str, address: str, broker: Broker) -> None:
    """A client may connect so often and no more. Raises `MalformedPacket`."""
    if not broker.quotas.may_connect(identity, key, address):
        broker.metrics.throttled_connects.inc()
        raise MalformedPacket(ReasonCode.CONNECTION_RATE_EXCEEDED, "this client identifier connects too often")


def outbox_of(agreed: Terms, stream: Stream, broker: Broker) -> Outbox:
    """For a session that ends with its connection."""
    return Outbox(
        agreed.version,
        agreed.window,
        agreed.packet_limit,
        stream.send,
        broker.clock,
        broker.router.tally,
        agreed.aliases,
    )


def session_of(joined: Joined, agreed: Terms, line: Line, stream: Stream, broker: Broker) -> KeptSession:
    """For a claim that holds: with its subscriptions, as far as its identity may still have them."""
    state, config = joined.state, broker.config
    changed = broker.plane.owner.changed
    outbox = outbox_of(agreed, stream, broker)
    if state.queued:
        outbox = LastingOutbox(
            agreed.version,
            agreed.window,
            agreed.packet_limit,
            stream.send,
            broker.clock,
            broker.router.tally,
            Keeping(config.queued, config.queued_size, partial(changed, state.key), state.flight),
            agreed.aliases,
        )
    session = KeptSession(state, line, outbox, changed)
    broker.plane.owner.unsettled.joins(session, joined.before)
    for pattern, grant in state.subscriptions:
        if broker.rights.may_subscribe(state.identity, pattern):
            hold(pattern, grant, session, broker)
        else:
            session.changed()
    return session

"""How a connection begins: from its CONNECT to the CONNACK.

In: CONNECT. Out: who it is, what was agreed, a session, which the log may have to give; or a refusal.
"""

from functools import partial

from headwater.alarm import Alarm
from headwater.registry import Identity
from ingest.mqtt import encoding, subscribing
from ingest.mqtt.identifying import identify
from ingest.mqtt.inbound import Inbound
from ingest.mqtt.joining import check_pace, check_room, outbox_of, session_of
from ingest.mqtt.life import Client, Life, State
from ingest.mqtt.ownership import Joined
from ingest.mqtt.packets import Connect, Packet
from ingest.mqtt.reasons import MalformedPacket, ReasonCode
from ingest.mqtt.sessions import Session
from ingest.mqtt.state import key_of
from ingest.mqtt.terms import Limits, Terms, accepted, agree, packet_limit


class Entering(Life):
    """A connection as far as its CONNACK."""

    __slots__ = ()

    def _take(self, packets: list[Packet]) -> None:
        """Packets of every kind, in their order."""
        raise NotImplementedError

    def _connect(self, packet: Connect) -> None:
        broker, stream = self._broker, self._stream
        try:
            agreed = agree(packet, broker.config, len(broker.sessions))
            identity = identify(packet, self._stream, broker, self._certified)
            check_room(agreed, identity, key := key_of(identity.name, agreed.client_id), broker)
            check_pace(identity, key, stream.host, broker)
        except MalformedPacket as error:
            self._refuse(error, packet.properties.maximum_packet_size)
            return
        limits = Limits.of(broker.config, broker.quotas.of(identity))
        greeting = accepted(agreed, packet, limits, identity, present=False)
        if len(encoding.encode(greeting, agreed.version)) > agreed.packet_limit:
            self._close("packet_too_large", b"")
            return
        self._end_older(key)
        owner = broker.plane.owner
        if owner.needs_claim(key, lasting=agreed.expiry > 0):
            self._state = State.JOINING
            stream.pause()
            broker.deadlines.set(self, self._heard + 3 * broker.patience)
            broker.joins(identity.name, self)
            tell = partial(self._joined, packet, agreed, identity)
            owner.claim(identity, agreed.client_id, packet, agreed.expiry, tell)
        else:
            session = Session(agreed.client_id, identity, self, outbox_of(agreed, stream, broker))
            self._enter(packet, agreed, session, present=False)

    def _joined(self, packet: Connect, agreed: Terms, identity: Identity, joined: Joined | None) -> None:
        """The log has said whether it has the session; whoever is gone by now, or may not come any more, lets it go."""
        owner = self._broker.plane.owner
        self._broker.joined(identity.name, self)
        if self._state is not State.JOINING:
            if joined is not None:
                owner.abandon(joined.state)
            return
        if joined is None:
            self._refuse(MalformedPacket(ReasonCode.SERVER_UNAVAILABLE, "the log cannot take it now"))
            return
        session = session_of(joined, agreed, self, self._stream, self._broker)
        self._end_older(session.key)
        owner.enter(session)
        self._heard = self._broker.clock()
        self._enter(packet, agreed, session, present=joined.present)
        self._broker.plane.resume(session, joined.start)
        subscribing.send_commands(session, self._broker)
        self.resume()
        early, self._early = self._early, []
        self._take(early)
        if self._reader.broken is not None:
            self._refuse(self._reader.broken)

    def _end_older(self, key: str) -> None:
        older = self._broker.sessions.named(key)
        if older is not None:
            older.line.end(ReasonCode.SESSION_TAKEN_OVER, "the client identifier has connected again")

    def _enter(self, packet: Connect, agreed: Terms, session: Session, *, present: bool) -> None:
        broker, stream = self._broker, self._stream
        broker.sessions.add(session)
        self._client = Client(agreed, session, Inbound(broker, self, session, agreed, stream), packet.will)
        self._state = State.LIVE
        broker.deadlines.set(self, self._heard + 1.5 * agreed.keep_alive)
        limits = Limits.of(broker.config, broker.quotas.of(session.identity))
        greeting = accepted(agreed, packet, limits, session.identity, present=present)
        self._reader.narrow(packet_limit(limits.payload_size), limits.payload_size)
        self._meter = broker.quotas.meter(session.identity, stream.host)
        if session.identity.until:
            expired = partial(self.end, ReasonCode.NOT_AUTHORIZED, "what it came in by has expired")
            self._alarm = Alarm(session.identity.until, expired)
        stream.write(encoding.encode(greeting, agreed.version))

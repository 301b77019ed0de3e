"""One MQTT connection: how it begins, which part gets which packet, and how it ends.

In: bytes from a transport. Out: packets handed to the parts that know them (`terms`, `inbound`, `outbox`,
`subscribing`), and every ending with its reason told to the client where its version can be told. There is no task a
connection: the broker's one timer calls `expired`.
"""

import asyncio
from enum import IntEnum
from functools import partial
from typing import Final, cast

from headwater.alarm import Alarm
from ingest.mqtt import encoding, subscribing
from ingest.mqtt.broker import Broker
from ingest.mqtt.identifying import Certified, identify
from ingest.mqtt.inbound import Inbound
from ingest.mqtt.joining import check_pace, check_room, outbox_of, session_of
from ingest.mqtt.lasting import KeptSession
from ingest.mqtt.ownership import Joined
from ingest.mqtt.packets import (
    Auth,
    Connack,
    Connect,
    Disconnect,
    Packet,
    Pingreq,
    Puback,
    Pubcomp,
    Publish,
    Pubrec,
    Pubrel,
    Subscribe,
    Unsubscribe,
    Will,
)
from ingest.mqtt.properties import Properties
from ingest.mqtt.reader import Reader
from ingest.mqtt.reasons import MalformedPacket, ReasonCode
from ingest.mqtt.sessions import Session
from ingest.mqtt.state import key_of
from ingest.mqtt.stream import QUOTA, Stream
from ingest.mqtt.subscriptions import Grant
from ingest.mqtt.terms import ALIASES, Limits, Terms, accepted, agree, packet_limit, refused
from ingest.quotas import Meter

LINGER = 2.0
"""Seconds that a client has to read why it is closed, and to close its side."""

_SHORTEST = 0.01
"""Seconds that a pause lasts at least."""

_PINGRESP: Final = b"\xd0\0"

_UNANSWERED: Final = frozenset(
    {
        ReasonCode.MALFORMED_PACKET,
        ReasonCode.PROTOCOL_ERROR,
        ReasonCode.PACKET_TOO_LARGE,
        ReasonCode.TOPIC_NAME_INVALID,
    }
)
"""A 3.1.1 CONNECT that is wrong in one of these ways gets no CONNACK: the standard asks to close, and no more."""


class State(IntEnum):
    """Where a connection is in its life; it only ever goes forward."""

    NEW = 0  # CONNECT has not come
    JOINING = 1  # its session has been claimed, and the log has not yet said who has it
    LIVE = 2
    LEAVING = 3  # the client has said DISCONNECT, and what it sent before is not yet all with the intake
    OVER = 4  # what still comes is not looked at


class _Client:
    """What there is from the CONNECT on."""

    __slots__ = ("inbound", "session", "terms", "will")

    def __init__(self, agreed: Terms, session: Session, inbound: Inbound, will: Will | None) -> None:
        self.terms = agreed
        self.session = session
        self.inbound = inbound
        self.will = will


class Connection(asyncio.Protocol):
    """Made by the server for each transport. What other parts call on it: `Connected`, `Line`, `Wire`, `Expiring`."""

    __slots__ = (
        "_alarm",
        "_broker",
        "_certified",
        "_client",
        "_early",
        "_heard",
        "_meter",
        "_reader",
        "_state",
        "_stream",
        "deadline",
    )

    _stream: Stream

    def __init__(self, broker: Broker, certified: Certified = "none") -> None:
        """`certified`: whose a client certificate is, as its listener is configured."""
        self._broker = broker
        self._certified: Certified = certified
        self._reader = Reader(packet_limit(broker.config.payload_size), broker.config.payload_size, ALIASES)
        self._state = State.NEW
        self._client: _Client | None = None
        self._meter: Meter | None = None
        self._early: list[Packet] = []  # what came before the CONNACK
        self._heard = 0.0
        self._alarm: Alarm | None = None  # its token expires
        self.deadline = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        broker = self._broker
        self._stream = Stream(
            cast("asyncio.Transport", transport), broker.config.write_buffer, broker.router, self._too_slow
        )
        self._heard = broker.clock()
        broker.deadlines.set(self, self._heard + broker.config.connect_time)
        if not broker.opened(self):
            self.abort()
        self.shut_out()

    def data_received(self, data: bytes) -> None:
        if self._state > State.LIVE:
            return
        self._heard = self._broker.clock()
        found, client = self._reader.feed(data), self._client
        if self._reader.plain and client is not None:
            client.inbound.take(cast("list[Publish]", found))
        else:
            self._take(found)
        if self._meter is not None:
            count = len(found) if self._reader.plain else sum(type(packet) is Publish for packet in found)
            self._pay(count, len(data), self._meter)
        if self._reader.broken is not None and self._state is not State.JOINING:
            self._refuse(self._reader.broken)

    def _take(self, packets: list[Packet]) -> None:
        """Packets of every kind, in their order; PUBLISHes that stand together go together."""
        publishes: list[Publish] = []
        for at, packet in enumerate(packets):
            if self._state is State.JOINING:
                self._early += packets[at:]
                return
            if type(packet) is Publish:
                publishes.append(packet)
                continue
            if publishes and self._client is not None:
                self._client.inbound.take(publishes)
                publishes = []
            if self._state > State.LIVE:
                return
            if self._client is not None:
                self._handle(packet, self._client)
            elif type(packet) is Connect:
                self._connect(packet)
        if publishes and self._client is not None:
            self._client.inbound.take(publishes)

    def _handle(self, packet: Packet, client: _Client) -> None:
        outbox, version = client.session.outbox, client.terms.version
        match packet:
            case Pingreq():
                self._stream.send(_PINGRESP)
            case Puback() | Pubcomp():
                outbox.acknowledged(packet.packet_id)
            case Pubrec() if packet.code < ReasonCode.UNSPECIFIED_ERROR:
                outbox.received(packet.packet_id)
            case Pubrec():
                outbox.acknowledged(packet.packet_id)
            case Pubrel():
                client.inbound.released(packet.packet_id)
            case Subscribe():
                done = subscribing.subscribe(packet, client.session, self._broker)
                self._answer_once_kept(encoding.encode(done.answer, version), client, done.wants)
            case Unsubscribe():
                ended = subscribing.unsubscribe(packet, client.session, self._broker, version)
                self._answer_once_kept(encoding.encode(ended, version), client, [])
            case Disconnect():
                self._disconnect(packet, client)
            case Auth():
                self.end(ReasonCode.PROTOCOL_ERROR, "there is no enhanced authentication")
            case _:  # the reader lets nothing else through
                self.end(ReasonCode.PROTOCOL_ERROR, "a client does not send this")

    def _answer_once_kept(self, answer: bytes, client: _Client, wants: list[tuple[str, Grant]]) -> None:
        """Answer when the log has the session as it is now, where others must know it; then what is retained."""
        session = client.session

        def say() -> None:
            if len(answer) > client.terms.packet_limit:
                self.end(ReasonCode.PACKET_TOO_LARGE, "the answer is larger than the packets you take")
                return
            self._stream.send(answer)
            subscribing.send_retained(wants, session, self._broker)
            subscribing.send_commands(session, self._broker)

        def saved(ok: bool) -> None:  # noqa: FBT001 - a callback
            if ok:
                say()
            else:
                self.end(ReasonCode.SERVER_BUSY, "the log cannot take it now; send again")

        if isinstance(session, KeptSession):
            self._broker.plane.owner.save(session, saved)
        else:
            say()

    def _pay(self, count: int, size: int, meter: Meter) -> None:
        """Count what a read has brought; if it was more than its sender may send, the next one comes later."""
        wait = meter.took(count, size, self._broker.clock())
        if wait:
            if not self._stream.paused & QUOTA and self._state is State.LIVE:
                self._stream.pause(QUOTA)
                self._broker.metrics.throttled.labels("mqtt").inc()
            asyncio.get_running_loop().call_later(max(wait, _SHORTEST), self._paid, meter)

    def _paid(self, meter: Meter) -> None:
        """It may send again, unless more has come meanwhile."""
        if self._stream.paused & QUOTA:
            self._heard = self._broker.clock()
            if not meter.took(0, 0, self._heard):
                self._stream.resume(QUOTA)
            else:
                self._pay(0, 0, meter)

    # How it begins.

    def _connect(self, packet: Connect) -> None:
        broker, stream = self._broker, self._stream
        try:
            agreed = agree(packet, broker.config, len(broker.sessions))
            identity = identify(packet, self._stream, broker, self._certified)
            check_room(agreed, key := key_of(identity.name, agreed.client_id), broker)
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
            owner.claim(identity, agreed.client_id, packet, agreed.expiry, partial(self._joined, packet, agreed))
        else:
            session = Session(agreed.client_id, identity, self, outbox_of(agreed, stream, broker))
            self._enter(packet, agreed, session, present=False)

    def _joined(self, packet: Connect, agreed: Terms, joined: Joined | None) -> None:
        """The log has said whether it has the session; whoever is gone by now lets it go."""
        owner = self._broker.plane.owner
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
        self._client = _Client(agreed, session, Inbound(broker, self, session, agreed, stream), packet.will)
        self._state = State.LIVE
        broker.deadlines.set(self, self._heard + 1.5 * agreed.keep_alive)
        limits = Limits.of(broker.config, broker.quotas.of(session.identity))
        greeting = accepted(agreed, packet, limits, session.identity, present=present)
        self._reader.narrow(packet_limit(limits.payload_size), limits.payload_size)
        self._meter = broker.quotas.meter(session.identity, stream.host)
        if session.identity.until:
            expired = partial(self.end, ReasonCode.NOT_AUTHORIZED, "the token has expired")
            self._alarm = Alarm(session.identity.until, expired)
        stream.write(encoding.encode(greeting, agreed.version))

    # How it ends.

    def _refuse(self, error: MalformedPacket, limit: int | None = None) -> None:
        """Answer what cannot be read or is not allowed, in `limit` bytes at most, and close."""
        version = self._reader.version
        if self._state > State.JOINING:
            self.end(error.code, error.detail)
            return
        answers = version == 5 or (version == 4 and error.code not in _UNANSWERED)
        last_word = encoding.encode(refused(error.code, error.detail), version) if answers else b""
        if limit is not None and len(last_word) > limit:
            last_word = encoding.encode(Connack(error.code), version)
        self._close(error.code.name.lower(), last_word)

    def end(self, code: ReasonCode, detail: str) -> None:
        """Tell the client why, where its version can be told, and close. It ends only once."""
        client = self._client
        last_word = b""
        if client is not None and client.terms.version == 5 and self._state is State.LIVE:
            last_word = encoding.encode(Disconnect(code, Properties(reason_string=detail)), 5)
            if len(last_word) > client.terms.packet_limit:
                last_word = encoding.encode(Disconnect(code), 5)
        self._close(code.name.lower(), last_word)

    def _close(self, reason: str, last_word: bytes) -> None:
        if self._client is not None:
            self._client.inbound.abandon()
        if self._state is State.OVER:
            return
        self._state = State.OVER
        self._broker.closed(reason)
        if self._stream.linger(last_word):
            self._broker.deadlines.set(self, self._broker.clock() + LINGER)
        self._forget(will=True)

    def _disconnect(self, packet: Disconnect, client: _Client) -> None:
        interval = packet.properties.session_expiry_interval
        if interval and not client.terms.asked_expiry:
            self.end(ReasonCode.PROTOCOL_ERROR, "a session that was to end with its connection cannot be made to last")
            return
        if interval is not None and isinstance(client.session, KeptSession) and client.session.lasting:
            client.session.expiry = min(interval, int(self._broker.config.session_expiry))
        self._state = State.LEAVING
        self._forget(will=packet.code is not ReasonCode.SUCCESS)
        if client.inbound.holds:
            self._broker.deadlines.set(self, self._broker.clock() + 2 * self._broker.patience)
        else:
            self._stream.close()

    def emptied(self) -> None:
        """Nothing that came is held back: a client that is leaving may go."""
        if self._state is State.LEAVING:
            self._stream.close()

    def abort(self) -> None:
        """Close without a word."""
        self._state = State.OVER
        self._stream.abort()

    def shut_out(self) -> None:
        """Close without a word, if its address is blocked."""
        if self._broker.door.blocked(self._stream.host):
            self._broker.metrics.blocked.labels("mqtt").inc()
            self.abort()

    def _too_slow(self) -> None:
        self._broker.closed("slow")
        self.abort()

    def _forget(self, *, will: bool) -> None:
        """End the session; its will is published, or not. Does so once."""
        client = self._client
        if client is None or not self._broker.sessions.remove(client.session):
            return
        if isinstance(client.session, KeptSession):
            client.will = self._broker.plane.owner.leave(client.session, client.will if will else None)
        subscribing.unsubscribe_all(client.session, self._broker)
        client.session.outbox.end()
        if will:
            self._publish_will(client)

    def _publish_will(self, client: _Client) -> None:
        will, client.will = client.will, None
        if will is not None:
            self._broker.publish_will(will, client.session.identity, self._stream.peer, client.session.key)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  lost is lost
        self._stream.lost()
        if self._alarm is not None:
            self._alarm.cancel()
        if self._meter is not None:
            self._broker.quotas.ended(self._meter)
            self._meter = None
        if self._client is not None and self._state is not State.LEAVING:
            self._client.inbound.abandon()
            self._state = State.OVER
        self._forget(will=True)
        self._broker.deadlines.clear(self)
        self._broker.gone(self)

    def stop(self) -> None:
        """Take nothing more. What is with the intake is still acknowledged; `end` comes later."""
        if self._client is None or self._state is not State.LIVE:
            self.end(ReasonCode.SERVER_SHUTTING_DOWN, "")
            return
        self._stream.pause()
        self._client.inbound.drop()
        will = self._client.will
        if will is not None and not (self._client.session.lasting and will.properties.will_delay_interval):
            self._publish_will(self._client)

    def expired(self, now: float) -> None:
        """The moment set has come: for CONNECT to be there, for the keep alive, for the client to be gone."""
        client = self._client
        if client is not None and self._state is State.LIVE:
            patience = 1.5 * client.terms.keep_alive
            if self._stream.paused:  # it may be pinging, and we would not know
                self._heard = now
            if self._heard + patience <= now:
                self.end(ReasonCode.KEEP_ALIVE_TIMEOUT, f"nothing came for {patience:g} seconds")
            else:
                self._broker.deadlines.set(self, self._heard + patience)
            return
        if client is not None:
            client.inbound.abandon()
        if self._state <= State.JOINING:
            self._broker.closed("connect_time")
        self.abort()

    # What `inbound` and the transport ask for.

    def pause(self) -> None:
        """Stop reading the socket."""
        self._stream.pause()

    def resume(self) -> None:
        """Read it again; until now the client could not be heard."""
        if self._stream.paused:
            self._heard = self._broker.clock()
            self._stream.resume()

    def pause_writing(self) -> None:
        self._stream.blocked = True
        if self._client is not None:
            self._client.session.outbox.blocked = True

    def resume_writing(self) -> None:
        self._stream.blocked = False
        if self._client is not None:
            self._client.session.outbox.blocked = False
            self._client.session.outbox.pump()

"""A connection's life but for what it says: where it stands, what it is given time for, and how it ends.

In: a transport, word from every part that the connection is to end. Out: every ending with its reason told to the
client where its version can be told; the session, the will and the quota let go of once. There is no task a
connection: the broker's one timer calls `expired`.
"""

import asyncio
from enum import IntEnum
from typing import Final, cast

from headwater.alarm import Alarm
from ingest.mqtt import encoding, subscribing
from ingest.mqtt.broker import Broker
from ingest.mqtt.identifying import Certified
from ingest.mqtt.inbound import Inbound
from ingest.mqtt.lasting import KeptSession
from ingest.mqtt.packets import Connack, Disconnect, Packet, Will
from ingest.mqtt.properties import Properties
from ingest.mqtt.reader import Reader
from ingest.mqtt.reasons import MalformedPacket, ReasonCode
from ingest.mqtt.sessions import Session
from ingest.mqtt.stream import Stream
from ingest.mqtt.terms import ALIASES, Terms, packet_limit, refused
from ingest.quotas import Meter

LINGER = 2.0
"""Seconds that a client has to read why it is closed, and to close its side."""

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


class Client:
    """What there is from the CONNECT on."""

    __slots__ = ("inbound", "session", "terms", "will")

    def __init__(self, agreed: Terms, session: Session, inbound: Inbound, will: Will | None) -> None:
        self.terms = agreed
        self.session = session
        self.inbound = inbound
        self.will = will


class Life(asyncio.Protocol):
    """What other parts call on a connection: `Connected`, `Line`, `Wire`, `Expiring`."""

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
        self._client: Client | None = None
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

    def _disconnect(self, packet: Disconnect, client: Client) -> None:
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

    def _publish_will(self, client: Client) -> None:
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

    def send(self, data: bytes) -> None:
        """Packets for the client; nothing where it is gone."""
        self._stream.send(data)

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

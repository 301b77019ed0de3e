"""What the gateways write to the log about sessions and messages, and how it is encoded.

Topic `sessions`, key `s:` + session: the session as of then. Key `g:` + gateway: that it is there. Topic `routed`: a
message for a session of another gateway, or for one that outlives its connection. Values are MessagePack.
"""

import msgspec

from headwater.registry import Identity
from ingest.mqtt.packets import Publish, Will
from ingest.mqtt.properties import NONE, Properties
from ingest.mqtt.subscriptions import Grant

SESSION, GATEWAY = b"s:", b"g:"
"""How keys of topic `sessions` begin."""


def key_of(identity: str, client_id: str) -> str:
    """What names a session: neither part can have a null character."""
    return f"{identity}\0{client_id}"


class Flight(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """A QoS 1 or 2 message that was sent and not acknowledged to the end.

    `offset`: on topic `routed`; -1: it was the retained message of `topic`. `released`: PUBREC has come.
    """

    packet_id: int
    offset: int
    qos: int
    topic: str = ""
    released: bool = False


class SessionState(msgspec.Struct, frozen=True, omit_defaults=True):
    """A session as on the log. `nonce` and `epoch` name the connection that it is or was held by.

    `claims`: written by a connection that begins: of two with one epoch the later one has it. `since`: when it was
    connected or disconnected, microseconds since 1970 UTC. `expiry`: seconds that it outlives its connection; 0: not
    at all. `queued`: what it gets comes from the log; also where a session is resumed and is not to outlive that
    connection. `position`: every entry of topic `routed` below it is handed over, or among `flight`. `received`: ids of
    QoS 2 messages that came and were not released. `will_at`: when a will that is delayed is due, 0 if none is.
    `resumes`: of a claim, what the session had goes on with it, see `going_on`.
    """

    identity: Identity
    client_id: str
    gateway: str
    nonce: str
    epoch: int
    since: int
    connected: bool = False
    claims: bool = False
    expiry: int = 0
    queued: bool = False
    position: int = 0
    subscriptions: tuple[tuple[str, Grant], ...] = ()
    flight: tuple[Flight, ...] = ()
    received: tuple[int, ...] = ()
    will: Will | None = None
    will_at: int = 0
    resumes: bool = False

    @property
    def key(self) -> str:
        return key_of(self.identity.name, self.client_id)

    def ends(self) -> int:
        """When it expires, if nobody comes back; microseconds since 1970 UTC."""
        return self.since + self.expiry * 1_000_000

    def lives(self, now: int) -> bool:
        """There is something to come back to."""
        return self.expiry > 0 and (self.connected or now < self.ends())


def going_on(state: SessionState, before: SessionState | None) -> SessionState:
    """A claim with what its session had until then, if it resumes one that lives.

    By the log alone, so that every gateway comes to the same: what the claim itself copied may be older than what the
    session has been acknowledged since.
    """
    if before is None or not state.resumes or not before.lives(state.since):
        return state
    return msgspec.structs.replace(
        state,
        queued=True,
        position=before.position,
        subscriptions=before.subscriptions,
        flight=before.flight,
        received=before.received,
    )


class Beat(msgspec.Struct, frozen=True):
    """A gateway is there. `at`: microseconds since 1970 UTC."""

    at: int


class Choice(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """The member of a shared subscription that a message goes to: its session, and by which grant."""

    key: str
    grant: Grant


class RoutedMessage(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """A message on topic `routed`. `origin`: the gateway it came to; `sender`: the session it came from.

    `at`: microseconds since 1970 UTC.
    """

    origin: str
    sender: str
    at: int
    topic: str
    payload: bytes
    flags: int
    properties: Properties = NONE
    choices: tuple[Choice, ...] = ()

    def publish(self, now: int) -> Publish | None:
        """As it goes out now; None if it has expired."""
        given, interval = self.properties, self.properties.message_expiry_interval
        if interval is not None:
            left = interval - (now - self.at) // 1_000_000
            if left <= 0:
                return None
            given = msgspec.structs.replace(given, message_expiry_interval=left)
        return Publish(self.topic, self.payload, self.flags, 0, given)


encode = msgspec.msgpack.Encoder().encode
decode_session = msgspec.msgpack.Decoder(SessionState).decode
decode_routed = msgspec.msgpack.Decoder(RoutedMessage).decode


def handed_on(given: Properties) -> Properties:
    """The properties of a PUBLISH or will without those that are between its sender and us."""
    if given is NONE:
        return given
    return msgspec.structs.replace(given, topic_alias=None, will_delay_interval=None)

"""What goes out to one client: QoS 0 at once or not at all, QoS 1 and 2 through a window and a bounded queue behind it.

In: messages to deliver, and the client's acknowledgements. Out: PUBLISH and PUBREL packets, in the order of delivery.
Source: OASIS MQTT 5.0, sections 4.3, 4.4, 4.6 and 4.9.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple, Protocol

import msgspec

from ingest.mqtt import encoding
from ingest.mqtt.aliases import Aliases
from ingest.mqtt.packets import RETAIN, Publish, Pubrel
from ingest.mqtt.properties import NONE, Properties
from ingest.mqtt.reasons import ReasonCode

QUEUED, QUEUED_SIZE = 1000, 2**20
"""Messages, and bytes of payload, that may wait for a client that is slow to acknowledge; beyond, it is closed."""

_PORTION = 500
"""Messages that are sent to one client in a turn, where very many follow."""


class Tally:
    """What became of deliveries since it was last looked at."""

    __slots__ = ("delivered", "dropped", "expired", "slow", "too_large")

    def __init__(self) -> None:
        self.delivered = self.dropped = self.expired = self.slow = self.too_large = 0

    def undelivered(self) -> Sequence[tuple[str, int]]:
        """Why, and how many."""
        counts = (self.slow, self.expired, self.too_large, self.dropped)
        return tuple(zip(("slow", "expired", "too_large", "queue_full"), counts, strict=True))


class Told(Protocol):
    """Who wants to know what becomes of a message."""

    def sent(self) -> None:
        """It is on its way."""
        ...

    def acknowledged(self) -> None:
        """The client has it."""
        ...


class Outgoing:
    """One message on its way to any number of clients. `expires`: by the endpoint's clock, None for never."""

    __slots__ = ("_parts", "expires", "payload", "properties", "qos", "retain", "told", "topic")

    def __init__(self, publish: Publish, now: float) -> None:
        """Take what a PUBLISH hands on: the topic alias, for example, is between its sender and us."""
        self.topic = publish.topic
        self.payload = publish.payload
        self.qos = publish.qos
        self.retain = publish.flags & RETAIN
        self.properties = given = publish.properties
        self.told: Told | None = None
        self.expires: float | None = None
        if given.message_expiry_interval is not None:
            self.expires = now + given.message_expiry_interval
        if given is not NONE:
            self.properties = msgspec.structs.replace(
                given, topic_alias=None, message_expiry_interval=None, will_delay_interval=None
            )
        self._parts: dict[tuple[int, int], tuple[bytes, bytes]] = {}

    def parts(self, version: int, flags: int, identifiers: tuple[int, ...], now: float) -> tuple[bytes, bytes]:
        """The packet, before and behind the packet id; made once for all clients that get the same."""
        if version == 5 and (identifiers or self.expires is not None):
            left = None if self.expires is None else max(1, round(self.expires - now))
            given = msgspec.structs.replace(
                self.properties, subscription_identifiers=identifiers, message_expiry_interval=left
            )
            return self._encoded(version, flags, given)
        found = self._parts.get((version, flags))
        if found is None:
            found = self._parts[version, flags] = self._encoded(version, flags, self.properties)
        return found

    def aliased(
        self, flags: int, identifiers: tuple[int, ...], now: float, alias: int, *, known: bool
    ) -> tuple[bytes, bytes]:
        """The packet in two parts for one client, version 5. `known`: it has the alias, the topic is left out."""
        given = msgspec.structs.replace(
            self.properties,
            subscription_identifiers=identifiers,
            message_expiry_interval=None if self.expires is None else max(1, round(self.expires - now)),
            topic_alias=alias,
        )
        return encoding.publish_parts(Publish("" if known else self.topic, self.payload, flags, 0, given), 5)

    def _encoded(self, version: int, flags: int, properties: Properties) -> tuple[bytes, bytes]:
        return encoding.publish_parts(Publish(self.topic, self.payload, flags, 0, properties), version)


class Delivery(NamedTuple):
    """A message for one client. `flags`: QoS and RETAIN, as in the packet's first byte.

    `offset`: on topic `routed`, -1 if it did not come from there.
    """

    message: Outgoing
    flags: int
    identifiers: tuple[int, ...]
    offset: int = -1


class Outbox:
    """`send` puts a packet on its way. `blocked`: the client does not read; set by whoever sees that."""

    __slots__ = (
        "_aliases", "_clock", "_flight", "_following", "_last_id", "_packet_limit", "_queue", "_queue_size", "_send",
        "_tally", "_told", "_version", "_window", "blocked",
    )  # fmt: skip

    def __init__(
        self, version: int, window: int, packet_limit: int, send: Callable[[bytes], None],
        clock: Callable[[], float], tally: Tally, aliases: int = 0,
    ) -> None:  # fmt: skip
        """`aliases`: the topic alias maximum that the client gave."""
        self._aliases = Aliases(aliases) if aliases else None  # made when needed: most have none
        self._version = version
        self._window = window
        self._packet_limit = packet_limit
        self._send = send
        self._clock = clock
        self._tally = tally
        self._last_id = 0
        self._flight: dict[int, bool] = {}  # packet id → True once a PUBREC has come
        self._queue: deque[Delivery] | None = None  # made when needed: most have none
        self._following: deque[Iterator[Delivery]] | None = None
        self._queue_size = 0
        self._told: dict[int, Told] | None = None
        self.blocked = False

    @property
    def in_flight(self) -> int:
        """QoS 1 and 2 messages sent and not acknowledged to the end."""
        return len(self._flight)

    @property
    def following(self) -> int:
        """How many series of messages were given to `follow` and are not all sent."""
        return len(self._following) if self._following else 0

    def put(self, message: Outgoing, qos: int, identifiers: tuple[int, ...] = (), retain: int = 0) -> bool:
        """Deliver it, now or later. False: the queue is over its bound, and this client cannot be helped."""
        if qos == 0:
            if self.blocked:
                self._tally.slow += 1
            else:
                self._transmit(message, retain, identifiers)
            return True
        if self._may_send() and not self._queue:
            self._transmit(message, qos << 1 | retain, identifiers)
            return True
        queue = self._waiting()
        queue.append(Delivery(message, qos << 1 | retain, identifiers))
        self._queue_size += len(message.payload)
        return len(queue) <= QUEUED and self._queue_size <= QUEUED_SIZE

    def _waiting(self) -> deque[Delivery]:
        if self._queue is None:
            self._queue = deque()
        return self._queue

    def acknowledged(self, packet_id: int) -> None:
        """PUBACK or PUBCOMP, or a PUBREC that says no: the message is done. An id that is not known is let pass."""
        self._tell(packet_id)
        if self._flight.pop(packet_id, None) is not None:
            self.pump()

    def received(self, packet_id: int) -> None:
        """PUBREC: the client has a QoS 2 message; let it go."""
        if packet_id in self._flight:
            self._flight[packet_id] = True
            self._send(encoding.encode(Pubrel(packet_id), self._version))
        else:
            code = ReasonCode.PACKET_IDENTIFIER_NOT_FOUND
            self._send(encoding.encode(Pubrel(packet_id, code), self._version))

    def pump(self) -> None:
        """Send what waits, as far as the client takes it."""
        while self._queue and self._may_send():
            delivery = self._queue.popleft()
            self._queue_size -= len(delivery.message.payload)
            self._transmit(*delivery)
        if self._following:
            self._take_following()

    def follow(self, messages: Iterator[Delivery]) -> None:
        """Deliver these behind what waits, each taken when the client can take it: there may be very many."""
        if self._following is None:
            self._following = deque()
        self._following.append(messages)
        if len(self._following) == 1:
            self._take_following()

    def end(self) -> None:
        """Nobody is there any more."""
        self._queue = self._following = None

    def _take_following(self) -> None:
        for _ in range(_PORTION):
            if not self._following or self._queue or not self._may_send():
                return
            found = next(self._following[0], None)
            if found is None:
                self._following.popleft()
            else:
                self._transmit(*found)
        asyncio.get_running_loop().call_soon(self._take_following)

    def _tell(self, packet_id: int) -> None:
        told = self._told.pop(packet_id, None) if self._told else None
        if told is not None:
            told.acknowledged()

    def _may_send(self) -> bool:
        return len(self._flight) < self._window and not self.blocked

    def _note(self, packet_id: int, message: Outgoing, flags: int, offset: int) -> None:
        """A QoS 1 or 2 message goes out."""

    def _transmit(self, message: Outgoing, flags: int, identifiers: tuple[int, ...], offset: int = -1) -> None:
        now = self._clock()
        if message.expires is not None and message.expires <= now:
            self._tally.expired += 1
            return
        alias, known = (0, False) if self._aliases is None else self._aliases.of(message.topic)
        if alias:
            head, tail = message.aliased(flags, identifiers, now, alias, known=known)
        else:
            head, tail = message.parts(self._version, flags, identifiers, now)
        if len(head) + len(tail) + 2 > self._packet_limit:
            self._tally.too_large += 1
            return
        if alias and not known and self._aliases is not None:
            self._aliases.told(message.topic, alias)
        self._tally.delivered += 1
        if message.told is not None:
            message.told.sent()
        if flags <= RETAIN:
            self._send(head + tail)
            return
        packet_id = self._next_id()
        self._flight[packet_id] = False
        self._note(packet_id, message, flags, offset)
        if message.told is not None:
            self._told = self._told or {}
            self._told[packet_id] = message.told
        self._send(b"".join((head, packet_id.to_bytes(2, "big"), tail)))

    def _next_id(self) -> int:
        """An id that is not in flight; there always is one, because the window is smaller than their number."""
        packet_id = self._last_id % 65_535 + 1
        while packet_id in self._flight:
            packet_id = packet_id % 65_535 + 1
        self._last_id = packet_id
        return packet_id

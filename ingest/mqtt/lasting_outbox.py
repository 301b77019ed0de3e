"""The outbox of a session that outlives its connection: what was sent and not acknowledged is sent again on the next.

In: as `outbox`, with the offsets of messages on topic `routed`; the flights of the last connection. Out: PUBLISH with
DUP and PUBREL for those, in their order, then what waited. Its queue drops the oldest where it is full: the client is
not closed, because it would find the same queue when it comes back. Source: OASIS MQTT 5.0, section 4.4.
"""

from collections.abc import Callable, Iterable
from typing import NamedTuple

from ingest.mqtt import encoding
from ingest.mqtt.outbox import Delivery, Outbox, Outgoing, Tally
from ingest.mqtt.packets import DUP, Pubrel
from ingest.mqtt.state import Flight


class Keeping(NamedTuple):
    """`most` messages and `most_size` bytes of payload may wait. `changed`: called when flights have changed.

    `flights`: those of the last connection.
    """

    most: int
    most_size: int
    changed: Callable[[], None]
    flights: Iterable[Flight] = ()


class LastingOutbox(Outbox):
    """`most`, `most_size`: see `Keeping`."""

    __slots__ = ("_again", "_book", "_changed", "_content", "_offsets", "most", "most_size")

    def __init__(
        self,
        version: int,
        window: int,
        packet_limit: int,
        send: Callable[[bytes], None],
        clock: Callable[[], float],
        tally: Tally,
        keeping: Keeping,
        aliases: int = 0,
    ) -> None:
        super().__init__(version, window, packet_limit, send, clock, tally, aliases)
        self.most = keeping.most
        self.most_size = keeping.most_size
        self._changed = keeping.changed
        self._book: dict[int, Flight] = {}
        self._again: dict[int, None] = {}  # flights of the last connection that were not sent on this one
        self._offsets: dict[int, int] = {}  # their offsets → packet ids
        self._content: dict[int, Delivery] = {}
        for flight in keeping.flights:
            self._flight[flight.packet_id] = flight.released
            self._book[flight.packet_id] = flight
            self._again[flight.packet_id] = None
            if flight.offset >= 0:
                self._offsets[flight.offset] = flight.packet_id
            self._last_id = flight.packet_id

    def position(self, next_offset: int) -> int:
        """Where a session goes on that is resumed: behind what was sent."""
        return self._queue[0].offset if self._queue else next_offset

    def flights(self) -> tuple[Flight, ...]:
        """What was sent and not acknowledged to the end, in order."""
        return tuple(
            Flight(flight.packet_id, flight.offset, flight.qos, flight.topic, self._flight.get(flight.packet_id, False))
            for flight in self._book.values()
        )

    def wanted(self) -> list[Flight]:
        """Flights of the last connection whose messages are needed."""
        return [self._book[packet_id] for packet_id in self._again if not self._flight[packet_id]]

    def keep(self, delivery: Delivery) -> None:
        """Deliver a QoS 1 or 2 message, now or later."""
        if self._may_send() and not self._queue and not self._again:
            self._transmit(*delivery)
            return
        queue = self._waiting()
        queue.append(delivery)
        self._queue_size += len(delivery.message.payload)
        while len(queue) > self.most or self._queue_size > self.most_size:
            self._queue_size -= len(queue.popleft().message.payload)
            self.count_dropped()

    def count_dropped(self) -> None:
        """One that waited has made way."""
        self._tally.dropped += 1

    def returns(self, delivery: Delivery) -> bool:
        """Whether it was sent on the last connection; then it is what to send again."""
        packet_id = self._offsets.get(delivery.offset)
        if packet_id is None:
            return False
        self._content[packet_id] = delivery
        return True

    def supply(self, packet_id: int, message: Outgoing, flags: int) -> None:
        """What to send again for a flight that was not on the log."""
        self._content[packet_id] = Delivery(message, flags, ())

    def send_again(self) -> None:
        """All that can be found of the last connection's flights is there; what cannot is given up."""
        self._offsets.clear()
        for packet_id in list(self._again):
            if not self._flight.get(packet_id) and packet_id not in self._content:
                del self._again[packet_id]
                self._forget(packet_id)
        self.pump()

    def acknowledged(self, packet_id: int) -> None:
        """See `Outbox`."""
        self._tell(packet_id)
        self._again.pop(packet_id, None)
        self._content.pop(packet_id, None)
        if packet_id in self._flight:
            self._forget(packet_id)
            self.pump()

    def received(self, packet_id: int) -> None:
        """See `Outbox`."""
        self._again.pop(packet_id, None)
        self._content.pop(packet_id, None)
        super().received(packet_id)
        self._changed()

    def pump(self) -> None:
        """See `Outbox`: first what is sent again."""
        if self._offsets:  # what to send again is not yet known
            return
        while self._again and self._may_send():
            packet_id = next(iter(self._again))
            del self._again[packet_id]
            self._send_again(packet_id, self._content.pop(packet_id, None))
        if not self._again:
            super().pump()

    def _send_again(self, packet_id: int, delivery: Delivery | None) -> None:
        if self._flight[packet_id]:
            self._send(encoding.encode(Pubrel(packet_id), self._version))
        elif delivery is not None:
            head, tail = delivery.message.parts(
                self._version, delivery.flags | DUP, delivery.identifiers, self._clock()
            )
            self._send(b"".join((head, packet_id.to_bytes(2, "big"), tail)))

    def _forget(self, packet_id: int) -> None:
        self._flight.pop(packet_id, None)
        self._book.pop(packet_id, None)
        self._changed()

    def _may_send(self) -> bool:
        return len(self._flight) - len(self._again) < self._window and not self.blocked

    def _note(self, packet_id: int, message: Outgoing, flags: int, offset: int) -> None:
        self._book[packet_id] = Flight(packet_id, offset, flags >> 1 & 3, "" if offset >= 0 else message.topic)
        self._changed()

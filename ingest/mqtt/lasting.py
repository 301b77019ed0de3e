"""Sessions that are on the log: those that outlive their connection; with several gateways all of them.

In: messages, straight from this gateway's clients (QoS 0) and from topic `routed` (all others, with their offsets).
Out: deliveries through the outbox; the session's state as the log is to have it.
"""

from collections import deque
from collections.abc import Callable, Iterable, Sequence

from ingest.mqtt.lasting_outbox import LastingOutbox
from ingest.mqtt.outbox import Delivery, Outbox, Outgoing
from ingest.mqtt.packets import Will
from ingest.mqtt.sessions import Line, Session, best
from ingest.mqtt.state import Flight, SessionState
from ingest.mqtt.subscriptions import Grant


class KeptSession(Session):
    """`nonce`, `epoch`: of its connection. `expiry`: seconds that it outlives it. `will`: what its state says of it.

    `catching`: what waited for it is being read, and what comes meanwhile is left to that. `from_offset`: entries of
    topic `routed` below it have been handed over before. `over`: its connection has ended.
    """

    __slots__ = (
        "_changed", "_collected", "_size", "catching", "epoch", "expiry", "from_offset", "nonce", "over", "will",
    )  # fmt: skip

    def __init__(self, state: SessionState, line: Line, outbox: Outbox, changed: Callable[[str], None]) -> None:
        """Go on from a state."""
        super().__init__(state.client_id, state.identity, line, outbox)
        self.nonce = state.nonce
        self.epoch = state.epoch
        self.expiry = state.expiry
        self.will: Will | None = state.will
        self.catching = self.over = False
        self.from_offset = state.position
        self.received = dict.fromkeys(state.received, True)
        self._changed = changed
        self._collected: deque[Delivery] = deque()
        self._size = 0

    @property
    def lasting(self) -> bool:
        """What it gets comes from the log."""
        return isinstance(self.outbox, LastingOutbox)

    def changed(self) -> None:
        """Its state is to be written soon."""
        self._changed(self.key)

    def state(self, gateway: str, since: int, next_offset: int, *, connected: bool) -> SessionState:
        """As of now, when topic `routed` has been read up to `next_offset`."""
        outbox = self.outbox
        flight: tuple[Flight, ...] = ()
        if isinstance(outbox, LastingOutbox):
            flight = outbox.flights()
            next_offset = self.from_offset if self.catching else outbox.position(next_offset)
        return SessionState(
            identity=self.identity,
            client_id=self.client_id,
            gateway=gateway,
            nonce=self.nonce,
            epoch=self.epoch,
            since=since,
            connected=connected,
            expiry=self.expiry,
            queued=self.lasting,
            position=next_offset,
            subscriptions=tuple(self.filters.items()),
            flight=flight,
            received=tuple(packet_id for packet_id, logged in self.received.items() if logged),
            will=self.will,
        )

    def deliver(self, message: Outgoing, grants: Sequence[Grant], sender: str) -> None:
        """What comes straight from a client of this gateway: if lasting, only what has QoS 0 for this session."""
        if not self.lasting:
            super().deliver(message, grants, sender)
        elif (found := best(grants, message, own=sender == self.key)) is not None and not found.flags >> 1:
            self.outbox.put(message, 0, found.identifiers, found.flags & 1)

    def take(self, message: Outgoing, grants: Sequence[Grant], sender: str, offset: int, *, here: bool) -> None:
        """What comes from the log. `here`: from a client of this gateway, so QoS 0 has come straight."""
        found = best(grants, message, own=sender == self.key)
        if found is None:
            return
        qos, outbox = found.flags >> 1, self.outbox
        if not isinstance(outbox, LastingOutbox):
            self.deliver(message, grants, sender)
        elif not qos:
            if not here:
                outbox.put(message, 0, found.identifiers, found.flags & 1)
        elif not self.catching and offset >= self.from_offset:
            outbox.keep(Delivery(message, found.flags, found.identifiers, offset))

    def collect(self, message: Outgoing, grants: Iterable[Grant], sender: str, offset: int) -> None:
        """What waited for it, in order; the oldest make way where it is too much."""
        outbox = self.outbox
        if not isinstance(outbox, LastingOutbox):
            return
        held = [grant for grant in grants if grant.since <= offset]
        found = best(held, message, own=sender == self.key)
        if found is None or not found.flags >> 1:
            return
        delivery = Delivery(message, found.flags, found.identifiers, offset)
        if outbox.returns(delivery):
            return
        if offset >= self.from_offset:
            self._collected.append(delivery)
            self._size += len(message.payload)
            while len(self._collected) > outbox.most or self._size > outbox.most_size:
                self._size -= len(self._collected.popleft().message.payload)
                outbox.count_dropped()

    def start_again(self) -> None:
        """It could not be read to the end."""
        self._collected.clear()
        self._size = 0

    def caught_up(self, next_offset: int) -> None:
        """All that waited is there: send it. What comes from `next_offset` on comes as it does to all."""
        outbox = self.outbox
        if not isinstance(outbox, LastingOutbox):
            return
        self.catching = False
        self.from_offset = next_offset
        collected, self._collected = self._collected, deque()
        self._size = 0
        if self.over:
            return
        outbox.send_again()
        for delivery in collected:
            outbox.keep(delivery)

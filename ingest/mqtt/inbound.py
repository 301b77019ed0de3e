"""PUBLISHes of one connection on their way to the intake.

In: PUBLISHes in the order they came, or a read that is plainly one of them. Out: calls of `Intake.accept`, with
receipts that `ingest.mqtt.answering` answers. What the intake would not take is held back, bounded; beyond the bound
the socket is not read.
"""

from typing import Final

from ingest.contract import Source
from ingest.mqtt import encoding
from ingest.mqtt.answering import PUBRECED, Answering, Wire
from ingest.mqtt.broker import UNHEARD, Broker, PublishReceipt
from ingest.mqtt.held import HELD, Held, fitting
from ingest.mqtt.packets import QOS_2, RETAIN, Publish
from ingest.mqtt.properties import NONE
from ingest.mqtt.reasons import ReasonCode
from ingest.mqtt.sessions import Session
from ingest.mqtt.stream import Stream
from ingest.mqtt.terms import Limits, Terms
from ingest.mqtt.way import PUBACKED, Way

_SOURCES = 256
"""Sources kept for a connection, one a topic and content type."""

_UNRELEASED = 1000
"""QoS 2 messages that a 3.1.1 client, which knows no receive maximum, may leave without a PUBREL, at least."""

_SPECIAL: Final = RETAIN | QOS_2


class Inbound(Answering):
    """`ingest.contract.Owner` of its connection's receipts."""

    __slots__ = (
        "_groups", "_held", "_latest", "_maximum", "_peer", "_sources", "_straight_size", "_topic_length", "_waiting",
        "_wanted", "_way",
    )  # fmt: skip

    def __init__(self, broker: Broker, wire: Wire, session: Session, terms: Terms, stream: Stream) -> None:
        super().__init__(broker, wire, session, terms, stream)
        self._peer = stream.peer
        quota = broker.quotas.of(session.identity)
        self._maximum = min(broker.config.in_flight, quota.in_flight)
        self._topic_length = quota.topic_length
        self._sources: dict[str | tuple[str, str], Source] = {}
        self._wanted = broker.plane.table.wanted
        self._groups = broker.plane.table.groups.members
        self._held: Held | None = None
        self._waiting = False  # the broker will call `relieved`
        self._latest = ""  # the topic that came last
        self._way: Way | None = None  # of that topic, if it came twice
        self._straight_size = Limits.of(broker.config, quota).payload_size

    @property
    def holds(self) -> bool:
        """Something that came is not yet with the intake."""
        return self._held is not None

    def straight(self, data: bytes) -> tuple[int, int]:
        """Take what was read as far as it is plain PUBLISHes on the same topic as before, and nothing is odd.

        Returns how many bytes and messages that were; the rest is for the reader. Mostly there is none.
        """
        way, broker = self._way, self._broker
        if way is None or self._over or self._held is not None or broker.full:
            return 0, 0
        if broker.router.subscriptions.count or self._wanted.count or self._groups.count:
            return 0, 0
        payloads, answers, size = way.read(data)
        count = len(answers)
        if not count or self._in_flight + count > self._maximum:
            return 0, 0
        receipt = PublishReceipt(self, answers=answers)
        self._pending.append(receipt)
        self._in_flight += count
        broker.accept(self._identity, way.source, payloads, receipt)
        if not receipt.waiting:
            self._acknowledge()
        return size, count

    def take(self, publishes: list[Publish]) -> None:
        """PUBLISHes that came, in their order."""
        if self._over:
            return
        if self._held is None and self._in_flight + len(publishes) <= self._maximum and not self._broker.full:
            self._accept(publishes)
            if self._pending and not self._pending[0].waiting:
                self._acknowledge()
        else:
            self._take_what_fits(publishes)

    def _take_what_fits(self, publishes: list[Publish]) -> None:
        """Version 5 was told the receive maximum, and ends if it sends more; with 3.1.1 the rest is held back."""
        five = self._terms.version == 5
        count = fitting(
            publishes, self._maximum - self._in_flight - (self._held.numbered if five and self._held else 0)
        )
        now, later = publishes[:count], publishes[count:]
        if self._held is not None or self._broker.full:
            now, later = [], (now if five else publishes)
        self._accept(now)
        if five and count < len(publishes):
            self._wire.end(ReasonCode.RECEIVE_MAXIMUM_EXCEEDED, f"the receive maximum is {self._maximum}")
            return
        if later and not self._over:
            self._hold(later)
        self.release()

    def _hold(self, publishes: list[Publish]) -> None:
        if self._held is None:
            self._held = Held()
        self._broker.held += self._held.add(publishes)
        if self._held.size > HELD or self._broker.held > self._broker.held_limit:
            self._wire.pause()

    def relieved(self) -> None:
        """The intake takes more; called by the broker."""
        self._waiting = False
        self.release()

    def release(self) -> None:
        """Acknowledge what is settled, then hand over what was held back. `ingest.contract.Owner`."""
        self._acknowledge()
        if self._held is not None:
            self._hand_over()

    def _hand_over(self) -> None:
        while self._held and not self._over:
            if self._broker.full:
                if not self._waiting:
                    self._waiting = True
                    self._broker.when_relieved(self)
                return
            portion, size = self._held.portion(self._maximum - self._in_flight)
            if not portion:
                return
            self._broker.held -= size
            self._accept(portion)
            self._acknowledge()
            if self._held and self._held.size <= HELD // 2 and self._broker.held <= self._broker.held_limit:
                self._wire.resume()
        if self._held is not None:
            self._held = None
            self._wire.resume()
            self._wire.emptied()

    def abandon(self) -> None:
        """Drop what is held back, and acknowledge nothing more. What is with the intake is still routed."""
        self._over = True
        self.drop()

    def drop(self) -> None:
        """Drop what is held back: it was never acknowledged."""
        if self._held is not None:
            self._broker.held -= self._held.size
            self._held = None

    def _accept(self, publishes: list[Publish]) -> None:
        """Hand them to the intake; those that stand together and differ in their payload alone under one receipt."""
        if len(publishes) == 1 and not publishes[0].flags & _SPECIAL:
            packet_id = publishes[0].packet_id
            self._accept_run(publishes, [PUBACKED | packet_id] if packet_id else [])
        else:
            self._accept_runs(publishes)

    def _accept_runs(self, publishes: list[Publish]) -> None:
        topic, given, unnumbered, alone = None, NONE, False, False
        run: list[Publish] = []
        answers: list[int] = []
        for publish in publishes:
            packet_id = publish.packet_id
            if (
                publish.topic is not topic
                or publish.properties is not given
                or (not packet_id) is not unnumbered
                or alone
                or publish.flags & RETAIN
            ):
                if run:
                    self._accept_run(run, answers)
                run, answers = [], []
                topic, given, unnumbered = publish.topic, publish.properties, not packet_id
                alone = bool(publish.flags & RETAIN)
            answer = PUBACKED
            if publish.flags & QOS_2:
                if not self._takes(publish):
                    if self._over:
                        break
                    continue
                answer = PUBRECED
            run.append(publish)
            if packet_id:
                answers.append(answer | packet_id)
        if run:
            self._accept_run(run, answers)

    def _accept_run(self, run: list[Publish], answers: list[int]) -> None:
        broker, first = self._broker, run[0]
        content_type = first.properties.content_type
        key = first.topic if content_type is None else (first.topic, content_type)
        source = self._sources.get(key)
        if source is None:
            if len(first.topic.encode()) > self._topic_length:
                self._forget(answers)
                self._wire.end(ReasonCode.QUOTA_EXCEEDED, f"a topic has {self._topic_length} bytes at most")
                return
            if len(self._sources) >= _SOURCES:
                self._sources.clear()
            source = self._sources[key] = broker.source(self._identity, first, self._peer)
        if first.topic is not self._latest:
            self._latest, self._way = first.topic, None
        elif self._way is None and source is not UNHEARD and source.content_type == "":
            self._way = Way(first.topic, source, self._terms.version, self._straight_size)
        receipt = PublishReceipt(self, answers=answers)
        if broker.router.subscriptions.count:
            receipt.publishes = run
        self._pending.append(receipt)
        self._in_flight += len(answers)
        if source is UNHEARD or first.flags & RETAIN:
            broker.take(self._identity, source, run, receipt, self._session.key)
        else:
            broker.accept(self._identity, source, [publish.payload for publish in run], receipt)
        if (self._wanted.count or self._groups.count) and not receipt.failed:
            receipt.chosen = broker.plane.forward(run, receipt, self._session.key)

    def _takes(self, publish: Publish) -> bool:
        """Look at QoS 2. False: it is answered already, or the connection is over."""
        if not publish.flags & QOS_2:
            return True
        received = self._session.received
        if publish.packet_id in received:
            if received[publish.packet_id]:
                self._write(encoding.words([PUBRECED | publish.packet_id]))
            return False
        if len(received) >= max(_UNRELEASED, self._maximum):
            self._wire.end(ReasonCode.QUOTA_EXCEEDED, "too many QoS 2 messages that are not released")
            return False
        received[publish.packet_id] = False
        return True

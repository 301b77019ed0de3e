"""PUBLISHes of one connection on their way to the intake, and their acknowledgements on the way back.

In: PUBLISHes in the order they came, and the intake's word that receipts are settled. Out: calls of `Intake.accept`,
and PUBACKs and PUBRECs in the order of the PUBLISHes, one write a flush. What the intake would not take is held back,
bounded; beyond the bound the socket is not read.
"""

from typing import Final, Protocol

from headwater.registry import Identity
from ingest.contract import Source
from ingest.mqtt import encoding
from ingest.mqtt.broker import UNHEARD, Broker, PublishReceipt
from ingest.mqtt.held import HELD, Held, fitting
from ingest.mqtt.packets import PUBACK, PUBREC, QOS_2, RETAIN, Puback, Pubcomp, Publish, Pubrec
from ingest.mqtt.properties import NONE, Properties
from ingest.mqtt.reasons import OF_REJECTION, ReasonCode
from ingest.mqtt.sessions import Session
from ingest.mqtt.stream import Stream
from ingest.mqtt.terms import Terms

_SOURCES = 256
"""Sources kept for a connection, one a topic and content type."""

_UNRELEASED = 1000
"""QoS 2 messages that a 3.1.1 client, which knows no receive maximum, may leave without a PUBREL, at least."""

_EXPLAINED = 256
"""Characters of a reason string at most."""

_PUBACK: Final = PUBACK << 24 | 2 << 16
_PUBREC: Final = PUBREC << 24 | 2 << 16
_TYPE: Final = 0xFFFF << 16
_SPECIAL: Final = RETAIN | QOS_2


class Wire(Protocol):
    """The connection that the PUBLISHes come from."""

    def end(self, code: ReasonCode, detail: str) -> None:
        """Tell the client why, and close. `abandon` is called before this returns."""
        ...

    def pause(self) -> None:
        """Stop reading the socket."""
        ...

    def resume(self) -> None:
        """Read it again."""
        ...

    def emptied(self) -> None:
        """Nothing is held back any more."""
        ...


class Inbound:
    """`ingest.contract.Owner` of its connection's receipts."""

    __slots__ = (
        "_broker", "_groups", "_held", "_identity", "_in_flight", "_maximum", "_over", "_peer", "_pending",
        "_session", "_sources", "_terms", "_topic_length", "_waiting", "_wanted", "_wire", "_write",
    )  # fmt: skip

    def __init__(self, broker: Broker, wire: Wire, session: Session, terms: Terms, stream: Stream) -> None:
        self._broker = broker
        self._wire = wire
        self._write = stream.write
        self._session = session
        self._identity: Identity = session.identity
        self._terms = terms
        self._peer = stream.peer
        quota = broker.quotas.of(session.identity)
        self._maximum = min(broker.config.in_flight, quota.in_flight)
        self._topic_length = quota.topic_length
        self._pending: list[PublishReceipt] = []
        self._sources: dict[str | tuple[str, str], Source] = {}
        self._wanted = broker.plane.table.wanted
        self._groups = broker.plane.table.groups.members
        resumed = len(session.received) if terms.version == 5 else 0
        self._in_flight = resumed  # accepted, with QoS 1 or 2, and not answered (version 5 and QoS 2: not released)
        self._held: Held | None = None
        self._waiting = False  # the broker will call `relieved`
        self._over = False  # nothing more is taken, nothing more is acknowledged

    @property
    def holds(self) -> bool:
        """Something that came is not yet with the intake."""
        return self._held is not None

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
            self._accept_run(publishes, [_PUBACK | packet_id] if packet_id else [])
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
            answer = _PUBACK
            if publish.flags & QOS_2:
                if not self._takes(publish):
                    if self._over:
                        break
                    continue
                answer = _PUBREC
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
                self._wire.end(ReasonCode.QUOTA_EXCEEDED, f"a topic has {self._topic_length} bytes at most")
                return
            if len(self._sources) >= _SOURCES:
                self._sources.clear()
            source = self._sources[key] = broker.source(self._identity, first, self._peer)
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
                self._write(encoding.words([_PUBREC | publish.packet_id]))
            return False
        if len(received) >= max(_UNRELEASED, self._maximum):
            self._wire.end(ReasonCode.QUOTA_EXCEEDED, "too many QoS 2 messages that are not released")
            return False
        received[publish.packet_id] = False
        return True

    def _acknowledge(self) -> None:
        """Answer the PUBLISHes at the head that are settled, and route what is valid."""
        answers: list[int] = []
        settled = 0
        failed = False
        for receipt in self._pending:
            if receipt.waiting:
                break
            settled += 1
            failed = receipt.failed
            if failed:
                break
            if receipt.rejections is None or self._terms.version == 4 or not receipt.answers:
                answers += receipt.answers
            else:
                self._answer_each(receipt, answers)
                answers = []
            if receipt.publishes is not None or receipt.chosen:
                self._broker.deliver(receipt, self._session.key)
        if not settled:
            return
        del self._pending[:settled]
        if answers:
            self._answer(answers)
        if failed and not self._over:
            self._wire.end(ReasonCode.SERVER_BUSY, "the log cannot take it now; send again")

    def _answer(self, answers: list[int]) -> None:
        """Send PUBACKs and PUBRECs that say SUCCESS."""
        self._in_flight -= len(answers)
        received = self._session.received
        if received:
            for answer in answers:
                if answer & _TYPE == _PUBREC:
                    received[answer & 0xFFFF] = True
                    self._in_flight += self._terms.version == 5
            self._session.changed()
        if not self._over:
            self._write(encoding.words(answers))

    def _answer_each(self, receipt: PublishReceipt, before: list[int]) -> None:
        """Version 5: say of each message whether it was valid, and if not, why. `before`: what is to be sent first."""
        if before:
            self._answer(before)
        reasons = {rejection.at: rejection for rejection in receipt.rejections or ()}
        for at, answer in enumerate(receipt.answers):
            rejection = reasons.get(at)
            if rejection is None:
                self._answer([answer])
                continue
            packet_id = answer & 0xFFFF
            self._in_flight -= 1
            self._session.received.pop(packet_id, None)
            kind = Puback if answer & _TYPE == _PUBACK else Pubrec
            code = OF_REJECTION.get(rejection.reason, ReasonCode.UNSPECIFIED_ERROR)
            text = f"{rejection.reason}: {rejection.detail}"[:_EXPLAINED]
            data = encoding.encode(kind(packet_id, code, Properties(reason_string=text)), 5)
            if not self._terms.explain or len(data) > self._terms.packet_limit:
                data = encoding.encode(kind(packet_id, code), 5)
            if not self._over:
                self._write(data)

    def released(self, packet_id: int) -> None:
        """PUBREL: the client knows that we have its QoS 2 message; its packet id may be used again."""
        done = self._session.received.get(packet_id)
        if done is False:
            self._wire.end(ReasonCode.PROTOCOL_ERROR, f"PUBREL before the PUBREC of packet {packet_id}")
            return
        code = ReasonCode.PACKET_IDENTIFIER_NOT_FOUND
        if done:
            del self._session.received[packet_id]
            self._session.changed()
            self._in_flight -= self._terms.version == 5
            code = ReasonCode.SUCCESS
        self._write(encoding.encode(Pubcomp(packet_id, code), self._terms.version))

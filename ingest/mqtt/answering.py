"""The way back of one connection's PUBLISHes: acknowledgements in their order, one write a flush.

In: receipts in the order of the PUBLISHes, and the intake's word that they are settled. Out: PUBACKs and PUBRECs;
what is valid and durable, to be routed; the end of the connection where the log did not take it.
"""

from collections.abc import Iterable
from typing import Final, Protocol

from headwater.registry import Identity
from ingest.mqtt import encoding
from ingest.mqtt.broker import Broker, PublishReceipt
from ingest.mqtt.packets import PUBREC, Puback, Pubcomp, Pubrec
from ingest.mqtt.properties import Properties
from ingest.mqtt.reasons import OF_REJECTION, ReasonCode
from ingest.mqtt.sessions import Session
from ingest.mqtt.stream import Stream
from ingest.mqtt.terms import Terms
from ingest.mqtt.way import PUBACKED

_EXPLAINED = 256
"""Characters of a reason string at most."""

_AGAIN = "the log cannot take it now; send again"

PUBRECED: Final = PUBREC << 24 | 2 << 16
_TYPE: Final = 0xFFFF << 16


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


class Answering:
    """What `ingest.mqtt.inbound` has taken and not yet answered."""

    __slots__ = ("_broker", "_identity", "_in_flight", "_over", "_pending", "_session", "_terms", "_wire", "_write")

    def __init__(self, broker: Broker, wire: Wire, session: Session, terms: Terms, stream: Stream) -> None:
        self._broker = broker
        self._wire = wire
        self._write = stream.write
        self._session = session
        self._identity: Identity = session.identity
        self._terms = terms
        self._pending: list[PublishReceipt] = []
        resumed = len(session.received) if terms.version == 5 else 0
        self._in_flight = resumed  # accepted, with QoS 1 or 2, and not answered (version 5 and QoS 2: not released)
        self._over = False  # nothing more is taken, nothing more is acknowledged

    def _acknowledge(self) -> None:
        """Answer the PUBLISHes at the head that are settled, and route what is valid."""
        if len(self._pending) == 1 and self._acknowledge_one(self._pending[0]):
            return
        while self._settle():  # again, if behind something that failed there is more
            pass

    def _settle(self) -> bool:
        """As far as the first that failed; True if there was one."""
        answers: list[int] = []
        settled = 0
        failed: PublishReceipt | None = None
        for receipt in self._pending:
            if receipt.waiting:
                break
            settled += 1
            if receipt.failed:
                failed = receipt
                break
            if receipt.rejections is None or self._over or self._terms.version == 4 or not receipt.answers:
                answers += receipt.answers
            else:
                self._answer_each(receipt, answers)
                answers = []
            if receipt.publishes is not None or receipt.chosen:
                self._broker.deliver(receipt, self._session.key)
        if not settled:
            return False
        del self._pending[:settled]
        if answers:
            self._answer(answers)
        if failed is not None:
            self._fail(failed)
        return failed is not None

    def _acknowledge_one(self, receipt: PublishReceipt) -> bool:
        """One message that nobody listens to, and that was valid: what there mostly is with one in flight."""
        answers = receipt.answers
        if receipt.waiting or receipt.failed or receipt.rejections is not None or len(answers) != 1:
            return False
        if receipt.publishes is not None or receipt.chosen or self._session.received:
            return False
        self._pending.clear()
        self._in_flight -= 1
        if not self._over:
            self._write(encoding.word(answers[0]))
        return True

    def _answer(self, answers: list[int]) -> None:
        """Send PUBACKs and PUBRECs that say SUCCESS."""
        self._in_flight -= len(answers)
        received = self._session.received
        if received:
            for answer in answers:
                if answer & _TYPE == PUBRECED:
                    received[answer & 0xFFFF] = True
                    self._in_flight += self._terms.version == 5
            self._session.changed()
        if not self._over:
            self._write(encoding.words(answers))
        elif (heir := self._heir()) is not None:
            heir.line.send(encoding.words([answer for answer in answers if answer & _TYPE == PUBRECED]))

    def _fail(self, receipt: PublishReceipt) -> None:
        """The log did not take these: they have to be sent again, also by whoever goes on with QoS 2."""
        heir = self._heir()
        if self._forget(receipt.answers) and heir is not None:
            heir.line.end(ReasonCode.SERVER_BUSY, _AGAIN)
        if not self._over:
            self._wire.end(ReasonCode.SERVER_BUSY, _AGAIN)

    def _forget(self, answers: Iterable[int]) -> bool:
        """Nobody has these PUBLISHes; True if some of them have QoS 2, and are taken when they come again."""
        received = self._session.received
        ours = [answer & 0xFFFF for answer in answers if answer & _TYPE == PUBRECED]
        return any([received.pop(packet_id, None) is not None for packet_id in ours])  # noqa: C419 - all of them

    def _heir(self) -> Session | None:
        """The session that goes on with what came here; the last one of them."""
        heir = self._session.heir
        while heir is not None and heir.heir is not None:
            heir = heir.heir
        return heir

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
            kind = Puback if answer & _TYPE == PUBACKED else Pubrec
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

"""What all MQTT connections of an endpoint share.

In: the parts that the endpoint was opened with. Out: one object that a connection asks for everything beyond itself:
who is connected, who hears what, when to look at it again, when the intake takes more.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final, Protocol

from headwater.config import Config
from headwater.metrics import Metrics
from headwater.registry import Identity
from ingest.contract import Door, Intake, Receipt, Rejection, Source
from ingest.mqtt.courier import Courier
from ingest.mqtt.deadlines import Deadlines, Expiring
from ingest.mqtt.outbox import Outgoing
from ingest.mqtt.packets import RETAIN, Publish, Will
from ingest.mqtt.plane import Plane
from ingest.mqtt.provisioning import Provisioning
from ingest.mqtt.reasons import ReasonCode
from ingest.mqtt.rights import Rights
from ingest.mqtt.routed import Chosen
from ingest.mqtt.router import Router
from ingest.mqtt.sessions import Sessions
from ingest.mqtt.wills import Said, Wills
from ingest.quotas import Quotas, host_of

_TOLD = 100
"""Connections beyond the limit that may be there at once, to get their CONNACK with "server busy"."""

UNHEARD: Final = Source("mqtt")
"""Where a PUBLISH comes from that is no message of a device."""


class Holding(Protocol):
    """A connection with PUBLISHes that the intake would not take."""

    def relieved(self) -> None:
        """The intake takes more."""
        ...


class Connected(Protocol):
    """A connection, as those see it who end all of them."""

    def end(self, code: ReasonCode, detail: str) -> None:
        """Tell the client why, where its version can be told, and close."""
        ...

    def stop(self) -> None:
        """Take nothing more. What is with the intake is still acknowledged."""
        ...

    def shut_out(self) -> None:
        """Close without a word, if its address is blocked."""
        ...

    def abort(self) -> None:
        """Close without a word."""
        ...


class PublishReceipt(Receipt, eq=False):
    """The receipt of PUBLISHes that came one behind the other with the same topic, properties and kind of QoS.

    `answers`: for each its PUBACK or PUBREC, see `encoding.words`; empty with QoS 0. `publishes`: what to route once it
    is durable; None while nobody listens. `chosen`: what goes to members of shared subscriptions then.
    """

    answers: Sequence[int] = ()
    chosen: list[Chosen] | None = None
    publishes: list[Publish] | None = None

    def valid(self) -> list[Publish]:
        """What to route: all of it that was not rejected."""
        if self.publishes is None:
            return []
        if self.rejections is None:
            return self.publishes
        bad = {rejection.at for rejection in self.rejections}
        return [publish for at, publish in enumerate(self.publishes) if at not in bad]


class Broker:
    """One for an endpoint. `held`: bytes of PUBLISHes that all connections together hold back.

    `courier`: of commands and shadows, where the process has them.
    """

    def __init__(
        self,
        config: Config,
        intake: Intake,
        door: Door,
        metrics: Metrics,
        plane: Plane,
        clock: Callable[[], float],
        quotas: Quotas | None = None,
    ) -> None:
        self.config = config.mqtt
        self.quotas = quotas or Quotas(config.quotas, clock)
        self.held_limit = config.ingest.waiting_size
        self.patience = config.ingest.append_time
        self.intake = intake
        self.plane = plane
        self.rights = Rights(intake.source, everything=config.mqtt.broker)
        self.accept = intake.accept
        self.door = door
        self.metrics = metrics
        self.clock = clock
        self.courier: Courier | None = None
        self.sessions = Sessions()
        self.provisioning = Provisioning(self.sessions, lambda: self.courier, clock)
        self.router = Router(metrics, clock)
        self.deadlines: Deadlines[Expiring] = Deadlines(clock())
        self.connections: set[Connected] = set()
        self.joining: dict[
            str, set[Connected]
        ] = {}  # by identity: the log has not yet said whether they have a session
        self.when_empty = asyncio.Event()
        self.held = 0
        self.stopping = False
        self._open = metrics.connections.labels("mqtt")
        self._holding: deque[Holding] = deque()
        self._asked = False  # the intake will call back
        self._wills: Wills[PublishReceipt] = Wills(config.ingest.waiting_size)
        plane.attach(self)

    def room(self, arriving: int) -> bool:
        """Whether one more may come, beside `arriving` that are not yet here."""
        return not self.stopping and len(self.connections) + arriving < self.config.connections + _TOLD

    def opened(self, connection: Connected) -> bool:
        """Keep it; False if there are far too many. A few too many are let in to be told so."""
        if not self.room(0):
            return False
        self.connections.add(connection)
        self._open.inc()
        return True

    def gone(self, connection: Connected) -> None:
        """Forget it."""
        if connection in self.connections:
            self.connections.remove(connection)
            self._open.dec()
            if not self.connections:
                self.when_empty.set()

    def closed(self, reason: str) -> None:
        """Count a connection that this side ended."""
        self.metrics.mqtt_closed.labels(reason).inc()

    def revoke(self, identity: str) -> None:
        """A credential or right has changed: whoever came in by it must come in anew.

        A name with a slash is that of a network, which may be blocked from now on.
        """
        if "/" in identity:
            for connection in list(self.connections):
                connection.shut_out()
        lines = [session.line for session in self.sessions.of(identity)]
        for line in (*lines, *self.joining.get(identity, ())):
            line.end(ReasonCode.NOT_AUTHORIZED, "credentials or rights have changed")

    def joins(self, identity: str, connection: Connected) -> None:
        """It is let in by this identity as soon as the log says so: until `joined`."""
        self.joining.setdefault(identity, set()).add(connection)

    def joined(self, identity: str, connection: Connected) -> None:
        """The log has said so, or not."""
        waiting = self.joining.get(identity, set())
        waiting.discard(connection)
        if not waiting:
            self.joining.pop(identity, None)

    def when_relieved(self, connection: Holding) -> None:
        """Call its `relieved` when the intake takes more; in the order in which they asked."""
        self._holding.append(connection)
        self._ask()

    @property
    def full(self) -> bool:
        """Too much waits for the log: take nothing more."""
        return self.intake.full or self.plane.pressure.full

    def _ask(self) -> None:
        if not self._asked:
            self._asked = True
            busy = self.plane.pressure if self.plane.pressure.full else self.intake
            busy.when_relieved(self._relieved)

    def _relieved(self) -> None:
        self._asked = False
        for _ in range(len(self._holding)):
            if self.full:
                break
            self._holding.popleft().relieved()
        if self._holding:
            self._ask()

    def publish_will(self, will: Will, identity: Identity, peer: str, sender: str) -> None:
        """Take the will of a client that went without a word, as a message like any other; nobody waits for it."""
        self.quotas.will(identity, host_of(peer), len(will.payload))
        self._publish_will(Said(will, identity, peer, sender))

    def publish_unsent(self) -> None:
        """To be called once a second: wills that the log did not take, unless whose they are has come back."""
        for said in self._wills.unsent():
            known = self.plane.table.sessions.get(said.sender)
            if self.sessions.named(said.sender) is None and (known is None or not known.state.connected):
                self._publish_will(said)

    def _publish_will(self, said: Said) -> None:
        will, identity, peer, sender = said
        receipt = PublishReceipt(self)
        publish = Publish(will.topic, will.payload, will.qos << 1 | will.retain, 0, will.properties)
        receipt.publishes = [publish] if self.router.subscriptions.count else None
        self._wills.begin(receipt, said)
        self.take(identity, self.source(identity, publish, peer), [publish], receipt, sender)
        if not receipt.failed:
            receipt.chosen = self.plane.forward([publish], receipt, sender)
        self.release()

    def source(self, identity: Identity, publish: Publish, peer: str) -> Source:
        """Where a PUBLISH comes from; `UNHEARD` if it is for subscribers alone, because no decoder knows its topic."""
        if identity.claim:
            return UNHEARD
        source = source_of(self.intake, publish, peer)
        couriers = self.courier is not None and self.courier.hears(publish.topic)
        unheard = not source.decoder and (couriers or self.rights.may_publish(identity, publish.topic))
        return UNHEARD if unheard else source

    def take(
        self, identity: Identity, source: Source, run: Sequence[Publish], receipt: PublishReceipt, sender: str
    ) -> None:
        """Hand PUBLISHes to whoever needs them before they count as taken. One that is retained comes alone."""
        first = run[0]
        if identity.claim:
            self.provisioning.take(identity, run, receipt, sender)
            return
        if source is UNHEARD and self.courier is not None and self.courier.hears(first.topic):
            self.courier.take(identity, run, receipt)
            return
        kept = first.flags & RETAIN
        if kept and not self._may_retain(identity, first, receipt):
            return
        if source is not UNHEARD and not (kept and not first.payload):
            self.accept(identity, source, [publish.payload for publish in run], receipt)
        if kept and not receipt.failed and not receipt.rejections and self.plane.retained.has_room(first):
            self.plane.retain(first, sender, receipt)

    def _may_retain(self, identity: Identity, publish: Publish, receipt: PublishReceipt) -> bool:
        """Where nothing is to be retained, or forgotten, the receipt says so."""
        if not publish.payload and not self.rights.may_publish(identity, publish.topic):
            name = identity.name or "this sender"
            receipt.rejections = [Rejection(0, "not_authorized", f"{name} may not publish to {publish.topic}")]
            return False
        if receipt.answers and not self.plane.retained.has_room(publish):
            receipt.rejections = [Rejection(0, "too_large", "there is no room for one more retained message")]
            return False
        return True

    def publish(self, publish: Publish) -> int:
        """Send a message of our own to all who hear it; returns how many of them are connected here."""
        receipt = PublishReceipt(self, publishes=[publish])
        receipt.chosen = self.plane.forward([publish], receipt, "")
        return self.deliver(receipt, "")

    def release(self) -> None:
        """Wills that are durable go to whoever listens. `ingest.contract.Owner`."""
        for receipt, said in self._wills.durable():
            self.deliver(receipt, said.sender)

    def deliver(self, receipt: PublishReceipt, sender: str) -> int:
        """What is durable goes to those who are reached straight; returns how many they are."""
        heard = 0
        for publish in receipt.valid():
            heard += self.router.route(publish, sender)
        chosen = receipt.chosen or ()
        for publish, session, grant in chosen:
            session.deliver(Outgoing(publish, self.clock()), (grant,), "")
        return heard + len(chosen)


def source_of(intake: Intake, publish: Publish, peer: str) -> Source:
    """Where a PUBLISH comes from, for the intake; a topic that no decoder knows is the intake's to reject."""
    source = intake.source(publish.topic, peer)
    content_type = publish.properties.content_type
    if content_type is None:
        return source
    return Source(
        source.transport, source.topic, source.device, source.decoder, content_type=content_type, peer=source.peer
    )

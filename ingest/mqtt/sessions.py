"""Sessions: what a client has beyond its connection, and who holds which client id.

In: connections. Out: who hears a message, and by which of its subscriptions. A `Session` lives as long as its
connection; `lasting.KeptSession` is what others must know, and what there is again on the next.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple, Protocol

from headwater.registry import Identity
from ingest.mqtt.outbox import Outbox, Outgoing
from ingest.mqtt.packets import RETAIN
from ingest.mqtt.reasons import ReasonCode
from ingest.mqtt.state import key_of
from ingest.mqtt.subscriptions import Grant


class Line(Protocol):
    """What a session is connected by."""

    def end(self, code: ReasonCode, detail: str) -> None:
        """Tell the client why, where its version can be told, and close."""
        ...

    def send(self, data: bytes) -> None:
        """Packets for the client; nothing where it is gone."""
        ...


class Session:
    """One client. `received`: packet ids of QoS 2 messages that came and were not released → True once logged.

    `key`: names it among all sessions: identity and client id. `given`: topics of commands that it was sent. `heir`: it
    is over, and another connection goes on with its `received`.
    """

    __slots__ = ("client_id", "filters", "given", "heir", "identity", "key", "line", "outbox", "received")

    @property
    def lasting(self) -> bool:
        """It outlives its connection, or goes on with one that did."""
        return False

    def __init__(self, client_id: str, identity: Identity, line: Line, outbox: Outbox) -> None:
        self.key = key_of(identity.name, client_id)
        self.client_id = client_id
        self.identity = identity
        self.line = line
        self.outbox = outbox
        self.filters: dict[str, Grant] = {}
        self.received: dict[int, bool] = {}
        self.given: set[str] = set()
        self.heir: Session | None = None

    def deliver(self, message: Outgoing, grants: Sequence[Grant], sender: str) -> None:
        """Send it once, by the best of the subscriptions that fit, naming all of their identifiers."""
        found = best(grants, message, own=sender == self.key)
        if found is not None and not self.outbox.put(
            message, found.flags >> 1, found.identifiers, found.flags & RETAIN
        ):
            self.line.end(ReasonCode.QUOTA_EXCEEDED, "too many messages wait to be acknowledged")

    def changed(self) -> None:
        """What is kept of it has changed."""


class Best(NamedTuple):
    """How a message goes out: QoS and RETAIN as in the packet's first byte, identifiers of all that fit."""

    flags: int
    identifiers: tuple[int, ...]


def best(grants: Iterable[Grant], message: Outgoing, *, own: bool) -> Best | None:
    """By the best of the subscriptions that fit; None if none is left. `own`: it is the session's own message."""
    qos = -1
    identifiers: tuple[int, ...] = ()
    retain = 0
    for grant in grants:
        if grant.no_local and own:
            continue
        qos = max(qos, grant.qos)
        if grant.retain_as_published:
            retain = message.retain
        if grant.identifier:
            identifiers = (*identifiers, grant.identifier)
    return Best(min(qos, message.qos) << 1 | retain, identifiers) if qos >= 0 else None


class Sessions:
    """All of them, by identity and client id: nobody ends another's session by taking its client id."""

    def __init__(self) -> None:
        self._by_identity: dict[str, dict[str, Session]] = {}
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def get(self, identity: str, client_id: str) -> Session | None:
        return self._by_identity.get(identity, {}).get(client_id)

    def named(self, key: str) -> Session | None:
        """By what names it in all gateways."""
        identity, _, client_id = key.partition("\0")
        return self.get(identity, client_id)

    def add(self, session: Session) -> None:
        """There must be none with this identity and client id."""
        self._by_identity.setdefault(session.identity.name, {})[session.client_id] = session
        self._count += 1

    def remove(self, session: Session) -> bool:
        """Forget it; False if it was forgotten before."""
        held = self._by_identity.get(session.identity.name, {})
        if held.get(session.client_id) is not session:
            return False
        del held[session.client_id]
        self._count -= 1
        if not held:
            del self._by_identity[session.identity.name]
        return True

    def of(self, identity: str) -> list[Session]:
        """Everyone who came in as this identity."""
        return list(self._by_identity.get(identity, {}).values())

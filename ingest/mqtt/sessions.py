"""Sessions: what a client has beyond its connection, and who holds which client id.

A session here lives as long as its connection: every one is clean, CONNACK always says "session present 0" and an
expiry of 0. What outlives a connection in MQTT (subscriptions, messages under way, QoS 2 ids) is in this class alone.
"""

from collections.abc import Sequence
from typing import Protocol

from headwater.registry import Identity
from ingest.mqtt.outbox import Outbox, Outgoing
from ingest.mqtt.reasons import ReasonCode
from ingest.mqtt.subscriptions import Grant


def key_of(identity: str, client_id: str) -> str:
    """What names a session: neither part can have a null character."""
    return f"{identity}\0{client_id}"


class Line(Protocol):
    """What a session is connected by."""

    def end(self, code: ReasonCode, detail: str) -> None:
        """Tell the client why, where its version can be told, and close."""
        ...


class Session:
    """One client. `received`: packet ids of QoS 2 messages that came and were not released → True once logged.

    `key`: names it among all sessions: identity and client id.
    """

    __slots__ = ("client_id", "filters", "identity", "key", "line", "outbox", "received")

    def __init__(self, client_id: str, identity: Identity, line: Line, outbox: Outbox) -> None:
        self.key = key_of(identity.name, client_id)
        self.client_id = client_id
        self.identity = identity
        self.line = line
        self.outbox = outbox
        self.filters: set[str] = set()
        self.received: dict[int, bool] = {}

    def deliver(self, message: Outgoing, grants: Sequence[Grant], sender: "Session | None") -> None:
        """Send it once, by the best of the subscriptions that fit, naming all of their identifiers."""
        qos = -1
        identifiers: tuple[int, ...] = ()
        retain = 0
        for grant in grants:
            if grant.no_local and sender is self:
                continue
            qos = max(qos, grant.qos)
            if grant.retain_as_published:
                retain = message.retain
            if grant.identifier:
                identifiers = (*identifiers, grant.identifier)
        if qos >= 0 and not self.outbox.put(message, min(qos, message.qos), identifiers, retain):
            self.line.end(ReasonCode.QUOTA_EXCEEDED, "too many messages wait to be acknowledged")


class Sessions:
    """All of them, by identity and client id: nobody ends another's session by taking its client id."""

    def __init__(self) -> None:
        self._by_identity: dict[str, dict[str, Session]] = {}
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def get(self, identity: str, client_id: str) -> Session | None:
        return self._by_identity.get(identity, {}).get(client_id)

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

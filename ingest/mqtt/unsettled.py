"""QoS 2 messages that were with the intake when their connection ended: whoever comes back must not send them twice.

In: sessions whose connections end and begin. Out: the next connection of a session goes on with the packet ids of the
last one, also with those that the log has not answered yet; what it answers while nobody is connected is written.
Of this gateway alone: another one does not know what came here last. Source: OASIS MQTT 5.0, sections 4.1 and 4.3.3.
"""

from collections.abc import Callable

import msgspec

from ingest.mqtt.lasting import KeptSession
from ingest.mqtt.state import SessionState
from ingest.mqtt.table import Known

Write = Callable[[str, SessionState | None, Callable[[bool], None]], None]


class Unsettled:
    """`write(key, state, done)` puts a session on the log."""

    def __init__(self, write: Write) -> None:
        self._write = write
        self._left: dict[str, KeptSession] = {}

    def leaves(self, session: KeptSession) -> None:
        """Its connection has ended. What it had sent may still come to the log."""
        if all(session.received.values()):
            self._left.pop(session.key, None)
        else:
            self._left[session.key] = session

    def joins(self, session: KeptSession, before: str) -> None:
        """A connection goes on with what the one of the nonce `before` had."""
        older = self._left.pop(session.key, None)
        if older is not None and older.nonce == before:
            session.received = older.received
            older.heir = session

    def settled(self, known: Known | None, again: Callable[[str], None]) -> None:
        """The log has answered about a session that nobody has: bring what it is on the log up to date."""
        session = None if known is None else self._left.get(known.state.key)
        if known is None or session is None or known.state.connected or known.state.nonce != session.nonce:
            return

        def written(ok: bool) -> None:  # noqa: FBT001 - a callback
            if not ok:
                again(session.key)
            elif all(session.received.values()) and self._left.get(session.key) is session:
                del self._left[session.key]

        received = tuple(packet_id for packet_id, logged in session.received.items() if logged)
        self._write(session.key, msgspec.structs.replace(known.state, received=received), written)

"""Which connection has which session, decided by the log: the last one to claim it, on whatever gateway.

In: connections that want a session or end, entries that any gateway has written. Out: claims, states and removals on
topic `sessions`; connections told that they have the session, or that they have lost it. Nothing here counts before it
has been read back from the log.
"""

from collections.abc import Callable
from typing import NamedTuple
from uuid import uuid4

import msgspec

from headwater.registry import Identity
from ingest.mqtt.gateways import Gateways
from ingest.mqtt.journal import Journal
from ingest.mqtt.lapsing import Lapsing
from ingest.mqtt.lasting import KeptSession
from ingest.mqtt.packets import Connect, Will
from ingest.mqtt.reasons import ReasonCode
from ingest.mqtt.state import SESSION, SessionState, encode, going_on
from ingest.mqtt.table import Known, Table
from ingest.mqtt.unsettled import Unsettled

_ATTEMPTS = 3
"""Claims that a connection makes, if others claim the session at the same time."""


class Joined(NamedTuple):
    """A claim that holds. `present`: there was a session to go on with. `start`: where what waits for it begins.

    `before`: the nonce of whoever had it.
    """

    state: SessionState
    present: bool
    start: int | None
    before: str


class _Claim:
    __slots__ = ("attempts", "before", "dirty", "present", "settled", "start", "state", "tell")

    def __init__(self, state: SessionState, tell: Callable[[Joined | None], None]) -> None:
        self.state = state
        self.tell = tell
        self.attempts = 1
        self.present = self.dirty = self.settled = False
        self.start: int | None = None
        self.before = ""


class Ownership:
    """`live`: sessions of this gateway's connections that are on the log. `ingest.mqtt.table.Local`."""

    def __init__(
        self,
        gateway: str,
        routed_next: Callable[[], int],
        clock: Callable[[], float],
        wall: Callable[[], int],
        *,
        alone: bool,
    ) -> None:
        self.live: dict[str, KeptSession] = {}
        self.table = Table(gateway, self, routed_next)
        self.journal: Journal
        self._alone = alone
        self._gateway = gateway
        self.gateways = Gateways(gateway, self.table, clock, wall, alone=alone)
        self.lapsing = Lapsing(gateway, self.gateways, self.table, self._write)
        self._routed_next = routed_next
        self._wall = wall
        self._claims: dict[str, _Claim] = {}
        self._leaving: set[str] = set()
        self._dirty: set[str] = set()
        self.unsettled = Unsettled(self._write)
        self._unwritten: dict[str, tuple[str, SessionState | None]] = {}

    # Connections of this gateway.

    def needs_claim(self, key: str, *, lasting: bool) -> bool:
        """Whether a connection can have this session only through the log."""
        if lasting or not self._alone or key in self.table.sessions:
            return True
        return any(claim.state.key == key for claim in self._claims.values())

    def claim(
        self, identity: Identity, client_id: str, connect: Connect, expiry: int, tell: Callable[[Joined | None], None]
    ) -> None:
        """Ask for a session; `tell` is called later, with None if the log does not take it."""
        state = SessionState(
            identity=identity,
            client_id=client_id,
            gateway=self._gateway,
            nonce=uuid4().hex,
            epoch=1,
            since=self._wall(),
            connected=True,
            claims=True,
            expiry=expiry,
            queued=expiry > 0,
            position=self._routed_next(),
            will=connect.will,
            resumes=not connect.clean,
        )
        self._write_claim(_Claim(state, tell))

    def _write_claim(self, claim: _Claim) -> None:
        known = self.table.sessions.get(claim.state.key)
        if known is not None:
            claim.state = msgspec.structs.replace(claim.state, epoch=known.state.epoch + 1)
            claim.state = going_on(claim.state, known.state)
        nonce = claim.state.nonce
        self._claims[nonce] = claim

        def written(ok: bool) -> None:  # noqa: FBT001 - a callback
            self._claims.pop(nonce, None)
            if claim.settled:
                return
            if ok and claim.attempts < _ATTEMPTS:  # others have claimed it meanwhile, by a later epoch
                claim.attempts += 1
                self._write_claim(claim)
            else:
                claim.tell(None)

        self._write(claim.state.key, claim.state, written)

    def enter(self, session: KeptSession) -> None:
        """The connection of a claim that holds has its session."""
        self.live[session.key] = session

    def abandon(self, state: SessionState) -> None:
        """The connection of a claim that holds has gone meanwhile."""
        self._leave(msgspec.structs.replace(state, connected=False, since=self._wall(), will=None))

    def save(self, session: KeptSession, done: Callable[[bool], None]) -> None:
        """Write its state now; `done` is called when the log has it and it has been read back."""
        self._dirty.discard(session.key)
        self._write(session.key, self._state_of(session, connected=True), done)

    def changed(self, key: str) -> None:
        """Write the state of a session with the next ones."""
        self._dirty.add(key)

    def leave(self, session: KeptSession, will: Will | None) -> Will | None:
        """Its connection has ended: returns the will, if it is to be published now. Called once."""
        session.over = True
        self.unsettled.leaves(session)
        self._dirty.discard(session.key)
        if self.live.get(session.key) is session:
            del self.live[session.key]
        delay = 0 if will is None else will.properties.will_delay_interval or 0
        known = self.table.sessions.get(session.key)
        if known is None or known.state.nonce != session.nonce:  # taken over: whoever has it now goes on with it
            return None if delay else will
        session.will = None
        state = self._state_of(session, connected=False)
        if delay and session.expiry:
            due = state.since + min(delay, session.expiry) * 1_000_000
            self._leave(msgspec.structs.replace(state, will=will, will_at=due))
            return None
        self._leave(state)
        return will

    def _state_of(self, session: KeptSession, *, connected: bool) -> SessionState:
        return session.state(self._gateway, self._wall(), self._routed_next(), connected=connected)

    def _leave(self, state: SessionState) -> None:
        self._leaving.add(state.nonce)
        self._write_surely(state.key, state.nonce, state if state.expiry else None)

    def _write_surely(self, key: str, nonce: str, state: SessionState | None) -> None:
        """Write it; if the log does not take it, once more later."""

        def written(ok: bool) -> None:  # noqa: FBT001 - a callback
            if ok:
                self._leaving.discard(nonce)
            else:
                self._unwritten[nonce] = key, state

        self._write(key, state, written)

    def _write(self, key: str, state: SessionState | None, done: Callable[[bool], None]) -> None:
        self.journal.write(SESSION + key.encode(), None if state is None else encode(state), done)

    # What the log says. `ingest.mqtt.table.Local`.

    def claimed(self, state: SessionState, known: Known | None, *, changed: bool) -> None:
        """Of this gateway's claims: note what its connection is to be told; publish the will that nobody else does."""
        claim = self._claims.get(state.nonce)
        if claim is None:
            return
        before = known.state if known is not None else None
        claim.state, claim.dirty = msgspec.structs.replace(state, claims=False, resumes=False), changed
        if known is not None and before is not None and state.resumes and before.lives(state.since):
            claim.present = True
            claim.before = before.nonce
            claim.start = before.position if before.connected else known.waiting_from
        elif before is not None and before.will is not None and self._is_due(before):
            self.lapsing.home.publish_will(before.will, before.identity, "", before.key)  # its session has ended

    def _is_due(self, before: SessionState) -> bool:
        """Nobody else publishes the will of a session that is at an end.

        Whoever has lost it does so with a will that is not delayed, and cannot know of another that it is over.
        """
        delayed = before.will is not None and before.will.properties.will_delay_interval
        return bool(delayed) or not before.connected or not self.gateways.alive(before.gateway)

    def taken(self, known: Known) -> None:
        """Tell who has lost the session, then who has it."""
        state = known.state
        key, nonce = state.key, state.nonce
        session = self.live.get(key)
        if session is not None and session.nonce != nonce:
            session.line.end(ReasonCode.SESSION_TAKEN_OVER, "the client identifier has connected again")
        claim = self._claims.get(nonce)
        if claim is not None and not claim.settled:
            claim.settled = True
            claim.tell(Joined(claim.state, claim.present, claim.start, claim.before))
            if claim.dirty and key in self.live:
                self._save_soon(self.live[key])  # whoever begins to read later has the whole of it
        elif state.connected and state.gateway == self._gateway and session is None and nonce not in self._leaving:
            self.abandon(state)  # its connection has been told no
        if not state.connected:
            self.lapsing.note(state)

    def refused(self, known: Known) -> None:
        """Whoever has the session writes it once more."""
        if known.state.gateway != self._gateway:
            return
        if known.state.key in self.live:
            self.changed(known.state.key)
        else:
            self._leave(known.state)

    def forgotten(self, key: str, before: SessionState) -> bool:
        """Whoever had it before has written so late: other gateways must hear of it again before they miss messages."""
        session = self.live.get(key)
        if session is None or session.nonce != before.nonce:
            return True
        self._save_soon(session)
        return False

    # Time.

    def tick(self) -> None:
        """Write what has changed and what could not be written; look after those who cannot do it themselves."""
        dirty, self._dirty = self._dirty, set()
        for key in dirty:
            session = self.live.get(key)
            if session is not None:
                self._save_soon(session)
            else:
                self.unsettled.settled(self.table.sessions.get(key), self.changed)
        unwritten, self._unwritten = self._unwritten, {}
        for nonce, (key, state) in unwritten.items():
            known = self.table.sessions.get(key)
            if known is not None and known.state.nonce == nonce:
                self._write_surely(key, nonce, state)
        self.gateways.tick(self.journal)
        self.lapsing.tick(self._wall())

    def end(self) -> None:
        """Say that this gateway stops; all of its connections have ended."""
        self.gateways.end(self.journal)

    def _save_soon(self, session: KeptSession) -> None:
        def saved(ok: bool) -> None:  # noqa: FBT001 - a callback
            if not ok and self.live.get(session.key) is session:
                self.changed(session.key)

        self.save(session, saved)

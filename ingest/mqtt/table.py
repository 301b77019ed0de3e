"""Every session that is on the log, as all gateways know it: who has it, what it hears, until when it waits.

In: entries of topic `sessions`, in the order of the log. Out: the state of each session, by rules that every gateway
applies alike; who has to be reached through the log; which sessions of a gateway have been taken over.

The last connection that claims a session has it. An entry of a connection that has lost it since is not taken: whoever
has it now then writes what it knows once more, because compaction may have left nothing but the entry not taken.
"""

from collections import Counter
from collections.abc import Callable
from typing import Protocol

import msgspec

from headwater.log import Entry
from ingest.mqtt.shared import SHARED, Groups
from ingest.mqtt.state import GATEWAY, SESSION, SessionState, decode_session, going_on
from ingest.mqtt.subscriptions import Subscriptions


class Known:
    """A session. `waiting_from`: where on topic `routed` what waits for it may begin; None: nothing waits."""

    __slots__ = ("state", "waiting_from")

    def __init__(self, state: SessionState) -> None:
        self.state = state
        self.waiting_from: int | None = None


class Local(Protocol):
    """What this gateway has to do with an entry. Called after the table has taken it, or not."""

    def claimed(self, state: SessionState, known: Known | None, *, changed: bool) -> None:
        """A connection claims a session. `known`: as it was; `changed`: the claim itself says less than `state`."""
        ...

    def taken(self, known: Known) -> None:
        """A session's state is now this."""
        ...

    def refused(self, known: Known) -> None:
        """Someone who has lost the session wrote about it."""
        ...

    def forgotten(self, key: str, before: SessionState) -> bool:
        """There is no such session any more; False if there is: it is connected here, and written once more."""
        ...


class Table:
    """`gateway`: this one. `wanted`: who has to be reached through the log, by filter; `groups`: likewise, shared.

    `beats`: how many of this gateway's own have been read.
    """

    def __init__(self, gateway: str, local: Local, routed_next: Callable[[], int]) -> None:
        self.sessions: dict[str, Known] = {}
        self.lasting = 0
        self.kept: Counter[str] = Counter()  # identity → how many of them are its
        self.wanted: Subscriptions[Known] = Subscriptions()
        self.groups = Groups()
        self.beats = 0
        self.heard: dict[str, int] = {}  # gateway → `beats` when it was last heard of
        self.held: dict[str, set[str]] = {}  # gateway → keys of sessions connected there
        self._gateway = gateway
        self._local = local
        self._routed_next = routed_next

    def apply(self, entry: Entry) -> None:
        """Take an entry."""
        key = entry.key
        if key.startswith(GATEWAY):
            name = key[len(GATEWAY) :].decode()
            if entry.value is None:
                self.heard.pop(name, None)
            else:
                self.beats += name == self._gateway
                self.heard[name] = self.beats
        elif key.startswith(SESSION):
            name = key[len(SESSION) :].decode()
            if entry.value is None:
                self._forget(name)
            else:
                self._take(name, decode_session(entry.value))

    def _take(self, key: str, state: SessionState) -> None:
        known = self.sessions.get(key)
        before = known.state if known is not None else None
        if known is not None and before is not None and not _follows(state, before):
            self._local.refused(known)
            return
        if state.claims:
            self.heard[state.gateway] = self.beats  # one that has just begun may have clients before its first beat
            state, written = going_on(state, before), state
            self._local.claimed(state, known, changed=state != written)
            state = msgspec.structs.replace(state, claims=False, resumes=False)
        if known is None:
            known = self.sessions[key] = Known(state)
        self._subscribe(key, known, before, state)
        known.state = state
        self._count(state, (state.expiry > 0) - (before is not None and before.expiry > 0))
        self._hold(key, before, state)
        known.waiting_from = None
        if not state.connected and state.position < self._routed_next():
            known.waiting_from = state.position
        self._local.taken(known)

    def _forget(self, key: str) -> None:
        known = self.sessions.get(key)
        if known is None or not self._local.forgotten(key, known.state):
            return
        del self.sessions[key]
        self._unsubscribe(key, known, known.state)
        self._hold(key, known.state, None)
        self._count(known.state, -(known.state.expiry > 0))

    def _subscribe(self, key: str, known: Known, before: SessionState | None, state: SessionState) -> None:
        """Bring the filters up to date, if anything has changed that matters to them."""
        if before is not None:
            same = before.subscriptions == state.subscriptions
            if same and self._routes(before) == self._routes(state):
                return
            self._unsubscribe(key, known, before)
        for pattern, grant in state.subscriptions:
            if pattern.startswith(SHARED):
                self.groups.add(pattern, key, grant)
            elif self._routes(state):
                self.wanted.add(pattern, known, grant)

    def _unsubscribe(self, key: str, known: Known, state: SessionState) -> None:
        for pattern, _ in state.subscriptions:
            if pattern.startswith(SHARED):
                self.groups.remove(pattern, key)
            else:
                self.wanted.remove(pattern, known)

    def _routes(self, state: SessionState) -> bool:
        """It is not reached by this gateway alone."""
        return state.queued or state.gateway != self._gateway

    def _count(self, state: SessionState, more: int) -> None:
        """So many more sessions outlive their connections."""
        if more:
            name = state.identity.name
            self.lasting += more
            self.kept[name] += more
            if not self.kept[name]:
                del self.kept[name]

    def _hold(self, key: str, before: SessionState | None, state: SessionState | None) -> None:
        if before is not None and before.connected:
            held = self.held.get(before.gateway, set())
            held.discard(key)
            if not held:
                self.held.pop(before.gateway, None)
        if state is not None and state.connected:
            self.held.setdefault(state.gateway, set()).add(key)


def _follows(state: SessionState, before: SessionState) -> bool:
    """It is by the connection that has the session, or by one that has claimed it later."""
    if state.epoch != before.epoch:
        return state.epoch > before.epoch
    return state.nonce == before.nonce or state.claims

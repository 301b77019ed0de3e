"""What becomes of sessions that nobody has any more: their gateway is gone, their time is over, their will is due.

In: the table of sessions, who is alive, the time. Out: claims of sessions whose gateway has gone, removals of those
that have expired, wills. One gateway does it for all; if two do, the log decides, and a will may come twice.
"""

import heapq
from collections.abc import Callable
from typing import Protocol
from uuid import uuid4

import msgspec

from headwater.registry import Identity
from ingest.mqtt.gateways import Gateways
from ingest.mqtt.packets import Will
from ingest.mqtt.state import SessionState
from ingest.mqtt.table import Table

_AT_ONCE = 500
"""Sessions that are looked after in one turn."""

_LATER = 5_000_000
"""Microseconds until another look, by a gateway whose task it is not now."""


class Home(Protocol):
    """The endpoint of this gateway."""

    def publish_will(self, will: Will, identity: Identity, peer: str, sender: str) -> None:
        """Take a will as a message like any other."""
        ...


class Lapsing:
    """`write(key, state or None, done)` puts a session on the log."""

    def __init__(
        self,
        gateway: str,
        gateways: Gateways,
        table: Table,
        write: Callable[[str, SessionState | None, Callable[[bool], None]], None],
    ) -> None:
        self.home: Home
        self._gateway = gateway
        self._gateways = gateways
        self._table = table
        self._write = write
        self._due: list[tuple[int, str]] = []
        self._noted: dict[str, int] = {}
        self._writing: set[str] = set()

    def note(self, state: SessionState) -> None:
        """A session without a connection: look at it when its will or its end is due."""
        self._note(min(state.will_at or state.ends(), state.ends()), state.key)

    def _note(self, due: int, key: str) -> None:
        """One look at a session is enough: the earliest, after which it may be noted again."""
        if due < self._noted.get(key, due + 1):
            self._noted[key] = due
            heapq.heappush(self._due, (due, key))

    def tick(self, now: int) -> None:
        """`now`: microseconds since 1970 UTC."""
        leads = self._gateways.leads()
        for gateway in self._gateways.gone() if leads else ():
            for key in list(self._table.held.get(gateway, ()))[:_AT_ONCE]:
                if key not in self._writing:
                    self._orphaned(self._table.sessions[key].state, now)
        for _ in range(_AT_ONCE):
            if not self._due or self._due[0][0] > now:
                break
            due, key = heapq.heappop(self._due)
            if self._noted.get(key) != due:
                continue
            del self._noted[key]
            known = self._table.sessions.get(key)
            if known is None or known.state.connected:
                continue
            if leads and key not in self._writing:
                self._overdue(known.state, now)
            else:
                self._note(now + _LATER, key)

    def _orphaned(self, state: SessionState, now: int) -> None:
        """Its connection went with its gateway."""
        will, expiry = state.will, state.expiry
        delay = will.properties.will_delay_interval or 0 if will is not None else 0
        if will is not None and not (delay and expiry):
            self._publish(state)
            will = None
        self._put(
            msgspec.structs.replace(
                state,
                gateway=self._gateway,
                nonce=uuid4().hex,
                epoch=state.epoch + 1,
                claims=True,
                connected=False,
                since=now,
                will=will,
                will_at=now + min(delay, expiry) * 1_000_000 if will is not None else 0,
            )
        )

    def _overdue(self, state: SessionState, now: int) -> None:
        ends = state.ends() <= now
        if state.will is not None and (ends or 0 < state.will_at <= now):
            self._publish(state)
            state = msgspec.structs.replace(
                state,
                gateway=self._gateway,
                nonce=uuid4().hex,
                epoch=state.epoch + 1,
                claims=True,
                will=None,
                will_at=0,
            )
        elif not ends:
            self.note(state)
            return
        self._put(msgspec.structs.replace(state, expiry=0) if ends else state)

    def _publish(self, state: SessionState) -> None:
        if state.will is not None:
            self.home.publish_will(state.will, state.identity, "", state.key)

    def _put(self, state: SessionState) -> None:
        """Write it, or that it is gone. What could not be written comes again: `gone`, or by this."""
        key = state.key
        self._writing.add(key)

        def done(ok: bool) -> None:  # noqa: FBT001 - a callback
            self._writing.discard(key)
            if not ok and (known := self._table.sessions.get(key)) is not None:
                self.note(known.state)

        self._write(key, state if state.expiry else None, done)

"""What waited for sessions that have come back: read from the log where each left off, all of them in one pass.

In: sessions, and from where each needs to see topic `routed`. Out: everything for them handed over in order, up to
where the endpoint itself has read; from there on they hear what all hear.
"""

import asyncio
import random
from collections.abc import Callable, Iterable, Mapping
from contextlib import aclosing

from headwater.errors import OffsetOutOfRange, Unavailable
from headwater.log import ROUTED, Entry, Log
from headwater.saying import get_logger
from ingest.mqtt.lasting import KeptSession
from ingest.mqtt.outbox import Outgoing
from ingest.mqtt.shared import SHARED
from ingest.mqtt.state import decode_routed
from ingest.mqtt.subscriptions import Grant, Subscriptions

_PAUSE = 1.0
"""Seconds until the next attempt while the log cannot be read."""

log = get_logger()


class CatchUp:
    """`read_up_to`: the offset up to which the endpoint has read topic `routed`."""

    def __init__(
        self, events: Log, read_up_to: Callable[[], int], clock: Callable[[], float], wall: Callable[[], int]
    ) -> None:
        self._log = events
        self._read_up_to = read_up_to
        self._clock = clock
        self._wall = wall
        self._waiting: dict[KeptSession, int] = {}
        self._wake = asyncio.Event()

    def add(self, session: KeptSession, start: int) -> None:
        """It is `catching` until it is `caught_up`."""
        session.catching = True
        self._waiting[session] = start
        self._wake.set()

    async def run(self) -> None:
        """Until cancelled. Those who come while others are being read for wait for the next pass."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            sessions = {session: start for session, start in self._waiting.items() if not session.over}
            self._waiting = {}
            if not sessions:
                continue
            try:
                await self._read(sessions)
            except Unavailable as error:
                log.warning("what waits for sessions cannot be read", sessions=len(sessions), error=str(error))
                for session in sessions:
                    session.start_again()
                self._waiting = {**sessions, **self._waiting}
                self._wake.set()
                await asyncio.sleep(_PAUSE * random.uniform(0.5, 1))  # noqa: S311 - jitter, no secret

    async def _read(self, sessions: Mapping[KeptSession, int]) -> None:
        hearing = _Hearing(sessions)
        at = min(sessions.values())
        while at < self._read_up_to():
            at = max(at, (await self._log.ends(ROUTED))[0].first)  # what is gone, retention has dropped
            try:
                async with aclosing(self._log.read(ROUTED, 0, at)) as batches:
                    async for entries in batches:
                        hearing.look()
                        for entry in entries:
                            self._hand_over(entry, hearing)
                        at = entries[-1].offset + 1
                        if at >= self._read_up_to():
                            break
            except OffsetOutOfRange:
                if at > (await self._log.ends(ROUTED))[0].next:  # the log has lost its end
                    at = self._read_up_to()
        for session in sessions:
            session.caught_up(at)

    def _hand_over(self, entry: Entry, hearing: "_Hearing") -> None:
        if entry.value is None:
            return
        message = decode_routed(entry.value)
        matches = hearing.subscriptions.match(message.topic)
        sessions = hearing.sessions
        choices = [(sessions[choice.key], choice.grant) for choice in message.choices if choice.key in sessions]
        if not matches and not choices:
            return
        publish = message.publish(self._wall())
        if publish is None:
            return
        outgoing = Outgoing(publish, self._clock())
        for session, grants in matches.items():
            session.collect(outgoing, grants, message.sender, entry.offset)
        for session, grant in choices:
            session.collect(outgoing, (grant,), "", entry.offset)


class _Hearing:
    """Who hears what, of those who are read for; they may subscribe to more meanwhile."""

    def __init__(self, sessions: Iterable[KeptSession]) -> None:
        self.sessions = {session.key: session for session in sessions}
        self.subscriptions: Subscriptions[KeptSession] = Subscriptions()
        self._seen: dict[str, dict[str, Grant]] = {}
        self.look()

    def look(self) -> None:
        """Bring the subscriptions up to date."""
        for key, session in self.sessions.items():
            seen = self._seen.get(key, {})
            if seen == session.filters:
                continue
            for pattern in seen.keys() - session.filters.keys():
                self.subscriptions.remove(pattern, session)
            for pattern, grant in session.filters.items():
                if not pattern.startswith(SHARED):
                    self.subscriptions.add(pattern, session, grant)
            self._seen[key] = dict(session.filters)

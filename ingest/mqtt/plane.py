"""What gateways have in common, in topics of the log: retained messages, sessions, messages for each other's clients.

In: the log, and what this gateway's clients publish, subscribe to and leave behind. Out: tables in memory that are the
same in every gateway, receipts settled when the log has what they wait for. The parts are joined here.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Protocol
from uuid import uuid4

from headwater.config import Config
from headwater.log import RETAINED, ROUTED, SESSIONS, Log
from headwater.metrics import Metrics
from ingest.contract import Receipt
from ingest.mqtt import lapsing, retained
from ingest.mqtt.catch_up import CatchUp
from ingest.mqtt.journal import Journal, JournalTerms
from ingest.mqtt.lasting import KeptSession
from ingest.mqtt.lasting_outbox import LastingOutbox
from ingest.mqtt.outbox import Delivery, Outgoing
from ingest.mqtt.ownership import Ownership
from ingest.mqtt.packets import RETAIN, Publish
from ingest.mqtt.retained import Retained
from ingest.mqtt.routed import Chosen, Routed
from ingest.mqtt.router import Router
from ingest.mqtt.sessions import Session, Sessions
from ingest.mqtt.subscriptions import Grant
from ingest.pressure import Pressure

START_TIME = 60.0
"""Seconds that reading each of the tables may take at the start."""

_CHECK_EVERY = 5.0


class Home(lapsing.Home, Protocol):
    """The endpoint of this gateway."""

    @property
    def router(self) -> Router: ...

    @property
    def sessions(self) -> Sessions: ...


class Plane:
    """One for a gateway. `clock`: seconds that only grow; `wall`: microseconds since 1970 UTC."""

    def __init__(
        self,
        log: Log,
        config: Config,
        metrics: Metrics,
        clock: Callable[[], float],
        wall: Callable[[], int],
    ) -> None:
        self.gateway = uuid4().hex
        self.wall = wall
        self.pressure = Pressure(config.ingest.waiting_messages, config.ingest.waiting_size)
        self.retained = Retained(config.mqtt.retained, config.mqtt.retained_size)
        alone = config.profile == "embedded"
        self.owner = owner = Ownership(self.gateway, lambda: self.routed_next, clock, wall, alone=alone)
        self.table = owner.table
        self._metrics = metrics
        self._clock = clock
        self._patience = config.ingest.append_time
        terms = JournalTerms(
            log=log,
            linger=config.ingest.linger,
            append_time=config.ingest.append_time,
            check_every=_CHECK_EVERY,
            pressure=self.pressure,
            metrics=metrics,
            clock=clock,
        )
        self._routed = Routed(self.gateway, self.table, self._session_of, clock, wall)
        self._retained = Journal(RETAINED, terms, self.retained.apply)
        owner.journal = Journal(SESSIONS, terms, self.table.apply)
        self._routed.journal = Journal(ROUTED, terms, self._routed.apply, table=False)
        self._catch_up = CatchUp(log, lambda: self.routed_next, clock, wall)
        self._journals = [self._routed.journal, self._retained, owner.journal]

    def attach(self, home: Home) -> None:
        """Say for whom this is, before it runs."""
        self._home = home
        self._routed.router = home.router
        self.owner.lapsing.home = home

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        """Read what there is; then follow. Raises `Unavailable`."""
        async with AsyncExitStack() as stack:
            for journal in self._journals:
                await stack.enter_async_context(journal.running(START_TIME))
            reading = asyncio.create_task(self._catch_up.run(), name="what waited for sessions")
            try:
                yield
            finally:
                reading.cancel()
                await asyncio.gather(reading, return_exceptions=True)
                self.owner.end()
                await self.pressure.until_idle(self._patience)

    def tick(self) -> None:
        """To be called once a second."""
        now = self._clock()
        for journal in self._journals:
            journal.tick(now)
        self.owner.tick()
        for topic in self.retained.lapsed(self.wall()):
            if self.owner.gateways.leads():
                self._retained.write(topic.encode(), None, lambda _: None)
        self._metrics.mqtt_retained.set(self.retained.count)
        self._metrics.mqtt_sessions.set(self.table.lasting)

    # Messages.

    @property
    def routed_next(self) -> int:
        """The offset up to which topic `routed` has been read here."""
        return self._routed.journal.next

    def forward(self, run: Sequence[Publish], receipt: Receipt, sender: str) -> list[Chosen]:
        """See `Routed.forward`. What was not valid is left out."""
        bad = frozenset(rejection.at for rejection in receipt.rejections or ())
        return self._routed.forward(run, bad, receipt, sender)

    def retain(self, publish: Publish, sender: str, receipt: Receipt) -> None:
        """Keep it for those who subscribe later; the receipt waits until it is in the table of this gateway."""
        value = retained.value_of(publish, self.wall(), sender)
        self._retained.add(publish.topic.encode(), value, receipt)

    def when_retained(self, callback: Callable[[], None]) -> None:
        """Call it when all that was given to `retain` so far is in the table; at once if it is."""
        self._retained.when_done(callback)

    def retained_for(self, pattern: str, grant: Grant, subscriber: str) -> Iterator[Delivery]:
        """What a new subscription to this filter gets; looked up when it is taken, so that nothing old follows."""
        for topic in list(self.retained.topics(pattern)):
            message, now = self.retained.get(topic), self.wall()
            if message is None or message.expired(now) or (grant.no_local and message.sender == subscriber):
                continue
            identifiers = (grant.identifier,) if grant.identifier else ()
            outgoing = Outgoing(message.publish(topic, now), self._clock())
            yield Delivery(outgoing, min(message.qos, grant.qos) << 1 | RETAIN, identifiers)

    # Sessions.

    def resume(self, session: KeptSession, start: int | None) -> None:
        """Bring what waits for a session that has come back. `start`: where that begins; None: nothing waits."""
        outbox = session.outbox
        if not isinstance(outbox, LastingOutbox):
            return
        starts = [start] if start is not None else []
        for flight in outbox.wanted():
            if flight.offset >= 0:
                starts.append(flight.offset)
            elif (message := self.retained.get(flight.topic)) is not None and not message.expired(self.wall()):
                outgoing = Outgoing(message.publish(flight.topic, self.wall()), self._clock())
                outbox.supply(flight.packet_id, outgoing, flight.qos << 1 | RETAIN)
        if starts:
            self._catch_up.add(session, min(starts))
        else:
            session.caught_up(self.routed_next)

    def _session_of(self, key: str) -> Session | None:
        return self._home.sessions.named(key)

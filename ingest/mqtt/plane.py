"""What the gateways of an installation have in common, in the topics of the log: retained messages.

In: the log, and what this gateway's clients publish. Out: tables in memory that are the same in every gateway, receipts
settled when the log has what was published and this gateway has read it back.
"""

from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager

from headwater import times
from headwater.config import Config
from headwater.log import RETAINED, Log
from headwater.metrics import Metrics
from ingest.contract import Receipt
from ingest.mqtt import retained
from ingest.mqtt.journal import Journal, JournalTerms
from ingest.mqtt.outbox import Delivery, Outgoing
from ingest.mqtt.packets import RETAIN, Publish
from ingest.mqtt.retained import Retained
from ingest.mqtt.subscriptions import Grant
from ingest.pressure import Pressure

START_TIME = 60.0
"""Seconds that reading the tables may take at the start."""

_CHECK_EVERY = 5.0


class Plane:
    """One for a gateway. `clock`: seconds that only grow; `wall`: microseconds since 1970 UTC."""

    def __init__(
        self,
        log: Log,
        config: Config,
        metrics: Metrics,
        clock: Callable[[], float],
        wall: Callable[[], int] = times.now,
    ) -> None:
        self.wall = wall
        self.pressure = Pressure(config.ingest.waiting_messages, config.ingest.waiting_size)
        self.retained = Retained(config.mqtt.retained, config.mqtt.retained_size)
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
        self._retained = Journal(RETAINED, terms, self.retained.apply)
        self._journals = [self._retained]

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        """Read what there is; then follow. Raises `Unavailable`."""
        async with AsyncExitStack() as stack:
            for journal in self._journals:
                await stack.enter_async_context(journal.running(START_TIME))
            try:
                yield
            finally:
                await self.pressure.until_idle(self._patience)

    def tick(self) -> None:
        """To be called once a second."""
        now = self._clock()
        for journal in self._journals:
            journal.tick(now)
        self._metrics.mqtt_retained.set(self.retained.count)

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

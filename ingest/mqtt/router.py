"""From a message that is durable to those who hear it; and one write for all that goes out to a client in a turn.

In: messages, by topic. Out: PUBLISH packets of the sessions subscribed to it, written at the end of the event loop's
turn, and the counts of what was delivered and what was not.
"""

import asyncio
from collections.abc import Callable
from typing import Protocol

from headwater.metrics import Metrics
from ingest.mqtt.outbox import Outgoing, Tally
from ingest.mqtt.packets import Publish
from ingest.mqtt.sessions import Session
from ingest.mqtt.subscriptions import Subscriptions


class Flushing(Protocol):
    """A connection with packets to write."""

    def flush(self) -> None: ...


class Router:
    """`subscriptions` is who hears what; empty, routing costs nothing."""

    def __init__(self, metrics: Metrics, clock: Callable[[], float]) -> None:
        self.subscriptions: Subscriptions[Session] = Subscriptions()
        self.tally = Tally()
        self._metrics = metrics
        self._clock = clock
        self._dirty: list[Flushing] = []
        self._loop = asyncio.get_running_loop()

    def route(self, publish: Publish, sender: str = "") -> int:
        """Hand it to everyone subscribed to its topic; returns to how many. `sender`: the session that it came from."""
        matches = self.subscriptions.match(publish.topic)
        if matches:
            message = Outgoing(publish, self._clock())
            for session, grants in matches.items():
                session.deliver(message, grants, sender)
        return len(matches)

    def flush_later(self, connection: Flushing) -> None:
        """Call `connection.flush()` once, at the end of this turn."""
        if not self._dirty:
            self._loop.call_soon(self._flush)
        self._dirty.append(connection)

    def _flush(self) -> None:
        dirty, self._dirty = self._dirty, []
        for connection in dirty:
            connection.flush()
        self.count()

    def count(self) -> None:
        """Bring what the tally holds to the metrics."""
        tally, metrics = self.tally, self._metrics
        if tally.delivered:
            metrics.mqtt_delivered.inc(tally.delivered)
        for reason, count in tally.undelivered():
            if count:
                metrics.mqtt_undelivered.labels(reason).inc(count)
        tally.__init__()

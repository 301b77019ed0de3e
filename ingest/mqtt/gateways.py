"""Which gateways there are: each says so on the log, and is believed to be gone when it has not for a while.

In: beats on topic `sessions`, read in the order of the log. Out: who is alive, and who of them does what only one needs
to do. That two believe it of themselves for a moment does no harm: what they do is decided by the log.

Silence is counted in this gateway's own beats, as the log has them, and not in seconds: who was paused, or could not
reach the log, has heard nobody and has not been heard either, and takes nobody for gone when it comes back.
"""

from collections.abc import Callable

from ingest.mqtt.journal import Journal
from ingest.mqtt.state import GATEWAY, Beat, encode
from ingest.mqtt.table import Table

BEAT = 5.0
"""Seconds between two beats."""

SILENCE = 4
"""So many of our own beats may come back from the log without one of a gateway: with more it counts as gone."""


class Gateways:
    """`alone`: there is no other, because the log belongs to this process."""

    def __init__(
        self, gateway: str, table: Table, clock: Callable[[], float], wall: Callable[[], int], *, alone: bool
    ) -> None:
        self._gateway = gateway
        self._table = table
        self._clock = clock
        self._wall = wall
        self._alone = alone
        self._beaten = float("-inf")

    def alive(self, gateway: str) -> bool:
        """It is this one, or has said so lately."""
        if gateway == self._gateway:
            return True
        if self._alone:
            return False
        return self._table.beats - self._table.heard.get(gateway, 0) <= SILENCE

    @property
    def only(self) -> bool:
        """No other is there."""
        return self._alone or not any(self.alive(other) for other in self._table.heard if other != self._gateway)

    def leads(self) -> bool:
        """Whether this one looks after what nobody else can."""
        return self._alone or self._gateway == min({self._gateway, *filter(self.alive, self._table.heard)})

    def gone(self) -> list[str]:
        """Gateways that have sessions connected, and are not there."""
        return [gateway for gateway in self._table.held if not self.alive(gateway)]

    def tick(self, journal: Journal) -> None:
        """Say that this one is there; forget those that are gone for good."""
        now = self._clock()
        if self._alone or now - self._beaten < BEAT:
            return
        self._beaten = now
        journal.write(GATEWAY + self._gateway.encode(), encode(Beat(self._wall())), _no_matter)
        if self.leads():
            for gateway in list(self._table.heard):
                if not self.alive(gateway) and gateway not in self._table.held:
                    journal.write(GATEWAY + gateway.encode(), None, _no_matter)

    def end(self, journal: Journal) -> None:
        """Say that this one goes: others need not wait until they believe it."""
        if not self._alone:
            journal.write(GATEWAY + self._gateway.encode(), None, _no_matter)


def _no_matter(ok: bool) -> None:  # noqa: FBT001 - a callback
    """The next beat says the same."""

"""What a simulated sender is: a connection with its devices; and Headwater's own kind.

In: the sender's clock. Out: topics and payloads.
"""

import json
from collections.abc import Sequence
from random import Random
from typing import Any, NamedTuple


class Said(NamedTuple):
    """One PUBLISH."""

    topic: str
    payload: bytes
    retain: bool = False


def said(topic: str, value: Any, *, retain: bool = False) -> Said:
    """JSON, or a text as it is."""
    text = value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))
    return Said(topic, text.encode(), retain)


class Walk:
    """A quantity that wanders about a middle, never further than it may."""

    def __init__(self, chance: Random, middle: float, most: float, step: float) -> None:
        self._chance = chance
        self._middle = middle
        self._most = most
        self._step = step
        self._off = chance.uniform(-most, most) / 2

    def next(self, digits: int = 1) -> float:
        """The next value."""
        moved = self._off * 0.98 + self._chance.gauss(0, self._step)
        self._off = max(-self._most, min(self._most, moved))
        return round(self._middle + self._off, digits)


class Sender:
    """`client_id` and `will` are for its connection. Times are seconds since 1970, by the sender's own clock."""

    will: Said | None = None

    def __init__(self, client_id: str, devices: int) -> None:
        self.client_id = client_id
        self.devices = devices

    def hello(self, now: float) -> Sequence[Said]:
        """What it says once it is connected."""
        del now
        return ()

    def say(self, device: int, now: float) -> Sequence[Said]:
        """What one of its devices says this time."""
        raise NotImplementedError


class Native(Sender):
    """Headwater's own format."""

    def __init__(self, number: int, devices: int, chance: Random) -> None:
        super().__init__(f"sim-{number}", devices)
        self._temperature = Walk(chance, 60, 30, 0.4)
        self._voltage = Walk(chance, 230, 8, 0.6)
        self._seq = 0

    def say(self, device: int, now: float) -> Sequence[Said]:
        del device
        self._seq += 1
        fields = {"temperature": self._temperature.next(), "voltage": self._voltage.next()}
        value = {"at": round(now * 1000), "seq": self._seq, "fields": fields}
        return (said(f"devices/{self.client_id}/telemetry", value),)

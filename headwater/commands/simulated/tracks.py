"""Phones that say where they are: OwnTracks.

In: a number and chance. Out: a `Sender` that walks about a city. Format: the OwnTracks booklet.
"""

import math
from collections.abc import Sequence
from random import Random

from headwater.commands.simulated.sender import Said, Sender, said


class OwnTracks(Sender):
    """`owntracks/USER/phone`, with a last will."""

    def __init__(self, number: int, devices: int, chance: Random) -> None:
        self._topic = f"owntracks/walker{number}/phone"
        super().__init__(f"walker{number}-phone", devices)
        self._chance = chance
        self._lat, self._lon = 52.09 + chance.gauss(0, 0.02), 5.12 + chance.gauss(0, 0.03)
        self._course = chance.uniform(0, 360)
        self._battery = chance.randint(20, 100)
        self._last = 0.0
        self.will = Said(self._topic, b'{"_type":"lwt","tst":0}')

    def say(self, device: int, now: float) -> Sequence[Said]:
        del device
        metres = 1.4 * min(60.0, now - self._last if self._last else 1.0)
        self._last = now
        self._course = (self._course + self._chance.gauss(0, 20)) % 360
        self._lat += metres * math.cos(math.radians(self._course)) / 111_320
        self._lon += metres * math.sin(math.radians(self._course)) / (111_320 * math.cos(math.radians(self._lat)))
        value = {
            "_type": "location",
            "acc": 12,
            "alt": 8,
            "batt": self._battery,
            "bs": 1,
            "conn": "m",
            "cog": round(self._course),
            "created_at": int(now),
            "lat": round(self._lat, 6),
            "lon": round(self._lon, 6),
            "tid": self.client_id[6:8],
            "tst": int(now),
            "vel": 5,
            "vac": 4,
            "m": 1,
        }
        return (said(self._topic, value),)

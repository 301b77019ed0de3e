"""Messages for the lake's benchmarks: three fields of drifting values, about 131 bytes of JSON as a device sends them.

Out: log entries in the order of their arrival, with the bytes that the devices sent. The same for the same numbers.
"""

import random
from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from headwater.ids import hashed
from headwater.log import partition_for
from headwater.message import Message, encode
from headwater.times import believed

START = 1_763_683_200_000_000
"""2025-11-21T00:00:00Z."""
PARTITIONS = 4
_PERIOD = 10_000_000


class Made(NamedTuple):
    """Entries (partition, offset, bytes on the log), and how many bytes of JSON the devices sent."""

    entries: Sequence[tuple[int, int, bytes]]
    sent: int


def made(count: int, devices: int = 1000) -> Made:
    """Each device every ten seconds, a few milliseconds more or less, its clock's milliseconds, a delay of its own."""
    draw = random.Random(7)
    state = [[20 + 5 * draw.random(), 50 + 10 * draw.random(), 1000 + 20 * draw.random()] for _ in range(devices)]
    names = [f"greenhouse-sensor-{number:05d}" for number in range(devices)]
    delays = [draw.uniform(5_000, 60_000) for _ in range(devices)]
    phases = [draw.random() * _PERIOD for _ in range(devices)]
    messages: list[Message] = []
    sent = 0
    for n in range(count):
        which = n % devices
        values = state[which]
        for at, step in enumerate((0.05, 0.1, 0.03)):
            values[at] += draw.gauss(0, step)
        at = int(START + n // devices * _PERIOD + phases[which] + draw.gauss(0, 3_000)) // 1000 * 1000
        fields = {"temperature": round(values[0], 2), "humidity": round(values[1], 1), "pressure": round(values[2], 2)}
        body = {"device": names[which], "at": at // 1000, "seq": n // devices, "fields": fields}
        payload = msgspec.json.encode(body)
        sent += len(payload)
        received = int(at + delays[which] + draw.expovariate(1 / 5_000))
        time, flag = believed(at, received)
        messages.append(
            Message(names[which], hashed(payload), received, time, at, n // devices, flag, fields=dict(fields))
        )
    messages.sort(key=lambda message: message.received)
    return Made(_entries(messages), sent)


def _entries(messages: Sequence[Message]) -> list[tuple[int, int, bytes]]:
    ends = [0] * PARTITIONS
    entries: list[tuple[int, int, bytes]] = []
    for message in messages:
        partition = partition_for(message.device.encode(), PARTITIONS)
        entries.append((partition, ends[partition], encode(message)))
        ends[partition] += 1
    return entries

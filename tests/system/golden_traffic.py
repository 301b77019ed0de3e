"""What the golden run sends: recorded readings, recorded tracks, and payloads of other programs that no model takes.

Out: native messages with ids, sequences and time stamps of their own, and makers' formats with clocks, so that nothing in
an answer depends on when they were sent but what names that moment. From the published sets where they are, else from the shipped excerpts.
"""

import gzip
import json
from collections.abc import Iterable, Iterator
from heapq import merge
from math import cos, sin
from typing import Any, NamedTuple

from headwater.commands.simulated import senders
from tests.system.recorded import SETS, Row, everything

EACH = 45
"""Messages of a device at most."""
LONGEST = 5 * 86_400
"""Seconds that a device's series takes at most; longer ones are squeezed."""
AGAIN = 40
"""Messages sent a second time, as by a device that did not hear the acknowledgement."""
AT_ONCE = "odd-at-once"
"""It says several things at one time, so the newest is what arrives last; it repeats nothing, as that would arrive last."""

ODD: dict[str, list[Any]] = {
    "tiny": [1e-7, -1e-7, 5e-9, 0.1, 0.2, 0.30000000000000004],
    "large": [2**53, 123456789.125, -(2**53), 1e15, 999999999999.5, 0],
    "whole": [21.0, 21, -0.0, 0, 3, 3.0],
    "flag": [True, False, True, True, False, False],
    "said": ["Süd-Tür öffnet", "ON", 'a "quoted" word', "tab\tand  blanks", "ﬁlter 5 % / 100", "日本語 テスト"],
    "a.dotted $name": [1, 2, 3, 4, 5, 6],
}
"""Values that stores like to change; one list a field, one entry a message."""

MODELS: dict[str, Any] = {
    "default": {"select": {"change": "5%", "every": "15m", "movement": 25}},
    "beacon": {"devices": ["beacon1.*"], "fields": {"rssi": {"unit": "dBm", "min": -91, "max": 20, "change": 6}}},
    "foreign": {"devices": ["foreign-*"], "strict": True, "fields": {"none": {"required": True}}},
}
"""Beacons weaker than -91 dBm are rejected, and so is everything that a foreign device says."""


class Traffic(NamedTuple):
    """`source`: where it comes from. `again`: some of the messages once more. `foreign`: device and payload.

    `real`: topics and payloads of makers' devices, each with a clock.
    """

    source: str
    messages: list[dict[str, Any]]
    again: list[dict[str, Any]]
    foreign: list[tuple[str, bytes]]
    real: list[tuple[str, bytes]]


def traffic(end: int) -> Traffic:
    """All of it, in the order of sending; `end`: seconds since 1970, later than every time stamp."""
    source, rows = everything()
    series: dict[str, list[Row]] = {}
    for row in [*_some(rows), *_some(_tracks()), *_odd()]:
        series.setdefault(row[0], []).append(row)
    laid = [_laid(own, end) for own in series.values()]
    ordered = list(merge(*laid, key=lambda message: (message["at"], message["device"])))
    for at in range(0, len(ordered) - 6, 7):  # some come late
        ordered[at], ordered[at + 5] = ordered[at + 5], ordered[at]
    again = [message for message in ordered[:: max(1, len(ordered) // AGAIN)] if message["device"] != AT_ONCE]
    return Traffic(source, ordered, again, list(_foreign()), list(_real(end)))


def _some(rows: Iterable[Row]) -> Iterator[Row]:
    counts: dict[str, int] = {}
    for row in rows:
        counts[row[0]] = counts.get(row[0], 0) + 1
        if counts[row[0]] <= EACH:
            yield row


def _laid(rows: list[Row], end: int) -> list[dict[str, Any]]:
    """A device's messages, in the order of their time stamps."""
    rows = sorted(rows, key=lambda row: row[1])
    first, span = rows[0][1], rows[-1][1] - rows[0][1]
    squeeze = min(1.0, LONGEST / max(span, 1.0))
    start = end - 1 - span * squeeze
    return [
        {
            "device": device,
            "id": f"g-{number}",
            "seq": number,
            "at": round((start + (moment - first) * squeeze) * 1000),
            **rest,
        }
        for number, (device, moment, rest) in enumerate(rows)
    ]


def _tracks() -> Iterator[Row]:
    """Aircraft, with positions; circles where the recordings are not here."""
    files = sorted((SETS / "adsb").glob("*.json.gz"))
    for file in files:
        for row in json.loads(gzip.decompress(file.read_bytes())):
            names = ("groundspeed", "altitude", "vertical_rate", "onground")
            fields = {name: row[name] for name in names if row.get(name) is not None}
            place = {"lat": row["latitude"], "lon": row["longitude"]}
            said = {**fields, "callsign": row["callsign"]}
            yield f"aircraft.{file.name.split('.')[0]}", row["timestamp"] / 1000, {"fields": said, "position": place}
    for number in range(0 if files else 5):
        for step in range(EACH):
            lat, lon = 48.3507 + number / 50 + sin(step / 9) / 200, 11.7968 + cos(step / 9) / 200
            place = {"lat": lat, "lon": lon, "alt": step * 10.5}
            said = {"groundspeed": 100 + step / 3, "callsign": f"FCK21{number}"}
            yield f"aircraft.made-{number}", step * 5.0, {"fields": said, "position": place}


def _odd() -> Iterator[Row]:
    """Odd values; the second device says all of it at the same time, so that only arrival and id order its messages."""
    for number in range(len(ODD["tiny"])):
        said = {name: values[number] for name, values in ODD.items()}
        heard = [{"gateway": "gw-1", "rssi": -70.5 - number, "snr": 7}, {"gateway": "gw-2"}]
        yield "odd", number * 1800.0, {"fields": said, "heard_by": heard, "kind": "oddity"}
        yield AT_ONCE, 0.0, {"fields": said}


def _real(end: int) -> Iterator[tuple[str, bytes]]:
    """What devices of these families send in two hours, every ten minutes; the payloads say when."""
    for family in ("tasmota", "zigbee2mqtt", "chirpstack_v4", "owntracks"):
        for sender in senders(family, 3, seed=1):
            for step in range(12):
                for device in range(sender.devices):
                    said = sender.say(device, end - 7200 + step * 600)
                    yield from ((one.topic, one.payload) for one in said)


def _foreign() -> Iterator[tuple[str, bytes]]:
    for number, file in enumerate(sorted((SETS.parent / "payloads").glob("*.ndjson"))):
        for line in file.read_text("utf-8").splitlines()[:2]:
            if (payload := json.loads(line).get("payload")) is not None:
                said = payload if isinstance(payload, str) else json.dumps(payload)
                yield f"foreign-{number % 9}", said.encode()
    yield "foreign-0", b'{"fields": {"never ends": '
    yield "foreign-1", b'{"fields": {"a": 1}, "unknown": 2}'
    yield "foreign-2", b"\xff\xfe not UTF-8"

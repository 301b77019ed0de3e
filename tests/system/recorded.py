"""Real recorded messages: from the published sets where they are, else from the shipped excerpts.

Each device is sent by one sender, with ids of its own (`c-0` …), a sequence, and time stamps shifted into the last days.
"""

import csv
import gzip
import json
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
SETS = ROOT.parent / "shared" / "data" / "timeseries"

Row = tuple[str, float, dict[str, Any]]
"""Device, seconds since 1970 as recorded, the rest of a native message."""


def _rows(path: Path) -> Iterator[list[str]]:
    with gzip.open(path, "rt", encoding="utf-8", newline="") as file:
        yield from csv.reader(file)


def _beacon(path: Path) -> Iterator[Row]:
    for row in _rows(path):
        yield f"beacon1.{row[1]}", float(row[0]), {"fields": {"rssi": int(row[3])}}


def _meter(path: Path) -> Iterator[Row]:
    rows = _rows(path)
    header = next(rows)
    for row in rows:
        moment = datetime.strptime(f"{row[1]} {row[2]}", "%d/%m/%Y %H:%M:%S").replace(tzinfo=UTC).timestamp()
        yield "household-meter", moment, {"fields": dict(zip(header[3:], map(float, row[3:]), strict=True))}


def _nab(path: Path) -> Iterator[Row]:
    rows = _rows(path)
    next(rows)
    for row in rows:
        moment = datetime.fromisoformat(row[0]).replace(tzinfo=UTC).timestamp()
        yield path.name.split(".")[0], moment, {"fields": {"value": float(row[1])}}


def _excerpts() -> Iterator[Row]:
    for name in ("beacon_walk", "household_meter"):
        with gzip.open(ROOT / "examples" / "data" / f"{name}.ndjson.gz", "rt", encoding="utf-8") as file:
            for line in file:
                recorded = json.loads(line)
                device = f"beacon1.{recorded['client']}" if "client" in recorded else "household-meter"
                fields = {key: value for key, value in recorded["payload"].items() if key == "fields"}
                yield device, recorded["t"], fields


def everything() -> tuple[str, Iterable[Row]]:
    """Where they come from, and all rows, a series after the other."""
    if not SETS.is_dir():
        return "shipped excerpts, repeated", _excerpts()
    walks = sorted((SETS / "ble_gateway_rssi_tetam").glob("*[0-9n].csv.gz"))
    nab = SETS / "nab"
    series = [
        nab / "realKnownCause" / "machine_temperature_system_failure.csv.gz",
        nab / "realTraffic" / "TravelTime_387.csv.gz",
    ]

    def rows() -> Iterator[Row]:
        for walk in walks:
            yield from _beacon(walk)
        yield from _meter(SETS / "uci_household_power" / "household_power_feb2007_dev.csv.gz")
        for path in series:
            yield from _nab(path)

    return "published sets", rows()


def messages(count: int, end: float) -> tuple[str, dict[str, list[dict[str, Any]]]]:
    """Where they come from, and device → its messages in order; `end`: the latest time stamp (seconds since 1970).

    Each device's series is laid so that it ends there, in at most 20 days: longer ones are compressed in time.
    """
    source, rows = everything()
    found: dict[str, list[tuple[float, dict[str, Any]]]] = {}
    taken = list(islice(rows, count))
    for device, moment, rest in taken:
        found.setdefault(device, []).append((moment, rest))
    laps = -(-count // len(taken))
    result: dict[str, list[dict[str, Any]]] = {}
    total = 0
    for device, series in found.items():
        series.sort(key=lambda item: item[0])
        span = series[-1][0] - series[0][0]
        squeeze = min(1.0, 10 * 86_400 / max(span, 1.0))
        start = end - (span * squeeze + 60) * laps
        for lap in range(laps):
            for moment, rest in series:
                if total == count:
                    return source, result
                at = start + lap * (span * squeeze + 60) + (moment - series[0][0]) * squeeze
                own = result.setdefault(device, [])
                own.append({"device": device, "id": f"c-{len(own)}", "seq": len(own), "at": round(at * 1000), **rest})
                total += 1
    return source, result

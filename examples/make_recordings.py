"""Makes the recordings in `examples/data/` from the published data sets (see examples/data/README.md).

Usage: python examples/make_recordings.py FOLDER_WITH_THE_SETS. A recording is NDJSON: `t` (seconds since 1970, as
recorded), `mqtt` (topic) with `client`, or `http` (path), and `payload`, to which the replay adds `at`.
"""

import csv
import gzip
import json
import sys
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

HERE = Path(__file__).parent / "data"
BEACON = "beacon1"
GATEWAYS = {
    "b827eb4521b4": "sensor10",
    "000000000101": "sensor11",
    "000000000102": "sensor12",
    "b827eb917e19": "sensor20",
    "000000000201": "sensor21",
    "000000000202": "sensor22",
    "b827ebf7d096": "sensor30",
    "000000000301": "sensor31",
    "000000000302": "sensor32",
    "b827ebfd7811": "sensor40",
    "000000000401": "sensor41",
    "000000000402": "sensor42",
}


def walk(rows: Iterable[list[str]]) -> Iterable[dict[str, object]]:
    """Timestamp, gateway, beacon, RSSI, … → what each gateway sends when it hears the beacon."""
    for row in rows:
        gateway, rssi = GATEWAYS[row[1]], int(row[3])
        payload = {"fields": {"rssi": rssi}, "heard_by": [{"gateway": gateway, "rssi": rssi}]}
        yield {"t": float(row[0]), "mqtt": f"devices/{BEACON}/telemetry", "client": gateway, "payload": payload}


def meter(rows: Iterable[list[str]]) -> Iterable[dict[str, object]]:
    """One row a minute → what the household's meter sends."""
    rows = iter(rows)
    header = next(rows)
    for row in rows:
        values = dict(zip(header, row, strict=True))
        moment = datetime.strptime(f"{values['date']} {values['time']}", "%d/%m/%Y %H:%M:%S").replace(tzinfo=UTC)
        fields = {name: float(values[name]) for name in header[3:] if values[name] not in {"", "?"}}
        yield {"t": moment.timestamp(), "http": "/ingest", "payload": {"device": "household-meter", "fields": fields}}


def write(name: str, lines: Iterable[dict[str, object]]) -> None:
    text = "".join(json.dumps(line, separators=(",", ":")) + "\n" for line in lines)
    with gzip.GzipFile(HERE / name, "wb", mtime=0) as file:
        file.write(text.encode())


def rows_of(path: Path, most: int) -> Iterable[list[str]]:
    with gzip.open(path, "rt", encoding="utf-8", newline="") as file:
        for number, row in enumerate(csv.reader(file)):
            if number >= most:
                return
            yield row


def main(folder: Path) -> None:
    HERE.mkdir(exist_ok=True)
    ble = folder / "ble_gateway_rssi_tetam" / "zigzagging_without_rotation.csv.gz"
    power = folder / "uci_household_power" / "household_power_feb2007_dev.csv.gz"
    write("beacon_walk.ndjson.gz", walk(rows_of(ble, 10_000)))
    write("household_meter.ndjson.gz", meter(rows_of(power, 2 * 1440 + 1)))


if __name__ == "__main__":
    main(Path(sys.argv[1]))

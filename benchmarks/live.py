"""The live store's writer: CPU-seconds per million messages, beside the bare driver with the same batches.

Run: `python -m benchmarks.live [--messages N] [--devices N] [--batch N] [--folder DIR]`. Messages of three fields,
one of them a text, from devices in random order. *bare* is `sqlite3.executemany` with one upsert a value and one a
message, in one transaction a batch: what a writer costs that leaves everything to the driver.
"""

import argparse
import asyncio
import random
import sqlite3
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks.measure import Result, measure, report
from headwater.log import MESSAGES
from headwater.message import Message
from storage.contract import Record
from storage.sqlite_live import open_live

BUDGET = 5.0
_START = 1_763_700_000_000_000
_SCHEMA = """
PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA cache_size = -32768;
CREATE TABLE newest (device TEXT, field TEXT, value, time INTEGER, received INTEGER, id TEXT,
    PRIMARY KEY (device, field)) WITHOUT ROWID;
CREATE TABLE device (device TEXT PRIMARY KEY, seen INTEGER, messages INTEGER) WITHOUT ROWID;
"""
_PUT = """INSERT INTO newest VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET
    value = excluded.value, time = excluded.time, received = excluded.received, id = excluded.id
    WHERE (excluded.time, excluded.received, excluded.id) > (newest.time, newest.received, newest.id)"""
_COUNT = """INSERT INTO device VALUES (?, ?, 1) ON CONFLICT DO UPDATE SET
    seen = max(seen, excluded.seen), messages = messages + 1"""


def made(messages: int, devices: int, size: int) -> list[list[Record]]:
    """Batches of `size` messages from `devices` devices in random order."""
    draw = random.Random(7)
    batches: list[list[Record]] = []
    for start in range(0, messages, size):
        batch: list[Record] = []
        for at in range(start, min(start + size, messages)):
            time = _START + at * 100
            message = Message(
                device=f"device-{draw.randrange(devices)}",
                id=f"{at:016x}",
                received=time,
                time=time,
                fields={"temperature": draw.random() * 40, "voltage": draw.randrange(700)},
                texts={"state": "on"},
            )
            batch.append(Record(MESSAGES, 0, at, at, message))
        batches.append(batch)
    return batches


async def ours(folder: Path, batches: Sequence[Sequence[Record]]) -> Result:
    async with open_live(folder / "live.sqlite", "benchmark") as live:
        with measure("live writer", budget=BUDGET) as result:
            for batch in batches:
                await live.write(batch)
                result.count += len(batch)
    return result


def bare(folder: Path, batches: Sequence[Sequence[Record]]) -> Result:
    connection = sqlite3.connect(folder / "bare.sqlite", isolation_level=None)
    connection.executescript(_SCHEMA)
    with measure("bare sqlite3") as result:
        for batch in batches:
            rows: list[tuple[object, ...]] = []
            messages = [record.body for record in batch if isinstance(record.body, Message)]
            for m in messages:
                rows += [(m.device, name, value, m.time, m.received, m.id) for name, value in m.fields.items()]
                rows += [(m.device, name, value, m.time, m.received, m.id) for name, value in m.texts.items()]
            connection.execute("BEGIN IMMEDIATE")
            connection.executemany(_PUT, rows)
            connection.executemany(_COUNT, [(m.device, m.received) for m in messages])
            connection.execute("COMMIT")
            result.count += len(batch)
    connection.close()
    return result


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--messages", type=int, default=300_000)
    parser.add_argument("--devices", type=int, default=1_000)
    parser.add_argument("--batch", type=int, default=5_000)
    parser.add_argument("--folder", type=Path, default=None, help="where the files are made (default: a temporary one)")
    options = parser.parse_args()
    batches = made(options.messages, options.devices, options.batch)
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        live = asyncio.run(ours(Path(folder), batches))
        plain = bare(Path(folder), batches)
    kept = report([live, plain], f"{options.devices} devices, batches of {options.batch}, 3 values a message")
    print(f"bare / live: {plain.per_million / live.per_million:.2f} (wanted: 0.8 or more)")
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())

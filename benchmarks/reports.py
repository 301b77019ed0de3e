"""Reports: CPU-seconds a million messages into MariaDB, with and without rollups, against the bare driver's rows.

In: a MariaDB or MySQL (password in HEADWATER_MARIADB__PASSWORD); a database is made there and dropped. Out: the table,
and what share of our CPU for rows alone the bare driver needs, that puts the same five columns of the same messages
with `executemany`. Messages without numbers have no rollups: they are the measure of the rows.
The server's own CPU is not in these figures: it shows in messages a second. Without `--port` it is SQLite instead.

    python -m benchmarks.reports [--port 3306 --user root] [--messages N] [--runs N]
"""

import argparse
import asyncio
import gc
import os
import random
import sys
import tempfile
import uuid
from collections.abc import Sequence
from pathlib import Path

from pydantic import SecretStr

from benchmarks.measure import Result, cheapest, measure, report
from headwater.config_stack import MariaDb
from headwater.log import MESSAGES
from headwater.message import Message, Number, encode
from headwater.times import now
from storage.contract import Record
from storage.mysql_connection import Cursor, open_mysql
from storage.mysql_store import MySqlReports, open_mysql_reports
from storage.sqlite_reports import SqliteReports, open_sqlite_reports

ROWS_BUDGET, ROLLUPS_BUDGET = 7.0, 12.0
_TABLE = """
CREATE TABLE bare (device VARBINARY(512) NOT NULL, id VARBINARY(256) NOT NULL, received BIGINT NOT NULL,
    time BIGINT NOT NULL, body MEDIUMBLOB NOT NULL, PRIMARY KEY (device, id, received),
    KEY by_time (time, received, id)) ENGINE = InnoDB"""
_PUT = "INSERT INTO bare (device, id, received, time, body) VALUES (%s, %s, %s, %s, %s)"
_DAY = 86_400.0


def made(messages: int, devices: int, size: int, *, numbers: bool) -> list[list[Record]]:
    """Batches of `size` messages of about 130 bytes, a millisecond apart, from devices in random order."""
    draw, start = random.Random(7), now() - messages * 1000
    records: list[Record] = []
    for at in range(messages):
        time = start + at * 1000
        fields: dict[str, Number] = {"temperature": round(draw.random() * 40, 1), "voltage": draw.randrange(700)}
        message = Message(
            device=f"device-{draw.randrange(devices)}",
            id=f"{draw.getrandbits(64):016x}",
            received=time,
            time=time,
            fields=fields if numbers else {},
            texts={"state": "on"} if numbers else {"state": "on", "note": "temperature 20.5"},
        )
        records.append(Record(MESSAGES, 0, at, at, message))
    return [records[at : at + size] for at in range(0, messages, size)]


async def ours(
    store: MySqlReports | SqliteReports, batches: Sequence[Sequence[Record]], name: str, budget: float | None
) -> Result:
    with measure(name, budget=budget) as result:
        for batch in batches:
            await store.write(batch)
            result.count += len(batch)
    return result


async def bare(config: MariaDb, batches: Sequence[Sequence[Record]]) -> Result:
    async with open_mysql(config, [_TABLE]) as mysql:
        with measure("bare aiomysql, rows") as result:
            for batch in batches:
                said = [record.body for record in batch if isinstance(record.body, Message)]
                rows = [(m.device, m.id, m.received, m.time, encode(m).decode()) for m in said]

                async def put(cursor: Cursor, rows: Sequence[tuple[object, ...]] = rows) -> None:
                    await cursor.executemany(_PUT, rows)

                await mysql.transaction(put)
                result.count += len(batch)
    return result


async def run(config: MariaDb, texts: Sequence[Sequence[Record]], numbers: Sequence[Sequence[Record]]) -> list[Result]:
    results = [await bare(config, texts)]
    async with open_mysql_reports(config, "rows", rows=_DAY) as store:
        results.append(await ours(store, texts, "reports on MariaDB, rows only", ROWS_BUDGET))
    async with open_mysql_reports(config, "rollups", rows=_DAY) as store:
        results.append(await ours(store, numbers, "reports on MariaDB, rows and rollups", ROLLUPS_BUDGET))
    return results


async def on_sqlite(numbers: Sequence[Sequence[Record]]) -> list[Result]:
    with tempfile.TemporaryDirectory() as folder:
        async with open_sqlite_reports(Path(folder) / "reports.sqlite", "rollups", rows=_DAY) as store:
            return [await ours(store, numbers, "reports in SQLite, rows and rollups", None)]


async def on_mariadb(
    options: argparse.Namespace, texts: Sequence[Sequence[Record]], numbers: Sequence[Sequence[Record]]
) -> list[Result]:
    config = MariaDb(
        host=options.host,
        port=options.port,
        user=options.user,
        password=SecretStr(os.environ.get("HEADWATER_MARIADB__PASSWORD", "")),
        database=f"benchmark_{uuid.uuid4().hex}",
        time=60,
    )
    try:
        return await run(config, texts, numbers)
    finally:
        async with open_mysql(config, []) as mysql:

            async def drop(cursor: Cursor) -> None:
                await cursor.execute(f"DROP DATABASE {config.database}")

            await mysql.plain(drop)


async def measured(options: argparse.Namespace) -> bool:
    size: tuple[int, int, int] = (options.messages, options.devices, options.batch)
    texts, numbers = made(*size, numbers=False), made(*size, numbers=True)
    gc.collect()
    gc.freeze()  # this and the threshold as the program has them
    gc.set_threshold(50_000, 20, 50)
    if options.port:
        results = cheapest([await on_mariadb(options, texts, numbers) for _ in range(options.runs)])
        results[1].beside(results[0])
    else:
        results = cheapest([await on_sqlite(numbers) for _ in range(options.runs)])
    return report(results, f"{options.devices} devices, batches of {options.batch}, 2 numbers a message")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--messages", type=int, default=200_000)
    parser.add_argument("--devices", type=int, default=1_000)
    parser.add_argument("--batch", type=int, default=5_000)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--user", default="root")
    parser.add_argument("--runs", type=int, default=1)
    return 0 if asyncio.run(measured(parser.parse_args())) else 1


if __name__ == "__main__":
    sys.exit(main())

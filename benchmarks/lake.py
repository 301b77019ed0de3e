"""The lake: CPU-seconds per million messages, bytes a message, and how soon a device's history is there.

Run: `python -m benchmarks.lake [--messages N] [--devices N] [--batch N] [--folder DIR]`. Messages of three fields,
about 131 bytes as devices send them, decoded from the log's entries and written as `messages` and `readings`, fsynced,
with their Delta commits. Beside it, from the same Arrow tables, sorted as ours are: *bare pyarrow*, which writes them
with the same options and fsyncs them; and *write_deltalake*, the library's own writer. How a column is best
written is what `benchmarks.lake_encodings` compares.
"""

import argparse
import asyncio
import gc
import os
import random
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from deltalake import write_deltalake

from benchmarks.lake_messages import START, Made, made
from benchmarks.measure import Result, measure, report
from headwater.config import Lake
from headwater.log import MESSAGES
from headwater.message import decode_message
from headwater.times import SECOND
from storage.arrow import Rows, pa, pq
from storage.contract import Record, Span
from storage.delta_lake import DeltaLake, open_lake
from storage.lake_columns import tables
from storage.lake_files import LocalFiles
from storage.lake_log import TableLog
from storage.lake_maintenance import Maintainer
from storage.lake_rows import day_tables, readings_of
from storage.lake_schema import MESSAGES_TABLE, READINGS_TABLE, ROW_GROUP, Table
from storage.lake_snapshot import described

BUDGET = 6.0
_LATER = time.time_ns() // 1000 + 3 * 86_400 * SECOND
_QUESTIONS = 200
_DAY = "2025-11-21"


def records(entries: Sequence[tuple[int, int, bytes]]) -> list[Record]:
    return [Record(MESSAGES, partition, offset, offset, decode_message(data)) for partition, offset, data in entries]


def cut(entries: Sequence[Any], size: int) -> list[Sequence[Any]]:
    return [entries[start : start + size] for start in range(0, len(entries), size)]


async def written(lake: DeltaLake, batches: Sequence[Sequence[tuple[int, int, bytes]]]) -> list[Result]:
    """All of them, decoded and written; and how late the event loop was while the lake's thread wrote."""
    decoding, delays = Result("  of which decoding"), Result("event loop: lateness while writing")
    with measure("lake: decode and write", budget=BUDGET) as whole:
        for batch in batches:
            with measure("decode") as one:
                decoded = records(batch)
            decoding.cpu, decoding.wall = decoding.cpu + one.cpu, decoding.wall + one.wall
            ticker = asyncio.create_task(_tick(delays.latencies))
            await lake.write(decoded)
            ticker.cancel()
            whole.count += len(batch)
    decoding.count = whole.count
    return [whole, decoding, delays]


async def _tick(delays: list[float]) -> None:
    while True:
        before = time.perf_counter()
        await asyncio.sleep(0.001)
        delays.append(max(0.0, time.perf_counter() - before - 0.001))


def gathered(batches: Sequence[Sequence[tuple[int, int, bytes]]]) -> tuple[Result, Result, list[tuple[Rows, Rows]]]:
    """The Arrow tables of each batch; what it takes to gather columns from messages, and to shape both tables."""
    found: list[tuple[Rows, Rows]] = []
    columns, shaping = Result("  of which gathering columns"), Result("  of which sorting, and making readings")
    for batch in batches:
        decoded = records(batch)
        with measure("columns", count=len(batch)) as one:
            rows = pa.concat_tables(tables(MESSAGES, decoded)).combine_chunks()
        _add(columns, one)
        with measure("both", count=len(batch)) as one:
            (rows,) = day_tables(MESSAGES, decoded).values()
            readings = readings_of(rows)
        _add(shaping, one)
        found.append((rows, readings))
    shaping.cpu, shaping.wall = shaping.cpu - columns.cpu, shaping.wall - columns.wall
    return columns, shaping, found


def _add(result: Result, one: Result) -> None:
    result.cpu, result.wall, result.count = result.cpu + one.cpu, result.wall + one.wall, result.count + one.count


def bare(folder: Path, batches: Sequence[tuple[Rows, Rows]]) -> Result:
    """pyarrow alone: each table to a file, as it is, and fsync."""
    folder.mkdir()
    with measure("bare pyarrow: Arrow tables to files") as result:
        for number, both in enumerate(batches):
            for table, rows in zip((MESSAGES_TABLE, READINGS_TABLE), both, strict=True):
                path = folder / f"{table.name}-{number}.parquet"
                pq.write_table(rows, path, row_group_size=ROW_GROUP, **table.parquet())
                with path.open("rb") as file:
                    os.fsync(file.fileno())
            result.count += both[0].num_rows
    return result


def ours(folder: Path, batches: Sequence[tuple[Rows, Rows]]) -> Result:
    """The lake's own way from there: bytes, statistics, durable files and commits."""
    files = LocalFiles(folder)
    files.open()
    logs = [TableLog(files, table) for table in (MESSAGES_TABLE, READINGS_TABLE)]
    with measure("lake: Arrow tables to Delta") as result:
        for number, both in enumerate(batches):
            for log, rows in zip(logs, both, strict=True):
                log.create(0)
                at, data = log.latest(), log.table.bytes(rows)
                file = described(log.table, f"day={_DAY}/{number}.parquet", _DAY, data.nbytes, rows, time.time())
                files.put(f"{log.table.name}/{file.path}", data)
                if at is not None:
                    log.commit(at, "WRITE", add=[file], transactions={"benchmark/messages/0": number})
            result.count += both[0].num_rows
    files.close()
    return result


def library(folder: Path, batches: Sequence[tuple[Rows, Rows]]) -> Result:
    """`deltalake.write_deltalake`, with its own choice of encodings."""
    with measure("write_deltalake: Arrow tables to Delta") as result:
        for both in batches:
            for table, rows in zip((MESSAGES_TABLE, READINGS_TABLE), both, strict=True):
                write_deltalake(folder / table.name, rows, mode="append")
            result.count += both[0].num_rows
    return result


def size_of(root: Path, table: Table, messages: int, everything: Made) -> str:
    """Bytes a message of the files that are there, and their share of the devices' JSON and of the log's."""
    total = sum(path.stat().st_size for path in (root / table.name).glob("day=*/*.parquet"))
    on_log = sum(len(data) for _, _, data in everything.entries)
    shares = f"{total / everything.sent:.1%} of the devices' JSON, {total / on_log:.1%} of the log's"
    return f"{table.name:<9} {total / messages:5.2f} bytes a message: {shares}"


async def asked(lake: DeltaLake, devices: Sequence[str], name: str, **options: Any) -> Result:
    """Questions one after the other; `count` is questions."""
    result = Result(name)
    with measure(name) as whole:
        for device in devices:
            before = time.perf_counter()
            rows, _ = await lake.history(device, options.get("span", Span()), 1000, field=options.get("field"))
            result.latencies.append(time.perf_counter() - before)
            if not rows:
                raise SystemExit(f"no history of {device}")
    result.count, result.cpu, result.wall, result.peak = len(devices), whole.cpu, whole.wall, whole.peak
    return result


async def questions(lake: DeltaLake, everything: Made, when: str) -> list[Result]:
    draw = random.Random(3)
    entries = everything.entries
    devices = [decode_message(entries[draw.randrange(len(entries))][2]).device for _ in range(_QUESTIONS)]
    hour = Span(START, START + 3600 * SECOND)
    return [
        await asked(lake, devices, f"history, the newest 1000 rows, {when}"),
        await asked(lake, devices, f"history, of a field, {when}", field="humidity"),
        await asked(lake, devices, f"history, of an hour, {when}", span=hour),
    ]


async def run(folder: Path, everything: Made, batch: int) -> bool:
    count, config = len(everything.entries), Lake(closed_after=0)
    batches = cut(everything.entries, batch)
    columns, shaping, arrow = gathered(batches)
    peers = [bare(folder / "bare", arrow), library(folder / "library", arrow)]
    from_arrow = ours(folder / "ours", arrow)
    del arrow
    root = folder / "lake"
    async with open_lake(root, "benchmark", config) as lake:
        results = await written(lake, batches)
        sizes = [size_of(root, table, count, everything) for table in (MESSAGES_TABLE, READINGS_TABLE)]
        answers = await questions(lake, everything, f"{len(batches)} files")
        with measure("closing the day", count=count) as closing:
            await Maintainer(lake, config).once(_LATER)
        for path in {*(root / "messages").glob("*/*.parquet"), *(root / "readings").glob("*/*.parquet")}:
            if not path.name.startswith("compact-"):
                path.unlink()
        closed = [size_of(root, table, count, everything) for table in (MESSAGES_TABLE, READINGS_TABLE)]
        answers += await questions(lake, everything, "day closed")
    kept = report(
        [*results[:2], columns, shaping, results[2], from_arrow, *peers, closing, *answers], f"batches of {batch:,}"
    )
    print(f"\na message is {everything.sent / count:.0f} bytes of JSON as its device sends it; the lake's files:")
    for text, lines in (("as written", sizes), ("day closed", closed)):
        print(*(f"  {text}: {line}" for line in lines), sep="\n")
    for peer in peers:
        name, share = peer.name.partition(":")[0], peer.cpu / from_arrow.cpu
        print(f"from Arrow tables on, {name} takes {share:.2f} of the lake's CPU time")
    return kept


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--messages", type=int, default=1_000_000)
    parser.add_argument("--devices", type=int, default=1000)
    parser.add_argument("--batch", type=int, default=Lake().flush_messages)
    parser.add_argument("--folder", type=Path, help="on the disk to be measured; made and removed")
    options = parser.parse_args()
    everything = made(options.messages, options.devices)
    gc.collect()
    gc.freeze()  # this and the threshold as the program has them
    gc.set_threshold(50_000, 20, 50)
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        kept = asyncio.run(run(Path(folder), everything, options.batch))
    gc.unfreeze()
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())

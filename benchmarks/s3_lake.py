"""The lake on S3: CPU-seconds per million messages, beside bare pyarrow and obstore with the same rows.

Run: `HEADWATER_S3__ENDPOINT=… HEADWATER_S3__ACCESS_KEY=… HEADWATER_S3__SECRET_KEY=… python -m benchmarks.s3_lake
[--messages N] [--devices N] [--batch N]`, on a server that may be written to; everything goes to a folder of its own
there. Messages as `benchmarks.lake` has them. *Bare*: the same Arrow tables, written to memory by pyarrow with the same
options, and put by obstore. The server's own CPU time is not in it.
"""

import argparse
import asyncio
import gc
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from uuid import uuid4

import obstore

from benchmarks.lake import asked, cut, gathered, written
from benchmarks.lake_messages import Made, made
from benchmarks.measure import Result, measure, report
from headwater.config import Lake, load
from headwater.config_stack import S3
from headwater.message import decode_message
from storage.arrow import Rows
from storage.lake_log import TableLog
from storage.lake_schema import MESSAGES_TABLE, READINGS_TABLE
from storage.lake_snapshot import described
from storage.s3_client import connect
from storage.s3_files import S3Files, open_s3_files
from storage.s3_lake import CACHE_SIZE, open_s3_lake

_DAY = "2025-11-21"
_QUESTIONS = 100


def bare(config: S3, batches: Sequence[tuple[Rows, Rows]]) -> Result:
    """pyarrow and obstore alone."""
    store = connect(config)
    with measure("bare pyarrow and obstore: Arrow tables to S3") as result:
        for number, both in enumerate(batches):
            for table, rows in zip((MESSAGES_TABLE, READINGS_TABLE), both, strict=True):
                data = table.bytes(rows).cast("B")
                obstore.put(store, f"bare/{table.name}-{number}.parquet", data, chunk_size=8 * 2**20)
            result.count += both[0].num_rows
    return result


def ours(files: S3Files, batches: Sequence[tuple[Rows, Rows]]) -> Result:
    """The lake's own way from there: bytes, statistics, objects and commits."""
    logs = [TableLog(files, table) for table in (MESSAGES_TABLE, READINGS_TABLE)]
    with measure("lake: Arrow tables to Delta on S3") as result:
        for number, both in enumerate(batches):
            for log, rows in zip(logs, both, strict=True):
                log.create(0)
                at, data = log.latest(), log.table.bytes(rows)
                file = described(log.table, f"day={_DAY}/{number}.parquet", _DAY, data.nbytes, rows, time.time())
                files.put(f"{log.table.name}/{file.path}", data)
                if at is not None:
                    log.commit(at, "WRITE", add=[file], transactions={"benchmark/messages/0": number})
            result.count += both[0].num_rows
    return result


async def run(config: S3, cache: Path, everything: Made, batch: int) -> bool:
    batches = cut(everything.entries, batch)
    _, _, arrow = gathered(batches)
    async with open_s3_files(config.model_copy(update={"prefix": uuid4().hex}), cache, CACHE_SIZE) as files:
        ours(files, arrow[:1])  # connections and libraries are there
        from_arrow = await asyncio.to_thread(ours, files, arrow)
    alone = await asyncio.to_thread(bare, config, arrow)
    del arrow
    async with open_s3_lake(config, "benchmark", Lake(), cache=cache) as lake:
        results = await written(lake, batches)
        devices = [decode_message(data).device for _, _, data in everything.entries[:: len(everything.entries) // 100]]
        cold = await asked(lake, devices[:1], "history, the newest 1000 rows, files to be fetched first")
        warm = await asked(lake, devices[:_QUESTIONS], "history, the newest 1000 rows, files on this host")
    from_arrow.beside(alone)
    return report([*results, from_arrow, alone, cold, warm], f"batches of {batch:,}; ratio: bare / lake")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--messages", type=int, default=1_000_000)
    parser.add_argument("--devices", type=int, default=1000)
    parser.add_argument("--batch", type=int, default=Lake().flush_messages)
    options = parser.parse_args()
    config = load().s3
    config = config.model_copy(update={"prefix": f"{config.prefix}/benchmark-{uuid4().hex}"})
    everything = made(options.messages, options.devices)
    gc.collect()
    gc.freeze()  # this and the threshold as the program has them
    gc.set_threshold(50_000, 20, 50)
    with tempfile.TemporaryDirectory() as cache:
        kept = asyncio.run(run(config, Path(cache), everything, options.batch))
    gc.unfreeze()
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())

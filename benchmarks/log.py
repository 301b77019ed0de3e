"""The embedded log alone: appends by batch size and by many callers at once, and reading through a subscription.

    python -m benchmarks.log [--folder DIR] [--entries N]

Entries have 131 random bytes and a key of 10. Every append is awaited, so it includes its fsync; latency is that of
one call. CPU counts every thread of the process. Reading takes batches of 5,000 and commits each.
"""

import argparse
import asyncio
import os
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import uvloop

from benchmarks.measure import Result, measure, report
from headwater.errors import LogError
from headwater.log import MESSAGES, NewEntry, TopicSpec
from storage.sqlite_log import SqliteLog, open_log

PARTITIONS = 4
CALLERS = 100
BATCHES = {1: None, 20: None, 200: 4.0, 1000: 4.0}
"""Entries a call → budget: 4 CPU-seconds a million is 250,000 a second on one core."""


async def append(log: SqliteLog, result: Result, entries: Sequence[NewEntry], times: int) -> None:
    """Append the same entries so many times, one call after the other."""
    for _ in range(times):
        began = time.perf_counter()
        offsets = await log.append(MESSAGES, entries)
        result.latencies.append(time.perf_counter() - began)
        result.count += sum(not isinstance(offset, LogError) for offset in offsets)


def entries_of(partition: int, count: int) -> list[NewEntry]:
    return [NewEntry(partition, b"device-%03d" % (n % 1000), os.urandom(131)) for n in range(count)]


async def appending(log: SqliteLog, total: int) -> list[Result]:
    results: list[Result] = []
    for size, budget in BATCHES.items():
        calls = max(20, min(3_000, total // size))
        entries = entries_of(0, size)
        with measure(f"append, {size} a call", budget=budget) as result:
            await append(log, result, entries, calls)
        results.append(result)
    callers = [entries_of(n % PARTITIONS, 1) for n in range(CALLERS)]
    with measure(f"append, {CALLERS} callers of 1") as result:
        await asyncio.gather(*(append(log, result, entries, max(20, total // 10 // CALLERS)) for entries in callers))
    results.append(result)
    return results


async def steady(log: SqliteLog, seconds: int = 4) -> Result:
    """Calls of 200 at fixed times, 50,000 entries a second: what an append takes when the log is not saturated."""
    lots = [entries_of(n, 200) for n in range(PARTITIONS)]
    with measure("append, 200 a call, at 50,000/s") as result:
        began = time.perf_counter()
        calls: list[asyncio.Task[None]] = []
        for call in range(seconds * 250):
            await asyncio.sleep(max(0.0, began + call / 250 - time.perf_counter()))
            calls.append(asyncio.create_task(append(log, result, lots[call % PARTITIONS], 1)))
        await asyncio.gather(*calls)
    return result


async def backlog(log: SqliteLog) -> Result:
    """Read everything that was appended: from the file, since memory holds the newest 16 MiB."""
    waiting = sum(ends.next - ends.first for ends in (await log.ends(MESSAGES)).values())
    async with log.subscribe([MESSAGES], "backlog") as member:
        with measure("read a backlog", budget=2.0) as result:
            while result.count < waiting:
                batch = await member.batch(5_000, 8 * 2**20, 0.005)
                await member.commit(batch)
                result.count += len(batch)
    return result


async def keeping_up(log: SqliteLog, total: int) -> Result:
    """Append and read at the same time, with three groups: CPU of one append and three readings an entry."""
    with measure("append 200 a call, 3 groups read", budget=8.0) as result:

        async def read(group: str, until: int) -> None:
            count = 0
            async with log.subscribe(["fresh"], group) as member:
                while count < until:
                    batch = await member.batch(5_000, 8 * 2**20, 0.005)
                    await member.commit(batch)
                    count += len(batch)

        calls = total // 200
        readers = [asyncio.create_task(read(group, calls * 200)) for group in ("live", "lake", "selector")]
        lots = [entries_of(n, 200) for n in range(PARTITIONS)]
        for call in range(calls):
            began = time.perf_counter()
            await log.append("fresh", lots[call % PARTITIONS])
            result.latencies.append(time.perf_counter() - began)
        await asyncio.gather(*readers)
        result.count = calls * 200
    return result


async def main(folder: Path, total: int) -> bool:
    topics = [TopicSpec(MESSAGES, PARTITIONS), TopicSpec("fresh", PARTITIONS)]
    async with open_log(folder / "log.sqlite", topics) as log:
        results = [*await appending(log, total), await steady(log), await backlog(log), await keeping_up(log, total)]
    return report(results, f"SQLite log, {PARTITIONS} partitions, 131-byte values, fsync on every commit")


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--folder", type=Path, help="where to write; the disk's fsync is what is measured")
    arguments.add_argument("--entries", type=int, default=400_000)
    given = arguments.parse_args()
    with tempfile.TemporaryDirectory(dir=given.folder) as scratch:
        kept = uvloop.run(main(Path(scratch), given.entries))
    raise SystemExit(0 if kept else 1)

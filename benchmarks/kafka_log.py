"""The Kafka log alone: appends by batch size, and reading with and without a group. Not counted: the broker's CPU.

    python -m benchmarks.kafka_log --kafka HOST:PORT [--entries N]

Entries have 250 random bytes and a key of 10; every append is awaited, acks=all. Topics get a prefix of their own, and
are deleted at the end.
"""

import argparse
import asyncio
import os
import time
from collections.abc import Sequence

import uvloop

from benchmarks.kafka_topics import own_topics
from benchmarks.measure import Result, measure, report
from headwater.errors import LogError
from headwater.log import MESSAGES, NewEntry, TopicSpec
from storage.kafka_log import KafkaLog, open_kafka_log

PARTITIONS = 4
BATCHES = {1: None, 100: None, 1000: 3.0}
"""Entries a call → budget, CPU-seconds of this process a million."""


async def append(log: KafkaLog, result: Result, entries: Sequence[NewEntry], times: int) -> None:
    """Append the same entries so many times, one call after the other."""
    for _ in range(times):
        began = time.perf_counter()
        offsets = await log.append(MESSAGES, entries)
        result.latencies.append(time.perf_counter() - began)
        result.count += sum(not isinstance(offset, LogError) for offset in offsets)


def entries_of(partition: int, count: int) -> list[NewEntry]:
    return [NewEntry(partition, b"device-%03d" % (n % 1000), os.urandom(250)) for n in range(count)]


async def appending(log: KafkaLog, total: int) -> list[Result]:
    results: list[Result] = []
    for size, budget in BATCHES.items():
        calls = max(20, min(2_000, total // size // PARTITIONS))
        lots = [entries_of(partition, size) for partition in range(PARTITIONS)]
        with measure(f"append, {size} a call, {PARTITIONS} partitions at once", budget=budget) as result:
            await asyncio.gather(*(append(log, result, entries, calls) for entries in lots))
        results.append(result)
    return results


async def with_group(log: KafkaLog, waiting: int) -> Result:
    async with log.subscribe([MESSAGES], "backlog") as member:
        await member.batch(1, 1, 0)
        with measure("read with a group, 5,000 a batch, each committed", budget=6.0) as result:
            while result.count < waiting - 1:
                batch = await member.batch(5_000, 8 * 2**20, 0.005)
                await member.commit(batch)
                result.count += len(batch)
    return result


async def without_group(log: KafkaLog) -> Result:
    with measure("read without a group", budget=6.0) as result:
        for partition, ends in (await log.ends(MESSAGES)).items():
            async for batch in log.read(MESSAGES, partition, ends.first):
                result.count += len(batch)
    return result


async def main(server: str, total: int) -> bool:
    topics = [TopicSpec(MESSAGES, PARTITIONS)]
    async with own_topics(server) as config, open_kafka_log(config, topics) as log:
        results = await appending(log, total)
        waiting = sum(ends.next - ends.first for ends in (await log.ends(MESSAGES)).values())
        results += [await with_group(log, waiting), await without_group(log)]
    return report(results, f"Kafka log, {PARTITIONS} partitions, 250-byte values, acks=all, one broker")


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--kafka", required=True, help="HOST:PORT of a broker")
    arguments.add_argument("--entries", type=int, default=400_000)
    given = arguments.parse_args()
    raise SystemExit(0 if uvloop.run(main(given.kafka, given.entries)) else 1)

"""The front door's lanes on the Kafka log, one message at a time: what an append costs where messages come alone.

    python -m benchmarks.kafka_lanes --kafka HOST:PORT [--linger SECONDS] [--seconds S]

A message each 1/RATE seconds for a random one of the partitions, acks=all. CPU is this process's, less what the same
loop takes without lanes; the broker's is not counted. Latency: from the queue to the receipt.
"""

import argparse
import asyncio
import os
import random
import time
from collections.abc import Callable, Iterable, Sequence
from typing import cast

import uvloop
from prometheus_client import CollectorRegistry, Histogram

from benchmarks.kafka_topics import own_topics
from benchmarks.measure import machine
from headwater.log import MESSAGES, TopicSpec
from ingest.contract import Receipt
from ingest.lanes import Fate, Lanes, Terms, Waiting
from storage.kafka_log import KafkaLog, open_kafka_log

LOADS = ((200, 12), (1_000, 4), (5_000, 12), (20_000, 12))
"""Messages a second, and on how many partitions."""
_VALUE = os.urandom(250)


class Load:
    """One load on lanes of its own."""

    def __init__(self, log: KafkaLog, rate: int, partitions: int, linger: float) -> None:
        self._rate = rate
        self._partitions = partitions
        self._rnd = random.Random(3)
        self._fate = cast("Fate", None)
        self.latencies: list[float] = []
        self.failed = self.appends = self._wanted = 0
        self._done = asyncio.Event()
        took = Histogram("took", "", ["topic"], registry=CollectorRegistry())
        self.lanes = Lanes(Terms(log, linger, 10, took, self._remember, self._settle))

    def _remember(self, names: Iterable[str]) -> None: ...

    def _settle(self, durable: Sequence[Waiting], failed: Sequence[Waiting], _: int) -> None:
        now = time.perf_counter()
        self.appends += 1
        self.failed += len(failed)
        self.latencies += [now - cast("float", waiting.receipt) for waiting in durable]
        if self.failed + len(self.latencies) >= self._wanted:
            self._done.set()

    async def send(self, count: int) -> None:
        """So many, and wait for the last."""
        self._wanted = self.failed + len(self.latencies) + count
        self._done.clear()
        await self.paced(count, self._add)
        await self._done.wait()

    async def paced(self, count: int, each: Callable[[int, Waiting], None]) -> None:
        """At the rate: each time a partition, and a message."""
        start = time.perf_counter()
        for number in range(count):
            if (early := start + number / self._rate - time.perf_counter()) > 0:
                await asyncio.sleep(early)
            sent = cast("Receipt", time.perf_counter())
            each(self._rnd.randrange(self._partitions), Waiting(b"device-001", _VALUE, sent, self._fate))

    def _add(self, partition: int, message: Waiting) -> None:
        self.lanes.lane(MESSAGES, partition).add(message, len(_VALUE))


def _nothing(_: int, __: Waiting) -> None: ...


async def measured(log: KafkaLog, rate: int, partitions: int, options: argparse.Namespace) -> str:
    """A line of the table."""
    load, count = Load(log, rate, partitions, options.linger), int(rate * options.seconds)
    try:
        await load.send(rate // 2)
        load.latencies.clear()
        load.appends = 0
        began = time.process_time()
        await load.send(count)
        between = time.process_time()
        await load.paced(count, _nothing)
        used = 2 * between - began - time.process_time()
    finally:
        await load.lanes.stop()
    ordered = sorted(load.latencies)
    half, most = (1e3 * ordered[len(ordered) * share // 100] for share in (50, 99))
    return (
        f"| {rate:,} | {partitions} | {1e6 * used / count:.0f} | {1e6 * used / load.appends:.0f} | "
        f"{count / load.appends:.1f} | {half:.1f} / {most:.1f} | {load.failed} |"
    )


async def main(options: argparse.Namespace) -> None:
    print(f"# {machine()}; linger {options.linger} s")
    print("| messages/s | partitions | µs a message | µs an append | messages an append | p50 / p99 ms | failed |")
    print("|---|---|---|---|---|---|---|")
    for rate, partitions in LOADS:
        async with (
            own_topics(options.kafka) as config,
            open_kafka_log(config, [TopicSpec(MESSAGES, partitions)]) as log,
        ):
            print(await measured(log, rate, partitions, options), flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--kafka", required=True, help="HOST:PORT of a broker")
    parser.add_argument("--linger", type=float, default=0.001)
    parser.add_argument("--seconds", type=float, default=5.0)
    uvloop.run(main(parser.parse_args()))

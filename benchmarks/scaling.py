"""Scaling: 1, 2 and 4 consumer processes of one group on 12 partitions of Kafka, with a store that takes 20 ms a batch.

In: a broker. Out: messages a second in all, and how many times that of one process, once every member has its share
of the partitions; CPU-seconds a million of all members together. The topic is filled beforehand, and every number of
processes reads it from its beginning in a group of its own. A member is the worker shell (`consumers.worker`), as
`headwater consumer` runs it; what the store takes is waiting, not work, as that of a real store elsewhere is.

    python -m benchmarks.scaling --kafka HOST:PORT [--batch N] [--seconds S] [--members N …]
"""

import argparse
import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

import uvloop

from benchmarks.kafka_topics import own_topics
from benchmarks.measure import Result, cpu_seconds, peak_memory, report
from benchmarks.selector import made
from benchmarks.worker import Nothing
from consumers.worker import Writer
from headwater.config import Workers
from headwater.config_stack import Kafka
from headwater.log import MESSAGES, REJECTED, NewEntry, TopicPartition, TopicSpec
from headwater.metrics import Metrics
from storage.contract import Record
from storage.kafka_log import open_kafka_log

PARTITIONS = 12
STORE_SECONDS = 0.02
_TOPICS = [TopicSpec(topic, PARTITIONS) for topic in (MESSAGES, REJECTED)]
_AT_ONCE = 1_000
_SHARED_WITHIN = 60.0
_SETTLED = 1.5  # seconds after the last member got its share: the others' first fetches, and what they had in hand


class Slow(Nothing):
    """A store that takes its time over each batch, and no CPU."""

    async def write(self, batch: Sequence[Record]) -> None:
        await asyncio.sleep(STORE_SECONDS)
        await super().write(batch)


class Member(Writer):
    """A worker that can be asked which partitions it has."""

    mine: frozenset[TopicPartition] = frozenset()

    async def assigned(self, partitions: Sequence[TopicPartition]) -> Mapping[TopicPartition, int]:
        starts = await super().assigned(partitions)
        self.mine |= set(partitions)
        return starts

    async def revoked(self, partitions: Sequence[TopicPartition]) -> None:
        self.mine -= set(partitions)
        await super().revoked(partitions)


async def work(server: str, prefix: str, group: str, batch: int) -> None:
    """One member, until its input ends. For each line that comes, it says what it has and has done."""
    store, config, stop = Slow(), Workers(), asyncio.Event()
    loop = asyncio.get_running_loop()
    async with open_kafka_log(Kafka(servers=(server,), prefix=prefix), _TOPICS) as log:
        member = Member(
            store, MESSAGES, log, config, Metrics(), batch=batch, size=config.batch_size, wait=0.005, group=group
        )
        running = asyncio.create_task(member.run(stop))
        while await loop.run_in_executor(None, sys.stdin.readline):
            said = {"mine": len(member.mine), "taken": store.taken, "at": time.monotonic(), "cpu": cpu_seconds()}
            print(json.dumps(said), flush=True)
        stop.set()
        await running


@dataclass(frozen=True)
class Sample:
    """What a member said."""

    mine: int
    taken: int
    at: float
    cpu: float


class Process:
    """A member as a process, as its parent sees it."""

    def __init__(self, stack: ExitStack, kafka: Kafka, group: str, batch: int) -> None:
        command = [sys.executable, "-m", "benchmarks.scaling", "--kafka", kafka.servers[0], "--prefix", kafka.prefix]
        command += ["--group", group, "--batch", str(batch)]
        popen = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        self._process = stack.enter_context(popen)
        stack.callback(self._process.kill)

    @property
    def peak(self) -> int:
        return peak_memory(self._process.pid)

    def ask(self) -> Sample:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print("?", file=self._process.stdin, flush=True)
        for line in self._process.stdout:
            if line.startswith("{"):  # it may log, too
                return Sample(**json.loads(line))
        raise SystemExit("a member has ended")


def shared(members: Sequence[Process]) -> None:
    """Wait until every member has its share of the partitions and works on it."""
    deadline = time.monotonic() + _SHARED_WITHIN
    while any(said.mine != PARTITIONS // len(members) or not said.taken for said in (one.ask() for one in members)):
        if time.monotonic() > deadline:
            raise SystemExit(f"{len(members)} members have not shared the partitions within {_SHARED_WITHIN:g} s")
        time.sleep(0.1)
    time.sleep(_SETTLED)


def measured(kafka: Kafka, number: int, batch: int, seconds: float) -> Result:
    """So many members at work for so long."""
    with ExitStack() as stack:
        members = [Process(stack, kafka, f"scaling-{number}", batch) for _ in range(number)]
        shared(members)
        before = [one.ask() for one in members]
        time.sleep(seconds)
        after = [one.ask() for one in members]
        result = Result(f"{number} consumer{'s' * (number > 1)}, {STORE_SECONDS * 1e3:g} ms a batch of {batch}")
        if any(not then.mine == now.mine for then, now in zip(before, after, strict=True)):
            raise SystemExit(f"{number} members: partitions moved during the measurement; run it again")
        result.count = sum(now.taken - then.taken for then, now in zip(before, after, strict=True))
        result.wall = sum(now.at - then.at for then, now in zip(before, after, strict=True)) / number
        result.cpu = sum(now.cpu - then.cpu for then, now in zip(before, after, strict=True))
        result.peak = max(one.peak for one in members)
    return result


async def fill(kafka: Kafka, messages: int) -> None:
    """As much on each partition as on the others, whatever the names of the devices."""
    entries = [
        NewEntry(at % PARTITIONS, entry.key, entry.value)
        for at, entry in enumerate(made(20_000, 1_000, positions=False))
    ]
    async with open_kafka_log(kafka, _TOPICS) as log:
        for start in range(0, messages, len(entries)):
            del start
            for at in range(0, len(entries), _AT_ONCE * PARTITIONS):
                await log.append(MESSAGES, entries[at : at + _AT_ONCE * PARTITIONS])


async def main(options: argparse.Namespace) -> bool:
    most = max(options.members) * options.batch / STORE_SECONDS
    async with own_topics(options.kafka) as kafka:
        await fill(kafka, round(most * (options.seconds + 2 * _SETTLED + 5)))
        results = [
            await asyncio.to_thread(measured, kafka, number, options.batch, options.seconds)
            for number in options.members
        ]
    for result in results[1:]:
        result.ratio = result.per_second / results[0].per_second
    return report(results, f"{PARTITIONS} partitions; ratio: messages a second, to those of {options.members[0]}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kafka", required=True, help="HOST:PORT of a broker")
    parser.add_argument("--batch", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=8.0)
    parser.add_argument("--members", type=int, nargs="+", default=[1, 2, 4])
    parser.add_argument("--prefix", help=argparse.SUPPRESS)
    parser.add_argument("--group", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.group:
        uvloop.run(work(given.kafka, given.prefix, given.group, given.batch))
        sys.exit(0)
    sys.exit(0 if asyncio.run(main(given)) else 1)

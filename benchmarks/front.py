"""The front door beside its peers: `headwater gateway`, Mosquitto, and Telegraf, under the same loads in the same run.

In: a Kafka broker; Mosquitto, and Go to build Telegraf with (benchmarks/peers/fetch). Out: a table: CPU-seconds a
million messages beside the design's budgets and beside the peers, messages a second, latency to the answer at full and
at half load, memory a connection. Devices have tokens, topic rules and a model (`benchmarks.front_fleet`). Doors take
turns in each round, in another order each time, and every load meets a fresh door. Rounds after the first begin only
while there is time.

    python -m benchmarks.front --kafka HOST:PORT [--quick] [--minutes 8] [--table FILE] [--only WORD …]
"""

import argparse
import asyncio
import logging
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

from benchmarks.front_doors import Door, headwater, mosquitto, telegraf_http, telegraf_mqtt
from benchmarks.front_fleet import Fleet
from benchmarks.front_loads import Case, Counter, Measured, measured
from benchmarks.front_table import OURS, best, table
from benchmarks.kafka_topics import own_topics
from benchmarks.measure import machine, report
from headwater import saying
from headwater.config_stack import Kafka
from tests.services.server import Missing, NotServing

Opening = Callable[[Fleet, Kafka, Path], AbstractContextManager[Door]]
Plan = Sequence[tuple[Case, Sequence[Opening]]]

_MANY = "MQTT, 8 × 50 in flight"
_SINGLE = "HTTP, one message a request"
_BROKERS: Sequence[Opening] = (headwater, mosquitto)
_ALL: Sequence[Opening] = (headwater, telegraf_mqtt, mosquitto)
_WEB: Sequence[Opening] = (headwater, telegraf_http)
_BURST, _CERTIFIED = 1_000, 1_000
_SECONDS = 8


def _steady(name: str, transport: str, connections: int, rounds: int) -> Case:
    return Case(
        f"MQTT, {name}, {connections:,} connections, 1 message/s each", transport, connections,
        connections * _SECONDS, 18.0, rate=float(connections), rounds=rounds,
    )  # fmt: skip


FULL: Plan = [
    (Case(_MANY, "tcp", 8, 200_000, 8.0, window=50, burst=True), _ALL),
    (Case("… MQTT, at half of ours", "tcp", 8, 100_000, burst=True, half_of=_MANY), _BROKERS),
    (Case("MQTT, 1,000 connections, 1 in flight each", "tcp", 1_000, 100_000, 18.0, burst=True, rounds=2), _ALL),
    (_steady("TCP", "tcp", 1_000, 2), _ALL),
    (_steady("TLS", "tls", 1_000, 2), _BROKERS),
    (_steady("TLS with client certificates", "certificate", 1_000, 1), [headwater]),
    (Case(_SINGLE, "http", 256, 60_000, 20.0, burst=True), _WEB),
    (Case("… HTTP, at half of ours", "http", 256, 20_000, burst=True, half_of=_SINGLE, rounds=2), [headwater]),
    (Case("HTTP, 100 messages a request", "http", 256, 200_000, 4.0, burst=True, batch=100, rounds=2), _WEB),
    (_steady("TCP", "tcp", 10_000, 2), _ALL),
    (_steady("TLS", "tls", 10_000, 1), _BROKERS),
]
QUICK: Plan = [
    (Case(_MANY, "tcp", 8, 50_000, 8.0, window=50, burst=True), _ALL),
    (_steady("TCP", "tcp", 1_000, 1), _BROKERS),
    (_steady("TLS", "tls", 1_000, 1), [headwater]),
    (Case(_SINGLE, "http", 256, 20_000, 20.0, burst=True), _WEB),
    (Case("HTTP, 100 messages a request", "http", 256, 50_000, 4.0, burst=True, batch=100), _WEB),
]


class Comparison:
    """What has been measured so far: case → door → round."""

    def __init__(self, fleet: Fleet, kafka: Kafka, folder: Path) -> None:
        self.found: dict[str, dict[str, dict[int, Measured]]] = {}
        self._fleet, self._kafka, self._folder = fleet, kafka, folder
        self._counter = Counter(kafka)
        self._doors = 0

    def run(self, plan: Plan, ends: float) -> None:
        """All of the plan once, then again what is to be measured more often, while it is not yet `ends` (0: once)."""
        for turn in range(max(case.rounds for case, _ in plan) if ends else 1):
            for case, openings in plan:
                if turn < case.rounds and (not turn or time.monotonic() < ends):
                    for opening in openings if turn % 2 == 0 else reversed(openings):
                        self._measure(case, opening, turn)

    def _measure(self, case: Case, opening: Opening, turn: int) -> None:
        if case.half_of:
            case = self._halved(case)
        self._doors += 1
        folder = self._folder / f"door-{self._doors}"
        folder.mkdir()
        try:
            with opening(self._fleet, self._kafka, folder) as door:
                run = measured(case, door, self._fleet, self._counter)
        except (Missing, NotServing, RuntimeError, AssertionError) as error:
            print(f"# {case.name}, {opening.__name__}: {error}", flush=True)
            return
        self.found.setdefault(case.name, {}).setdefault(door.name, {})[turn] = run
        print(f"# round {turn + 1}: {run.result.name}: {run.result.per_million:.1f} CPU-s/million", flush=True)

    def _halved(self, case: Case) -> Case:
        rate = best(list(self.found[case.half_of][OURS].values())).result.per_second / 2
        return case._replace(rate=rate)


def compared(options: argparse.Namespace, kafka: Kafka) -> Mapping[str, Mapping[str, Mapping[int, Measured]]]:
    """Everything: the fleet, the rounds, the table."""
    plan = QUICK if options.quick else FULL
    if options.only:
        plan = [each for each in plan if any(word in each[0].name for word in options.only)]
    ends = 0 if options.quick else time.monotonic() + options.minutes * 60
    with tempfile.TemporaryDirectory() as folder:
        devices = max(case.connections for case, _ in plan)
        fleet = Fleet(Path(folder), devices, _BURST, min(devices, _CERTIFIED))
        asyncio.run(fleet.register(kafka))
        comparison = Comparison(fleet, kafka, Path(folder))
        comparison.run(plan, ends)
    return comparison.found


async def main(options: argparse.Namespace) -> bool:
    began = time.monotonic()
    async with own_topics(options.kafka) as kafka:
        found = await asyncio.to_thread(compared, options, kafka)
    lines, minutes = table(found), (time.monotonic() - began) / 60
    kept = report(
        [best(list(runs.values())).result for doors in found.values() for runs in doors.values()],
        f"identity, topic rules and models on, Kafka acks=all, one broker; {minutes:.1f} minutes",
    )
    print(*lines, sep="\n")
    if options.table:
        options.table.write_text("\n".join([f"{machine()}", "", *lines, ""]), "utf-8")
    return kept


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kafka", required=True, help="HOST:PORT of a broker")
    parser.add_argument("--quick", action="store_true", help="once, less of it, without 10,000 connections")
    parser.add_argument("--minutes", type=float, default=7.0, help="no further round begins after so many")
    parser.add_argument("--only", nargs="+", help="loads whose name has one of these words")
    parser.add_argument("--table", type=Path, help="write the table to this file, too")
    saying.to(lambda event: saying.plainly(event) if saying.weight(event) >= logging.ERROR else None)
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    sys.exit(0 if asyncio.run(main(parser.parse_args())) else 1)

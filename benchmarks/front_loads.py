"""One load on one door: how it is opened, what it is sent, what was measured.

In: a `Case` and a `Door`. Out: a `Measured`. The generator is a process of its own (`benchmarks.mqtt_client`,
`benchmarks.http_client`); CPU and memory are those of the door's processes. Connecting, resting and sending are
measured apart: a TLS handshake takes as much CPU as a hundred messages. Every message must be on Kafka at the end,
where the door has a log; for a door that answers before, its work lasts until then.
"""

import asyncio
import os
import time
from collections.abc import Generator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import NamedTuple

from benchmarks.front_doors import ARRIVED, Door
from benchmarks.front_fleet import Fleet, Members
from benchmarks.http_ingest import generate
from benchmarks.measure import Result, measure
from benchmarks.mqtt_load import Clients, clients
from headwater.config_stack import Kafka
from headwater.log import MESSAGES, TopicSpec
from storage.kafka_log import KafkaLog, open_kafka_log

SETTLED = 1.5
"""Seconds after the last CONNACK, in which memory settles and idle CPU is measured."""
_TOPICS = [TopicSpec(name, 4) for name in (MESSAGES, ARRIVED)]
_WARM_UP = 20, 2_000
_MANY = 100
"""With fewer connections, one's memory and CPU are below what can be told from the outside."""
_ARRIVING = 60.0
_LOOK = 0.1


class Case(NamedTuple):
    """A load. `transport`: tcp, tls, certificate, http. `rate`: messages a second in all, 0 for as many as it takes.

    `burst`: by devices without a quota. `half_of`: the case at half of whose rate, as Headwater had it, this one is.
    `batch`: messages a request. `rounds`: how often it is measured, if there is time.
    """

    name: str
    transport: str
    connections: int
    messages: int
    budget: float | None = None
    window: int = 1
    rate: float = 0.0
    burst: bool = False
    half_of: str = ""
    batch: int = 1
    rounds: int = 3


class Measured(NamedTuple):
    """What came of it; 0: not measured. Bytes a connection: `silent` before the first message, `spoken` after the last.

    `begun`: bytes before the first connection. `connecting`: CPU seconds a connection. `idle`: CPU seconds a second
    while all are connected and silent. `load`: of the machine over the last minute.
    """

    result: Result
    begun: int = 0
    silent: float = 0.0
    spoken: float = 0.0
    connecting: float = 0.0
    idle: float = 0.0
    load: float = 0.0


class Counter:
    """How many messages of a topic are on Kafka."""

    def __init__(self, kafka: Kafka) -> None:
        self._kafka = kafka

    def now(self, topic: str) -> int:
        return asyncio.run(self._reached(topic, 0, 0))

    def reaches(self, topic: str, count: int, seconds: float) -> int:
        """Wait until there are so many, at most so long; returns how many there are."""
        return asyncio.run(self._reached(topic, count, seconds))

    async def _reached(self, topic: str, count: int, seconds: float) -> int:
        deadline = time.monotonic() + seconds
        async with open_kafka_log(self._kafka, _TOPICS, produce=False) as log:
            while (found := await _ends(log, topic)) < count and time.monotonic() < deadline:  # noqa: ASYNC110 - Kafka's
                await asyncio.sleep(_LOOK)
            return found


async def _ends(log: KafkaLog, topic: str) -> int:
    return sum(following for _, following in (await log.ends(topic)).values())


def measured(case: Case, door: Door, fleet: Fleet, counter: Counter) -> Measured:
    """Warm the door, load it. Raises `RuntimeError` if messages that were acknowledged are not on Kafka."""
    before = counter.now(door.topic) if door.topic else 0
    _warmed(case, door, fleet)
    if door.later:
        before = counter.reaches(door.topic, before + _WARM_UP[1], _ARRIVING)
    elif door.topic:
        before = counter.now(door.topic)
    loading = _http if case.transport == "http" else _mqtt
    return loading(case, door, fleet, _Arriving(counter, door, before + case.messages))


class _Arriving(NamedTuple):
    """What shall be on Kafka at the end."""

    counter: Counter
    door: Door
    total: int

    def wait(self) -> None:
        if not self.door.topic:
            return
        found = self.counter.reaches(self.door.topic, self.total, _ARRIVING)
        if found < self.total:
            raise RuntimeError(f"{self.door.name}: {self.total - found} acknowledged messages are not on Kafka")


def _mqtt(case: Case, door: Door, fleet: Fleet, arriving: _Arriving) -> Measured:
    begun, cpu = door.memory, door.cpu
    with _clients(case, door, fleet, case.connections, case.messages) as client:
        connecting = (door.cpu - cpu) / case.connections
        cpu = door.cpu
        time.sleep(SETTLED)
        idle, silent = (door.cpu - cpu) / SETTLED, (door.memory - begun) / case.connections
        with _working(case, door) as result:
            outcome = client.send()
            if door.later:
                arriving.wait()
        result.latencies = outcome["quantiles"]
        spoken = (door.memory - begun) / case.connections
    arriving.wait()
    if case.connections < _MANY:
        return Measured(result, begun, load=os.getloadavg()[0])
    return Measured(result, begun, silent, spoken, connecting, idle, os.getloadavg()[0])


def _http(case: Case, door: Door, fleet: Fleet, arriving: _Arriving) -> Measured:
    begun = door.memory
    with _working(case, door) as result:
        outcome = generate(door.http, case.messages, case.connections, *_http_options(case, door, fleet))
        if door.later:
            arriving.wait()
    result.latencies = outcome["latencies"]
    arriving.wait()
    return Measured(result, begun, load=os.getloadavg()[0])


def _warmed(case: Case, door: Door, fleet: Fleet) -> None:
    connections, messages = _WARM_UP
    if case.transport == "http":
        generate(door.http, messages, connections, *_http_options(case._replace(rate=0), door, fleet))
        return
    with _clients(case._replace(rate=0), door, fleet, connections, messages) as client:
        client.send()


@contextmanager
def _working(case: Case, door: Door) -> Generator[Result]:
    name, (pid, *others) = f"{case.name}: {door.name}", door.pids
    with measure(name, count=case.messages, pid=pid, beside=others) as result:
        yield result
    result.budget = case.budget if door.name == "Headwater" else None


def _http_options(case: Case, door: Door, fleet: Fleet) -> Sequence[str]:
    options = ["--batch", str(case.batch), "--rate", str(case.rate), "--name", fleet.burst.name]
    if door.authorization:
        return [*options, "--authorization", door.authorization, *["--array"] * (case.batch > 1)]
    return [*options, "--tokens", str(fleet.burst.tokens)]


def _clients(case: Case, door: Door, fleet: Fleet, connections: int, messages: int) -> AbstractContextManager[Clients]:
    members = fleet.burst if case.burst else fleet.fleet
    address = door.tcp if case.transport == "tcp" else door.tls
    options = "--rate", str(case.rate), "--name", members.name, *_shown(case, fleet, members)
    return clients(address, connections, case.window, messages, *options)


def _shown(case: Case, fleet: Fleet, members: Members) -> Sequence[str]:
    match case.transport:
        case "certificate":
            return "--ca", str(fleet.ca), "--certificates", str(fleet.certificates)
        case "tls":
            return "--ca", str(fleet.ca), "--tokens", str(members.tokens)
        case _:
            return "--tokens", str(members.tokens)

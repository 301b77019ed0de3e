"""The MQTT endpoint under load: messages a second, CPU-seconds for a million, latency to the PUBACK, memory.

The endpoint runs in a process of its own, which alone is measured; `benchmarks.mqtt_client` loads it from another.
Intakes: `null` settles every receipt one turn of the event loop later (what is measured is MQTT alone); `sqlite` is the
real one: decode, validate, append to the SQLite log with synchronous=FULL, then acknowledge.

    python -m benchmarks.mqtt_ingest [--messages N] [--only null|sqlite] [--version 4|5] [--profile]
"""

import argparse
import asyncio
import cProfile
import pstats
import subprocess
import sys
import tempfile
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Literal

import uvloop

from benchmarks.measure import Result, measure, report, resident
from benchmarks.mqtt_load import clients
from headwater.config import Config
from headwater.log import MESSAGES, REJECTED, RETAINED, ROUTED, SESSIONS, Log, TopicSpec
from headwater.metrics import Metrics
from headwater.registry import ANONYMOUS, Certificate, Identity
from ingest.contract import Intake, Owner, Receipt, Source
from ingest.decoders.catalogue import Catalogue
from ingest.intake import LogIntake
from ingest.mqtt.server import open_mqtt
from storage.sqlite_log import open_log

SHAPES = (("many in flight: 8 × 50", 8, 50, 8.0, 1), ("one in flight: 1,000 × 1", 1000, 1, 18.0, 4))
"""Name, connections, window, the design's budget (with Kafka behind it), and by how much fewer messages are sent."""


# ruff: noqa: ARG002 - what follows implements contracts, and looks at little of what it gets


class OpenDoor:
    """Everyone is anonymous."""

    def identify(self, name: str, secret: str, *, loopback: bool) -> Identity:
        return ANONYMOUS

    def identify_certificate(self, certificate: Certificate, by: Literal["registry", "cn", "san"]) -> Identity:
        return ANONYMOUS

    def claimed(self, code: str, certificate: Certificate | None) -> Identity | None:
        return None

    def blocked(self, address: str) -> bool:
        return False

    def watch(self, changed: Callable[[str], None]) -> Callable[[], None]:
        return lambda: None


class NullIntake:
    """Takes everything, and settles it in the next turn of the event loop."""

    full = False

    def __init__(self) -> None:
        self._waiting: list[Receipt] = []

    def when_relieved(self, callback: Callable[[], None]) -> None:
        callback()

    source = staticmethod(Catalogue().source)

    def accept(
        self, identity: Identity, source: Source, payloads: Sequence[bytes], receipt: Receipt, key: str = ""
    ) -> None:
        receipt.waiting += len(payloads)
        receipt.accepted += len(payloads)
        if not self._waiting:
            asyncio.get_running_loop().call_soon(self._settle)
        self._waiting.append(receipt)

    def _settle(self) -> None:
        settled, self._waiting = self._waiting, []
        owners: dict[int, Owner] = {}
        for receipt in settled:
            receipt.waiting -= receipt.accepted
            owners[id(receipt.owner)] = receipt.owner
        for owner in owners.values():
            owner.release()

    async def drain(self, seconds: float) -> None: ...


@asynccontextmanager
async def intake_of(kind: str, config: Config, metrics: Metrics) -> AsyncGenerator[tuple[Intake, Log]]:
    topics = [TopicSpec(name, 4) for name in (MESSAGES, REJECTED)]
    topics += [TopicSpec(RETAINED, 1, compact=True), TopicSpec(SESSIONS, 1, compact=True), TopicSpec(ROUTED, 1)]
    with tempfile.TemporaryDirectory() as folder:
        async with (
            open_log(Path(folder) / "log.sqlite", topics) as log,
            LogIntake(log, config, metrics, lambda _device: "") as intake,
        ):
            yield NullIntake() if kind == "null" else intake, log


async def serve(kind: str, *, profile: bool) -> None:
    """The endpoint, until a line comes on the standard input."""
    config, metrics = Config(), Metrics()
    async with (
        intake_of(kind, config, metrics) as (intake, log),
        open_mqtt(config, intake, OpenDoor(), metrics, log, listen="127.0.0.1:0") as server,
    ):
        print(server.address, flush=True)
        profiler = cProfile.Profile()
        if profile:
            profiler.enable()
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)
        profiler.disable()
        if profile:
            pstats.Stats(profiler, stream=sys.stderr).sort_stats("tottime").print_stats(25)


def run(kind: str, name: str, options: argparse.Namespace, connections: int, window: int, messages: int) -> Result:
    """One shape of load on one fresh endpoint."""
    serving = [sys.executable, "-m", "benchmarks.mqtt_ingest", "--serve", kind, *["--profile"] * options.profile]
    with subprocess.Popen(serving, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdin is not None
        assert server.stdout is not None
        address = server.stdout.readline().strip()
        result = loaded(server.pid, address, f"{name}, {kind}", connections, window, messages, options.version)
        print("stop", file=server.stdin, flush=True)
    return result


def loaded(
    pid: int, address: str, name: str, connections: int, window: int, messages: int, version: int = 4, rate: float = 0
) -> Result:
    """Load the endpoint of a process with this shape; `rate`: messages a second, 0 for as many as it takes."""
    before = resident(pid)
    with clients(address, connections, window, messages, "--version", str(version), "--rate", str(rate)) as generator:
        opened = resident(pid)
        with measure(name, count=messages, pid=pid) as result:
            outcome = generator.send()
    result.latencies = outcome["quantiles"]
    print(
        f"# {result.name}: p90 {result.percentile(0.9) * 1e3:.2f}, p99.9 {result.percentile(0.999) * 1e3:.2f} ms;"
        f" the generator took {outcome['cpu'] / messages * 1e6:.1f} CPU-s/million;"
        f" {(opened - before) / connections / 1024:.1f} KiB a connection that says nothing",
        flush=True,
    )
    return result


def main(options: argparse.Namespace) -> bool:
    results: list[Result] = []
    for kind in ("null", "sqlite"):
        if options.only not in {None, kind}:
            continue
        for name, connections, window, budget, fewer in SHAPES:
            messages = options.messages // fewer
            result = run(kind, name, options, connections, window, messages)
            result.budget = budget
            results.append(result)
    return report(
        results, "QoS 1, about 130 bytes, CPU of the endpoint's process alone; latency to the PUBACK, at full load"
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--messages", type=int, default=400_000)
    parser.add_argument("--only", choices=("null", "sqlite"))
    parser.add_argument("--version", type=int, choices=(4, 5), default=4)
    parser.add_argument("--profile", action="store_true")
    parser.add_argument("--serve", choices=("null", "sqlite"), help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.serve:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(serve(chosen.serve, profile=chosen.profile))
        sys.exit(0)
    sys.exit(0 if main(chosen) else 1)

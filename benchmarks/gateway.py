"""Ingest on Kafka: `headwater gateway` as a process, loaded through its front door; answers after acks=all.

In: a broker. Out: for MQTT with many and with one in flight, and for HTTP with one message and with NDJSON of 100 a
request: messages a second, CPU-seconds of the gateway's process a million, latency to the answer. Then MQTT at half of
the rate that was reached with many in flight: the latency that the budget is about. Not counted: the broker's CPU.

    python -m benchmarks.gateway --kafka HOST:PORT [--messages N]
"""

import argparse
import asyncio
import sys
import tempfile
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from benchmarks.http_ingest import BATCH_BUDGET, SINGLE_BUDGET, WARM_UP, generate
from benchmarks.kafka_topics import own_topics
from benchmarks.measure import Result, measure, report
from benchmarks.mqtt_ingest import SHAPES, loaded
from headwater.app.events import open_events
from headwater.app.rules import publish_rules
from headwater.config import Config
from headwater.config_models import Model, default_models
from headwater.config_stack import Kafka
from headwater.registry import Record
from storage.outbox import drain_outbox
from storage.sqlite_registry import open_registry
from tests.system.program import free_port
from tests.system.stack import Part

CONNECTIONS = 256
"""Of HTTP, one request in flight on each."""
_HALF = 8, 50
"""Connections and window of the half load: those of the first shape."""
_AT_ONCE = 1_000
"""Records of the registry in one transaction."""


class Gateway:
    """A running gateway: where, and which process."""

    def __init__(self, kafka: Kafka, folder: Path) -> None:
        self.http, self.mqtt = (f"127.0.0.1:{free_port()}" for _ in range(2))
        settings = {
            "HEADWATER_PROFILE": "stack",
            "HEADWATER_KAFKA__SERVERS": f'["{kafka.servers[0]}"]',
            "HEADWATER_KAFKA__PREFIX": kafka.prefix,
        }
        self.part = Part("gateway", ["gateway", "--http", self.http, "--mqtt", self.mqtt], settings, folder)

    def load_mqtt(self, name: str, connections: int, window: int, messages: int, rate: float = 0) -> Result:
        return loaded(self.part.pid, self.mqtt, f"MQTT, {name}", connections, window, messages, rate=rate)

    def load_http(self, name: str, messages: int, budget: float, *options: str) -> Result:
        with measure(f"HTTP, {name}", budget=budget, pid=self.part.pid) as result:
            outcome = generate(self.http, messages, CONNECTIONS, *options)
        result.count, result.latencies = outcome["accepted"], outcome["latencies"]
        return result


@contextmanager
def gateway(kafka: Kafka) -> Generator[Gateway]:
    """Started, warm, and killed at the end."""
    with tempfile.TemporaryDirectory() as folder:
        running = Gateway(kafka, Path(folder))
        try:
            running.part.wait_ready()
            generate(running.http, WARM_UP, CONNECTIONS)
            yield running
        finally:
            running.part.kill()


def measured(kafka: Kafka, messages: int) -> list[Result]:
    """Each shape of load on one gateway after the other, so that memory is that of the shape."""
    results: list[Result] = []
    for name, connections, window, budget, fewer in SHAPES:
        with gateway(kafka) as running:
            results.append(running.load_mqtt(name, connections, window, messages // fewer))
            results[-1].budget = budget
    with gateway(kafka) as running:
        rate = results[0].per_second / 2
        results.append(running.load_mqtt(f"at half of that: {rate:,.0f} a second", *_HALF, messages // 4, rate))
    with gateway(kafka) as running:
        results.append(running.load_http("one message a request", messages // 4, SINGLE_BUDGET))
        results.append(running.load_http("NDJSON of 100", messages, BATCH_BUDGET, "--batch", "100"))
    return results


async def ruled(kafka: Kafka, models: Mapping[str, Model] | None = None, records: Sequence[Record] = ()) -> None:
    """Bring rules to the log, and devices if any, as `headwater api` does: a gateway waits for rules."""
    config = Config(profile="stack", kafka=kafka, models=dict(models or default_models()))
    with tempfile.TemporaryDirectory() as folder:
        async with open_events(config) as events, open_registry(Path(folder) / "registry.sqlite") as registry:
            for some in range(0, len(records), _AT_ONCE):
                await registry.put_all([(record, None) for record in records[some : some + _AT_ONCE]])
            await publish_rules(registry, config)
            await drain_outbox(registry, events)


async def main(options: argparse.Namespace) -> bool:
    async with own_topics(options.kafka) as kafka:
        await ruled(kafka)
        results = await asyncio.to_thread(measured, kafka, options.messages)
    return report(results, "gateway's process on Kafka, acks=all, one broker, about 130 bytes; latency to the answer")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kafka", required=True, help="HOST:PORT of a broker")
    parser.add_argument("--messages", type=int, default=400_000)
    sys.exit(0 if asyncio.run(main(parser.parse_args())) else 1)

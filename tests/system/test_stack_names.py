"""Sparkplug behind a broker that two gateways share: a birth that one of them reads names the data that both read."""

import subprocess
import time
from pathlib import Path

import pytest

from tests.decoders.platforms.kit import field
from tests.system.mosquitto import mosquitto
from tests.system.stack import Stack
from tests.system.stack_kit import get
from tests.system.test_stack_bridge import Gateways, reads
from tests.system.waiting import until

pytestmark = [pytest.mark.process, pytest.mark.timeout(300)]

COUNT = 40


def publish(port: int, topic: str, *payloads: bytes) -> None:
    for payload in payloads:
        command = ["mosquitto_pub", "-p", str(port), "-q", "1", "-t", topic, "-s"]
        subprocess.run(command, input=payload, check=True, timeout=20)


def data(n: int) -> bytes:
    """One value, by its alias alone."""
    value = field(2, field(2, 5) + field(4, 4) + field(11, n))
    return field(1, time.time_ns() // 1_000_000) + value + field(3, n % 256)


def values(stack: Stack) -> list[float]:
    items = get(stack, "devices/edge/history?limit=1000")["items"]
    return sorted(item["fields"]["Count"] for item in items if "Count" in item["fields"])


def test_a_birth_read_by_one_gateway_names_what_the_other_reads_and_what_comes_after_a_kill(
    stack: Stack, tmp_path: Path
) -> None:
    with mosquitto(tmp_path / "broker") as broker:
        gateways = Gateways(stack, broker.port)
        parts = [stack.api(), stack.consumer(), gateways.start(0), gateways.start(1)]
        for part in parts:
            part.wait_ready(150)
        for part in parts[2:]:
            reads(part)
        session = field(2, field(1, "bdSeq") + field(4, 8) + field(11, 1))
        name = field(2, field(1, "Count") + field(2, 5) + field(4, 4) + field(11, 0))
        publish(broker.port, "spBv1.0/g/NBIRTH/edge", field(1, 1_763_700_000_000) + session + name + field(3, 0))
        time.sleep(1)  # nodes send at their pace, and the other gateway hears of the names a moment later
        for n in range(1, COUNT):
            publish(broker.port, "spBv1.0/g/NDATA/edge", data(n))
        until(lambda: min(gateways.read(0), gateways.read(1)) > 0, True, 30)
        for which in (0, 1):
            parts[2 + which].kill()
            parts[2 + which] = gateways.start(which)
            parts[2 + which].wait_ready(150)
            reads(parts[2 + which])
        for n in range(COUNT, 2 * COUNT):
            publish(broker.port, "spBv1.0/g/NDATA/edge", data(n))

        until(lambda: values(stack), [float(n) for n in range(2 * COUNT)], 60)
        assert get(stack, "rejected?limit=10")["items"] == []
        notes = [item["texts"] for item in get(stack, "devices/edge/history?limit=1000")["items"] if item.get("texts")]
        assert not [texts for texts in notes if "note.seq" in texts]

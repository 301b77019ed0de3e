"""What a gateway's process has in memory before anything comes, and what its first question costs those who send.

In: a broker. Out: resident, proportional and private megabytes (`/proc/PID/smaps_rollup`) when all that a gateway
begins with is imported, when it serves, when it knows so many devices, and when somebody has asked its API for
something, which loads FastAPI; how long devices wait for an answer before that and while it happens.

    python -m benchmarks.gateway_memory --kafka HOST:PORT [--devices 1000]
"""

import argparse
import asyncio
import http.client
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.gateway import Gateway, ruled
from benchmarks.kafka_topics import own_topics
from benchmarks.measure import machine
from headwater.config_stack import Kafka
from headwater.credentials import digest, new_token
from headwater.registry import Device

_IMPORTED = "import sys, headwater.commands.gateway, storage.kafka_log; print(flush=True); sys.stdin.read()"
_QUIET = 5.0
"""Seconds that a process has to settle, and that devices are listened to."""
_MESSAGE = b'{"device": "pump-7", "fields": {"temperature": 21.5}}'


def memory(pid: int) -> str:
    """One line of figures."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text("ascii").splitlines()[1:]
    sizes = {name: int(size) * 1024 / 1e6 for name, size, *_ in (line.replace(":", "").split() for line in lines)}
    private = sizes["Private_Clean"] + sizes["Private_Dirty"]
    return f"{sizes['Rss']:5.1f} MB resident, {sizes['Pss']:5.1f} its share of what is shared, {private:5.1f} private"


def imported() -> None:
    """What is loaded before anything is opened."""
    with subprocess.Popen([sys.executable, "-c", _IMPORTED], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        print(f"imported                 {memory(process.pid)}")
        process.communicate(b"")


def served(kafka: Kafka, name: str, then: Callable[[Gateway], None] = lambda _: None) -> None:
    """What a quiet gateway has."""
    with tempfile.TemporaryDirectory() as folder:
        running = Gateway(kafka, Path(folder))
        try:
            running.part.wait_ready()
            time.sleep(_QUIET)
            print(f"{name:<24} {memory(running.part.pid)}")
            then(running)
        finally:
            running.part.kill()


def asked(running: Gateway) -> None:
    """Health first, which loads nothing; then a question that does."""
    _get(running.http, "/readyz")
    print(f"asked whether it is well {memory(running.part.pid)}")
    before = _waits(running.http, lambda: time.sleep(_QUIET))
    during = _waits(running.http, lambda: _get(running.http, "/api/v1/devices/pump-7/commands"))
    print(f"asked for commands       {memory(running.part.pid)}")
    print(f"a message's answer before that: {before}; while it is loaded: {during}")


def _get(address: str, path: str) -> None:
    connection = http.client.HTTPConnection(address, timeout=60)
    connection.request("GET", path)
    connection.getresponse().read()
    connection.close()


def _waits(address: str, while_it: Callable[[], None]) -> str:
    """One device sends, a message after the other, until that is done."""
    over = threading.Thread(target=while_it)
    connection = http.client.HTTPConnection(address, timeout=60)
    waits: list[float] = []
    began = time.monotonic()
    over.start()
    while over.is_alive():
        sent = time.monotonic()
        connection.request("POST", "/ingest", _MESSAGE)
        connection.getresponse().read()
        waits.append(1000 * (time.monotonic() - sent))
        time.sleep(0.002)
    took = time.monotonic() - began
    connection.close()
    waits.sort()
    return f"p50 {waits[len(waits) // 2]:.1f}, at most {waits[-1]:.0f} ms, in {took:.1f} s"


async def main(options: argparse.Namespace) -> None:
    devices = [
        Device(name=f"pump-{number:05d}", token=digest(new_token("device"))) for number in range(options.devices)
    ]
    imported()
    async with own_topics(options.kafka) as kafka:
        await ruled(kafka)
        await asyncio.to_thread(served, kafka, "serves")
        await ruled(kafka, records=devices)
        await asyncio.to_thread(served, kafka, f"knows {len(devices):,} devices", asked)
    print(machine())


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kafka", required=True, help="HOST:PORT of a broker")
    parser.add_argument("--devices", type=int, default=1000)
    asyncio.run(main(parser.parse_args()))

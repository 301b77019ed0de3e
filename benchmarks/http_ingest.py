"""HTTP ingest: CPU-seconds of the server process per million messages, single and in NDJSON bodies of 100.

Run: python -m benchmarks.http_ingest [--messages N] [--connections N] [--folder DIR]. Each server is a process of its
own, and so is the generator (benchmarks.http_client), with one request in flight on each connection.
*SQLite log*: the whole way in, each message decoded, validated and durable before its answer; the fewer connections,
the fewer messages share a commit. *null*: the HTTP part alone, as the intake takes whatever comes. *bare ASGI*: uvicorn
with an app that reads the body and answers 202; it is what a route inside ASGI costs before it does anything, and the
ratio is of the same run.
"""

import argparse
import asyncio
import json
import subprocess
import sys
import tempfile
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, Literal

import uvicorn
import uvloop

from benchmarks.measure import Result, measure, report
from headwater.config import Config, load
from headwater.log import MESSAGES, REJECTED, TopicSpec
from headwater.metrics import Metrics
from headwater.registry import ANONYMOUS, Certificate, Identity
from ingest.contract import Intake, Owner, Receipt, Source
from ingest.decoders.catalogue import Catalogue
from ingest.http.server import open_http
from ingest.intake import LogIntake
from storage.sqlite_log import open_log

SINGLE_BUDGET = 20.0
BATCH_BUDGET = 4.0
WARM_UP = 2_000
MOST_SECONDS = 600.0


class OpenDoor:
    """Lets everyone in."""

    def identify(self, name: str, secret: str, *, loopback: bool) -> Identity:  # noqa: ARG002
        return ANONYMOUS

    def identify_certificate(self, certificate: Certificate, by: Literal["registry", "cn", "san"]) -> Identity:  # noqa: ARG002
        return ANONYMOUS

    def claimed(self, code: str, certificate: Certificate | None) -> Identity | None:  # noqa: ARG002
        return None

    def blocked(self, address: str) -> bool:  # noqa: ARG002
        return False

    def watch(self, changed: Callable[[str], None]) -> Callable[[], None]:  # noqa: ARG002
        return lambda: None


class NullIntake:
    """Takes everything; settles as a log does, once a turn of the loop."""

    full = False

    def __init__(self) -> None:
        self.due: list[Receipt] = []

    def when_relieved(self, callback: Callable[[], None]) -> None:
        callback()

    source = staticmethod(Catalogue().source)

    def accept(
        self, identity: Identity, source: Source, payloads: Sequence[bytes], receipt: Receipt, key: str = ""
    ) -> None:
        del identity, source, key
        receipt.waiting = receipt.accepted = len(payloads)
        if not self.due:
            asyncio.get_running_loop().call_soon(self.settle)
        self.due.append(receipt)

    def settle(self) -> None:
        due, self.due = self.due, []
        owners: dict[int, Owner] = {}
        for receipt in due:
            receipt.waiting = 0
            owners[id(receipt.owner)] = receipt.owner
        for owner in owners.values():
            owner.release()

    async def drain(self, seconds: float) -> None:
        del seconds


async def bare(scope: Any, receive: Any, send: Any) -> None:
    """The least an ASGI app can do with a request."""
    more = scope["type"] == "http"
    body = b""
    while more:
        event = await receive()
        body += event["body"]
        more = event["more_body"]
    answer = b'{"accepted":1,"rejected":[]}'
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(answer))]
    await send({"type": "http.response.start", "status": 202, "headers": headers})
    await send({"type": "http.response.body", "body": answer})


@asynccontextmanager
async def open_intake(kind: str, config: Config, metrics: Metrics) -> AsyncGenerator[Intake, None]:
    if kind == "null":
        yield NullIntake()
        return
    topics = [TopicSpec(name, config.log.partitions) for name in (MESSAGES, REJECTED)]
    async with AsyncExitStack() as stack:
        log = await stack.enter_async_context(open_log(config.data / "log.sqlite", topics))
        yield await stack.enter_async_context(LogIntake(log, config, metrics, lambda _: ""))


async def serve(kind: str, folder: Path) -> None:
    """One server, until it is killed. Prints HOST:PORT when it serves."""
    if kind == "asgi":
        settings = uvicorn.Config(bare, port=0, lifespan="off", ws="none", access_log=False, log_config=None)
        server = uvicorn.Server(settings)
        serving = asyncio.create_task(server.serve())
        while not server.started:  # noqa: ASYNC110 - it has no event
            await asyncio.sleep(0.01)
        print(f"127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}", flush=True)
        await serving
        return
    config, metrics = load(environment={}, data=str(folder), http__listen="127.0.0.1:0"), Metrics()
    async with (
        open_intake(kind, config, metrics) as intake,
        open_http(config, bare, intake, OpenDoor(), metrics) as http,
    ):
        print(http.address, flush=True)
        await asyncio.Event().wait()


def run(name: str, kind: str, arguments: argparse.Namespace, budget: float | None, *options: str) -> Result:
    """Measure one server under one load."""
    count: int = arguments.messages
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        command = [sys.executable, "-m", "benchmarks.http_ingest", "--serve", kind, "--folder", folder]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
            assert server.stdout is not None
            address = server.stdout.readline().strip()
            try:
                generate(address, WARM_UP, arguments.connections, *options)
                with measure(name, count=count, budget=budget, pid=server.pid) as result:
                    outcome = generate(address, count, arguments.connections, *options)
                result.count = outcome["sent"]
                result.latencies = outcome["latencies"]
            finally:
                server.kill()
    return result


def generate(address: str, count: int, connections: int, *options: str) -> dict[str, Any]:
    """Load a server by a generator in a process of its own; what that has to say."""
    command = [sys.executable, "-m", "benchmarks.http_client", address, str(count), *options]
    command += ["--connections", str(connections)]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True, timeout=MOST_SECONDS)
    return json.loads(done.stdout)


def main(arguments: argparse.Namespace) -> bool:
    batch = ("--batch", "100")
    results = [
        run("bare ASGI, single", "asgi", arguments, None),
        run("null, single", "null", arguments, None),
        run("null, single, Idempotency-Key", "null", arguments, None, "--keyed"),
        run("SQLite log, single", "log", arguments, SINGLE_BUDGET),
        run("null, NDJSON of 100", "null", arguments, None, *batch),
        run("SQLite log, NDJSON of 100", "log", arguments, BATCH_BUDGET, *batch),
    ]
    kept = report(results, f"{arguments.connections} connections, one request in flight on each, messages of 130 bytes")
    asgi, null = results[0].per_million, results[1].per_million
    print(f"bare ASGI takes {asgi / null:.2f} times the CPU of the route below it")
    return kept


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--messages", type=int, default=100_000)
    parser.add_argument("--connections", type=int, default=256)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--serve")
    given = parser.parse_args()
    if given.serve:
        uvloop.run(serve(given.serve, given.folder))
    else:
        sys.exit(0 if main(given) else 1)

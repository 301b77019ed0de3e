"""A load generator for HTTP, in its own process: lean enough that two cores can saturate the server with it.

Run: python -m benchmarks.http_client HOST:PORT COUNT [--batch N] [--connections N] [--target PATH] [--keyed]
[--rate N] [--name NAME] [--tokens FILE | --authorization TEXT] [--array]. It sends COUNT messages, one request
in flight on each connection: single JSON objects, or NDJSON bodies (`--array`: JSON arrays) of `--batch`, at most
`--rate` messages a second in all. Each has an id of its own; `--keyed` adds an Idempotency-Key to each request. With
`--name` each connection is a device of its own, NAME-00000, NAME-00001, …, with the file's line of its number as its
bearer token. Prints one line of JSON: {"sent", "accepted", "latencies" (seconds, a sample of at most 50,000), "again":
how often 503 said to send again}. Other answers than 202, 204 and 503 end it.
"""

import argparse
import asyncio
import json
import os
import time
from itertools import count
from pathlib import Path

import uvloop

SAMPLE = 50_000


class Sender(asyncio.Protocol):
    """One connection: a request, its answer, the next request."""

    def __init__(self, load: "Load", number: int) -> None:
        self.load = load
        self.number = number
        self.sent_at = 0.0
        self.buffer = b""
        self.request = b""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self.transport = transport
        self.due = time.perf_counter() + self.number * self.load.period / self.load.connections
        self.turn()

    def turn(self) -> None:
        """Send, when it is time to: at once, if no rate is given."""
        if self.load.period:
            asyncio.get_running_loop().call_later(max(0.0, self.due - time.perf_counter()), self.send)
            self.due += self.load.period
        else:
            self.send()

    def send(self) -> None:
        request = self.load.next(self.number)
        if request is None:
            self.transport.close()
            self.load.ended()
            return
        self.sent_at = time.perf_counter()
        self.request = request
        self.transport.write(request)

    def send_again(self) -> None:
        if not self.transport.is_closing():
            self.transport.write(self.request)

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        if not self.buffer.endswith((b"}", b"\r\n\r\n") if self.buffer.startswith(b"HTTP/1.1 204 ") else b"}"):
            return
        answer, self.buffer = self.buffer, b""
        if answer.startswith((b"HTTP/1.1 202 ", b"HTTP/1.1 204 ")):
            self.load.answered(time.perf_counter() - self.sent_at, answer)
            self.turn()
        elif answer.startswith(b"HTTP/1.1 503 "):
            self.load.again += 1
            asyncio.get_running_loop().call_later(0.05, self.send_again)
        else:
            self.load.fail(answer.decode("utf-8", "replace"))

    def connection_lost(self, exc: Exception | None) -> None:
        if exc is not None:
            self.load.fail(f"the server closed a connection: {exc}")


class Load:
    """What all connections send, and what came of it."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        self.batch: int = arguments.batch
        self.left = arguments.count // self.batch
        self.every = max(1, self.left // SAMPLE)
        self.open = self.connections = int(arguments.connections)
        self.period = self.open * self.batch / arguments.rate if arguments.rate else 0.0
        self.array: bool = arguments.array
        self.name: str = arguments.name
        self.keyed: bool = arguments.keyed
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.again = 0
        self.numbers = count()
        self.run = os.getpid()
        self.accepted = 0
        self.latencies: list[float] = []
        kind = "application/json" if self.batch == 1 else "application/x-ndjson"
        head = (
            f"POST {arguments.target} HTTP/1.1\r\nHost: {arguments.address}\r\nUser-Agent: benchmark\r\nAccept: */*\r\n"
        )
        self.head = f"{head}Content-Type: {kind}\r\n"
        said = [f"Bearer {token}" for token in arguments.tokens.read_text("ascii").split()] if arguments.tokens else []
        said = said or [arguments.authorization] * self.open
        self.heads = [f"{self.head}Authorization: {one}\r\n" if one else self.head for one in said]

    def next(self, number: int) -> bytes | None:
        if not self.left:
            return None
        self.left -= 1
        messages = [self.message(next(self.numbers), number) for _ in range(self.batch)]
        body = f"[{','.join(messages)}]" if self.array else "\n".join(messages)
        key = f"Idempotency-Key: {self.run}-{self.left}\r\n" if self.keyed else ""
        return f"{self.heads[number]}{key}Content-Length: {len(body)}\r\n\r\n{body}".encode()

    def message(self, number: int, connection: int) -> str:
        """About 130 bytes, of one of 1,000 devices, or of the connection's own."""
        device = f"{self.name}-{connection:05d}" if self.name else f"pump-{number % 1000:03d}"
        fields = f'"temperature":{number % 4000 / 100},"pressure":{1013 + number % 50},"voltage":{number % 700}'
        return f'{{"device":"{device}","id":"{self.run}-{number}","fields":{{{fields},"state":"on"}}}}'

    def answered(self, seconds: float, answer: bytes) -> None:
        counted = self.batch == 1 or answer.startswith(b"HTTP/1.1 204 ")
        self.accepted += self.batch if counted else json.loads(answer[answer.index(b"\r\n\r\n") :])["accepted"]
        if self.left % self.every == 0:
            self.latencies.append(seconds)

    def fail(self, why: str) -> None:
        if not self.done.done():
            self.done.set_exception(RuntimeError(why))

    def ended(self) -> None:
        self.open -= 1
        if not self.open and not self.done.done():
            self.done.set_result(None)


async def main(arguments: argparse.Namespace) -> None:
    host, _, port = arguments.address.rpartition(":")
    loop = asyncio.get_running_loop()
    load = Load(arguments)
    sent = load.left * load.batch
    for number in range(arguments.connections):
        await loop.create_connection(lambda number=number: Sender(load, number), host, int(port))
    await load.done
    print(json.dumps({"sent": sent, "accepted": load.accepted, "again": load.again, "latencies": load.latencies}))


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("address")
    parser.add_argument("count", type=int)
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument("--target", default="/ingest")
    parser.add_argument("--keyed", action="store_true")
    parser.add_argument("--rate", type=float, default=0.0)
    parser.add_argument("--name", default="")
    parser.add_argument("--tokens", type=Path)
    parser.add_argument("--authorization", default="")
    parser.add_argument("--array", action="store_true")
    uvloop.run(main(parser.parse_args()))

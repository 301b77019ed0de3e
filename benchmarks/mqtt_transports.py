"""What TLS and WebSocket cost the MQTT endpoint: CPU a connection, CPU a message, memory a connection.

Run `python -m benchmarks.mqtt_transports [CONNECTIONS] [MESSAGES]`. Out: a line a transport. The endpoint is a process
of its own that takes messages and keeps none: there is no intake and no log behind it, so that what a transport adds
can be seen. Measured are its CPU time and memory, with the clients on the same machine.
"""

import asyncio
import os
import ssl
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import uvloop

from ingest.mqtt.encoding import encode
from ingest.mqtt.packets import Connect, Publish
from tests.certificates import Fleet
from tests.ingest.mqtt.kit import endpoint
from tests.ingest.mqtt.test_frames import masked
from tests.ingest.mqtt.test_websocket import HEADERS, serving

PAYLOAD = (
    b'{"at":1763719000123,"seq":1,"fields":{"temperature":21.5,"voltage":647.2,"current":3.25},'
    b'"position":{"lat":1.5,"lon":2.5}}'
)
BATCH = 50
TRANSPORTS = ("tcp", "tls", "ws", "wss")


def serve(pipe: Connection, transport: str, fleet: Fleet) -> None:
    """The endpoint; answers each word on the pipe with its CPU seconds and bytes of memory."""
    uvloop.run(_serve(pipe, transport, fleet))


async def _serve(pipe: Connection, transport: str, fleet: Fleet) -> None:
    tls = fleet.listener()
    async with AsyncExitStack() as stack:
        if transport in {"tcp", "tls"}:
            here = await stack.enter_async_context(endpoint(tls=tls))
            port = here.server.port if transport == "tcp" else int(here.server.tls_address.rpartition(":")[2])
        else:
            site = await stack.enter_async_context(serving({"tls": tls}))
            here = site.here
            port = site.http.port if transport == "ws" else int(site.http.tls_address.rpartition(":")[2])
        here.intake.at_once = True
        here.intake.accepted = _Nothing()
        pipe.send(port)
        while True:
            if pipe.poll():
                if pipe.recv() == "end":
                    return
                pipe.send((time.process_time(), _memory()))
            await asyncio.sleep(0.01)


class _Nothing(list[Any]):
    """Keeps nothing of what was accepted."""

    def append(self, item: Any) -> None: ...


def _memory() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


async def connected(
    transport: str, port: int, context: ssl.SSLContext, name: str
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    secure = context if transport in {"tls", "wss"} else None
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=secure)
    if transport in {"ws", "wss"}:
        lines = ["GET /mqtt HTTP/1.1", *(f"{header}: {value}" for header, value in HEADERS.items())]
        writer.write("\r\n".join(lines).encode() + b"\r\n\r\n")
        await reader.readuntil(b"\r\n\r\n")
    writer.write(_wrapped(transport)(encode(Connect(4, name), 4)))
    await reader.readexactly(6 if transport in {"ws", "wss"} else 4)
    return reader, writer


def _plain(data: bytes) -> bytes:
    return data


def _framed(data: bytes) -> bytes:
    return masked(2, data)


def _wrapped(transport: str) -> Callable[[bytes], bytes]:
    return _framed if transport in {"ws", "wss"} else _plain


async def publish(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, transport: str, messages: int) -> None:
    """QoS 1, `BATCH` under way at a time."""
    packets = [encode(Publish("devices/d1/telemetry", PAYLOAD, 2, number), 4) for number in range(1, BATCH + 1)]
    data = _wrapped(transport)(b"".join(packets))
    for _ in range(messages // BATCH):
        writer.write(data)
        taken = 0
        while taken < 4 * BATCH:
            taken += len(await reader.read(65_536))


async def measure(
    transport: str,
    port: int,
    ask: Callable[[], tuple[float, int]],
    context: ssl.SSLContext,
    connections: int,
    messages: int,
) -> str:
    """One transport's line."""
    for number in range(20):
        _, warming = await connected(transport, port, context, f"w{number}")
        warming.close()
    cpu, memory = ask()
    opened = [await connected(transport, port, context, f"c{number}") for number in range(connections)]
    cpu_open, memory_open = ask()
    reader, writer = opened[0]
    await publish(reader, writer, transport, messages)
    cpu_done, _ = ask()
    for _, each in opened:
        each.close()
    each_connection = (cpu_open - cpu) / connections * 1e6
    each_message = (cpu_done - cpu_open) / messages * 1e6
    kept = (memory_open - memory) / connections / 1024
    return f"| {transport} | {each_connection:.0f} µs | {kept:.1f} KiB | {each_message:.2f} µs |"


def main() -> None:
    connections = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    messages = int(sys.argv[2]) if len(sys.argv) > 2 else 200_000
    print("| transport | CPU a connection | memory a connection | CPU a message |")
    print("|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        fleet = Fleet(Path(folder))
        for transport in TRANSPORTS:
            fresh = get_context("spawn")  # a fork would begin with this process's memory
            pipe, other = fresh.Pipe()
            process = fresh.Process(target=serve, args=(other, transport, fleet))
            process.start()
            port = int(pipe.recv())

            def ask(pipe: Connection = pipe) -> tuple[float, int]:
                pipe.send("now")
                cpu, memory = pipe.recv()
                return float(cpu), int(memory)

            print(asyncio.run(measure(transport, port, ask, fleet.client(), connections, messages)), flush=True)
            pipe.send("end")
            process.join(30)


if __name__ == "__main__":
    main()

"""A lean MQTT load generator: connections × window in flight, QoS 1, latencies of every message.

In: an address, and how many connections, how many messages in flight on each, how many in all. Out: a line of JSON with
what happened, or the `Load` itself. Each connection is a device of its own; payloads have about 130 bytes, a time and a
sequence number, so that no two are the same message. It is a process of its own: its CPU time is not the endpoint's.

With `--rate` it sends so many a second, whatever is in flight, instead of one for each that was acknowledged. With
`--tokens` each device says its token (the file's line of its number), with `--ca` over TLS, with `--certificates` it
shows its own, `NAME.pem` with certificate and key in that folder.

    python -m benchmarks.mqtt_client HOST:PORT [--connections 8] [--window 50] [--messages 200000] [--version 4]
        [--rate 0] [--name bench] [--tokens FILE] [--ca FILE] [--certificates FOLDER]
"""

import argparse
import asyncio
import itertools
import json
import ssl
import struct
import sys
import time
from array import array
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import cast

import uvloop

OPENING = 200
"""Connections that are being opened at the same time."""

_KEEP_ALIVE = divmod(1800, 256)  # seconds, in two bytes

_TICK = 0.001
"""Seconds between two sends at a given rate."""

QUANTILES = 1000
"""So many latencies are reported, in ascending order and equally far apart."""

_PAYLOAD = b'{"at":%d,"seq":%d,"fields":{"temperature":%d.5,"voltage":%d.25,"pressure":%d.75,"load":%d,"state":"on"}}'


class Devices:
    """Who the connections are, and how each shows it. `tokens`: without it nobody says a name."""

    def __init__(self, name: str, tokens: Path | None, ca: Path | None, certificates: Path | None) -> None:
        self._name = name
        self._tokens = tokens.read_bytes().split() if tokens is not None else []
        self._ca = ca
        self._certificates = certificates
        self._context = ssl.create_default_context(cafile=ca) if ca is not None else None

    def name(self, number: int) -> bytes:
        return b"%s-%05d" % (self._name.encode(), number)

    def connect(self, number: int, version: int) -> bytes:
        """The CONNECT packet, a clean session; a keep alive that is longer than any load: nobody pings here."""
        name = self.name(number)
        texts = (name, name, self._tokens[number]) if self._tokens else (name,)
        head = b"\0\4MQTT" + bytes((version, 0xC2 if self._tokens else 2, *_KEEP_ALIVE)) + b"\0" * (version == 5)
        body = head + b"".join(struct.pack(">H", len(text)) + text for text in texts)
        return bytes((0x10, len(body))) + body

    def tls(self, number: int) -> ssl.SSLContext | None:
        """What a connection believes and shows; None: it is not over TLS."""
        if self._certificates is None:
            return self._context
        context = ssl.create_default_context(cafile=self._ca)
        context.load_cert_chain(self._certificates / f"{self.name(number).decode()}.pem")
        return context


class Load:
    """What all connections share: how much is left to send, how much is left to hear of."""

    def __init__(
        self, devices: Devices, connections: int, window: int, messages: int, version: int, rate: float = 0
    ) -> None:
        self.devices = devices
        self.rate = rate
        self.connections = connections
        self.window = window
        self.version = version
        self.unsent = self.unheard = messages
        self.latencies = array("d")
        self.done = asyncio.get_running_loop().create_future()
        self.at = time.time_ns() // 1_000_000

    def fail(self, reason: str) -> None:
        if not self.done.done():
            self.done.set_exception(RuntimeError(reason))


class Client(asyncio.Protocol):
    """One device: sends `window` messages, then as many as were acknowledged."""

    def __init__(self, load: Load, number: int) -> None:
        self.load = load
        self.number = number
        self.connected = asyncio.get_running_loop().create_future()
        topic = b"devices/" + load.devices.name(number) + b"/telemetry"
        self._start = struct.pack(">H", len(topic)) + topic
        self._connect = load.devices.connect(number, load.version)
        self._seq = 0
        self._sent: deque[tuple[float, int]] = deque()  # when, and how many then
        self._rest = b""
        self._ready = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self.transport.write(self._connect)

    def data_received(self, data: bytes) -> None:
        if self._rest:
            data = self._rest + data
        if not self._ready:
            size = 2 + data[1]
            if data[3]:
                self.connected.set_exception(RuntimeError(f"CONNACK {data[3]}"))
                return
            data = data[size:]
            self._ready = True
            self.connected.set_result(None)
        count, left = divmod(len(data), 4)
        self._rest = data[len(data) - left :] if left else b""
        if count:
            if data[0] != 0x40 or data[::4].count(0x40) < count:
                self.load.fail(f"not a PUBACK: {data[:40].hex()}")
                return
            self._acknowledged(count)

    def _acknowledged(self, count: int) -> None:
        load, now = self.load, time.perf_counter()
        load.unheard -= count
        more = count
        while count:
            when, waiting = self._sent[0]
            part = min(count, waiting)
            load.latencies.extend([now - when] * part)
            count -= part
            if part == waiting:
                self._sent.popleft()
            else:
                self._sent[0] = (when, waiting - part)
        if load.unheard == 0 and not load.done.done():
            load.done.set_result(None)
        if not load.rate:
            self.send(more)

    def send(self, count: int) -> None:
        """Publish so many, if so many are left, in one write."""
        load = self.load
        count = min(count, load.unsent)
        if not count:
            return
        load.unsent -= count
        start, properties = self._start, b"\0" if load.version == 5 else b""
        out: list[bytes] = []
        for seq in range(self._seq, self._seq + count):
            values = (load.at + seq, seq, seq % 90, seq % 240, seq % 110, seq % 7)
            body = b"".join((start, (seq % 65_535 + 1).to_bytes(2, "big"), properties, _PAYLOAD % values))
            out.append(bytes((0x32, len(body) & 0x7F | 0x80, len(body) >> 7)) + body)
        self._seq += count
        self._sent.append((time.perf_counter(), count))
        self.transport.write(b"".join(out))

    def connection_lost(self, exc: Exception | None) -> None:
        self.load.fail(f"connection {self.number} was closed: {exc}")
        if not self.connected.done():
            self.connected.set_exception(ConnectionError("closed before CONNACK"))


async def connect(load: Load, host: str, port: int) -> list[Client]:
    """Open all connections, some at a time."""
    loop = asyncio.get_running_loop()
    clients: list[Client] = []
    for start in range(0, load.connections, OPENING):
        numbers = range(start, min(start + OPENING, load.connections))
        opened = await asyncio.gather(
            *(
                loop.create_connection(lambda n=number: Client(load, n), host, port, ssl=load.devices.tls(number))
                for number in numbers
            )
        )
        clients += [client for _, client in opened]
        await asyncio.gather(*(client.connected for _, client in opened))
    return clients


async def paced(load: Load, clients: Sequence[Client]) -> None:
    """Send at the load's rate, from one connection after the other."""
    began, sent = time.perf_counter(), 0
    turns = itertools.cycle(clients)
    while load.unsent:
        due = round((time.perf_counter() - began) * load.rate) - sent
        for _ in range(due):
            next(turns).send(1)
        sent += due
        await asyncio.sleep(_TICK)


async def main(options: argparse.Namespace) -> dict[str, object]:
    host, _, port = options.address.rpartition(":")
    devices = Devices(options.name, options.tokens, options.ca, options.certificates)
    load = Load(devices, options.connections, options.window, options.messages, options.version, options.rate)
    clients = await connect(load, host, int(port))
    print("connected", flush=True)
    if options.wait:
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)
    began, cpu = time.perf_counter(), time.process_time()
    if load.rate:
        await paced(load, clients)
    else:
        for client in clients:
            client.send(load.window)
    await load.done
    wall = time.perf_counter() - began
    ordered = sorted(load.latencies)
    quantiles = [ordered[at * len(ordered) // QUANTILES] for at in range(QUANTILES)]
    return {"messages": len(ordered), "wall": wall, "cpu": time.process_time() - cpu, "quantiles": quantiles}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("address")
    parser.add_argument("--connections", type=int, default=8)
    parser.add_argument("--window", type=int, default=50)
    parser.add_argument("--messages", type=int, default=200_000)
    parser.add_argument("--version", type=int, choices=(4, 5), default=4)
    parser.add_argument("--rate", type=float, default=0.0)
    parser.add_argument("--name", default="bench", help="of the devices: NAME-00000, NAME-00001, …")
    parser.add_argument("--tokens", type=Path)
    parser.add_argument("--ca", type=Path)
    parser.add_argument("--certificates", type=Path)
    parser.add_argument("--wait", action="store_true", help="say `connected`, then wait for a line before sending")
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        print(json.dumps(runner.run(main(parser.parse_args()))), flush=True)

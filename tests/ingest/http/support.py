"""A server over real sockets with a scripted intake and door behind it, and a peer that sends bytes as they are."""

import asyncio
import json
import socket
import struct
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

from headwater.config import load
from headwater.errors import Reason, Refused
from headwater.metrics import Metrics
from headwater.registry import ANONYMOUS, Certificate, Identity
from ingest.contract import Receipt, Rejection, Source
from ingest.decoders.catalogue import Catalogue
from ingest.http.server import HttpServer

PATIENCE = 10.0
DEVICE = Identity(name="pump-7", device="pump-7")
MESSAGE = b'{"device":"pump-7","fields":{"a":1}}'
ONE = {"accepted": 1, "rejected": []}


class Taken(NamedTuple):
    identity: Identity
    source: Source
    payloads: list[bytes]
    key: str


class FakeIntake:
    """Takes everything but what holds `bad`, or a reason's name in angle brackets. Settles in the next turn of the loop.

    `held`: receipts wait for `settle`. `failing`: the log takes nothing.
    """

    def __init__(self) -> None:
        self.full = False
        self.held = False
        self.failing = False
        self.at_once = False
        self.taken: list[Taken] = []
        self.receipts: list[Receipt] = []

    def when_relieved(self, callback: Callable[[], None]) -> None:
        callback()

    source = staticmethod(Catalogue().source)

    def accept(
        self, identity: Identity, source: Source, payloads: Sequence[bytes], receipt: Receipt, key: str = ""
    ) -> None:
        self.taken.append(Taken(identity, source, list(payloads), key))
        for at, payload in enumerate(payloads):
            reason = reason_in(payload)
            if reason is None:
                receipt.accepted += 1
            else:
                receipt.rejections = [*(receipt.rejections or []), Rejection(at, reason, f"detail of {at}")]
        if self.at_once:
            receipt.failed = self.failing
            return
        receipt.waiting = len(payloads)
        self.receipts.append(receipt)
        if not self.held:
            asyncio.get_running_loop().call_soon(self.settle)

    def settle(self, count: int | None = None) -> None:
        """All receipts, or the first so many."""
        done, self.receipts = self.receipts[:count], self.receipts[len(self.receipts) if count is None else count :]
        for receipt in done:
            receipt.waiting = 0
            receipt.failed = self.failing
        for owner in {id(receipt.owner): receipt.owner for receipt in done}.values():
            owner.release()

    async def drain(self, seconds: float) -> None:
        async with asyncio.timeout(seconds):
            while self.receipts:
                await asyncio.sleep(0)

    @property
    def payloads(self) -> list[bytes]:
        return [payload for taken in self.taken for payload in taken.payloads]


def reason_in(payload: bytes) -> Reason | None:
    for reason in ("not_authorized", "too_large", "bad_shape"):
        if f"<{reason}>".encode() in payload:
            return reason
    return "bad_json" if b"bad" in payload else None


class FakeDoor:
    """Knows one token, `good`, and two that are refused for other reasons; nobody on loopback is anonymous."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, bool]] = []
        self.refusals: dict[str, Exception] = {
            "disabled": Refused("disabled", "'pump-8' is disabled"),
            "greedy": Refused("over_quota", "too many messages"),
        }
        self.watchers: list[Callable[[str], None]] = []
        self.shut_out: set[str] = set()

    def identify(self, name: str, secret: str, *, loopback: bool) -> Identity:
        assert not name
        self.asked.append((secret, loopback))
        if not secret:
            if loopback:
                return ANONYMOUS
            raise Refused("no_credentials", "give a token")
        if secret in self.refusals:
            raise self.refusals[secret]
        if secret == "good":
            return DEVICE
        raise Refused("bad_credentials", "no such token")

    def identify_certificate(self, certificate: Certificate, by: str) -> Identity:
        return Identity(name=certificate.cn, device=certificate.cn)

    def claimed(self, code: str, certificate: Certificate | None) -> Identity | None:
        return None

    def blocked(self, address: str) -> bool:
        return address in self.shut_out

    def watch(self, changed: Callable[[str], None]) -> Callable[[], None]:
        self.watchers.append(changed)
        return lambda: self.watchers.remove(changed)

    def change(self, name: str = "pump-7") -> None:
        for changed in list(self.watchers):
            changed(name)


class Clock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class App:
    """Answers with method, path and body. `/wait`: not before `go`; `/later`: not before `later`; `/early`: first."""

    def __init__(self) -> None:
        self.go = asyncio.Event()
        self.later = asyncio.Event()
        self.begun: list[str] = []
        self.gone = 0
        self.scope: Any = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            while (event := await receive())["type"] != "lifespan.shutdown":
                await send({"type": event["type"] + ".complete"})
            await send({"type": "lifespan.shutdown.complete"})
            return
        self.scope = scope
        path = scope["path"]
        self.begun.append(path)
        body = b""
        more = path != "/early"
        while more:
            event = await receive()
            if event["type"] == "http.disconnect":
                self.gone += 1
                return
            body += event["body"]
            more = event["more_body"]
        if path == "/wait":
            await self.go.wait()
        if path == "/later":
            await self.later.wait()
        answer = f"{scope['method']} {path} ".encode() + body
        await send(
            {"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(answer))]}
        )
        await send({"type": "http.response.body", "body": answer})


class Reply(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Peer:
    """One connection to the server."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    def send(self, *data: bytes) -> None:
        self.writer.write(b"".join(data))

    async def reply(self, *, bodiless: bool = False) -> Reply:
        async with asyncio.timeout(PATIENCE):
            head = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            first, *lines = head.rstrip().split("\r\n")
            headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
            size = 0 if bodiless else int(headers.get("content-length", "0"))
            return Reply(int(first.split()[1]), headers, await self.reader.readexactly(size))

    async def ended(self) -> bytes:
        """What comes until the server closes."""
        async with asyncio.timeout(PATIENCE):
            return await self.reader.read()

    async def nothing(self) -> bool:
        """True if no byte is there after the server has had its turns."""
        await turns()
        try:
            async with asyncio.timeout(0.05):
                return not await self.reader.read(1)
        except TimeoutError:
            return True

    def close(self) -> None:
        self.writer.close()

    def vanish(self) -> None:
        """Close with a reset."""
        found: socket.socket = self.writer.get_extra_info("socket")
        found.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()


class Site:
    """A running server with all that is scripted around it."""

    def __init__(
        self, server: HttpServer, intake: Any, door: FakeDoor, app: App, metrics: Metrics, clock: Clock
    ) -> None:
        self.server = server
        self.intake = intake
        self.door = door
        self.app = app
        self.metrics = metrics
        self.clock = clock
        self.peers: list[Peer] = []

    async def peer(self) -> Peer:
        host = self.server.address.rpartition(":")[0].strip("[]")
        peer = Peer(*await asyncio.open_connection(host, self.server.port, limit=2**24))
        self.peers.append(peer)
        return peer

    async def ask(self, *request: bytes) -> Reply:
        """One request on a connection of its own."""
        peer = await self.peer()
        peer.send(*request)
        reply = await peer.reply()
        peer.close()
        return reply

    def pass_time(self, seconds: float) -> None:
        self.clock.now += seconds
        self.server.tick()

    @property
    def connections(self) -> float:
        return self.metrics.sample("connections", transport="http")


def post(body: bytes, *headers: str, target: str = "/ingest", chunked: bool = False) -> bytes:
    lines = [f"POST {target} HTTP/1.1", "Host: localhost", *headers]
    lines.append("Transfer-Encoding: chunked" if chunked else f"Content-Length: {len(body)}")
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + (chunks(body) if chunked else body)


def get(target: str, method: str = "GET", *headers: str) -> bytes:
    return "\r\n".join([f"{method} {target} HTTP/1.1", "Host: localhost", *headers, "", ""]).encode()


def chunks(body: bytes, size: int = 7) -> bytes:
    parts = [body[at : at + size] for at in range(0, len(body), size)]
    return b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"


async def turns(count: int = 20) -> None:
    """Let the loop go round."""
    for _ in range(count):
        await asyncio.sleep(0.001)


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not true():
            await asyncio.sleep(0.002)


@asynccontextmanager
async def site(
    intake: Any = None, app: App | None = None, *, real_time: bool = False, **settings: Any
) -> AsyncGenerator[Site, None]:
    """Settings as `section__key`."""
    settings.setdefault("http__listen", "127.0.0.1:0")
    config = load(environment={}, **settings)
    door, app, metrics, clock = FakeDoor(), app or App(), Metrics(), Clock()
    intake = FakeIntake() if intake is None else intake
    server = HttpServer(config, app, intake, door, metrics, time.monotonic if real_time else clock)
    found = Site(server, intake, door, app, metrics, clock)
    try:
        await server.start()
        yield found
    finally:
        app.go.set()
        app.later.set()
        for peer in found.peers:
            peer.close()
        await server.close()

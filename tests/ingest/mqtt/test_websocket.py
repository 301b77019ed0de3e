"""MQTT over WebSocket, on the HTTP port, plain and with TLS."""

import asyncio
import ssl
from base64 import b64encode
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any, cast

import pytest

from headwater.config import load
from headwater.registry import Identity
from ingest.http.server import HttpServer
from ingest.mqtt.connection import Connection
from ingest.mqtt.encoding import encode
from ingest.mqtt.frames import Opcode
from ingest.mqtt.packets import Connack, Connect, Disconnect, Packet, Pingreq, Pingresp, Puback, Publish
from ingest.mqtt.reader import Reader
from tests.certificates import Fleet
from tests.ingest.http.support import App
from tests.ingest.mqtt.kit import TIMEOUT, Endpoint, endpoint, until, will
from tests.ingest.mqtt.test_frames import masked

KEY = "dGhlIHNhbXBsZSBub25jZQ=="  # RFC 6455's own example, with its answer
PROOF = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
HEADERS = {
    "Host": "localhost", "Upgrade": "websocket", "Connection": "keep-alive, Upgrade", "Sec-WebSocket-Key": KEY,
    "Sec-WebSocket-Version": "13", "Sec-WebSocket-Protocol": "chat, mqtt",
}  # fmt: skip


class Site:
    """An MQTT endpoint, and an HTTP server in front of it."""

    def __init__(self, here: Endpoint, http: HttpServer) -> None:
        self.here = here
        self.http = http
        self.pages: list[Page] = []

    async def page(self, context: ssl.SSLContext | None = None, version: int = 5) -> "Page":
        address = self.http.address if context is None else self.http.tls_address
        opened = asyncio.open_connection("127.0.0.1", int(address.rpartition(":")[2]), ssl=context)
        page = Page(*await asyncio.wait_for(opened, TIMEOUT), version)
        self.pages.append(page)
        return page

    async def opened(
        self, headers: dict[str, str] | None = None, context: ssl.SSLContext | None = None, version: int = 5
    ) -> "Page":
        page = await self.page(context, version)
        status, _ = await page.open(headers)
        assert status == 101
        return page


class Page:
    """A browser's side of a WebSocket; `version`: of MQTT."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, version: int = 5) -> None:
        self.reader = reader
        self.writer = writer
        self.version = version
        self._packets: list[Packet] = []
        self._mqtt = Reader(2**28, 2**28, peer="server", version=version)

    async def open(
        self, change: dict[str, str] | None = None, target: str = "/mqtt", rest: bytes = b""
    ) -> tuple[int, str]:
        """Ask for the WebSocket; `change`: other headers, with _ for -; empty for none. Gives status and head."""
        headers = HEADERS | {name.replace("_", "-"): value for name, value in (change or {}).items()}
        lines = [f"GET {target} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items() if value)]
        self.writer.write("\r\n".join(lines).encode() + b"\r\n\r\n" + rest)
        head = (await asyncio.wait_for(self.reader.readuntil(b"\r\n\r\n"), TIMEOUT)).decode()
        return int(head.split()[1]), head

    def send(self, *packets: Packet) -> None:
        self.writer.write(masked(Opcode.BINARY, b"".join(encode(packet, self.version) for packet in packets)))

    async def frame(self) -> tuple[int, bytes]:
        """The next frame, whole and not masked, as a server's must be."""
        first, second = await asyncio.wait_for(self.reader.readexactly(2), TIMEOUT)
        assert first & 0xF0 == 0x80
        assert second < 128
        width = {126: 2, 127: 8}.get(second, 0)
        size = int.from_bytes(await self.reader.readexactly(width)) if width else second
        return first & 15, await asyncio.wait_for(self.reader.readexactly(size), TIMEOUT)

    async def packet(self) -> Packet:
        while not self._packets:
            opcode, payload = await self.frame()
            assert opcode == Opcode.BINARY, (opcode, payload)
            self._packets += self._mqtt.feed(payload)
        return self._packets.pop(0)

    async def connect(self, **more: Any) -> Connack:
        self.send(Connect(self.version, "page", **more))
        packet = await self.packet()
        assert isinstance(packet, Connack)
        return packet

    async def closed(self) -> int:
        """A close frame, and then the end; gives its code."""
        opcode, payload = await self.frame()
        assert opcode == Opcode.CLOSE
        assert await asyncio.wait_for(self.reader.read(), TIMEOUT) == b""
        return int.from_bytes(payload[:2])

    async def close(self) -> None:
        self.writer.close()


@asynccontextmanager
async def serving(http: dict[str, Any] | None = None, **mqtt: Any) -> AsyncGenerator[Site, None]:
    async with endpoint(http=http, **mqtt) as here:
        config = load(environment={}, http={"listen": "127.0.0.1:0", **(http or {})})
        server = HttpServer(config, App(), here.intake, here.door, here.metrics, speaker=here.server.over_websocket)
        site = Site(here, server)
        try:
            await server.start()
            yield site
        finally:
            for page in site.pages:
                await page.close()
            await server.close()


@pytest.fixture
async def site() -> AsyncGenerator[Site, None]:
    async with serving() as made:
        yield made


async def test_the_handshake_answers_as_the_standard_says(site: Site) -> None:
    page = await site.page()
    status, head = await page.open()
    assert status == 101
    assert f"sec-websocket-accept: {PROOF}" in head
    assert "sec-websocket-protocol: mqtt\r\n" in head
    assert "extensions" not in head


async def test_a_page_publishes_and_hears(site: Site, version: int) -> None:
    page = await site.opened(version=version)
    assert (await page.connect()).code == 0
    page.send(Publish("devices/d1/telemetry", b"x" * 100_000, 2, 1))
    packet = await page.packet()
    assert isinstance(packet, Puback)
    assert site.here.intake.payloads == [b"x" * 100_000]
    assert site.here.metrics.sample("connections", transport="mqtt") == 1
    assert site.here.metrics.sample("connections", transport="http") == 0


async def test_packets_do_not_keep_to_frames(site: Site) -> None:
    page = await site.opened()
    data = b"".join(encode(packet, 5) for packet in (Connect(5, "c"), Pingreq(), Pingreq()))
    for byte in data:
        page.writer.write(masked(Opcode.BINARY, bytes((byte,))))
    assert isinstance(await page.packet(), Connack)
    page.writer.write(masked(Opcode.BINARY, encode(Pingreq(), 5)[:1], fin=False))
    page.writer.write(masked(Opcode.CONTINUATION, encode(Pingreq(), 5)[1:]))
    for _ in range(3):
        assert isinstance(await page.packet(), Pingresp)


async def test_what_follows_the_handshake_at_once_is_not_lost(site: Site) -> None:
    page = await site.page()
    await page.open(rest=masked(Opcode.BINARY, encode(Connect(5, "c"), 5)))
    assert isinstance(await page.packet(), Connack)


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"Sec_WebSocket_Protocol": ""}, 400), ({"Sec_WebSocket_Protocol": "chat"}, 400), ({"Sec_WebSocket_Key": ""}, 400),
        ({"Sec_WebSocket_Key": b64encode(b"short").decode()}, 400), ({"Sec_WebSocket_Version": "8"}, 426),
        ({"Sec_WebSocket_Version": ""}, 426), ({"Host": ""}, 400),
    ],
)  # fmt: skip
async def test_a_handshake_that_is_wrong_is_told_so(site: Site, change: dict[str, str], status: int) -> None:
    page = await site.page()
    found, head = await page.open(change)
    assert found == status
    assert status != 426 or "sec-websocket-version: 13" in head
    body = await asyncio.wait_for(page.reader.read(), TIMEOUT)
    assert b'"error":"bad_request"' in body.replace(b" ", b"")


async def test_only_its_path_opens_one(site: Site) -> None:
    page = await site.page()
    status, _ = await page.open(target="/mqtt/more")
    assert status != 101


async def test_what_is_no_frame_closes_with_a_code(site: Site) -> None:
    for said, code in ((masked(Opcode.TEXT, b"hello"), 1003), (b"\x82\x05hello", 1002)):
        page = await site.opened()
        page.writer.write(said)
        assert await page.closed() == code
    await until(lambda: site.here.metrics.sample("connections", transport="mqtt") == 0)


async def test_a_ping_is_answered_and_a_close_too(site: Site) -> None:
    page = await site.opened()
    await page.connect()
    page.writer.write(masked(Opcode.PING, b"are you there"))
    assert await page.frame() == (Opcode.PONG, b"are you there")
    page.writer.write(masked(Opcode.CLOSE, b"\x03\xe9"))
    assert await page.closed() == 1000


async def test_a_page_that_goes_without_a_word_leaves_its_will(site: Site) -> None:
    page = await site.opened()
    await page.connect(will=will())
    page.writer.write(masked(Opcode.CLOSE))
    await until(lambda: site.here.intake.payloads == [b"gone"])


async def test_a_refused_page_reads_why_before_the_close(site: Site) -> None:
    page = await site.opened()
    assert (await page.connect(username="d1", password=b"wrong")).code == 0x86
    assert await site_close(page) == 1000


async def site_close(page: Page) -> int:
    """As a browser does: answer the close."""
    opcode, payload = await page.frame()
    assert opcode == Opcode.CLOSE
    page.writer.write(masked(Opcode.CLOSE, payload))
    assert await asyncio.wait_for(page.reader.read(), TIMEOUT) == b""
    return int.from_bytes(payload)


async def test_a_page_is_told_when_the_endpoint_stops(site: Site) -> None:
    page = await site.opened()
    await page.connect()
    stopping = asyncio.create_task(site.here.server.close())
    packet = await page.packet()
    assert isinstance(packet, Disconnect)
    assert packet.code == 0x8B
    await site_close(page)
    await asyncio.wait_for(stopping, TIMEOUT)


@pytest.mark.parametrize(
    "headers", [{"Origin": "http://evil.example"}, {"Host": "evil.example"}, {"X_Forwarded_For": "1.2.3.4"}]
)
async def test_another_sites_page_is_not_trusted_for_being_on_this_machine(site: Site, headers: dict[str, str]) -> None:
    page = await site.opened(headers)
    assert (await page.connect()).code == 0x87
    page = await site.opened(headers)
    token = site.here.door.add("d1")
    assert (await page.connect(username="d1", password=token.encode())).code == 0


async def test_a_flood_of_pings_to_one_who_reads_nothing_fills_no_memory(site: Site) -> None:
    page = await site.opened()
    await page.connect()
    cast("asyncio.ReadTransport", page.writer.transport).pause_reading()
    page.writer.write(masked(Opcode.PING, b"x" * 125) * 50_000)
    (line,) = site.here.broker.connections
    await asyncio.wait_for(page.writer.drain(), TIMEOUT)
    assert isinstance(line, Connection)
    transport = line._stream._transport  # pyright: ignore[reportPrivateUsage]
    assert transport is not None
    assert transport.get_write_buffer_size() < 1_000


async def test_over_tls_a_page_may_show_a_certificate(fleet: Fleet) -> None:
    listener = fleet.listener(client="optional", client_ca=str(fleet.devices.certificate), identity="cn")
    async with serving({"tls": listener}) as site:
        page = await site.opened(context=fleet.client(fleet.pump))
        assert (await page.connect()).code == 0
        page.send(Publish("devices/pump-7/telemetry", b"1", 2, 1))
        assert isinstance(await page.packet(), Puback)
        assert site.here.intake.accepted[0][0] == Identity(name="pump-7", device="pump-7")
        foreign = await site.opened({"Origin": "https://evil.example"}, fleet.client(fleet.pump))
        assert (await foreign.connect()).code == 0x87


async def test_http_over_tls_takes_messages_and_knows_a_certificate(fleet: Fleet) -> None:
    listener = fleet.listener(client="optional", client_ca=str(fleet.devices.certificate), identity="cn")
    async with serving({"tls": listener}) as site:
        page = await site.page(fleet.client(fleet.pump))
        page.writer.write(b"POST /ingest/pump-7 HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n{}")
        head = await asyncio.wait_for(page.reader.readuntil(b"\r\n\r\n"), TIMEOUT)
        assert b" 202 " in head
        assert site.here.intake.accepted[0][0].name == "pump-7"
        page.writer.write(b"POST /ingest HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999\r\n\r\n{}")
        assert b" 413 " in await asyncio.wait_for(page.reader.read(), TIMEOUT)

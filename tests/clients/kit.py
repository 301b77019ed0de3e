"""Clients that nobody here wrote, each driven by a small program of its own; and a gateway with every way in.

A driver gets one argument, JSON: where, as whom, how many to publish, what to listen to. It says a line an event:
`ready`, `half` (of what it publishes is on its way), `heard PAYLOAD`, `done`.
"""

import asyncio
import json
import os
import shutil
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

import pytest

from headwater.app.events import topics
from headwater.config import load
from headwater.log import MESSAGES
from headwater.message import Message, decode_message
from headwater.metrics import Metrics
from ingest.http.server import HttpServer, open_http
from ingest.intake import LogIntake
from ingest.mqtt.server import MqttServer, open_mqtt
from storage.sqlite_log import SqliteLog, open_log
from tests.certificates import Fleet
from tests.ingest.http.support import App
from tests.ingest.mqtt.kit import Client as Raw
from tests.ingest.mqtt.kit import ScriptedDoor

HERE = Path(__file__).parent
SECONDS = 40.0
TOPIC = "devices/pump-7/telemetry"


class Client(NamedTuple):
    """A client, the transports and versions of MQTT it is driven over, and what its URLs say for a transport."""

    name: str
    ways: tuple[tuple[str, int], ...]
    schemes: dict[str, str]


_URLS = {"tcp": "mqtt", "tls": "mqtts", "ws": "ws", "wss": "wss"}
CLIENTS = (
    Client("js", (("tcp", 4), ("tcp", 5), ("tls", 5), ("ws", 5), ("wss", 5)), _URLS),
    Client("go", (("tcp", 4), ("tls", 4), ("wss", 4)), _URLS | {"tcp": "tcp", "tls": "ssl"}),
    Client("paho", (("tcp", 4), ("tls", 5), ("ws", 5)), _URLS),
    Client("aiomqtt", (("tcp", 5), ("tls", 4)), _URLS),
    Client("gmqtt", (("tcp", 4), ("tls", 5)), _URLS),
)


def _fetched(name: str, *files: str) -> Path:
    """Where scripts/clients/fetch puts it; without it the test is skipped and says so, with CI set it fails."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "headwater" / "clients"
    text = b"".join((HERE / name / file).read_bytes() for file in files)
    found = cache / f"{name}-{sha256(text).hexdigest()[:16]}"
    if not found.is_dir():
        missing(f"the {name} client is not here: scripts/clients/fetch brings it")
    return found


def missing(said: str) -> None:
    """What a test needs is not on this machine."""
    if os.environ.get("CI"):
        pytest.fail(said, pytrace=False)
    pytest.skip(said)


def command(client: str) -> tuple[list[str], dict[str, str]]:
    """How a driver is started, and with which environment."""
    environment = dict(os.environ)
    if client == "go":
        return [str(_fetched("go", "go.mod", "go.sum", "main.go") / "talk")], environment
    if client == "js":
        environment["NODE_PATH"] = str(_fetched("js", "package-lock.json") / "node_modules")
        if shutil.which("node") is None:
            missing("node is not installed: MQTT.js needs it")
        return ["node", str(HERE / "js" / "talk.cjs")], environment
    return [sys.executable, str(HERE / "python" / f"{client}_talk.py")], environment


class Driver:
    """A driver that runs."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self.said: list[str] = []

    async def says(self, word: str) -> str:
        """Read on to the next line that begins so."""
        assert self._process.stdout is not None
        while line := (await asyncio.wait_for(self._process.stdout.readline(), SECONDS)).decode().strip():
            self.said.append(line)
            if line.split()[0] == word:
                return line
            assert not line.startswith("failed"), line
        assert self._process.stderr is not None
        raise AssertionError(f"it ended after {self.said}: {(await self._process.stderr.read()).decode()[-2000:]}")

    def kill(self) -> None:
        """Without a word, as with the power gone."""
        self._process.kill()


class Gateway:
    """The real intake on a real log behind both front doors, with and without TLS."""

    def __init__(self, fleet: Fleet, mqtt: MqttServer, http: HttpServer, log: SqliteLog, door: ScriptedDoor) -> None:
        self.door = door
        self.fleet = fleet
        self.mqtt = mqtt
        self.log = log
        self._addresses = {
            "tcp": mqtt.address, "tls": mqtt.tls_address, "ws": http.address, "wss": http.tls_address,
        }  # fmt: skip

    def cut(self) -> int:
        """Cut all connections without a word; returns how many there were."""
        connections = list(self.mqtt._broker.connections)  # pyright: ignore[reportPrivateUsage]
        for connection in connections:
            connection.abort()
        return len(connections)

    async def publish(self, topic: str, payload: bytes) -> None:
        """As another client of the broker would, with QoS 1; returns when it is acknowledged."""
        reader, writer = await asyncio.open_connection("localhost", self.port("tcp"))
        client = Raw(reader, writer, 5)
        await client.connect("publisher")
        client.publish(payload, topic=topic)
        await client.acknowledged(1)
        await client.close()

    def port(self, transport: str) -> int:
        return int(self._addresses[transport].rpartition(":")[2])

    async def messages(self) -> list[Message]:
        found: list[Message] = []
        for partition in range(4):
            async for batch in self.log.read(MESSAGES, partition, 0):
                found += [decode_message(entry.value) for entry in batch if entry.value is not None]
        return found

    @asynccontextmanager
    async def driven(
        self, client: Client, transport: str, version: int, *, count: int = 0, listen: str = "", expect: int = 0,
        clean: bool = True,
    ) -> AsyncGenerator[Driver, None]:  # fmt: skip
        """Run a client; it does not outlive the block. Over TLS it shows pump-7's certificate."""
        secure = transport in {"tls", "wss"}
        path = "/mqtt" if transport in {"ws", "wss"} else ""
        job = {
            "url": f"{client.schemes[transport]}://localhost:{self.port(transport)}{path}", "id": "pump-7",
            "version": version, "topic": TOPIC, "count": count, "listen": listen, "expect": expect, "clean": clean,
            "ca": str(self.fleet.servers.certificate) if secure else "",
            "cert": str(self.fleet.pump.certificate) if secure else "",
            "key": str(self.fleet.pump.key) if secure else "",
        }  # fmt: skip
        words, environment = command(client.name)
        process = await asyncio.create_subprocess_exec(
            *words, json.dumps(job), stdout=PIPE, stderr=PIPE, env=environment
        )
        try:
            yield Driver(process)
        finally:
            if process.returncode is None:
                process.kill()
            await process.wait()


@asynccontextmanager
async def gateway(folder: Path, fleet: Fleet) -> AsyncGenerator[Gateway, None]:
    """One that listens on localhost in every way."""
    tls = fleet.listener(
        listen="localhost:0", client="required", client_ca=str(fleet.devices.certificate), identity="cn"
    )
    config = load(
        environment={},
        mqtt={"listen": "localhost:0", "broker": True, "tls": tls},
        http={"listen": "localhost:0", "tls": tls},
    )
    metrics, door = Metrics(), ScriptedDoor()
    async with (
        open_log(folder / "log.sqlite", topics(config.log)) as log,
        LogIntake(log, config, metrics, lambda _device: "") as intake,
        open_mqtt(config, intake, door, metrics, log) as mqtt,
        open_http(config, App(), intake, door, metrics, mqtt.over_websocket) as http,
    ):
        yield Gateway(fleet, mqtt, http, log, door)
        mqtt.stop_accepting()
        await intake.drain(5)

"""An API over a log and a lake in memory and a real live store, asked in this process or over a socket."""

import asyncio
import socket
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest
import uvicorn
from fastapi import FastAPI

from consumers.worker_state import WorkerState
from headwater.config import Config
from headwater.config_models import FieldModel, Model
from headwater.directory import Directory
from headwater.errors import Refused
from headwater.log import CANDIDATES, MESSAGES
from headwater.message import Message, decode_message
from headwater.metrics import Metrics
from headwater.registry import ANONYMOUS, Certificate, Identity
from ingest.control import open_control
from ingest.models import Models
from query.api import Parts, make_app
from query.flow import Flow
from query.flow_share import Counting
from query.health import Health
from query.tail import Tail
from storage.contract import Record
from storage.sqlite_documents import SqliteDocuments, open_sqlite_documents
from storage.sqlite_live import SqliteLive, open_live
from storage.sqlite_reports import SqliteReports, open_sqlite_reports
from storage.sqlite_search import SqliteSearch, open_sqlite_search
from tests.ingest.mqtt.log_kit import MemoryLog as SharedLog
from tests.query.fakes import PARTITIONS, MemoryLake, MemoryLog

READER = Identity(name="reader", roles=("read",))


class FakeDoor:
    """Lets in everyone on loopback while `open`, and the token `read` everywhere."""

    def __init__(self) -> None:
        self.open = True
        self.until = 0
        self.watchers: list[Callable[[str], None]] = []

    def identify(self, name: str, secret: str, *, loopback: bool) -> Identity:
        if secret == "read":
            return READER
        if secret == "short":
            return Identity(name="page", roles=("read",), until=self.until)
        if secret == "admin":
            return Identity(name="admin", roles=("admin",))
        if secret == "device":
            return Identity(name="pump-7", device="pump-7")
        if secret:
            raise Refused("bad_credentials", "no such token")
        if loopback and self.open:
            return ANONYMOUS
        raise Refused("no_credentials", "give a token")

    def identify_certificate(self, certificate: Certificate, by: str) -> Identity:
        raise Refused("bad_credentials", "no such certificate")

    def claimed(self, code: str, certificate: Certificate | None) -> Identity | None:
        return None

    def blocked(self, address: str) -> bool:
        return False

    def watch(self, changed: Callable[[str], None]) -> Callable[[], None]:
        self.watchers.append(changed)
        return lambda: self.watchers.remove(changed)


FOR_EVER = 100 * 365 * 86_400.0


class Stores(NamedTuple):
    """The stores that answer for what was selected, and in sums."""

    documents: SqliteDocuments
    search: SqliteSearch
    reports: SqliteReports


@dataclass
class Api:
    """The app and what it stands on."""

    app: FastAPI
    client: httpx.AsyncClient
    log: MemoryLog
    lake: MemoryLake
    live: SqliteLive
    tail: Tail
    door: FakeDoor
    metrics: Metrics
    flow: Flow
    workers: list[WorkerState]
    probes: dict[str, Callable[[], Any]]
    stores: Stores
    applied: dict[int, int] = field(default_factory=dict[int, int])

    async def say(self, *messages: Message) -> None:
        """As the intake does: on the log, durable."""
        for message in messages:
            self.log.put(MESSAGES, message)
        await self.log.grown()

    async def write_live(self) -> None:
        """As the live store's worker does."""
        for number in range(PARTITIONS):
            start = self.applied.get(number, 0)
            entries = self.log.entries[MESSAGES, number][start:]
            await self.live.write(
                [Record(MESSAGES, number, e.offset, e.offset, decode_message(e.value or b"")) for e in entries]
            )
            self.applied[number] = start + len(entries)

    async def get(
        self, path: str, status: int = 200, headers: Mapping[str, str] | list[tuple[bytes, bytes]] | None = None
    ) -> Any:
        answer = await self.client.get(path, headers=headers)
        assert answer.status_code == status, answer.text
        return answer.json()


MODELS = {
    "default": Model(),
    "pump": Model(
        devices=("pump-*",), fields={"voltage": FieldModel(unit="V", min=0, max=1000), "state": FieldModel(type="text")}
    ),
}


@asynccontextmanager
async def open_api(folder: Path, config: Config | None = None) -> AsyncGenerator[Api, None]:
    config = config or Config(models=MODELS)
    log = MemoryLog()
    lake = MemoryLake(log)
    tail = Tail(log, lake.ledger, size=config.query.tail_size, groups={CANDIDATES: "lake.candidates"}, grace=0.0)
    metrics = Metrics()
    workers = [WorkerState("live", MESSAGES, "live.messages", "running")]
    selector = WorkerState("selector", MESSAGES, "selector", "running")
    counting = Counting(metrics, "up", [selector, *workers])
    flow = Flow(log, counting)
    stop = asyncio.Event()
    async with AsyncExitStack() as stack:
        live = await stack.enter_async_context(open_live(folder / "live.sqlite", log.id))
        documents = await stack.enter_async_context(
            open_sqlite_documents(folder / "documents.sqlite", log.id, retention=FOR_EVER)
        )
        search = await stack.enter_async_context(
            open_sqlite_search(folder / "search.sqlite", log.id, retention=FOR_EVER)
        )
        reports = await stack.enter_async_context(open_sqlite_reports(folder / "reports.sqlite", log.id, rows=FOR_EVER))
        control = await stack.enter_async_context(open_control(SharedLog(), config, metrics, sweeping=False))
        probes: dict[str, Callable[[], Any]] = {"log": log.ping, "live": live.ping}
        door = FakeDoor()
        app = make_app(
            Parts(
                config=config,
                log=log,
                live=live,
                lake=lake,
                documents=documents,
                search=search,
                reports=reports,
                tail=tail,
                models=Models(config.models, lambda _: ""),
                door=door,
                metrics=metrics,
                flow=flow,
                control=control,
                health=Health(probes, workers),
                directory=Directory(),
            )
        )
        running = [asyncio.create_task(tail.run(stop)), asyncio.create_task(counting.run(stop))]
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        client = await stack.enter_async_context(httpx.AsyncClient(transport=transport, base_url="http://localhost"))
        try:
            stores = Stores(documents, search, reports)
            yield Api(app, client, log, lake, live, tail, door, metrics, flow, workers, probes, stores)
        finally:
            stop.set()
            await asyncio.gather(*running)


@pytest.fixture
async def api(tmp_path: Path) -> AsyncGenerator[Api, None]:
    async with open_api(tmp_path) as made:
        yield made


@asynccontextmanager
async def serving(app: FastAPI) -> AsyncGenerator[str, None]:
    """The app on a port that the system picks; gives its URL."""
    listening = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, lifespan="off", ws="none"))
    task = asyncio.create_task(server.serve(sockets=[listening]))
    while not server.started:
        await asyncio.sleep(0.005)
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        app.state.streams.end()
        server.should_exit = True
        await task
        listening.close()


@pytest.fixture
async def url(api: Api) -> AsyncGenerator[str, None]:
    async with serving(api.app) as address:
        yield address

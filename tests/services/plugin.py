"""Real servers as fixtures: `kafka_server`, `redis_server`, … In: the collected tests. Out: running servers.

Those the collected tests name are started side by side before the first test, the others when asked for; all are gone
before pytest leaves. A server that can't be had skips its tests, with the reason in the summary; with CI set they fail.
"""

import gc
import os
import shutil
import signal
import tempfile
import warnings
from collections.abc import Generator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import FrameType
from typing import NoReturn

import pytest

from tests.services import containers
from tests.services.recipes import RECIPES, native
from tests.services.server import START_TIME, Missing, Server

FIXTURES = {
    "kafka_server": "kafka",
    "redis_server": "redis",
    "mongo_server": "mongo",
    "elastic_server": "elasticsearch",
    "mariadb_server": "mariadb",
    "minio_server": "minio",
}
NOT_SHOWN = Path(__file__).with_name("not_shown.md")


class Services:
    """The servers of a run."""

    def __init__(self) -> None:
        self._starting: dict[str, Future[Server]] = {}
        self._servers: list[Server] = []
        self._folder: Path | None = None
        self._threads: ThreadPoolExecutor | None = None
        self.missing: dict[str, str] = {}
        self.stand_ins: set[str] = set()

    def begin(self, name: str) -> Future[Server]:
        """Start it, in a thread of its own; at most once."""
        if self._folder is None or self._threads is None:
            self._folder = Path(tempfile.mkdtemp(prefix="headwater-services-"))
            self._threads = ThreadPoolExecutor(len(RECIPES), "services")
        if name not in self._starting:
            self._starting[name] = self._threads.submit(self._start, name, self._folder / name)
        return self._starting[name]

    def _start(self, name: str, folder: Path) -> Server:
        try:
            server: Server = native(name, folder)
        except Missing as missing:
            server = containers.container(name, str(missing))
        self._servers.append(server)
        if server.stand_in:
            self.stand_ins.add(name)
        server.start()
        return server

    def get(self, name: str) -> Server:
        """Wait until it serves; skip or fail the test if it can't be had."""
        try:
            return self.begin(name).result(START_TIME + 10)
        except Missing as missing:
            self.missing[name] = str(missing)
            if os.environ.get("CI"):
                pytest.fail(str(missing), pytrace=False)
            pytest.skip(str(missing))

    def close(self) -> None:
        """Stop all of them, also those that are just starting."""
        if self._threads is not None:
            self._threads.shutdown(wait=True, cancel_futures=True)
            self._threads = None
        while self._servers:
            self._servers.pop().close()
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None


services = Services()


# aiokafka drops a socket now and then when a broker vanishes, or a member leaves, while it connects.
DROPPED = ("Unclosed AIOKafkaConnection", "unclosed <socket.socket", "unclosed <StreamWriter", "unclosed transport")


def _with_kafka(item: pytest.Item) -> bool:
    parameters = getattr(getattr(item, "callspec", None), "params", {})
    return "kafka_server" in getattr(item, "fixturenames", ()) or "kafka" in parameters.values()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in filter(_with_kafka, items):
        for text in DROPPED:
            item.add_marker(pytest.mark.filterwarnings(f"ignore:{text}:ResourceWarning"))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item) -> Generator[None, None, None]:
    """What such a test dropped is found here, and not in a later test that may drop nothing."""
    yield
    if _with_kafka(item):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ResourceWarning)
            gc.collect()


def pytest_collection_finish(session: pytest.Session) -> None:
    if session.config.option.collectonly:
        return
    for item in session.items:
        for fixture in getattr(item, "fixturenames", ()):
            if fixture in FIXTURES:
                services.begin(FIXTURES[fixture])


def _ended(number: int, frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt


def pytest_configure() -> None:
    signal.signal(signal.SIGTERM, _ended)  # or a run that is told to end would leave its servers behind


@pytest.hookimpl(tryfirst=True)
def pytest_unconfigure() -> None:
    services.close()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if services.missing:
        terminalreporter.section("NOT SHOWN ON THIS MACHINE")
        for reason in services.missing.values():
            terminalreporter.line(reason)
    if services.stand_ins:
        terminalreporter.section("NOT SHOWN ON A REAL MONGOD")
        terminalreporter.line(NOT_SHOWN.read_text("utf-8").strip())


def _serve(fixture: str) -> Generator[Server]:
    server = services.get(FIXTURES[fixture])
    yield server
    server.thaw()


@pytest.fixture(scope="session")
def kafka_server() -> Generator[Server]:
    yield from _serve("kafka_server")


@pytest.fixture(scope="session")
def redis_server() -> Generator[Server]:
    yield from _serve("redis_server")


@pytest.fixture(scope="session")
def mongo_server() -> Generator[Server]:
    yield from _serve("mongo_server")


@pytest.fixture(scope="session")
def elastic_server() -> Generator[Server]:
    yield from _serve("elastic_server")


@pytest.fixture(scope="session")
def mariadb_server() -> Generator[Server]:
    yield from _serve("mariadb_server")


@pytest.fixture(scope="session")
def minio_server() -> Generator[Server]:
    yield from _serve("minio_server")

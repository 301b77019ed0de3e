"""A running program for tests that do not kill it, one a module; an installation of the stack, one a test."""

from collections.abc import Generator, Iterator
from pathlib import Path

import pytest

from tests.services.server import Server
from tests.system.program import Program
from tests.system.stack import Stack


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    folder: Path = tmp_path_factory.mktemp("program")
    settings = {"HEADWATER_LAKE__FLUSH_EVERY": "1s", "HEADWATER_SELECTION__CLOCK": "1s"}
    running = Program(folder / "data", settings)
    running.start()
    yield running
    assert running.exited() is None, running.output.read_text()[-4000:]
    assert running.stop() == 0, running.output.read_text()[-4000:]


@pytest.fixture
def stack(
    tmp_path: Path,
    kafka_server: Server,
    redis_server: Server,
    mongo_server: Server,
    elastic_server: Server,
    mariadb_server: Server,
    minio_server: Server,
) -> Generator[Stack, None, None]:
    servers = {
        "kafka": kafka_server,
        "redis": redis_server,
        "mongo": mongo_server,
        "elastic": elastic_server,
        "mariadb": mariadb_server,
        "minio": minio_server,
    }
    settings = {"HEADWATER_LAKE__FLUSH_EVERY": "500ms", "HEADWATER_LOG__SESSION": "6s"}
    made = Stack(tmp_path, servers, settings)
    yield made
    made.close()

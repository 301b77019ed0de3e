"""Every log there is goes through the same laws: add a kind of log here, and it does."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from uuid import uuid4

import pytest

from headwater.config_stack import Kafka
from headwater.log import Log, TopicSpec
from storage.kafka_log import open_kafka_log
from storage.kafka_log_member import IDLE as KAFKA_IDLE
from storage.sqlite_log import open_log
from storage.sqlite_log_member import IDLE
from tests.log.kit import Logs
from tests.services.server import Server

_numbers = count()


class SqliteLogs:
    idle = 0.25
    pace = 1.0
    tick = 1

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @asynccontextmanager
    async def open(self, *topics: TopicSpec, session: float = 30.0) -> AsyncGenerator[Log, None]:
        async with open_log(self._folder / "log.sqlite", topics, session=session) as log:
            yield log

    def enough(self) -> bool:
        return False

    def fresh(self) -> "SqliteLogs":
        return SqliteLogs(self._folder / str(next(_numbers)))


class KafkaLogs:
    """Logs on the run's broker, told from each other by a prefix."""

    idle = 0.4
    pace = 4.0
    tick = 1000  # Kafka keeps milliseconds
    examples = 8

    def __init__(self, port: int) -> None:
        self.config = Kafka(servers=(f"127.0.0.1:{port}",), prefix=f"t{uuid4().hex[:12]}.")
        self._port = port
        self._tried = 0

    @asynccontextmanager
    async def open(self, *topics: TopicSpec, session: float = 30.0) -> AsyncGenerator[Log, None]:
        async with open_kafka_log(self.config, topics, session=session) as log:
            yield log

    def enough(self) -> bool:
        self._tried += 1
        return self._tried > self.examples

    def fresh(self) -> "KafkaLogs":
        return KafkaLogs(self._port)


@pytest.fixture(params=["sqlite", "kafka"])
def logs(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Logs:
    assert IDLE == KAFKA_IDLE == 1.0
    monkeypatch.setattr("storage.sqlite_log_member.IDLE", SqliteLogs.idle)  # to be done sooner
    monkeypatch.setattr("storage.kafka_log_member.IDLE", KafkaLogs.idle)
    if request.param == "sqlite":
        return SqliteLogs(tmp_path)
    server: Server = request.getfixturevalue("kafka_server")
    return KafkaLogs(server.port)

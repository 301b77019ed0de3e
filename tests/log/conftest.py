"""Every log there is goes through the same laws: add a kind of log here, and it does."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path

import pytest

from headwater.log import Log, TopicSpec
from storage.sqlite_log import open_log
from storage.sqlite_log_member import IDLE
from tests.log.kit import Logs

_numbers = count()


class SqliteLogs:
    idle = 0.25

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @asynccontextmanager
    async def open(self, *topics: TopicSpec, session: float = 30.0) -> AsyncGenerator[Log, None]:
        async with open_log(self._folder / "log.sqlite", topics, session=session) as log:
            yield log

    def fresh(self) -> "SqliteLogs":
        return SqliteLogs(self._folder / str(next(_numbers)))


@pytest.fixture(params=["sqlite"])
def logs(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Logs:
    assert IDLE == 1.0
    monkeypatch.setattr("storage.sqlite_log_member.IDLE", SqliteLogs.idle)  # to be done sooner
    kinds = {"sqlite": SqliteLogs}
    return kinds[request.param](tmp_path)

"""Search in a file and on a real Elasticsearch."""

from collections.abc import AsyncGenerator, Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from storage.elastic_store import open_elastic_search
from storage.sqlite_search import open_sqlite_search
from tests.services.server import Server
from tests.storage.search.kit import CLOCK, KEEP, Clock, Opened, Opening, Search, configured, remove


@pytest.fixture
def prefix(elastic_server: Server) -> Iterator[str]:
    made = f"t{uuid4().hex[:12]}"
    yield made
    remove(elastic_server, made)


@pytest.fixture(params=["sqlite", "elastic"])
def opening(request: pytest.FixtureRequest, tmp_path: Path) -> Opening:
    """Opens the store for a log id, with a retention and a clock."""
    path = tmp_path / "search.sqlite"
    if request.param == "sqlite":

        def file(log_id: str = "log-1", retention: float = KEEP, now: Clock = CLOCK) -> Opened:
            return open_sqlite_search(path, log_id, retention=retention, now=now)

        return file
    server: Server = request.getfixturevalue("elastic_server")
    config = configured(server.port, request.getfixturevalue("prefix"))

    def real(log_id: str = "log-1", retention: float = KEEP, now: Clock = CLOCK) -> Opened:
        return open_elastic_search(config, log_id, retention=retention, now=now)

    return real


@pytest.fixture
async def store(opening: Opening) -> AsyncGenerator[Search, None]:
    async with opening() as opened:
        yield opened

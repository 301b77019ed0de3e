"""The reports in a file and on MariaDB."""

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from storage.mysql_store import open_mysql_reports
from storage.sqlite_reports import open_sqlite_reports
from tests.services.server import Server
from tests.storage.reports.kit import EVERYTHING, Clock, Opens, Reports, a_database


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(params=["sqlite", "mariadb"])
def opens(request: pytest.FixtureRequest, tmp_path: Path, clock: Clock) -> Opens:
    """How one and the same place is opened."""
    if request.param == "sqlite":
        return lambda log_id="log-1", rows=EVERYTHING: open_sqlite_reports(
            tmp_path / "reports.sqlite", log_id, rows=rows, now=clock
        )
    server: Server = request.getfixturevalue("mariadb_server")
    config = a_database(server.port, time=10)
    return lambda log_id="log-1", rows=EVERYTHING: open_mysql_reports(config, log_id, rows=rows, now=clock)


@pytest.fixture
async def reports(opens: Opens) -> AsyncGenerator[Reports, None]:
    async with opens() as store:
        yield store

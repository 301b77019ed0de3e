"""The registry in a file and on MariaDB, and a log."""

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from headwater.log import Log
from storage.registry_in_tables import TablesRegistry
from tests.core.registry_kit import a_log
from tests.services.server import Server
from tests.storage.registry_home import FileHome, Home, MariaHome


@pytest.fixture(params=["sqlite", "mariadb"])
def home(tmp_path: Path, request: pytest.FixtureRequest) -> Home:
    return FileHome(tmp_path) if request.param == "sqlite" else MariaHome(_server(request).port)


def _server(request: pytest.FixtureRequest) -> Server:
    server: Server = request.getfixturevalue("mariadb_server")
    return server


@pytest.fixture
async def registry(home: Home) -> AsyncGenerator[TablesRegistry, None]:
    async with home.open() as registry:
        yield registry


@pytest.fixture
async def log(tmp_path: Path) -> AsyncGenerator[Log, None]:
    async with a_log(tmp_path) as log:
        yield log

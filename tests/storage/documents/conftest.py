"""Documents in a file and on the stand-in for mongod."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest

from storage.sqlite_documents import open_sqlite_documents
from tests.services.server import Server
from tests.storage.documents.kit import RETENTION, Documents, Open, clock, mongo, new_database


@pytest.fixture(params=["sqlite", "the stand-in for mongod"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Open:
    """One of the two."""
    if request.param == "sqlite":
        path = tmp_path / "documents.sqlite"

        def on_sqlite(
            log_id: str = "log-1", *, clock: Callable[[], int] = clock
        ) -> AbstractAsyncContextManager[Documents]:
            return open_sqlite_documents(path, log_id, retention=RETENTION, clock=clock)

        return on_sqlite
    server: Server = request.getfixturevalue("mongo_server")
    database = new_database()

    def on_mongo(log_id: str = "log-1", *, clock: Callable[[], int] = clock) -> AbstractAsyncContextManager[Documents]:
        return mongo(server, database, log_id, clock=clock)

    return on_mongo

"""Live state in a file and in Redis."""

from collections.abc import AsyncGenerator
from pathlib import Path
from uuid import uuid4

import pytest

from headwater.config_stack import Redis
from storage.redis_store import RedisLive, open_redis_live
from storage.sqlite_live import SqliteLive, open_live
from tests.services.server import Server


@pytest.fixture
async def sqlite_live(tmp_path: Path) -> AsyncGenerator[SqliteLive, None]:
    async with open_live(tmp_path / "live.sqlite", "log-1") as store:
        yield store


@pytest.fixture
async def redis_live(redis_server: Server) -> AsyncGenerator[RedisLive, None]:
    config = Redis(url=f"redis://127.0.0.1:{redis_server.port}/0", prefix=f"live-{uuid4().hex}")
    async with open_redis_live(config, "log-1") as store:
        yield store


@pytest.fixture(params=["sqlite_live", "redis_live"])
def live(request: pytest.FixtureRequest) -> SqliteLive | RedisLive:
    store = request.getfixturevalue(request.param)
    assert isinstance(store, SqliteLive | RedisLive)
    return store

"""Can every server of the stack be reached, with these credentials? Asked side by side, each for a limited time.

In: the configuration. Out: for each server nothing, or what is wrong. What is missing there (topics, tables, indexes,
the bucket) is made, as the first process would do.
"""

import asyncio
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from headwater.app.backends import (
    open_checkpoints,
    open_documents,
    open_live,
    open_reports,
    open_search,
)
from headwater.app.events import open_events
from headwater.app.registry_tables import open_tables
from headwater.config import Config
from headwater.errors import HeadwaterError

SECONDS = 30.0
_NO_LOG = "check"


class _Asked(Protocol):
    async def ping(self) -> None: ...


async def problems(config: Config) -> Mapping[str, str | None]:
    """Server → None, or what is wrong."""
    asked = {
        f"Kafka {', '.join(config.kafka.servers)}": _pinged(open_events(config)),
        f"Redis {config.redis.url}": _pinged(open_live(config, _NO_LOG)),
        f"MongoDB {config.mongodb.database}": _pinged(open_documents(config, _NO_LOG)),
        f"Elasticsearch {', '.join(config.elasticsearch.urls)}": _pinged(open_search(config, _NO_LOG)),
        f"MariaDB {config.mariadb.host}:{config.mariadb.port}": _pinged(open_reports(config, _NO_LOG)),
        "registry in MariaDB": _opened(open_tables(config)),
        f"S3 {config.s3.endpoint} bucket {config.s3.bucket}": _opened(open_checkpoints(config)),
    }
    return dict(zip(asked, await asyncio.gather(*asked.values()), strict=True))


async def _pinged(opening: AbstractAsyncContextManager[_Asked]) -> str | None:
    try:
        async with asyncio.timeout(SECONDS), opening as opened:
            await opened.ping()
    except HeadwaterError as error:
        return str(error)
    except TimeoutError:
        return f"no answer within {SECONDS:g} s"
    return None


async def _opened(opening: AbstractAsyncContextManager[object]) -> str | None:
    try:
        async with asyncio.timeout(SECONDS), opening:
            return None
    except HeadwaterError as error:
        return str(error)
    except TimeoutError:
        return f"no answer within {SECONDS:g} s"

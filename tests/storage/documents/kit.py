"""Documents on both backends, and what is in them.

MongoDB is a stand-in for mongod where no mongod is to be had: tests/services/not_shown.md says what that leaves open.
"""

import asyncio
import uuid
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol

import msgspec

from headwater.config_stack import MongoDb
from headwater.message import Candidate, Origin
from storage.contract import CandidateReader, Record, Span, Store
from storage.mongo_store import open_mongo_documents
from tests.services.server import Server
from tests.storage.factory import DAY, T, partition_of, records

LIMIT = 2.0
"""Seconds that a call may take where a test takes the server away."""


RETENTION = 4 * 86_400.0


def clock() -> int:
    """Three days after `T`: what is older than a day before it has expired."""
    return T + 3 * DAY


class Documents(Store, CandidateReader, Protocol):
    """Both contracts, and the pruning."""

    async def maintain(self) -> int: ...


async def soon(work: Awaitable[Any], seconds: float = 20) -> Any:
    return await asyncio.wait_for(work, seconds)


def mongo_config(port: int, database: str, time: float = 20) -> MongoDb:
    return MongoDb(url=f"mongodb://127.0.0.1:{port}/?retryWrites=false", database=database, time=time)


def new_database() -> str:
    return f"test-{uuid.uuid4().hex}"


def mongo(
    server: Server,
    database: str,
    log_id: str = "log-1",
    *,
    time: float = 20,
    clock: Callable[[], int] = clock,
) -> AbstractAsyncContextManager[Documents]:
    return open_mongo_documents(mongo_config(server.port, database, time), log_id, retention=RETENTION, clock=clock)


class Open(Protocol):
    """Opens a store, always on the same data."""

    def __call__(
        self, log_id: str = "log-1", *, clock: Callable[[], int] = clock
    ) -> AbstractAsyncContextManager[Documents]: ...


async def everything(store: CandidateReader) -> list[Candidate]:
    found, _ = await soon(store.candidates(None, Span(), 10_000, newest_first=False))
    return list(found)


async def all_ids(store: CandidateReader) -> list[str]:
    return [ident async for ids in store.ids() for ident, _ in ids]


def at(offset: int, body: Candidate) -> Record:
    """A candidate of the message at this offset."""
    origin = Origin(partition_of(body), offset, 0)
    return records([msgspec.structs.replace(body, origin=origin)])[0]

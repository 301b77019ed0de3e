"""The log and the stores opened to be read only: nothing is made, no group is joined. One `case` a profile, as ever.

In: the configuration, and the id of the log that the stores' ledgers are about. Out: readers, closed below the yield.
Openers raise `Unavailable` where a server is away, and `ConfigError` where there is nothing to read.
"""

import tempfile
from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

from headwater.app.backends import DocumentStore, LiveStore, ReportStore, SearchStore
from headwater.app.events import topics
from headwater.config import Config
from headwater.errors import ConfigError
from headwater.log import ReadableLog
from storage.elastic_store import open_elastic_search
from storage.kafka_log import open_kafka_log
from storage.lake_reader import DeltaLakeReader, open_lake_reader
from storage.mongo_store import open_mongo_documents
from storage.mysql_store import open_mysql_reports
from storage.redis_store import open_redis_live
from storage.s3_lake import open_s3_lake_reader
from storage.sqlite_documents import open_sqlite_documents
from storage.sqlite_live import open_live as open_sqlite_live
from storage.sqlite_log_reader import open_log_readonly
from storage.sqlite_reports import open_sqlite_reports
from storage.sqlite_search import open_sqlite_search


def read_events(config: Config) -> AbstractAsyncContextManager[ReadableLog]:
    """The log."""
    match config.profile:
        case "embedded":
            return open_log_readonly(config.data / "log.sqlite")
        case "stack":
            return open_kafka_log(config.kafka, topics(config.log), produce=False, make=False)


def read_live(config: Config, log_id: str) -> AbstractAsyncContextManager[LiveStore]:
    """The role live."""
    match config.profile:
        case "embedded":
            return open_sqlite_live(config.data / "live.sqlite", log_id, readonly=True)
        case "stack":
            return open_redis_live(config.redis, log_id)  # makes nothing


def read_documents(config: Config, log_id: str) -> AbstractAsyncContextManager[DocumentStore]:
    """The role documents."""
    kept = config.documents.retention
    match config.profile:
        case "embedded":
            return open_sqlite_documents(config.data / "documents.sqlite", log_id, retention=kept, readonly=True)
        case "stack":
            return open_mongo_documents(config.mongodb, log_id, retention=kept, readonly=True)


def read_search(config: Config, log_id: str) -> AbstractAsyncContextManager[SearchStore]:
    """The role search."""
    kept = config.search.retention
    match config.profile:
        case "embedded":
            return open_sqlite_search(config.data / "search.sqlite", log_id, retention=kept, readonly=True)
        case "stack":
            return open_elastic_search(config.elasticsearch, log_id, retention=kept, readonly=True)


def read_reports(config: Config, log_id: str) -> AbstractAsyncContextManager[ReportStore]:
    """The role reports."""
    rows = config.reports.rows
    match config.profile:
        case "embedded":
            return open_sqlite_reports(config.data / "reports.sqlite", log_id, rows=rows, readonly=True)
        case "stack":
            return open_mysql_reports(config.mariadb, log_id, rows=rows, readonly=True)


@asynccontextmanager
async def read_lake(config: Config, log_id: str) -> AsyncGenerator[DeltaLakeReader, None]:
    """The role lake."""
    time = config.query.time
    match config.profile:
        case "embedded":
            if not (config.data / "lake").is_dir():
                raise ConfigError(f"there is no lake in {config.data}")
            async with open_lake_reader(config.data / "lake", log_id, answer_time=time) as lake:
                yield lake
        case "stack":
            with tempfile.TemporaryDirectory(prefix="headwater-") as folder:
                async with open_s3_lake_reader(config.s3, log_id, cache=Path(folder), answer_time=time) as lake:
                    yield lake

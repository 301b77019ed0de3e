"""Which store plays which role: one `case` a profile. A new backend is a section of the configuration, a file, a case.

The log is in `headwater.app.events`, the registry in `headwater.app.registry_tables`.

In: the configuration, and the id of the log that the stores' ledgers are about. Out: open stores, closed below the
yield. Openers raise `Unavailable` where a server is away. `readonly`: nothing is made, and
`ConfigError` says that there is nothing to read.
"""

from contextlib import AbstractAsyncContextManager, nullcontext
from typing import Protocol

from headwater.config import Config
from storage.contract import CandidateReader, Checkpoints, Erasable, LiveReader, ReportReader, SearchReader, Store
from storage.delta_lake import DeltaLake, open_lake
from storage.elastic_store import open_elastic_search
from storage.lake_files import open_files
from storage.log_files import LogFiles
from storage.mongo_store import open_mongo_documents
from storage.mysql_store import open_mysql_reports
from storage.redis_store import open_redis_live
from storage.s3_checkpoints import open_s3_checkpoints
from storage.s3_lake import open_s3_lake
from storage.s3_objects import S3Objects
from storage.sqlite_checkpoints import open_checkpoints as open_sqlite_checkpoints
from storage.sqlite_documents import open_sqlite_documents
from storage.sqlite_live import open_live as open_sqlite_live
from storage.sqlite_reports import open_sqlite_reports
from storage.sqlite_search import open_sqlite_search


class Kept(Protocol):
    """What has to be looked after now and then."""

    async def maintain(self) -> object:
        """Drop what retention no longer reaches."""
        ...


class LiveStore(Store, LiveReader, Erasable, Protocol):
    """The role live."""


class KeptStore(Store, Kept, Erasable, Protocol):
    """A store whose retention has to be applied."""


class DocumentStore(KeptStore, CandidateReader, Protocol):
    """The role documents."""


class SearchStore(KeptStore, SearchReader, Protocol):
    """The role search."""


class ReportStore(KeptStore, ReportReader, Protocol):
    """The role reports."""


def open_checkpoints(config: Config) -> AbstractAsyncContextManager[Checkpoints]:
    """Where the selector keeps its state."""
    match config.profile:
        case "embedded":
            return open_sqlite_checkpoints(config.data / "checkpoints.sqlite")
        case "stack":
            return open_s3_checkpoints(config.s3)


def open_live(config: Config, log_id: str, *, readonly: bool = False) -> AbstractAsyncContextManager[LiveStore]:
    """The role live."""
    match config.profile:
        case "embedded":
            return open_sqlite_live(config.data / "live.sqlite", log_id, readonly=readonly)
        case "stack":
            return open_redis_live(config.redis, log_id)  # makes nothing


def open_documents(
    config: Config, log_id: str, *, readonly: bool = False
) -> AbstractAsyncContextManager[DocumentStore]:
    """The role documents."""
    kept = config.documents.retention
    match config.profile:
        case "embedded":
            return open_sqlite_documents(config.data / "documents.sqlite", log_id, retention=kept, readonly=readonly)
        case "stack":
            return open_mongo_documents(config.mongodb, log_id, retention=kept, readonly=readonly)


def open_search(config: Config, log_id: str, *, readonly: bool = False) -> AbstractAsyncContextManager[SearchStore]:
    """The role search."""
    kept = config.search.retention
    match config.profile:
        case "embedded":
            return open_sqlite_search(config.data / "search.sqlite", log_id, retention=kept, readonly=readonly)
        case "stack":
            return open_elastic_search(config.elasticsearch, log_id, retention=kept, readonly=readonly)


def open_reports(config: Config, log_id: str, *, readonly: bool = False) -> AbstractAsyncContextManager[ReportStore]:
    """The role reports."""
    rows = config.reports.rows
    match config.profile:
        case "embedded":
            return open_sqlite_reports(config.data / "reports.sqlite", log_id, rows=rows, readonly=readonly)
        case "stack":
            return open_mysql_reports(config.mariadb, log_id, rows=rows, readonly=readonly)


def open_lake_of(config: Config, log_id: str) -> AbstractAsyncContextManager[DeltaLake]:
    """The role lake."""
    time = config.query.time
    match config.profile:
        case "embedded":
            return open_lake(config.data / "lake", log_id, config.lake, answer_time=time)
        case "stack":
            cache = config.data / "lake-cache"
            return open_s3_lake(config.s3, log_id, config.lake, cache=cache, answer_time=time)


def open_log_files(config: Config) -> AbstractAsyncContextManager[LogFiles]:
    """Where the service log and the audit log go: the lake's place. In a bucket nothing is asked of it yet."""
    match config.profile:
        case "embedded":
            return open_files(config.data / "lake")
        case "stack":
            return nullcontext(S3Objects(config.s3))

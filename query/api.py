"""The API and the pages as one ASGI app, made of parts that others built.

In: `Parts`. Out: a FastAPI app; `app.state.streams.end()` lets go of open streams when the program stops.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from fastapi import APIRouter, FastAPI

from headwater import __version__
from headwater.config import Config
from headwater.directory import Directory
from headwater.log import MESSAGES, Log
from headwater.metrics import Metrics
from headwater.times import SECOND
from ingest.contract import Door
from ingest.control import Control
from ingest.models import Models
from query.asking import metrics_digest
from query.command_api import command_routes
from query.device_api import device_routes
from query.finding import Finding
from query.flow import Flow
from query.health import Health
from query.history import History
from query.latest import Latest
from query.pages import page_routes
from query.problems import RESPONSES, answer_errors
from query.record_api import record_routes
from query.rejected import Waiting
from query.rejected_api import rejected_routes
from query.replies import Answering
from query.search_api import search_routes
from query.shadow_api import shadow_routes
from query.system_api import Streams, live_routes, process_routes
from query.tail import Tail
from storage.contract import CandidateReader, LakeReader, LiveReader, ReportReader, SearchReader

_ABOUT = """What devices said, what was selected of it, and what was rejected: `/api/v1`.

Times are RFC 3339 in UTC. Errors are `{"error": code, "detail": text}`. On loopback no credential is needed unless
configured; elsewhere give `Authorization: Bearer TOKEN`.
"""


@dataclass(frozen=True, kw_only=True)
class Parts:
    """What the API asks. `flow` and `tail` must be running; `routers` are those of other parts (the registry's).

    `directory`: for sending on what was rejected, which needs its decoders; None: nobody may.
    """

    config: Config
    log: Log
    live: LiveReader
    lake: LakeReader
    documents: CandidateReader
    search: SearchReader
    reports: ReportReader
    tail: Tail
    models: Models
    door: Door
    metrics: Metrics
    flow: Flow
    health: Health
    control: Control
    routers: Sequence[APIRouter] = ()
    directory: Directory | None = None


def make_app(parts: Parts) -> FastAPI:
    """Put the routes together."""
    config, partitions = parts.config.query, parts.log.partitions(MESSAGES)
    latest = Latest(parts.live, parts.tail, partitions=partitions)
    history = History(
        parts.lake,
        parts.tail,
        documents=parts.documents,
        log_id=parts.log.id,
        partitions=partitions,
        repeated_within=round(parts.config.selection.duplicate_time * SECOND),
    )
    streams = Streams(parts.tail, parts.door, config, partitions)
    app = FastAPI(
        title="Headwater",
        version=__version__,
        description=_ABOUT,
        docs_url=None,
        redoc_url=None,
        responses=RESPONSES,
    )
    app.state.door = parts.door
    app.state.metrics_digest = metrics_digest(parts.config.http)
    app.state.answering = Answering(config.time)
    app.state.streams = streams
    answer_errors(app)
    app.include_router(device_routes(parts.config, parts.models, parts.live, latest, history))
    app.include_router(command_routes(parts.config, parts.control))
    app.include_router(shadow_routes(parts.control))
    if parts.directory is not None:
        waiting = Waiting(parts.config, parts.log, history, parts.directory, parts.directory.model_of)
        app.include_router(rejected_routes(waiting))
    app.include_router(record_routes(config, history))
    finding = Finding(parts.search, parts.tail, log_id=parts.log.id)
    app.include_router(search_routes(config, finding, parts.live, parts.reports, parts.log.id))
    app.include_router(live_routes(streams, parts.flow))
    app.include_router(process_routes(parts.health, parts.metrics))
    for router in parts.routers:
        app.include_router(router)
    app.include_router(page_routes())
    return app

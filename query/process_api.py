"""What every process answers about itself: is it well, and what has it counted.

In: probes and metrics. Out: an app with `/healthz`, `/readyz` and `/metrics`.
"""

from fastapi import FastAPI

from headwater import __version__
from headwater.config import Config
from headwater.metrics import Metrics
from ingest.contract import Door
from query.answering import Answering
from query.auth import metrics_digest
from query.health import Health
from query.problems import RESPONSES, answer_errors
from query.system_api import process_routes


def make_process_app(config: Config, door: Door, metrics: Metrics, health: Health) -> FastAPI:
    """An app for a gateway or a consumer."""
    app = FastAPI(title="Headwater", version=__version__, docs_url=None, redoc_url=None, responses=RESPONSES)
    app.state.door = door
    app.state.metrics_digest = metrics_digest(config.http)
    app.state.answering = Answering(config.query.time)
    answer_errors(app)
    app.include_router(process_routes(health, metrics))
    return app

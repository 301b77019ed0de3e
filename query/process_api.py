"""What every process answers about itself: is it well, and what has it counted.

In: probes and metrics. Out: an app with `/healthz`, `/readyz` and `/metrics`.
"""

from fastapi import FastAPI
from starlette.datastructures import State

from headwater import __version__
from headwater.metrics import Metrics
from query.health import Health
from query.problems import RESPONSES, answer_errors
from query.system_api import process_routes


def make_process_app(state: State, metrics: Metrics, health: Health) -> FastAPI:
    """An app for a gateway or a consumer. `state`: see `state_of`."""
    app = FastAPI(title="Headwater", version=__version__, docs_url=None, redoc_url=None, responses=RESPONSES)
    app.state = state
    answer_errors(app)
    app.include_router(process_routes(health, metrics))
    return app

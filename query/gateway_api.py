"""What a gateway answers beside ingest: about itself, and devices' commands, shadows and provisioning.

In: what it has. Out: an app. `query.gateway_app` loads this when it is first asked.
"""

from fastapi import FastAPI
from starlette.datastructures import State

from headwater.config import Config
from headwater.directory import Directory
from headwater.metrics import Metrics
from ingest.control import Control
from ingest.provisioning import Provisioner
from query.command_api import command_routes
from query.health import Health
from query.process_api import make_process_app
from query.provision_api import provision_route
from query.shadow_api import shadow_routes


def make_gateway_api(
    config: Config,
    state: State,
    directory: Directory,
    metrics: Metrics,
    health: Health,
    control: Control,
    provisioner: Provisioner,
) -> FastAPI:
    """The app. `state`: see `state_of`."""
    app = make_process_app(state, metrics, health)
    app.include_router(command_routes(config, control))
    app.include_router(shadow_routes(control))
    app.include_router(provision_route(provisioner, directory))
    return app

"""The front door of one process: intake, HTTP, and MQTT where it is wanted.

In: the app that answers beside ingest, the log, who may enter. Out: addresses; stopped in order: nothing new is taken,
what waits is appended and acknowledged, streams end, connections close.
"""

import time
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, NamedTuple, cast

from headwater.app.bridges import bridging
from headwater.app.events import Events
from headwater.app.large import blobs_of
from headwater.config import Config
from headwater.directory import Directory
from headwater.metrics import Metrics
from headwater.supervise import Supervisor
from ingest.blobs import App, BlobDoor
from ingest.control import Control
from ingest.decoders.learning import learning
from ingest.decoders.living import following, open_decoders
from ingest.http.server import open_http
from ingest.intake import LogIntake
from ingest.mqtt.server import open_mqtt
from ingest.quotas import Quotas
from ingest.rates import reporting
from query.gateway_app import GatewayApp

if TYPE_CHECKING:
    from fastapi import FastAPI
    from uvicorn._types import ASGI3Application  # starlette and uvicorn each have their own words for the same

DRAIN_SECONDS = 15.0
BRIDGE_SECONDS = 5.0


class Addresses(NamedTuple):
    """Where it serves, HOST:PORT with the real ports. What is empty is not there."""

    http: str
    mqtt: str
    https: str = ""
    mqtts: str = ""


@asynccontextmanager
async def front_door(
    config: Config,
    app: "FastAPI | GatewayApp",
    events: Events,
    directory: Directory,
    metrics: Metrics,
    *,
    mqtt: Control | None,
) -> AsyncGenerator[Addresses]:
    """Open it; closed in order below the yield. `mqtt`: the commands and shadows that MQTT is about; None: no MQTT."""
    app.state.quotas = quotas = Quotas(config.quotas, time.monotonic)
    quotas.throttled = lambda kind: metrics.throttled.labels(kind).inc()
    decoders = open_decoders(config.decoders)
    async with AsyncExitStack() as stack:
        stack.enter_context(following(decoders, directory, config.decoders))
        await stack.enter_async_context(learning(events, decoders.knowledge.learned))
        intake = await stack.enter_async_context(
            LogIntake(events, config, metrics, directory.model_of, catalogue=decoders.catalogue)
        )
        endpoint = (
            await stack.enter_async_context(
                open_mqtt(config, intake, directory, metrics, events, quotas=quotas, control=mqtt)
            )
            if mqtt is not None
            else None
        )
        if endpoint is not None:
            decoders.knowledge.asked = endpoint.tell
            decoders.knowledge.by_itself = lambda: endpoint.alone
        door = BlobDoor(cast("App", app), blobs_of(config), intake, config.blobs, quotas)
        asgi = cast("ASGI3Application", door)
        speaker = endpoint.over_websocket if endpoint is not None and config.mqtt.websocket else None
        http = await stack.enter_async_context(open_http(config, asgi, intake, directory, metrics, speaker, quotas))
        await stack.enter_async_context(reporting(quotas, intake, http.address))
        bridges = bridging(config, intake, metrics, endpoint.address, quotas) if endpoint is not None else Supervisor()
        stack.push_async_callback(bridges.stop, BRIDGE_SECONDS)
        if endpoint is None:
            yield Addresses(http.address, "", http.tls_address)
        else:
            yield Addresses(http.address, endpoint.address, http.tls_address, endpoint.tls_address)
        http.stop_accepting()
        if endpoint is not None:
            endpoint.stop_accepting()
        await bridges.stop(BRIDGE_SECONDS)
        await intake.drain(DRAIN_SECONDS)
        if (streams := getattr(app.state, "streams", None)) is not None:
            streams.end()

"""Everything in one process: the parts are made, joined, started, and stopped in order. The embedded profile.

In: a checked configuration. Out: a running program until `stop` is set. Stopping, in this order:

1. the front door takes nothing new (HTTP answers 503, MQTT accepts no connection),
2. what waits for the log is appended and acknowledged,
3. connections are closed,
4. workers finish the batch in hand and commit, the selector writes its checkpoints,
5. stores close, then the log.
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, NamedTuple, cast

import structlog
from msgspec import Raw

from consumers.rules import rules_of
from consumers.selector import Selector
from headwater.app.backends import (
    Tables,
    open_checkpoints,
    open_documents,
    open_lake_of,
    open_live,
    open_reports,
    open_search,
    open_tables,
    topics,
)
from headwater.app.roles import Role, maintain, writers_of
from headwater.config import Config
from headwater.directory import Directory
from headwater.errors import Unavailable
from headwater.log import CANDIDATES
from headwater.message import Rules
from headwater.metrics import Metrics
from headwater.supervise import Supervisor
from ingest.http.server import open_http
from ingest.intake import LogIntake
from ingest.models import Models
from ingest.mqtt.server import open_mqtt
from query.api import Parts, make_app
from query.flow import Flow
from query.health import Health, Probe
from query.registry_api import registry_routes
from query.tail import Tail
from storage.contract import Store
from storage.lake_maintenance import Maintainer
from storage.lake_refill import refill
from storage.outbox import drain_outbox, run_outbox, settle
from storage.sqlite_log import SqliteLog, open_log

if TYPE_CHECKING:
    from uvicorn._types import ASGI3Application  # starlette and uvicorn each have their own words for the same

log = structlog.get_logger()

DRAIN_SECONDS = 15.0
WORKER_SECONDS = 90.0
LOG_MAINTENANCE_SECONDS = 60.0
LAG_ALARM = 0.5
"""The share of the log's retention at which a group that is behind is reported."""


class Addresses(NamedTuple):
    """Where it serves, HOST:PORT with the real ports."""

    http: str
    mqtt: str


@asynccontextmanager
async def running(config: Config) -> AsyncGenerator[Addresses]:
    """Start everything; at the end of the block, stop everything in order."""
    metrics = Metrics()
    async with (
        open_log(config.data / "log.sqlite", topics(config.log), session=config.log.session) as events,
        open_tables(config) as registry,
        open_checkpoints(config) as checkpoints,
        open_live(config, events.id) as live,
        open_documents(config, events.id) as documents,
        open_search(config, events.id) as search,
        open_reports(config, events.id) as reports,
        open_lake_of(config, events.id) as lake,
    ):
        await settle(registry, events)
        rules = await _publish_rules(registry, config)
        await drain_outbox(registry, events)
        directory = Directory(config.ingest.anonymous)
        selector = Selector(events, checkpoints, config.selection, config.workers, metrics, rules=rules)
        from_lake = partial(refill, lake)
        stores: dict[Role, Store] = {"live": live, "documents": documents, "search": search, "reports": reports}
        writers = [
            writer
            for role, store in stores.items()
            for writer in writers_of(role, store, events, config, metrics, from_lake)
        ] + writers_of("lake", lake, events, config, metrics)
        states = [writer.state for writer in writers]
        tail = Tail(events, lake.ledger, size=config.query.tail_size, groups={CANDIDATES: f"{lake.name}.{CANDIDATES}"})
        ledgers = {"live": live.ledger, "reports": reports.ledger, "lake": lake.ledger}
        flow = Flow(metrics, events, states, selector.state, ledgers)
        supervisor = Supervisor()
        try:
            async with directory.following(events):
                supervisor.add("outbox", partial(run_outbox, registry, events))
                supervisor.add("rules", partial(_follow_models, directory, registry, config))
                supervisor.add("tail", tail.run)
                supervisor.add("selector", selector.run)
                for writer in writers:
                    supervisor.add(writer.state.group, writer.run)
                supervisor.add("lake maintenance", Maintainer(lake, config.lake).run)
                for role, kept in {"documents": documents, "search": search, "reports": reports}.items():
                    supervisor.add(f"{role} maintenance", partial(maintain, kept))
                supervisor.add("log maintenance", partial(_maintain_log, events))
                supervisor.add("flow", flow.run)
                probes: dict[str, Probe] = {"log": events.ping, **{role: store.ping for role, store in stores.items()}}
                probes |= {"lake": lake.ping, "tasks": partial(_well, supervisor)}
                app = make_app(
                    Parts(
                        config=config,
                        log=events,
                        live=live,
                        lake=lake,
                        documents=documents,
                        search=search,
                        reports=reports,
                        tail=tail,
                        models=Models(config.models, directory.model_of),
                        door=directory,
                        metrics=metrics,
                        flow=flow,
                        health=Health(probes, [selector.state, *states]),
                        routers=[registry_routes(registry, directory, tuple(config.models))],
                    )
                )
                async with (
                    LogIntake(events, config, metrics, directory.model_of) as intake,
                    open_mqtt(config, intake, directory, metrics) as mqtt,
                    open_http(config, cast("ASGI3Application", app), intake, directory, metrics) as http,
                ):
                    yield Addresses(http.address, mqtt.address)
                    http.stop_accepting()
                    mqtt.stop_accepting()
                    await intake.drain(DRAIN_SECONDS)
                    app.state.streams.end()
        finally:
            await supervisor.stop(WORKER_SECONDS)


async def _well(supervisor: Supervisor) -> None:
    """A probe: no task is waiting to be started again."""
    if supervisor.failures:
        raise Unavailable("; ".join(f"{name}: {error}" for name, error in supervisor.failures.items()))


async def _publish_rules(registry: Tables, config: Config) -> Rules:
    """Make the configuration's rules, and the registry's choice of models, those that selection follows."""
    chosen: dict[str, str] = {}
    after = ""
    while page := await registry.devices(after):
        chosen |= {device.name: device.model for device in page if device.model}
        after = page[-1].name
    raw = rules_of(config.models, config.selection, chosen)
    return Rules(await registry.publish_rules(raw), Raw(raw))


async def _follow_models(directory: Directory, registry: Tables, config: Config, stop: asyncio.Event) -> None:
    """When the registry gives a device another model, selection follows: at most one publication a second."""
    changed = asyncio.Event()
    unwatch = directory.watch(lambda _: changed.set())
    try:
        while not stop.is_set():
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), 1)
            if changed.is_set():
                changed.clear()
                await _publish_rules(registry, config)
    finally:
        unwatch()


async def _maintain_log(events: SqliteLog, stop: asyncio.Event) -> None:
    """Retention and compaction, and a word in time when a group is about to lose entries it has not taken."""
    while not stop.is_set():
        await events.maintain()
        for lag in await events.lags():
            if lag.share >= LAG_ALARM:
                log.warning(
                    "a group is behind and will lose entries: see why it does not take them",
                    group=lag.group, topic=lag.topic, partition=lag.partition, behind=lag.behind,
                    share_of_retention=round(lag.share, 2),
                )  # fmt: skip
        with suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), LOG_MAINTENANCE_SECONDS)

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
from typing import NamedTuple

import structlog
from msgspec import Raw
from query.api import make_app
from storage.lake_maintenance import Maintainer

from consumers.rules import rules_of
from consumers.selector import Selector
from consumers.worker import Writer
from headwater.config import Config, LogConfig
from headwater.directory import Directory
from headwater.log import CANDIDATES, MESSAGES, REGISTRY, REJECTED, TopicSpec
from headwater.message import Rules
from headwater.metrics import Metrics
from headwater.supervise import Supervisor
from headwater.times import SECOND
from ingest.http.server import open_http
from ingest.intake import LogIntake
from ingest.mqtt.server import open_mqtt
from query.history import History
from query.tail import Tail
from storage.contract import LakeReader, Store
from storage.delta_lake import open_lake
from storage.lake_reader import open_lake_reader
from storage.outbox import drain_outbox, run_outbox, settle
from storage.sqlite_checkpoints import open_checkpoints
from storage.sqlite_live import open_live
from storage.sqlite_log import SqliteLog, open_log
from storage.sqlite_registry import SqliteRegistry, open_registry

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


def topics(config: LogConfig) -> list[TopicSpec]:
    """What is on the log. Candidates go to the partition number of their source, so they have as many."""

    def kept(name: str) -> TopicSpec:
        return TopicSpec(name, config.partitions, config.retention, config.retention_size)

    return [kept(MESSAGES), kept(CANDIDATES), kept(REJECTED), TopicSpec(REGISTRY, 1, compact=True)]


@asynccontextmanager
async def running(config: Config) -> AsyncGenerator[Addresses]:
    """Start everything; at the end of the block, stop everything in order."""
    metrics = Metrics()
    folder = config.data
    async with (
        open_log(folder / "log.sqlite", topics(config.log), session=config.log.session) as events,
        open_registry(folder / "registry.sqlite") as registry,
        open_checkpoints(folder / "checkpoints.sqlite") as checkpoints,
        open_live(folder / "live.sqlite", events.id) as live,
        open_lake(folder / "lake", events.id) as lake,
        open_lake_reader(folder / "lake", events.id, config.query) as lake_reader,
    ):
        await settle(registry, events)
        rules = await _publish_rules(registry, config)
        await drain_outbox(registry, events)
        directory = Directory(config.ingest.anonymous)
        selector = Selector(events, checkpoints, config.selection, config.workers, metrics, rules=rules)
        writers = [_live_writer(live, events, config, metrics)]
        writers += [_lake_writer(lake, topic, events, config, metrics) for topic in (MESSAGES, CANDIDATES, REJECTED)]
        groups = {CANDIDATES: f"{lake.name}.{CANDIDATES}"}
        tail = Tail(events, lake.ledger, size=config.query.tail_size, groups=groups)
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
                supervisor.add("log maintenance", partial(_maintain_log, events))
                history = _history(lake_reader, tail, events, config)
                app = make_app()
                async with (
                    LogIntake(events, config, metrics, directory.model_of) as intake,
                    open_mqtt(config, intake, directory, metrics) as mqtt,
                    open_http(config, app, intake, directory, metrics) as http,
                ):
                    yield Addresses(http.address, mqtt.address)
                    http.stop_accepting()
                    mqtt.stop_accepting()
                    await intake.drain(DRAIN_SECONDS)
        finally:
            await supervisor.stop(WORKER_SECONDS)


async def _publish_rules(registry: SqliteRegistry, config: Config) -> Rules:
    """Make the configuration's rules, and the registry's choice of models, those that selection follows."""
    chosen: dict[str, str] = {}
    after = ""
    while page := await registry.devices(after):
        chosen |= {device.name: device.model for device in page if device.model}
        after = page[-1].name
    raw = rules_of(config.models, config.selection, chosen)
    return Rules(await registry.publish_rules(raw), Raw(raw))


async def _follow_models(directory: Directory, registry: SqliteRegistry, config: Config, stop: asyncio.Event) -> None:
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


def _history(lake: LakeReader, tail: Tail, events: SqliteLog, config: Config) -> History:
    return History(
        lake,
        tail,
        log_id=events.id,
        partitions=events.partitions(MESSAGES),
        most_rows=config.query.most_rows,
        repeated_within=round(config.selection.duplicate_time * SECOND),
    )


def _live_writer(store: Store, events: SqliteLog, config: Config, metrics: Metrics) -> Writer:
    live, workers = config.live, config.workers
    return Writer(store, MESSAGES, events, workers, metrics, batch=live.batch, size=workers.batch_size, wait=live.wait)


def _lake_writer(store: Store, topic: str, events: SqliteLog, config: Config, metrics: Metrics) -> Writer:
    lake = config.lake
    return Writer(
        store,
        topic,
        events,
        config.workers,
        metrics,
        batch=lake.flush_messages,
        size=lake.flush_size,
        wait=lake.flush_every,
    )


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

"""Everything in one process: the parts are made, joined, started, and stopped in order. The embedded profile.

In: a checked configuration. Out: a running program until `stop` is set. Stopping, in this order:

1. the front door takes nothing new (HTTP answers 503, MQTT accepts no connection),
2. what waits for the log is appended and acknowledged,
3. connections are closed,
4. workers finish the batch in hand and commit, the selector writes its checkpoints,
5. stores close, then the log, and last the service log.
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from functools import partial

from consumers.erasing import Erasing, Places
from consumers.selector import Selector
from headwater.app.backends import (
    open_checkpoints,
    open_documents,
    open_lake_of,
    open_live,
    open_log_files,
    open_reports,
    open_search,
)
from headwater.app.events import topics
from headwater.app.front_door import Addresses, front_door
from headwater.app.large import blobs_of, sweep_blobs
from headwater.app.logs_kept import keeping_logs, maintain_logs
from headwater.app.registry_tables import open_tables
from headwater.app.roles import Role, groups_by_topic, maintain, writers_of
from headwater.app.rules import follow_models, publish_rules
from headwater.app.upkeep import maintain_log, well
from headwater.config import Config
from headwater.directory import Directory
from headwater.log import CANDIDATES
from headwater.log_lines import LogLines
from headwater.metrics import Metrics
from headwater.saying import get_logger
from headwater.supervise import Supervisor
from ingest.control import open_control
from ingest.models import Models
from ingest.provisioning import provisioner_on
from query.api import Parts, make_app
from query.blob_api import blob_routes
from query.flow import Flow
from query.flow_share import Counting
from query.health import Health, Probe
from query.registry_routers import registry_routers
from query.tail import Tail
from storage.audit_log import AuditLog
from storage.contract import Store
from storage.lake_maintenance import Maintainer
from storage.lake_refill import refill
from storage.outbox import drain_outbox, run_outbox, settle
from storage.sqlite_file import make_folder
from storage.sqlite_log import open_log

log = get_logger()

WORKER_SECONDS = 90.0


@asynccontextmanager
async def running(config: Config, lines: LogLines | None = None) -> AsyncGenerator[Addresses]:
    """Start everything; at the end of the block, stop everything in order.

    `lines`: what this process says, for the service log.
    """
    metrics = Metrics()
    await asyncio.to_thread(make_folder, config.data)  # says best why that cannot be
    async with (
        keeping_logs(open_log_files(config), config.logging, lines, metrics, "up") as logs,
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
        rules = await publish_rules(registry, config)
        await drain_outbox(registry, events)
        directory = Directory(config.ingest.anonymous)
        blobs = blobs_of(config)
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
        counting = Counting(metrics, "up", [selector.state, *states])
        flow = Flow(events, counting)
        supervisor = Supervisor()
        try:
            async with directory.following(events), open_control(events, config, metrics, sweeping=True) as control:
                supervisor.add("outbox", partial(run_outbox, registry, events))
                supervisor.add("audit log", partial(AuditLog(logs, registry, metrics).run, config.logging.flush_every))
                supervisor.add("log files", partial(maintain_logs, logs, config.logging.retention))
                supervisor.add("blobs", partial(sweep_blobs, blobs, config.blobs.unfinished))
                supervisor.add("rules", partial(follow_models, directory, registry, config))
                supervisor.add("tail", tail.run)
                supervisor.add("selector", selector.run)
                for writer in writers:
                    supervisor.add(writer.state.group, writer.run)
                supervisor.add("lake maintenance", Maintainer(lake, config.lake).run)
                for role, kept in {"documents": documents, "search": search, "reports": reports}.items():
                    supervisor.add(f"{role} maintenance", partial(maintain, kept))
                places = Places((live, documents, search, reports), lake, blobs, groups_by_topic())
                supervisor.add("erasing", Erasing(registry, events, places, config.log.retention).run)
                supervisor.add("log maintenance", partial(maintain_log, events))
                supervisor.add("flow", counting.run)
                probes: dict[str, Probe] = {"log": events.ping, **{role: store.ping for role, store in stores.items()}}
                probes |= {"lake": lake.ping, "tasks": partial(well, supervisor)}
                control.provisioner = provisioner = provisioner_on(registry, directory, config)
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
                        control=control,
                        directory=directory,
                        health=Health(probes, [selector.state, *states]),
                        routers=[
                            *registry_routers(registry, directory, tuple(config.models), config, provisioner),
                            blob_routes(blobs, config.blobs),
                        ],
                    )
                )
                async with front_door(config, app, events, directory, metrics, mqtt=control) as addresses:
                    yield addresses
        finally:
            await supervisor.stop(WORKER_SECONDS)

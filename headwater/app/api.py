"""`headwater api`: what people and programs ask, the registry, and the rules that selection follows. HTTP only.

In: a checked configuration. Out: a running API until the block ends. A store that is away is missing only from the
answers that need it. It takes messages by HTTP too, as a gateway does.
"""

from collections.abc import AsyncGenerator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial

from consumers.erasing import Erasing, Places
from headwater.app.attached import Attached, patiently
from headwater.app.backends import (
    open_documents,
    open_lake_of,
    open_live,
    open_log_files,
    open_reports,
    open_search,
)
from headwater.app.events import open_events
from headwater.app.front_door import Addresses, front_door
from headwater.app.large import blobs_of, sweep_blobs
from headwater.app.logs_kept import keeping_logs, maintain_logs
from headwater.app.registry_tables import open_tables
from headwater.app.roles import groups, groups_by_topic
from headwater.app.rules import follow_models, publish_rules
from headwater.app.telling import telling
from headwater.app.upkeep import well
from headwater.config import Config
from headwater.directory import Directory
from headwater.log import CANDIDATES
from headwater.log_lines import LogLines
from headwater.metrics import Metrics
from headwater.supervise import Supervisor
from ingest.control import open_control
from ingest.models import Models
from query.api import Parts, make_app
from query.blob_api import blob_routes
from query.flow import Flow
from query.health import Health, Probe
from query.others import Others
from query.registry_routers import registry_routers
from query.scaling import Scaling
from query.tail import Tail
from storage.audit_log import AuditLog
from storage.outbox import drain_outbox, run_outbox, settle

TASK_SECONDS = 15.0


@asynccontextmanager
async def answering(config: Config, lines: LogLines | None = None) -> AsyncGenerator[Addresses]:
    """Answer. Raises `Unavailable` where the log or the registry is away for longer than a start may take.

    `lines`: what this process says, for the service log.
    """
    metrics = Metrics()
    supervisor = Supervisor()
    keepers = Supervisor()  # of what may be away: the rest of the API is ready all the same
    async with AsyncExitStack() as stack:
        logs = await stack.enter_async_context(
            keeping_logs(open_log_files(config), config.logging, lines, metrics, "api")
        )
        events = await patiently(stack, partial(open_events, config))
        registry = await patiently(stack, partial(open_tables, config))
        await settle(registry, events)
        await publish_rules(registry, config)
        await drain_outbox(registry, events)
        directory = Directory(config.ingest.anonymous)
        blobs = blobs_of(config)
        await patiently(stack, lambda: directory.following(events))
        control = await patiently(stack, lambda: open_control(events, config, metrics, sweeping=True))
        live = Attached("live state", lambda: open_live(config, events.id))
        documents = Attached("the documents store", lambda: open_documents(config, events.id))
        search = Attached("the search store", lambda: open_search(config, events.id))
        reports = Attached("the reports store", lambda: open_reports(config, events.id))
        lake = Attached("the lake", lambda: open_lake_of(config, events.id))

        async def in_lake(topic: str) -> Mapping[int, int]:
            return await lake.store.ledger(topic)

        tail = Tail(events, in_lake, size=config.query.tail_size, groups={CANDIDATES: f"lake.{CANDIDATES}"})
        counting = await stack.enter_async_context(telling(events, metrics, "api"))
        others = Others(events, counting.process)
        flow = Flow(events, counting, others, groups())
        stores = {"live": live, "documents": documents, "search": search, "reports": reports, "lake": lake}
        probes: dict[str, Probe] = {"log": events.ping, "tasks": partial(well, supervisor)}
        app = make_app(
            Parts(
                config=config,
                log=events,
                live=live.proxy(),
                lake=lake.proxy(),
                documents=documents.proxy(),
                search=search.proxy(),
                reports=reports.proxy(),
                tail=tail,
                models=Models(config.models, directory.model_of),
                door=directory,
                metrics=metrics,
                flow=flow,
                control=control,
                directory=directory,
                health=Health(probes, []),
                routers=[
                    *registry_routers(registry, directory, tuple(config.models), config),
                    blob_routes(blobs, config.blobs),
                ],
            )
        )
        try:
            for name, store in stores.items():
                keepers.add(name, store.run)
            proxies = (live.proxy(), documents.proxy(), search.proxy(), reports.proxy())
            places = Places(proxies, lake.proxy(), blobs, groups_by_topic())
            keepers.add("erasing", Erasing(registry, events, places, config.log.retention).run)
            supervisor.add("outbox", partial(run_outbox, registry, events))
            supervisor.add("audit log", partial(AuditLog(logs, registry, metrics).run, config.logging.flush_every))
            supervisor.add("log files", partial(maintain_logs, logs, config.logging.retention))
            supervisor.add("rules", partial(follow_models, directory, registry, config))
            supervisor.add("tail", tail.run)
            keepers.add("other processes", others.run)
            keepers.add("blobs", partial(sweep_blobs, blobs, config.blobs.unfinished))
            keepers.add("scaling", Scaling(flow, config.workers, metrics).run)
            async with front_door(config, app, events, directory, metrics, mqtt=None) as addresses:
                yield addresses
        finally:
            await supervisor.stop(TASK_SECONDS)
            await keepers.stop(TASK_SECONDS)

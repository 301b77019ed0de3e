"""`headwater consumer`: the selector and the writers, or some of them. As many processes as there are partitions.

In: a checked configuration and roles. Out: running workers until the block ends. Each role opens its own store: one
that is away holds up nobody else.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from functools import partial
from typing import get_args

from msgspec import Raw

from consumers.rules import rules_of
from consumers.selector import Selector
from consumers.worker_state import WorkerState
from headwater.app.attached import Attached, patiently
from headwater.app.backends import (
    KeptStore,
    open_checkpoints,
    open_documents,
    open_lake_of,
    open_live,
    open_log_files,
    open_reports,
    open_search,
)
from headwater.app.events import Events, open_events
from headwater.app.logs_kept import keeping_logs
from headwater.app.roles import Role, maintain, writers_of
from headwater.app.serving import serving
from headwater.app.telling import telling
from headwater.app.upkeep import maintain_log, well
from headwater.config import Config
from headwater.directory import Directory
from headwater.errors import ConfigError, Unavailable
from headwater.log_lines import LogLines
from headwater.message import Rules
from headwater.metrics import Metrics
from headwater.supervise import Supervisor
from query.health import Health
from query.process import state_of
from query.process_api import make_process_app
from storage.contract import Record, Store
from storage.delta_lake import DeltaLake
from storage.lake_maintenance import Maintainer
from storage.lake_refill import refill

WORKER_SECONDS = 85.0
LAKE_SECONDS = 10.0

SELECTOR = "selector"
_NAMES = {
    "redis": "live", "mongo": "documents", "mongodb": "documents", "elastic": "search", "elasticsearch": "search",
    "mysql": "reports", "mariadb": "reports", "minio": "lake", "s3": "lake",
}  # fmt: skip
"""A backend's name for its role."""


def roles_of(names: Sequence[str]) -> list[str]:
    """The roles named, by role or backend; all of them, if none. Raises `ConfigError`."""
    known = [SELECTOR, *get_args(Role)]
    found = [_NAMES.get(name, name) for name in names]
    for name in found:
        if name not in known:
            raise ConfigError(f"there is no role {name!r}: {', '.join(known)}, or {', '.join(_NAMES)}")
    return list(dict.fromkeys(found)) or known


@asynccontextmanager
async def consuming(
    config: Config, roles: Sequence[str], address: str = "", lines: LogLines | None = None
) -> AsyncGenerator[str]:
    """Work on these roles. `address`: HOST:PORT for health and metrics, "" for none; gives it with the real port.

    `lines`: what this process says, for the service log.
    """
    metrics = Metrics()
    states: list[WorkerState] = []
    supervisor = Supervisor()
    keepers = Supervisor()  # of the lake, which is closed when those have ended who work with it
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(
            keeping_logs(open_log_files(config), config.logging, lines, metrics, "consumer")
        )
        events = await patiently(stack, partial(open_events, config))
        directory = Directory(config.ingest.anonymous)
        await patiently(stack, lambda: directory.following(events))
        crew = _Crew(config, events, metrics, states, roles)
        tasks = {"tasks": partial(well, supervisor), "lake": partial(well, keepers)}
        probes = {"log": events.ping, "stores": crew.opened, **tasks}
        app = make_process_app(state_of(config, directory), metrics, Health(probes, states))
        served = await stack.enter_async_context(serving(app, address)) if address else ""
        await stack.enter_async_context(telling(events, metrics, "consumer", states))
        try:
            keepers.add("lake", crew.lake.run)
            for role in roles:
                supervisor.add(f"role {role}", partial(crew.run, role))
            supervisor.add("log maintenance", partial(maintain_log, events))
            yield served
        finally:
            await supervisor.stop(WORKER_SECONDS)
            await keepers.stop(LAKE_SECONDS)


class _Crew:
    """Runs roles. All of them fill empty stores from one lake."""

    def __init__(
        self, config: Config, events: Events, metrics: Metrics, states: list[WorkerState], roles: Sequence[str]
    ) -> None:
        self._config = config
        self._events = events
        self._metrics = metrics
        self._states = states
        self._opening = set(roles)
        self.lake: Attached[DeltaLake] = Attached("the lake", lambda: open_lake_of(config, events.id))

    async def opened(self) -> None:
        """A probe: every role has its store."""
        if self._opening:
            raise Unavailable(f"not opened yet: {', '.join(sorted(self._opening))}")

    async def run(self, role: str, stop: asyncio.Event) -> None:
        """One role, until `stop`. Raises `Unavailable` where its store is away: to be called again."""
        config, log_id = self._config, self._events.id
        self._opening.add(role)
        match role:
            case "selector":
                await self._select(stop)
            case "live":
                await self._write(role, open_live(config, log_id), stop)
            case "documents":
                await self._write_kept(role, open_documents(config, log_id), stop)
            case "search":
                await self._write_kept(role, open_search(config, log_id), stop)
            case "reports":
                await self._write_kept(role, open_reports(config, log_id), stop)
            case "lake":
                lake = await self.lake.reached(stop)
                if lake is None:
                    return
                async with asyncio.TaskGroup() as tasks:
                    tasks.create_task(Maintainer(lake, config.lake).run(stop))
                    tasks.create_task(self._work("lake", lake, stop))
            case _:
                raise ConfigError(f"there is no role {role!r}")

    async def _select(self, stop: asyncio.Event) -> None:
        config = self._config
        rules = Rules(0, Raw(rules_of(config.models, config.selection, {})))  # until the registry's are on the log
        async with open_checkpoints(config) as checkpoints:
            self._opening.discard(SELECTOR)
            selector = Selector(self._events, checkpoints, config.selection, config.workers, self._metrics, rules=rules)
            await self._shown([selector.state], selector.run(stop))

    async def _write(self, role: Role, opening: AbstractAsyncContextManager[Store], stop: asyncio.Event) -> None:
        async with opening as store:
            await self._work(role, store, stop)

    async def _write_kept(
        self, role: Role, opening: AbstractAsyncContextManager[KeptStore], stop: asyncio.Event
    ) -> None:
        async with opening as store, asyncio.TaskGroup() as tasks:
            tasks.create_task(maintain(store, stop))
            tasks.create_task(self._work(role, store, stop))

    async def _work(self, role: Role, store: Store, stop: asyncio.Event) -> None:
        self._opening.discard(role)
        from_lake = None if role == "lake" else self._refill
        writers = writers_of(role, store, self._events, self._config, self._metrics, from_lake)
        async with asyncio.TaskGroup() as tasks:
            for writer in writers:
                tasks.create_task(self._shown([writer.state], writer.run(stop)))

    def _refill(self, topic: str, partition: int, above: int) -> AsyncGenerator[Sequence[Record], None]:
        return refill(self.lake.store, topic, partition, above)

    async def _shown(self, states: Sequence[WorkerState], work: Awaitable[None]) -> None:
        """Health shows a worker while it works, and one that gave up until its role is started again."""
        again = {state.group for state in states}
        self._states[:] = [state for state in self._states if state.group not in again] + list(states)
        try:
            await work
        finally:
            self._states[:] = [state for state in self._states if state not in states or state.failed]

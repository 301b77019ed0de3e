"""The registry's routes as an app of their own, with the real tables, log, outbox and directory behind them."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Literal

from fastapi import FastAPI

from headwater.config import load
from headwater.directory import Directory
from query.problems import answer_errors
from query.registry_routers import registry_routers
from storage.outbox import run_outbox, settle
from storage.sqlite_registry import SqliteRegistry
from tests.core.registry_kit import a_log, a_registry


@asynccontextmanager
async def registry_app(
    folder: Path, anonymous: Literal["loopback", "never"] = "loopback", models: tuple[str, ...] = (), **settings: Any
) -> AsyncGenerator[tuple[FastAPI, SqliteRegistry, Directory], None]:
    directory = Directory(anonymous)
    configured = load(environment={}, **settings) if settings else None
    async with a_log(folder) as log, a_registry(folder) as registry:
        await settle(registry, log)
        async with directory.following(log):
            pump = asyncio.create_task(run_outbox(registry, log))
            app = FastAPI()
            app.state.door = directory
            for router in registry_routers(registry, directory, models, configured):
                app.include_router(router)
            answer_errors(app)
            try:
                yield app, registry, directory
            finally:
                pump.cancel()
                with suppress(asyncio.CancelledError):
                    await pump

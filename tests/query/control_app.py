"""The routes of commands and shadows as an app of their own, over a log in memory."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import NamedTuple

import httpx
from fastapi import FastAPI

from headwater.config import Config
from headwater.metrics import Metrics
from headwater.registry import Identity
from ingest.control import Control, open_control
from query.command_api import command_routes
from query.problems import answer_errors
from query.replies import Answering
from query.shadow_api import shadow_routes
from tests.ingest.mqtt.kit import Clock, ScriptedDoor
from tests.ingest.mqtt.log_kit import MemoryLog


class ControlApp(NamedTuple):
    app: FastAPI
    control: Control
    log: MemoryLog
    clock: Clock
    door: ScriptedDoor

    def asking(self, token: str = "") -> httpx.AsyncClient:
        """Someone with this token, from afar; without: from here, where anyone may do anything."""
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        transport = httpx.ASGITransport(self.app, client=("192.0.2.1" if token else "127.0.0.1", 40_000))
        return httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1/api/v1/devices", headers=headers)


@asynccontextmanager
async def control_app() -> AsyncGenerator[ControlApp]:
    config, log, clock, door = Config(), MemoryLog(), Clock(), ScriptedDoor()
    door.add("pump-7")
    door.add("pump-8")
    door.add("gateway", "pump-*")
    door.known["reader"] = Identity(name="reader", roles=("read",))
    door.known["admin"] = Identity(name="admin", roles=("admin",))
    app = FastAPI()
    app.state.door = door
    app.state.answering = Answering(config.query.time)
    answer_errors(app)
    async with open_control(log, config, Metrics(), sweeping=True, clock=clock, wall=clock.wall) as control:
        app.include_router(command_routes(config, control))
        app.include_router(shadow_routes(control))
        yield ControlApp(app, control, log, clock, door)

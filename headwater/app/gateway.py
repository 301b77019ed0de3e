"""`headwater gateway`: only the front door. As many as wanted; any of them takes any device.

In: a checked configuration. Out: a running front door until the block ends.
"""

from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager, nullcontext
from functools import partial
from typing import TYPE_CHECKING

from headwater.app.attached import patiently
from headwater.app.events import open_events
from headwater.app.front_door import Addresses, front_door
from headwater.app.logs_kept import keeping_logs
from headwater.app.provisioning import provisioning
from headwater.app.telling import telling
from headwater.app.when_asked import when_asked
from headwater.config import Config
from headwater.directory import Directory
from headwater.log_lines import LogLines
from headwater.metrics import Metrics
from ingest.control import open_control
from query.gateway_app import GatewayApp
from query.health import Health
from query.process import Process, state_of
from storage.log_files import LogFiles

if TYPE_CHECKING:
    from fastapi import FastAPI


@asynccontextmanager
async def receiving(config: Config, lines: LogLines | None = None) -> AsyncGenerator[Addresses]:
    """Take messages. Raises `Unavailable` where the log is away, or has no rules, for longer than a start may take.

    `lines`: what this process says, for the service log.
    """
    metrics = Metrics()
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(
            keeping_logs(nullcontext(_log_files(config)), config.logging, lines, metrics, "gateway")
        )
        events = await patiently(stack, partial(open_events, config))
        directory = Directory(config.ingest.anonymous)
        await patiently(stack, lambda: directory.following(events))
        control = await patiently(stack, lambda: open_control(events, config, metrics, sweeping=False))
        await directory.ruled()
        control.provisioner = provisioner = await stack.enter_async_context(provisioning(config, directory))
        health, state = Health({"log": events.ping}, []), state_of(config, directory)

        def api() -> "FastAPI":
            from query.gateway_api import make_gateway_api  # noqa: PLC0415 - see `query.gateway_app`

            return make_gateway_api(config, state, directory, metrics, health, control, provisioner)

        app = GatewayApp(Process(health, metrics), state, api)
        await stack.enter_async_context(telling(events, metrics, "gateway"))
        yield await stack.enter_async_context(front_door(config, app, events, directory, metrics, mqtt=control))


def _log_files(config: Config) -> LogFiles:
    """Of the bucket. What it takes is loaded when there is something to say, by the thread that writes it."""

    def made() -> LogFiles:
        from storage.s3_objects import S3Objects  # noqa: PLC0415 - see above

        return S3Objects(config.s3)

    return when_asked(made)

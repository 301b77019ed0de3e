"""Who adds devices that come by a claim, in a process that has no other use for the registry's tables.

In: the configuration. Out: a `Provisioner`; the tables are opened when the first device comes, and stay open.
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from functools import partial

from headwater.app.attached import Attached
from headwater.app.registry_tables import Tables, open_tables
from headwater.config import Config
from headwater.directory import Directory
from headwater.errors import ConfigError, Unavailable
from headwater.registry_contract import Registry
from headwater.saying import get_logger
from headwater.supervise import Supervisor
from ingest.provisioning import Provisioner, authority_of

_REACHED = 10.0
_STOP = 5.0


@asynccontextmanager
async def provisioning(config: Config, directory: Directory) -> AsyncGenerator[Provisioner]:
    """Until the block ends. Where the authority's key is not on this machine, nothing is signed here."""
    tables = Attached("the registry", partial(_opened, config))
    running = Supervisor()
    begun = False

    async def registry() -> Registry:
        nonlocal begun
        if not begun:
            begun = True
            running.add("registry", tables.run)
        try:
            await asyncio.wait_for(tables.reached(asyncio.Event()), _REACHED)
        except TimeoutError:
            raise Unavailable("the registry is away", retry_after=_REACHED) from None
        return tables.store

    try:
        authority = authority_of(config.registry)
    except ConfigError as error:
        get_logger().info("certificates are signed elsewhere, not here", reason=str(error))
        authority = None
    try:
        yield Provisioner(registry, directory, authority)
    finally:
        await running.stop(_STOP)


@asynccontextmanager
async def _opened(config: Config) -> "AsyncGenerator[Tables]":
    """The tables, whose driver a thread loads: it takes a tenth of a second, for which connections must not wait."""
    async with await asyncio.to_thread(open_tables, config) as opened:
        yield opened

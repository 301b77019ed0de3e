"""How every long-running command runs: until SIGINT or SIGTERM, then stopped in order.

In: what to keep open. Out: one line with `ready`; an error is one line that says what to do.
"""

import asyncio
import gc
import signal
import sys
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import TypeVar

import click
import uvloop

from headwater.commands.ending import leave
from headwater.errors import ConfigError, HeadwaterError

T = TypeVar("T")


def collect_garbage_less_often() -> None:
    """Batches make and drop a hundred thousand objects that form no cycles: the default looks at them far too often."""
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)


def run(opened: AbstractAsyncContextManager[T], ready: Callable[[T], str]) -> None:
    """Open it, say so, and keep it open. Ends the process."""
    collect_garbage_less_often()
    try:
        uvloop.run(_serve(opened, ready))
    except ConfigError as error:
        raise click.ClickException(str(error)) from None
    except HeadwaterError as error:
        raise click.ClickException(f"could not start: {error}") from None
    leave(0)


async def _serve(opened: AbstractAsyncContextManager[T], ready: Callable[[T], str]) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    async with opened as what:
        click.echo(ready(what))
        sys.stdout.flush()
        await stop.wait()
        click.echo("stopping: what is in hand is finished first …")
    click.echo("stopped")

"""`headwater audit`: what the log holds is in every store, once, and nothing else is.

In: the configuration; beside running processes, or without any. Out: a line a comparison; records that are missing,
extra or wrong by name; exit code 1 if there is one, or if a store is away. It only reads, and joins no group.
"""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from functools import partial
from typing import TypeVar

import click

from headwater import logs
from headwater.app.backends import open_documents, open_live, open_reports, open_search
from headwater.app.reading import read_events, read_lake
from headwater.commands.ending import leave
from headwater.commands.options import configured
from headwater.config import Config
from headwater.errors import HeadwaterError, Unavailable
from query.audit import Audit, Stores
from query.audit_erased import without_erased
from query.audit_findings import Finding
from query.audit_round import Limits

T = TypeVar("T")
_OPENING = 60.0
"""Seconds for opening a store: its own time-outs come first."""


@click.command()
@click.option("--patience", type=click.FloatRange(min=0), default=30.0, show_default=True, help="Seconds to wait for stores that are behind, all together.")  # fmt: skip # noqa: E501
@configured
def audit(config: Config, patience: float) -> None:
    """Compare every store with the log, by the ids in them.

    \b
    live       the newest value of each field of each device
    documents  the candidates; search the same
    reports    the rows of the last day; count and sum of each rollup, worked out again from the messages
    lake       messages, candidates, rejected

    What a store's retention has dropped is not missing. What the log has dropped is compared no more, but
    nothing may be in a store that is neither on the log nor in the lake. Nothing is written anywhere.

    \b
    headwater audit
    headwater audit --data /var/lib/headwater
    HEADWATER_PROFILE=stack headwater audit --patience 120
    """
    logs.configure(config.logging)
    try:
        findings = asyncio.run(_run(config, patience))
    except HeadwaterError as error:
        raise click.ClickException(str(error)) from None
    for finding in findings:
        _show(finding)
    clean = all(finding.clean for finding in findings)
    click.echo("nothing missing, nothing extra" if clean else "NOT CLEAN: see above")
    leave(0 if clean else 1)


async def _run(config: Config, patience: float) -> Sequence[Finding]:
    if config.profile == "embedded" and not (config.data / "log.sqlite").exists():
        raise click.ClickException(f"there is no log in {config.data}; --data says where it is")
    async with AsyncExitStack() as stack:
        log = await stack.enter_async_context(read_events(config))
        stores = Stores(
            live=await _opened(stack, partial(open_live, config, log.id, readonly=True)),
            documents=await _opened(stack, partial(open_documents, config, log.id, readonly=True)),
            search=await _opened(stack, partial(open_search, config, log.id, readonly=True)),
            reports=await _opened(stack, partial(open_reports, config, log.id, readonly=True)),
            lake=await _opened(stack, partial(read_lake, config, log.id)),
        )
        limits = Limits(config.documents.retention, config.search.retention, config.reports.rows, config.ingest.future)
        return await Audit(await without_erased(log), stores, limits).run(patience)


async def _opened(stack: AsyncExitStack, opener: Callable[[], AbstractAsyncContextManager[T]]) -> T | HeadwaterError:
    """The reader, or why there is none."""
    try:
        async with asyncio.timeout(_OPENING):
            return await stack.enter_async_context(opener())
    except HeadwaterError as error:
        return error
    except TimeoutError:
        return Unavailable(f"it could not be opened within {_OPENING:g} s")


def _show(finding: Finding) -> None:
    mark = "ok" if finding.clean else "BAD"
    if finding.trouble:
        click.echo(f"{mark:<4} {finding.what}: not compared: {finding.trouble}")
    else:
        more = "".join(
            f", {count} {word}" for word, count in (("wrong", finding.wrong), ("repeated", finding.repeated)) if count
        )
        click.echo(
            f"{mark:<4} {finding.what}: {finding.compared} compared, "
            f"{finding.missing} missing, {finding.extra} extra{more}"
        )
    for text in finding.named:
        click.echo(f"       {text}")
    if finding.unnamed > 0:
        click.echo(f"       … and {finding.unnamed} more")

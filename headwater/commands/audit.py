"""`headwater audit`: what the log holds is in every store, once, and nothing else is.

In: the data folder, beside a running Headwater or without one. Out: a line a comparison; records that are missing or
extra by name; exit code 1 if there is one.
"""

import asyncio
from collections.abc import Mapping, Sequence
from functools import partial

import click

from headwater.commands.ending import leave
from headwater.commands.options import configured
from headwater.config import Config
from headwater.errors import HeadwaterError
from query.audit import Audit, Finding
from storage.contract import LakeReader, Span
from storage.lake_reader import open_lake_reader
from storage.sqlite_live import open_live
from storage.sqlite_log_reader import open_log_readonly


@click.command()
@click.option("--patience", type=click.FloatRange(min=0), default=30.0, show_default=True, help="Seconds to wait for stores that are behind.")  # fmt: skip # noqa: E501
@configured
def audit(config: Config, patience: float) -> None:
    """Compare log, live state, lake and quarantine by the ids in them.

    \b
    headwater audit
    headwater audit --data /var/lib/headwater
    """
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
    folder = config.data
    if not (folder / "log.sqlite").exists():
        raise click.ClickException(f"there is no log in {folder}; --data says where it is")
    async with (
        open_log_readonly(folder / "log.sqlite") as log,
        open_live(folder / "live.sqlite", log.id) as live,
        open_lake_reader(folder / "lake", log.id, answer_time=config.query.time) as lake,
    ):
        ledgers = {"live": live.ledger, "lake": partial(_ledger, lake)}
        return await Audit(log, lake, live, ledgers).run(patience)


async def _ledger(lake: LakeReader, _topic: str) -> Mapping[int, int]:
    """What the lake has applied of messages: every answer about them comes with it."""
    _, ledger = await lake.history("nobody", Span(), 1)
    return ledger


def _show(finding: Finding) -> None:
    repeated = f", {finding.repeated} repeated" if finding.repeated else ""
    click.echo(
        f"{'ok' if finding.clean else 'BAD':<4} {finding.what}: {finding.compared} compared, "
        f"{finding.missing} missing, {finding.extra} extra{repeated}"
    )
    for text in finding.named:
        click.echo(f"       {text}")
    unnamed = finding.missing + finding.extra - len(finding.named)
    if unnamed > 0:
        click.echo(f"       … and {unnamed} more")

"""`headwater gateway`, `consumer` and `api`: one part a process. That needs a log that several processes share.

In: the configuration. Out: until the stack profile is there, one line that says so.
"""

from typing import NoReturn

import click

from headwater.commands.options import configured
from headwater.config import Config


def _refuse(config: Config, part: str) -> NoReturn:
    raise click.ClickException(
        f"`headwater {part}` runs as a process of its own, and several processes need Kafka as their log; "
        f"profile {config.profile!r} keeps its log in one file of one process: use `headwater up`"
    )


@click.command()
@configured
def gateway(config: Config) -> None:
    """Only the front door (needs Kafka)."""
    _refuse(config, "gateway")


@click.command()
@click.argument("roles", nargs=-1)
@configured
def consumer(config: Config, roles: tuple[str, ...]) -> None:  # noqa: ARG001  # the interface is fixed
    """Only the selector and the writers, or the ROLES named (needs Kafka)."""
    _refuse(config, "consumer")


@click.command()
@configured
def api(config: Config) -> None:
    """Only the API and the pages (needs Kafka)."""
    _refuse(config, "api")

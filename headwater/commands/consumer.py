"""`headwater consumer`: the selector and the writers, or some of them, as a process of their own.

In: the configuration, and where to listen. Out: one line with `ready`; then silence, until SIGINT or SIGTERM.
"""

from pathlib import Path

import click

from headwater import logs
from headwater.app.consumer import consuming, roles_of
from headwater.commands.options import read_configuration
from headwater.commands.running import run
from headwater.commands.stack import config_option, data_option, of_stack
from headwater.errors import ConfigError


@click.command()
@click.argument("roles", nargs=-1)
@click.option("--metrics", "address", default="", help="HOST:PORT for health and metrics; none unless given.")
@data_option
@config_option
def consumer(file: Path | None, data: Path | None, roles: tuple[str, ...], address: str) -> None:
    """Only the selector and the writers, or the ROLES named (needs Kafka).

    \b
    headwater consumer                             every role
    headwater consumer redis mysql                 some: selector live documents search reports lake
    """
    config = of_stack(read_configuration(file, data=data), "consumer")
    lines = logs.configure(config.logging)
    try:
        chosen = roles_of(roles)
    except ConfigError as error:
        raise click.ClickException(str(error)) from None
    run(
        consuming(config, chosen, address, lines),
        lambda served: f"headwater consumer ready: {', '.join(chosen)}" + (f"; http://{served}/metrics" * bool(served)),
    )

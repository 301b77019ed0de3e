"""`headwater api`: the API and the pages as a process of their own.

In: the configuration, and where to listen. Out: one line with `ready`; then silence, until SIGINT or SIGTERM.
"""

from pathlib import Path

import click

from headwater import logs
from headwater.app.api import answering
from headwater.commands.options import read_configuration
from headwater.commands.stack import config_option, data_option, http_option, of_stack, started


@click.command()
@http_option
@data_option
@config_option
def api(file: Path | None, http: str | None, data: Path | None) -> None:
    """Only the API and the pages (needs Kafka)."""
    config = of_stack(read_configuration(file, http__listen=http, data=data), "api")
    lines = logs.configure(config.logging)
    started("api", answering(config, lines))

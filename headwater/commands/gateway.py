"""`headwater gateway`: the front door as a process of its own.

In: the configuration, and where to listen. Out: one line with `ready`; then silence, until SIGINT or SIGTERM.
"""

from pathlib import Path

import click

from headwater import logs
from headwater.app.gateway import receiving
from headwater.commands.options import read_configuration
from headwater.commands.stack import config_option, http_option, mqtt_option, of_stack, started


@click.command()
@http_option
@mqtt_option
@config_option
def gateway(file: Path | None, http: str | None, mqtt: str | None) -> None:
    """Only the front door (needs Kafka)."""
    config = of_stack(read_configuration(file, http__listen=http, mqtt__listen=mqtt), "gateway")
    lines = logs.configure(config.logging)
    started("gateway", receiving(config, lines))

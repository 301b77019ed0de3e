"""`headwater gateway`, `consumer` and `api`: one part a process. That needs a log that several processes share.

In: the configuration, and where to listen. Out: one line with `ready`; then silence, until SIGINT or SIGTERM.
"""

from contextlib import AbstractAsyncContextManager
from pathlib import Path

import click

from headwater import logs
from headwater.app.api import answering
from headwater.app.consumer import consuming, roles_of
from headwater.app.front_door import Addresses
from headwater.app.gateway import receiving
from headwater.commands.options import read_configuration
from headwater.commands.running import run
from headwater.config import Config
from headwater.errors import ConfigError

_CONFIG = click.option(
    "--config",
    "file",
    envvar="HEADWATER_CONFIG",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A YAML file; ./config.yaml if there is one.",
)
_DATA = click.option("--data", type=click.Path(file_okay=False, path_type=Path), help="For copies of the lake's files.")
_HTTP = click.option("--http", help="HOST:PORT for HTTP; 127.0.0.1:8080 unless configured.")
_MQTT = click.option("--mqtt", help="HOST:PORT for MQTT; 127.0.0.1:1883 unless configured.")


def _of_stack(config: Config, part: str) -> Config:
    if config.profile == "stack":
        return config
    raise click.ClickException(
        f"`headwater {part}` runs as a process of its own, and several processes need Kafka as their log; "
        f"profile {config.profile!r} keeps its log in one file of one process: use `headwater up`, or set "
        "`profile: stack` (HEADWATER_PROFILE=stack)"
    )


def _started(part: str, opened: AbstractAsyncContextManager[Addresses]) -> None:
    def ready(addresses: Addresses) -> str:
        mqtt = f", mqtt://{addresses.mqtt} (MQTT)" if addresses.mqtt else ""
        return f"headwater {part} ready: http://{addresses.http} (HTTP){mqtt}"

    run(opened, ready)


@click.command()
@_HTTP
@_MQTT
@_CONFIG
def gateway(file: Path | None, http: str | None, mqtt: str | None) -> None:
    """Only the front door (needs Kafka)."""
    config = _of_stack(read_configuration(file, http__listen=http, mqtt__listen=mqtt), "gateway")
    lines = logs.configure(config.logging)
    _started("gateway", receiving(config, lines))


@click.command()
@click.argument("roles", nargs=-1)
@click.option("--metrics", "address", default="", help="HOST:PORT for health and metrics; none unless given.")
@_DATA
@_CONFIG
def consumer(file: Path | None, data: Path | None, roles: tuple[str, ...], address: str) -> None:
    """Only the selector and the writers, or the ROLES named (needs Kafka).

    \b
    headwater consumer                             every role
    headwater consumer redis mysql                 some: selector live documents search reports lake
    """
    config = _of_stack(read_configuration(file, data=data), "consumer")
    lines = logs.configure(config.logging)
    try:
        chosen = roles_of(roles)
    except ConfigError as error:
        raise click.ClickException(str(error)) from None
    run(
        consuming(config, chosen, address, lines),
        lambda served: f"headwater consumer ready: {', '.join(chosen)}" + (f"; http://{served}/metrics" * bool(served)),
    )


@click.command()
@_HTTP
@_DATA
@_CONFIG
def api(file: Path | None, http: str | None, data: Path | None) -> None:
    """Only the API and the pages (needs Kafka)."""
    config = _of_stack(read_configuration(file, http__listen=http, data=data), "api")
    lines = logs.configure(config.logging)
    _started("api", answering(config, lines))

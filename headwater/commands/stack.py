"""What `headwater gateway`, `consumer` and `api` share: one part a process, on a log that several processes share.

Each command has a file of its own: a gateway does not even load the stores.
"""

from contextlib import AbstractAsyncContextManager
from pathlib import Path

import click

from headwater.app.front_door import Addresses
from headwater.commands.running import run
from headwater.config import Config

config_option = click.option(
    "--config",
    "file",
    envvar="HEADWATER_CONFIG",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A YAML file; ./config.yaml if there is one.",
)
data_option = click.option(
    "--data", type=click.Path(file_okay=False, path_type=Path), help="For copies of the lake's files."
)
http_option = click.option("--http", help="HOST:PORT for HTTP; 127.0.0.1:8080 unless configured.")
mqtt_option = click.option("--mqtt", help="HOST:PORT for MQTT; 127.0.0.1:1883 unless configured.")


def of_stack(config: Config, part: str) -> Config:
    """The configuration, if several processes can share its log."""
    if config.profile == "stack":
        return config
    raise click.ClickException(
        f"`headwater {part}` runs as a process of its own, and several processes need Kafka as their log; "
        f"profile {config.profile!r} keeps its log in one file of one process: use `headwater up`, or set "
        "`profile: stack` (HEADWATER_PROFILE=stack)"
    )


def started(part: str, opened: AbstractAsyncContextManager[Addresses]) -> None:
    """Run it; say where it serves."""

    def ready(addresses: Addresses) -> str:
        mqtt = f", mqtt://{addresses.mqtt} (MQTT)" if addresses.mqtt else ""
        return f"headwater {part} ready: http://{addresses.http} (HTTP){mqtt}{secured(addresses)}"

    run(opened, ready)


def secured(addresses: Addresses) -> str:
    """What is behind the plain addresses in the line that says where it serves: those with TLS, if there are any."""
    found = [f"{scheme}://{address}" for scheme, address in (("https", addresses.https), ("mqtts", addresses.mqtts)) if address]  # fmt: skip # noqa: E501
    return f", {', '.join(found)} (TLS)" if found else ""

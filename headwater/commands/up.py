"""`headwater up`: everything in one process, until Ctrl-C.

In: the configuration, and where to listen. Out: one line with `ready`, how to send, ask and look; then silence.
"""

import asyncio
import os
import signal
import sys
from asyncio.subprocess import Process
from pathlib import Path

import click
import uvloop

from headwater import logs
from headwater.app.embedded import running
from headwater.app.front_door import Addresses
from headwater.commands.demo import demo_models
from headwater.commands.ending import leave
from headwater.commands.options import read_configuration
from headwater.commands.running import collect_garbage_less_often
from headwater.commands.stack import secured
from headwater.config import Config
from headwater.errors import ConfigError, HeadwaterError
from headwater.log_lines import LogLines

_DEMO_SECONDS = 5.0


@click.command()
@click.option("--config", "file", envvar="HEADWATER_CONFIG", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="A YAML file; ./config.yaml if there is one.")  # fmt: skip # noqa: E501
@click.option("--data", type=click.Path(file_okay=False, path_type=Path), help="The folder where everything is kept.")
@click.option("--http", help="HOST:PORT for HTTP; 127.0.0.1:8080 unless configured.")
@click.option("--mqtt", help="HOST:PORT for MQTT; 127.0.0.1:1883 unless configured.")
@click.option("--demo", is_flag=True, help="Replay recorded traffic as well, through the front door.")
def up(file: Path | None, data: Path | None, http: str | None, mqtt: str | None, demo: bool) -> None:
    """Start everything in one process.

    \b
    headwater up
    headwater up --demo
    headwater up --data /var/lib/headwater --http 0.0.0.0:8080 --mqtt 0.0.0.0:1883
    """
    config = read_configuration(file, data=data, http__listen=http, mqtt__listen=mqtt)
    if demo:
        config = config.model_copy(update={"models": demo_models() | dict(config.models)})
    lines = logs.configure(config.logging)
    collect_garbage_less_often()
    try:
        uvloop.run(_serve(config, lines, demo=demo))
    except ConfigError as error:
        raise click.ClickException(str(error)) from None
    except HeadwaterError as error:
        raise click.ClickException(f"could not start: {error}") from None
    leave(0)


async def _serve(config: Config, lines: LogLines, *, demo: bool) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    async with running(config, lines) as addresses:
        _say(config, addresses)
        player = await _play(addresses) if demo else None
        await stop.wait()
        if player is not None:
            await _end(player)
        click.echo("stopping: what is in hand is finished first …")
    click.echo("stopped")


def _say(config: Config, addresses: Addresses) -> None:
    url = f"http://{_from_here(addresses.http)}"
    mqtt = f"mqtt://{_from_here(addresses.mqtt)}"
    also = secured(addresses)
    click.echo(f"headwater ready: {url} (HTTP), {mqtt} (MQTT){also}, everything kept in {config.data.absolute()}")
    click.echo(f'  send   curl -d \'{{"device_id":7,"voltage":647,"temperature":110}}\' {url}/ingest')
    click.echo(f"  ask    curl {url}/api/v1/devices/7/latest")
    click.echo(f"  look   {url}/")
    if config.ingest.anonymous == "never":
        click.echo(f"  keys   everyone needs one: headwater keys add NAME --role admin --data {config.data.absolute()}")
    elif any(_from_here(address) != address for address in addresses):
        click.echo("  keys   other machines need one: headwater devices add NAME, headwater keys add NAME")
    click.echo("  stop   Ctrl-C")
    sys.stdout.flush()


def _from_here(address: str) -> str:
    """An address that this machine can ask: listening on all of them includes loopback."""
    host, _, port = address.rpartition(":")
    return f"127.0.0.1:{port}" if host in {"0.0.0.0", "[::]", "::"} else address  # noqa: S104  # compared, not bound


async def _play(addresses: Addresses) -> Process:
    """The demo is a process of its own: it comes through the front door as devices do."""
    command = [sys.executable, "-m", "headwater.cli", "replay", "--demo"]
    options = ["--url", f"http://{_from_here(addresses.http)}", "--mqtt", _from_here(addresses.mqtt)]
    return await asyncio.create_subprocess_exec(*command, *options, env=dict(os.environ), start_new_session=True)


async def _end(player: Process) -> None:
    if player.returncode is None:
        player.send_signal(signal.SIGINT)
        try:
            await asyncio.wait_for(player.wait(), _DEMO_SECONDS)
        except TimeoutError:
            player.kill()
            await player.wait()

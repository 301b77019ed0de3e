"""`headwater agent`: beside a device or on a site, it keeps what is said on disk until Headwater has acknowledged it.

In: standard input, files, a local MQTT broker. Out: what was said, once each, at `--url`; `--status` says what waits.
"""

import asyncio
import signal
import socket
import ssl
from pathlib import Path

import click

from headwater import logs
from headwater.commands.client import DEFAULT_URL
from headwater.commands.ending import leave
from headwater.config import Logging
from headwater.errors import ConfigError
from headwater.quantities import parse_size, write_duration, write_size
from ingest.agent.agent import Settings, run_agent
from ingest.agent.buffer import Full, status_of
from ingest.agent.sender import Server
from ingest.bridge.link import Broker

_IN_FLIGHT = 100
_SESSION = 7 * 86_400
_TIME = 10.0
_PATH = click.Path(dir_okay=False, path_type=Path)


@click.command()
@click.option("--stdin", is_flag=True, help="Read lines of JSON from standard input, until it ends.")
@click.option(
    "--file", "files", multiple=True, type=_PATH, help="Follow a file of such lines, also when it is rotated."
)
@click.option("--mqtt", "broker", default="", help="HOST:PORT of a local broker to read.")
@click.option(
    "--filter", "filters", multiple=True, default=("devices/+/telemetry",), show_default=True, help="Its topics."
)
@click.option(
    "--client-id", default="", help="At that broker; `headwater-agent-` and this machine's name, if not said."
)
@click.option("--buffer", type=_PATH, default=Path("headwater-agent.sqlite"), show_default=True, help="What waits.")
@click.option("--buffer-size", default="1GiB", show_default=True, help="The most that waits.")
@click.option(
    "--full",
    type=click.Choice(["wait", "drop-oldest"]),
    default="wait",
    show_default=True,
    help="Then: read nothing more, or forget the oldest.",
)
@click.option("--url", envvar="HEADWATER_URL", default=DEFAULT_URL, show_default=True, help="Where Headwater runs.")
@click.option(
    "--token", envvar="HEADWATER_TOKEN", default="", help="A device's or a key's; HEADWATER_TOKEN keeps it out of `ps`."
)
@click.option("--ca", type=_PATH, help="Certificates to trust, a PEM file; the system's, if not said.")
@click.option("--cert", type=_PATH, help="A client certificate …")
@click.option("--key", type=_PATH, help="… and its key.")
@click.option("--status", is_flag=True, help="Say what waits and what was sent, and end.")
def agent(  # noqa: PLR0917 - an option each
    stdin: bool,
    files: tuple[Path, ...],
    broker: str,
    filters: tuple[str, ...],
    client_id: str,
    buffer: Path,
    buffer_size: str,
    full: Full,
    url: str,
    token: str,
    ca: Path | None,
    cert: Path | None,
    key: Path | None,
    status: bool,
) -> None:
    """Send what is said here, and keep it while the line is down.

    \b
    some-program | headwater agent --stdin --url https://headwater.example:8443
    headwater agent --file /var/log/readings.ndjson
    headwater agent --mqtt 127.0.0.1:1883
    headwater agent --status
    """
    try:
        if status:
            _say(buffer)
            return
        if not (stdin or files or broker):
            raise click.UsageError("say what to read: --stdin, --file or --mqtt")
        settings = Settings(
            server=Server(url, token, _context(ca, cert, key) if url.startswith("https:") else None),
            buffer=buffer,
            size=parse_size(buffer_size),
            full=full,
            stdin=stdin,
            files=files,
            broker=_broker(broker, client_id) if broker else None,
            filters=filters,
        )
        logs.configure(Logging())
        asyncio.run(_run(settings))
    except (ConfigError, ValueError, OSError) as error:
        raise click.ClickException(str(error)) from None


async def _run(settings: Settings) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await run_agent(settings, stop)
    leave(0)  # here: a thread may still wait for standard input


def _say(buffer: Path) -> None:
    found = status_of(buffer)
    counts = ", ".join(f"{found.counts.get(name, 0)} {name}" for name in ("buffered", "sent", "rejected", "dropped"))
    oldest = f", the oldest for {write_duration(round(found.oldest))}" if found.waiting else ""
    click.echo(f"{found.waiting} waiting ({write_size(found.size)}{oldest})")
    click.echo(counts)


def _context(ca: Path | None, cert: Path | None, key: Path | None) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=ca)
    if cert is not None:
        context.load_cert_chain(cert, key)
    return context


def _broker(address: str, client_id: str) -> Broker:
    host, colon, port = address.rpartition(":")
    if not colon or not host or not port.isdigit():
        raise ConfigError(f"--mqtt: {address!r} is not HOST:PORT")
    name = client_id or f"headwater-agent-{socket.gethostname()}"
    return Broker(host, int(port), name, "", "", None, _SESSION, _IN_FLIGHT, _TIME)

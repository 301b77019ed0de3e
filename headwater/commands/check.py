"""`headwater check`: can it start with this configuration on this machine? Before anything is started.

In: the configuration. Out: one line a check; exit code 1 if one failed.
"""

import asyncio
import shutil
import socket
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import click

from headwater.app.dependencies import problems
from headwater.commands.options import configured
from headwater.config import Config
from headwater.config_tls import Tls
from headwater.errors import ConfigError
from ingest.tls import Contexts

_FREE_BYTES = 2**30


@click.command()
@configured
def check(config: Config) -> None:
    """Check the configuration and everything it depends on.

    \b
    headwater check
    headwater check --config config.yaml
    HEADWATER_PROFILE=stack headwater check        every server too
    """
    failed = False
    for name, problem in _checks(config):
        failed |= problem is not None
        click.echo(f"{'ok' if problem is None else 'FAILED':<7} {name}" + (f": {problem}" if problem else ""))
    sys.exit(1 if failed else 0)


def _checks(config: Config) -> Iterator[tuple[str, str | None]]:
    yield "configuration", None
    yield f"data folder {config.data}", _attempt(lambda: _writable(config.data))
    yield "free disk space", _attempt(lambda: _space(config.data))
    if config.profile == "stack":
        yield from asyncio.run(problems(config)).items()
    yield f"HTTP address {config.http.listen}", _attempt(lambda: _bindable(config.http.listen))
    yield f"MQTT address {config.mqtt.listen}", _attempt(lambda: _bindable(config.mqtt.listen))
    for name, tls in (("http.tls", config.http.tls), ("mqtt.tls", config.mqtt.tls)):
        if tls.listen:
            yield f"{name} address {tls.listen}", _attempt(partial(_bindable, tls.listen))
            yield f"{name} certificates", _attempt(partial(_usable, tls, name))


def _attempt(work: Callable[[], str | None]) -> str | None:
    try:
        return work()
    except OSError as error:
        return error.strerror or str(error)


def _usable(tls: Tls, name: str) -> str | None:
    try:
        Contexts(tls, name)
    except ConfigError as error:
        return str(error).removeprefix(f"{name}: ")
    return None


def _writable(folder: Path) -> None:
    existing = _existing(folder)
    probe = existing / ".headwater-check"
    probe.write_bytes(b"")
    probe.unlink()


def _space(folder: Path) -> str | None:
    free = shutil.disk_usage(_existing(folder)).free
    return None if free >= _FREE_BYTES else f"only {free / 1e6:.0f} MB are free"


def _existing(folder: Path) -> Path:
    folder = folder.absolute()
    while not folder.exists():
        folder = folder.parent
    return folder


def _bindable(address: str) -> str | None:
    host, _, port = address.rpartition(":")
    family, kind, protocol, _, where = socket.getaddrinfo(host.strip("[]"), int(port), type=socket.SOCK_STREAM)[0]
    with socket.socket(family, kind, protocol) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(where)
        except OSError as error:
            return f"{error.strerror}; is Headwater running already?" if error.errno == 98 else error.strerror
    return None

"""`headwater ca`: Headwater's own certificate authority. Works on files alone, on whatever machine has its key.

In: names, signing requests. Out: PEM files, keys readable by their owner only; nothing is ever overwritten.
"""

import os
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import click

from headwater.authority import AUTHORITY_DAYS, DEVICE_DAYS, SERVER_DAYS, Authority, Issued
from headwater.errors import ConfigError, Rejected

R = TypeVar("R")

folder = click.Path(file_okay=False, path_type=Path)
file = click.Path(exists=True, dir_okay=False, path_type=Path)
authority_option = click.option(
    "--ca", type=folder, default="ca", show_default=True, help="Folder with ca.pem and ca-key.pem."
)
out_option = click.option("--out", type=folder, default=".", show_default=True, help="Folder for the new files.")


@click.group()
def ca() -> None:
    """The certificate authority for devices and gateways.

    \b
    headwater ca init                                 makes ca/ca.pem and ca/ca-key.pem
    headwater ca server gw.example.org --out tls      what a gateway needs: mqtt.tls.certificate and .key
    headwater devices add pump-7 --cert               what a device needs, known to the registry
    """


@ca.command()
@click.option("--name", default="Headwater", show_default=True, help="What the authority is called.")
@click.option("--days", type=click.IntRange(1, 36_500), default=AUTHORITY_DAYS, show_default=True)
@click.option("--out", type=folder, default="ca", show_default=True, help="Folder for the new files.")
def init(name: str, days: int, out: Path) -> None:
    """Make an authority. Its key is the one secret that all certificates hang on: keep it off the gateways."""
    made = _told(lambda: Authority.new(name, days))
    write(out / "ca-key.pem", made.key, secret=True)
    write(out / "ca.pem", made.certificate)
    click.echo(f"{out / 'ca.pem'}: for `mqtt.tls.client_ca` of every gateway, and for every device", err=True)
    click.echo(f"{out / 'ca-key.pem'}: the secret; only who adds devices needs it", err=True)


@ca.command()
@click.argument("names", nargs=-1, required=True)
@authority_option
@out_option
@click.option("--days", type=click.IntRange(1, 36_500), default=SERVER_DAYS, show_default=True)
def server(names: tuple[str, ...], ca: Path, out: Path, days: int) -> None:
    """Make a gateway's certificate for the host NAMES and addresses that devices reach it by."""
    issued = _told(lambda: opened(ca).server(names, days))
    write(out / "server-key.pem", issued.key, secret=True)
    write(out / "server.pem", issued.certificate)
    click.echo(f"{out / 'server.pem'}, {out / 'server-key.pem'}: for `mqtt.tls` and `http.tls`", err=True)


@ca.command()
@click.argument("name")
@authority_option
@out_option
@click.option("--days", type=click.IntRange(1, 36_500), default=DEVICE_DAYS, show_default=True)
@click.option("--request", type=file, help="The device's own signing request (PEM): its key never leaves it.")
def device(name: str, ca: Path, out: Path, days: int, request: Path | None) -> None:
    """Make a device's certificate, where no Headwater is in reach; `headwater devices certify` makes it known."""
    _, certificate, key = issue(name, ca, out, days, request)
    for path in filter(None, (certificate, key)):
        click.echo(path, err=True)
    click.echo(f"then: headwater devices certify {name} --certificate {certificate}", err=True)


def issue(name: str, ca: Path, out: Path, days: int, request: Path | None) -> tuple[Issued, Path, Path | None]:
    """Make and write a device's files: the certificate's and the key's path, which is None if it has its own key."""
    certificate, key = out / f"{name}.pem", out / f"{name}-key.pem"
    authority = opened(ca)
    for path in (certificate, key):
        if path.exists():
            raise click.ClickException(f"{path} is there already, and is not overwritten")
    if request is not None:
        asked = request.read_bytes()
        issued = _told(lambda: authority.requested(asked, name, days))
    else:
        issued = _told(lambda: authority.device(name, days))
    if issued.key:
        write(key, issued.key, secret=True)
    write(certificate, issued.certificate)
    return issued, certificate, key if issued.key else None


def opened(ca: Path) -> Authority:
    """The authority in this folder; says how to make one where there is none."""
    if not (ca / "ca.pem").exists():
        raise click.ClickException(f"there is no authority in {ca}: `headwater ca init --out {ca}` makes one")
    return _told(lambda: Authority.read(ca / "ca.pem", ca / "ca-key.pem"))


def write(path: Path, data: bytes, *, secret: bool = False) -> None:
    """A new file, durable before this returns; a secret for its owner's eyes only."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600 if secret else 0o644)
        with os.fdopen(descriptor, "wb") as opened_file:
            opened_file.write(data)
            opened_file.flush()
            os.fsync(opened_file.fileno())
    except FileExistsError:
        raise click.ClickException(f"{path} is there already, and is not overwritten") from None
    except OSError as error:
        raise click.ClickException(f"{path}: {error.strerror}") from None


def _told(work: Callable[[], R]) -> R:
    try:
        return work()
    except (ConfigError, Rejected) as error:
        raise click.ClickException(error.detail if isinstance(error, Rejected) else str(error)) from None

"""`headwater devices certify` and `revoke`: which certificates a device is known by.

In: a device's name, files. Out: the device's files where this machine has the authority; a change of the registry.
"""

import re
from pathlib import Path
from urllib.parse import urlsplit

import click

from headwater.authority import DEVICE_DAYS, held_of
from headwater.commands.ca import authority_option, file, issue, out_option
from headwater.commands.client import Client, asks, segment
from headwater.errors import Rejected

_FINGERPRINT = re.compile("[0-9a-f]{64}")


@click.command()
@click.argument("name")
@click.option("--certificate", type=file, help="Know it by this one (PEM), whoever made it, and make none.")
@click.option("--request", type=file, help="The device's own signing request (PEM): its key never leaves it.")
@click.option("--days", type=click.IntRange(1, 36_500), default=DEVICE_DAYS, show_default=True)
@authority_option
@out_option
@asks
def certify(
    client: Client, name: str, certificate: Path | None, request: Path | None, days: int, ca: Path, out: Path
) -> None:
    """Give a device one more certificate; those that it has stay, so that it is renewed without a gap.

    \b
    headwater devices certify pump-7 --out new
    headwater devices certify pump-7 --request pump-7.csr
    headwater devices certify pump-7 --certificate from-our-own-ca.pem
    """
    if certificate is None:
        certify_by(client, name, ca, out, days, request)
    else:
        _know(client, name, certificate.read_bytes())


@click.command()
@click.argument("name")
@click.argument("which")
@asks
def revoke(client: Client, name: str, which: str) -> None:
    """Take a certificate from a device, by its file or fingerprint: its session ends at once, on every gateway."""
    fingerprint = which if _FINGERPRINT.fullmatch(which) else _fingerprint(Path(which))
    client.call("DELETE", f"{_path(name)}/{fingerprint}")
    click.echo(f"revoked {fingerprint} of {name}", err=True)


def certify_by(client: Client, name: str, ca: Path, out: Path, days: int, request: Path | None) -> None:
    """Make its files with the authority of this machine, and make the certificate known."""
    issued, certificate, key = issue(name, ca, out, days, request)
    _know(client, name, issued.certificate)
    mine = f"--cert {certificate}" + (f" --key {key}" if key else "")
    topic = f"devices/{name}/telemetry"
    there = f"-h {urlsplit(client.url).hostname or ''} -p 8883 --cafile {ca / 'ca.pem'}"
    use = f"""mosquitto_pub {there} {mine} -q 1 -t {topic} -m '{{"fields":{{"t":21.5}}}}'"""
    click.echo(
        f"Its certificate: {certificate}" + (f", its key: {key}" if key else "") + f". Use it so:\n{use}", err=True
    )


def _know(client: Client, name: str, certificate: bytes) -> None:
    client.call("POST", _path(name), body={"certificate": certificate.decode("utf-8", "replace")})


def _fingerprint(path: Path) -> str:
    try:
        return held_of(path.read_bytes()).fingerprint
    except OSError as error:
        raise click.ClickException(f"{path}: {error.strerror}") from None
    except Rejected as error:
        raise click.ClickException(f"{path}: {error.detail}") from None


def _path(name: str) -> str:
    return f"/api/v1/registry/devices/{segment(name)}/certificates"

"""`headwater claims`: codes by which devices add themselves when they first connect.

In: names, how many may use it, for how long. Out: a code, once; tables, or JSON with --json.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from headwater.commands.ca import file
from headwater.commands.client import Client, asks, segment
from headwater.commands.devices import as_json, named, show_secret
from headwater.commands.output import plain, print_json, print_table

_PATH = "/api/v1/registry/claims"
_TITLES = ("name", "names", "uses left", "expires", "model", "groups")
_DAY = 86_400


@click.group()
def claims() -> None:
    """Claims: devices that nobody has added yet add themselves, by a code or a certificate that many share.

    \b
    headwater claims add LINE-3 --names "pump-*" --uses 500 --days 30 --group line-3 --model pump
    curl -H "Authorization: Bearer CODE" -d '{"name":"pump-7"}' https://HOST/api/v1/provision
    mosquitto_rr -V 5 -h HOST -u claim -P CODE -t provision -e provision/answer -m '{"name":"pump-7"}'
    """


@claims.command()
@named
@click.option("--names", default="*", show_default=True, help="A name, or `prefix*`, that a device may take.")
@click.option("--uses", type=click.IntRange(1, 1_000_000), default=1, show_default=True, help="How many devices.")
@click.option("--days", type=click.FloatRange(0.001, 3650), default=30.0, show_default=True, help="Good for so long.")
@click.option("--model", default="", help="The model of the devices.")
@click.option("--group", multiple=True, help="A group they will be in. Can be repeated.")
@click.option("--certificate", type=file, help="A client certificate (PEM) that does the same, over TLS.")
@as_json
@asks
def add(
    client: Client, name: str, *, names: str, uses: int, days: float, model: str, group: tuple[str, ...],
    certificate: Path | None, as_json: bool,
) -> None:  # fmt: skip
    """Add a claim and print its code: it is not shown again.

    \b
    headwater claims add LINE-3 --names "pump-*" --uses 500
    """
    body = {
        "name": name,
        "names": names,
        "uses": uses,
        "seconds": days * _DAY,
        "model": model,
        "groups": list(group),
        "certificate": certificate.read_text("utf-8", "replace") if certificate is not None else "",
    }
    claim = client.call("POST", _PATH, body=body).body
    if as_json:
        print_json(claim)
        return
    example = '{"name":"' + names.removesuffix("*") + ("7" if names.endswith("*") else "") + '"}'
    show_secret(
        f"The code of {name}, for {uses} devices until {claim['expires']}. It is shown only now:",
        claim["code"],
        f"curl -H 'Authorization: Bearer {claim['code']}' -d '{example}' {client.url}/api/v1/provision",
    )


@claims.command("list")
@as_json
@asks
def list_(client: Client, as_json: bool) -> None:
    """All claims, by name."""
    found = _all(client)
    if as_json:
        print_json(list(found))
    else:
        print_table(_TITLES, map(_row, found))


@claims.command()
@named
@as_json
@asks
def show(client: Client, name: str, as_json: bool) -> None:
    """One claim."""
    claim = client.call("GET", f"{_PATH}/{segment(name)}").body
    if as_json:
        print_json(claim)
        return
    for title, value in zip(_TITLES, _row(claim), strict=True):
        click.echo(f"{title:<12}{plain(value)}".rstrip())


@claims.command()
@named
@asks
def remove(client: Client, name: str) -> None:
    """Remove a claim: its code ends at once. The devices that have used it stay."""
    client.call("DELETE", f"{_PATH}/{segment(name)}")
    click.echo(f"removed {name}", err=True)


def _all(client: Client) -> Iterator[dict[str, Any]]:
    after: str | None = ""
    while after is not None:
        page = client.call("GET", _PATH, query={"after": after or None, "limit": 1000}).body
        yield from page["claims"]
        after = page["next"]


def _row(claim: dict[str, Any]) -> tuple[str, ...]:
    groups = " ".join(claim["groups"])
    return claim["name"], claim["names"], str(claim["uses"]), claim["expires"], claim["model"], groups

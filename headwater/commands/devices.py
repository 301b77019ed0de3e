"""`headwater devices`: who may send. Every subcommand asks the registry's API of a running Headwater.

In: names. Out: tables, or JSON with --json; a token once, when it is made, with the lines that use it.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import click

from headwater.authority import DEVICE_DAYS
from headwater.commands.ca import authority_option, opened, out_option
from headwater.commands.certificates import certify, certify_by, revoke
from headwater.commands.client import Client, asks, segment
from headwater.commands.control import command, commands, shadow
from headwater.commands.erasing import erase, erasures
from headwater.commands.fleet import export, import_
from headwater.commands.output import plain, print_json, print_table
from headwater.errors import Rejected
from headwater.registry import check_name

_PATH = "/api/v1/registry/devices"
_PAGE = 1000

as_json = click.option("--json", "as_json", is_flag=True, help="JSON, for programs.")


def _checked(_: click.Context, __: click.Parameter, value: str) -> str:
    try:
        return check_name(value)
    except Rejected as error:
        raise click.BadParameter(error.detail) from None


named = click.argument("name", callback=_checked)
"""The name of a device or key, checked before anything is asked."""


@click.group()
def devices() -> None:
    """Devices that may send: names, tokens, models, gateways.

    \b
    headwater devices add pump-7 --model pump        prints its token, once
    headwater devices add gw-1 --speaks-for "tag-*"  a gateway that sends for tags
    headwater devices disable pump-7                 refused from now on, also where connected
    headwater devices rotate pump-7                  a new token; the old one ends at once
    headwater devices import fleet.csv               many at once; `export` writes them
    headwater devices erase pump-7                   and all that it ever said
    headwater devices certify pump-7                 one more certificate, by `headwater ca`
    headwater devices revoke pump-7 pump-7.pem       that certificate no more
    headwater devices command pump-7 reboot --wait   tell it to do something
    """


@devices.command()
@named
@click.option("--model", default="", help="The model it is checked by; without: by the name's pattern.")
@click.option("--speaks-for", multiple=True, help="A device, or `prefix*`, that it may send for. Can be repeated.")
@click.option("--speaks-for-group", multiple=True, help="A group whose devices it may send for. Can be repeated.")
@click.option("--group", multiple=True, help="A group it is in. Can be repeated.")
@click.option("--asset", default="", help="What it is a part of.")
@click.option("--attribute", multiple=True, metavar="NAME=TEXT", help="What people want to know of it. Repeatable.")
@click.option("--cert", is_flag=True, help="Make a certificate for it as well, by the authority in --ca.")
@authority_option
@out_option
@as_json
@asks
def add(
    client: Client,
    name: str,
    *,
    model: str,
    speaks_for: tuple[str, ...],
    speaks_for_group: tuple[str, ...],
    group: tuple[str, ...],
    asset: str,
    attribute: tuple[str, ...],
    cert: bool,
    ca: Path,
    out: Path,
    as_json: bool,
) -> None:
    """Add a device and print its token, which is not shown again, with lines that use it.

    \b
    headwater devices add pump-7
    TOKEN=$(headwater devices add pump-8)
    headwater devices add pump-9 --cert            with files for mosquitto_pub --cert … --key …
    """
    body = {
        "name": name,
        "model": model,
        "speaks_for": list(speaks_for),
        "speaks_for_groups": list(speaks_for_group),
        "groups": list(group),
        "asset": asset,
        "attributes": _attributes(attribute),
    }
    if cert:
        opened(ca)  # says what is missing before anything is made
    device = client.call("POST", _PATH, body=body).body
    if cert:
        certify_by(client, name, ca, out, DEVICE_DAYS, None)
    _show_token(client, device, as_json)


def _attributes(given: tuple[str, ...]) -> dict[str, str]:
    pairs = [one.partition("=") for one in given]
    if any(not mark for _, mark, _ in pairs):
        raise click.UsageError("--attribute NAME=TEXT")
    return {key: text for key, _, text in pairs}


@devices.command("list")
@click.option("--group", help="Only those in this group.")
@click.option("--asset", help="Only those of this asset.")
@as_json
@asks
def list_(client: Client, group: str | None, asset: str | None, as_json: bool) -> None:
    """All devices of the registry, by name.

    \b
    headwater devices list
    headwater devices list --group line-3
    headwater devices list | cut -f1
    """
    found = _all(client, group=group, asset=asset)
    if as_json:
        print_json(list(found))
        return
    print_table(("name", "model", "speaks for", "state", "changed"), map(_row, found))


@devices.command()
@named
@as_json
@asks
def show(client: Client, name: str, as_json: bool) -> None:
    """One device."""
    _show(client.call("GET", _of(name)).body, as_json)


@devices.command()
@named
@as_json
@asks
def disable(client: Client, name: str, as_json: bool) -> None:
    """Refuse it from now on, also where it is connected; its token stays."""
    _show(client.call("PATCH", _of(name), body={"disabled": True}).body, as_json)


@devices.command()
@named
@as_json
@asks
def enable(client: Client, name: str, as_json: bool) -> None:
    """Let it in again, with the token it has."""
    _show(client.call("PATCH", _of(name), body={"disabled": False}).body, as_json)


@devices.command("set")
@named
@click.option("--model", help='The model it is checked by; "" for the one that the name\'s pattern says.')
@click.option("--speaks-for", multiple=True, help="What it may send for, in place of what it had. Can be repeated.")
@click.option("--speaks-for-nobody", is_flag=True, help="It sends for itself only.")
@click.option("--group", multiple=True, help="A group it is in, in place of those it was in. Can be repeated.")
@click.option("--no-group", is_flag=True, help="It is in no group.")
@click.option("--asset", help='What it is a part of; "" for nothing.')
@click.option("--attribute", multiple=True, metavar="NAME=TEXT", help="Add or change one; no text: forget it.")
@as_json
@asks
def set_(
    client: Client, name: str, *, model: str | None, speaks_for: tuple[str, ...], speaks_for_nobody: bool,
    group: tuple[str, ...], no_group: bool, asset: str | None, attribute: tuple[str, ...], as_json: bool,
) -> None:  # fmt: skip
    """Change its model, groups, asset or attributes, or whom it speaks for.

    \b
    headwater devices set pump-7 --model pump --group line-3
    headwater devices set gw-1 --speaks-for "tag-*" --speaks-for door-3
    headwater devices set pump-7 --attribute site=north --attribute old=
    """
    if speaks_for and speaks_for_nobody:
        raise click.UsageError("--speaks-for and --speaks-for-nobody contradict each other")
    if group and no_group:
        raise click.UsageError("--group and --no-group contradict each other")
    body: dict[str, Any] = {key: value for key, value in (("model", model), ("asset", asset)) if value is not None}
    if speaks_for or speaks_for_nobody:
        body["speaks_for"] = list(speaks_for)
    if group or no_group:
        body["groups"] = list(group)
    if attribute:
        kept = client.call("GET", _of(name)).body["attributes"] | _attributes(attribute)
        body["attributes"] = {key: text for key, text in kept.items() if text}
    if not body:
        raise click.UsageError("say what to change: --model, --group, --asset, --attribute or --speaks-for")
    _show(client.call("PATCH", _of(name), body=body).body, as_json)


@devices.command()
@named
@click.option(
    "--overlap", type=click.FloatRange(0, 30 * 86_400), default=0.0, help="Seconds that the old one is good for."
)
@as_json
@asks
def rotate(client: Client, name: str, overlap: float, as_json: bool) -> None:
    """Give it a new token and print it; the old one ends at once, or after --overlap."""
    query = {"overlap": str(overlap)} if overlap else None
    _show_token(client, client.call("POST", f"{_of(name)}/rotate", query=query).body, as_json)


@devices.command()
@named
@asks
def remove(client: Client, name: str) -> None:
    """Take it out of the registry; what it has sent stays."""
    client.call("DELETE", _of(name))
    click.echo(f"removed {name}", err=True)


devices.add_command(erase)
devices.add_command(erasures)
devices.add_command(command)
devices.add_command(commands)
devices.add_command(shadow)
devices.add_command(export)
devices.add_command(import_)
devices.add_command(certify)
devices.add_command(revoke)


def _of(name: str) -> str:
    return f"{_PATH}/{segment(name)}"


def _all(client: Client, **only: str | None) -> Iterator[dict[str, Any]]:
    after: str | None = ""
    while after is not None:
        page = client.call("GET", _PATH, query={"after": after or None, "limit": _PAGE, **only}).body
        yield from page["devices"]
        after = page["next"]


def _row(device: dict[str, Any]) -> tuple[str, ...]:
    state = "disabled" if device["disabled"] else "enabled"
    return device["name"], device["model"], " ".join(device["speaks_for"]), state, device["changed"]


def _show(device: dict[str, Any], as_json: bool) -> None:
    if as_json:
        print_json(device)
        return
    titles = ("name", "model", "speaks for", "state", "changed")
    for title, value in zip(titles, _row(device), strict=True):
        click.echo(f"{title:<12}{plain(value)}".rstrip())
    more = {
        "groups": " ".join(device["groups"]),
        "speaks for groups": " ".join(device["speaks_for_groups"]),
        "asset": device["asset"],
        "attributes": " ".join(f"{key}={text}" for key, text in device["attributes"].items()),
    }
    more |= {f"certificate until {one['expires']}": one["fingerprint"] for one in device["certificates"]}
    for title, value in more.items():
        if value:
            click.echo(f"{title:<12}{' ' if len(title) > 11 else ''}{plain(value)}")


def _show_token(client: Client, device: dict[str, Any], as_json: bool) -> None:
    if as_json:
        print_json(device)
        return
    name, token = device["name"], device["token"]
    message = '{"fields":{"temperature":21.5}}'
    host = urlsplit(client.url).hostname or ""
    show_secret(
        f"The token of {name}. It is shown only now:",
        token,
        f"mosquitto_pub -h {host} -q 1 -u {name} -P {token} -t devices/{name}/telemetry -m '{message}'",
        f"curl -H 'Authorization: Bearer {token}' -d '{message}' {client.url}/ingest/{name}",
    )


def show_secret(title: str, token: str, *uses: str) -> None:
    """The token alone on standard output, so that `$(…)` takes it; what it is, and lines to copy, beside it."""
    click.echo(title, err=True)
    click.echo(token)
    click.echo("\n".join(("Use it so:", *uses)), err=True)

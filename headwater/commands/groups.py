"""`headwater groups` and `headwater addresses`: what devices may together, and from where nobody may come.

In: names, topic rules, addresses. Out: tables, or JSON with --json.
"""

from collections.abc import Iterator
from typing import Any

import click

from headwater.commands.client import Client, asks, segment
from headwater.commands.devices import as_json, named
from headwater.commands.output import plain, print_json, print_table
from headwater.quantities import parse_duration

_GROUPS = "/api/v1/registry/groups"
_ADDRESSES = "/api/v1/registry/addresses"
_PAGE = 1000
_TITLES = ("name", "publish", "subscribe", "quota", "changed")

publish_option = click.option("--publish", multiple=True, help="A topic filter they may publish to. Repeatable.")
subscribe_option = click.option("--subscribe", multiple=True, help="A topic filter they may subscribe to. Repeatable.")


@click.group()
def groups() -> None:
    """Groups of devices: topic rules beyond a device's own topics, and quotas.

    \b
    headwater groups add line-3 --publish "plant/{group}/{device}/#" --subscribe "plant/{group}/orders"
    headwater groups set line-3 --quota gateway
    headwater devices add pump-7 --group line-3
    """


@groups.command()
@named
@publish_option
@subscribe_option
@click.option("--quota", default="", help="The class of quota, as configured under `quotas`.")
@as_json
@asks
def add(
    client: Client, name: str, *, publish: tuple[str, ...], subscribe: tuple[str, ...], quota: str, as_json: bool
) -> None:
    """Add a group. A level of a filter may be `{device}` or `{group}`; nothing said means no.

    \b
    headwater groups add line-3 --publish "plant/{group}/{device}/#"
    """
    body = {"name": name, "publish": list(publish), "subscribe": list(subscribe), "quota": quota}
    _show(client.call("POST", _GROUPS, body=body).body, as_json=as_json)


@groups.command("list")
@as_json
@asks
def list_(client: Client, as_json: bool) -> None:
    """All groups, by name."""
    found = _all(client, _GROUPS, "groups")
    if as_json:
        print_json(list(found))
    else:
        print_table(_TITLES, map(_row, found))


@groups.command()
@named
@as_json
@asks
def show(client: Client, name: str, as_json: bool) -> None:
    """One group."""
    _show(client.call("GET", f"{_GROUPS}/{segment(name)}").body, as_json=as_json)


@groups.command("set")
@named
@publish_option
@subscribe_option
@click.option("--publish-nothing", is_flag=True, help="No rules for publishing any more.")
@click.option("--subscribe-nothing", is_flag=True, help="No rules for subscribing any more.")
@click.option("--quota", help='The class of quota; "" for the default.')
@as_json
@asks
def set_(
    client: Client, name: str, *, publish: tuple[str, ...], subscribe: tuple[str, ...], publish_nothing: bool,
    subscribe_nothing: bool, quota: str | None, as_json: bool,
) -> None:  # fmt: skip
    """Change its rules, each kind as a whole, or its quota. Its devices are disconnected and come back."""
    body: dict[str, Any] = {}
    for key, rules, nothing in (("publish", publish, publish_nothing), ("subscribe", subscribe, subscribe_nothing)):
        if rules and nothing:
            raise click.UsageError(f"--{key} and --{key}-nothing contradict each other")
        if rules or nothing:
            body[key] = list(rules)
    if quota is not None:
        body["quota"] = quota
    if not body:
        raise click.UsageError("say what to change: --publish, --subscribe or --quota")
    _show(client.call("PATCH", f"{_GROUPS}/{segment(name)}", body=body).body, as_json=as_json)


@groups.command()
@named
@asks
def remove(client: Client, name: str) -> None:
    """Remove a group: its devices lose what it granted."""
    client.call("DELETE", f"{_GROUPS}/{segment(name)}")
    click.echo(f"removed {name}", err=True)


@click.group()
def addresses() -> None:
    """Addresses that nobody may come from, over MQTT and HTTP, on every gateway.

    \b
    headwater addresses block 192.0.2.77 --reason "floods" --for 1h
    headwater addresses unblock 192.0.2.77
    """


@addresses.command()
@click.argument("address")
@click.option("--reason", default="", help="For those who read the list.")
@click.option("--for", "time", help="How long, such as 90s, 1h or 7d; without: until it is unblocked.")
@asks
def block(client: Client, address: str, reason: str, time: str | None) -> None:
    """Refuse an IP address or network from now on, and end what is connected from there."""
    try:
        seconds = 0 if time is None else parse_duration(time)
    except ValueError as error:
        raise click.UsageError(f"--for: {error}") from None
    body = {"address": address, "reason": reason, "seconds": seconds}
    made = client.call("POST", _ADDRESSES, body=body).body
    click.echo(f"blocked {made['address']}" + (f" until {made['until']}" if made["until"] else ""), err=True)


@addresses.command()
@click.argument("address")
@asks
def unblock(client: Client, address: str) -> None:
    """Let it in again."""
    client.call("DELETE", f"{_ADDRESSES}/{segment(address)}")
    click.echo(f"unblocked {address}", err=True)


@addresses.command("list")
@as_json
@asks
def blocked(client: Client, as_json: bool) -> None:
    """All blocked addresses."""
    found = _all(client, _ADDRESSES, "addresses")
    if as_json:
        print_json(list(found))
        return
    rows = ((one["address"], one["reason"], one["until"] or "", one["changed"]) for one in found)
    print_table(("address", "reason", "until", "changed"), rows)


def _all(client: Client, path: str, what: str) -> Iterator[dict[str, Any]]:
    after: str | None = ""
    while after is not None:
        page = client.call("GET", path, query={"after": after or None, "limit": _PAGE}).body
        yield from page[what]
        after = page["next"]


def _row(group: dict[str, Any]) -> tuple[str, ...]:
    return group["name"], " ".join(group["publish"]), " ".join(group["subscribe"]), group["quota"], group["changed"]


def _show(group: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        print_json(group)
        return
    for title, value in zip(_TITLES, _row(group), strict=True):
        click.echo(f"{title:<12}{plain(value)}".rstrip())

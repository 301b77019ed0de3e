"""`headwater keys`: who may ask. API keys for people and programs, through the registry's API.

In: names and roles. Out: tables, or JSON with --json; a key once, when it is made. `add --data DIR` needs no key to
make the first one: whoever may write the data folder may do that.
"""

import asyncio
from pathlib import Path
from typing import Any

import click

from headwater.commands.client import Client, asks, segment
from headwater.commands.devices import as_json, named, show_secret
from headwater.commands.output import print_json, print_table
from headwater.credentials import digest, new_token
from headwater.errors import Stale, Unavailable
from headwater.registry import ApiKey, Role
from headwater.times import rfc3339
from storage.sqlite_registry import open_registry

_PATH = "/api/v1/registry/keys"
_ROLES: tuple[Role, ...] = ("ingest", "read", "admin")


@click.group()
def keys() -> None:
    """API keys of people and programs.

    \b
    headwater keys add dashboard                  may ask
    headwater keys add bridge --role ingest       may send for any device
    headwater keys add ops --role admin           may change the registry
    """


@keys.command()
@named
@click.option(
    "--role",
    "roles",
    multiple=True,
    type=click.Choice(_ROLES),
    default=("read",),
    show_default=True,
    help="Repeatable.",
)
@click.option(
    "--data",
    type=click.Path(exists=True, file_okay=False, writable=True, path_type=Path),
    help="Write into this data folder instead of asking: for the first key, where everyone needs one.",
)
@as_json
@asks
def add(client: Client, name: str, roles: tuple[Role, ...], data: Path | None, as_json: bool) -> None:
    """Add an API key and print it: it is not shown again.

    \b
    headwater keys add dashboard
    export HEADWATER_TOKEN=$(headwater keys add ops --role admin)
    headwater keys add first --role admin --data ./data
    """
    if data is not None:
        key = asyncio.run(_write(data, name, roles))
    else:
        key = client.call("POST", _PATH, body={"name": name, "roles": list(roles)}).body
    if as_json:
        print_json(key)
        return
    show_secret(
        f"The key {name} ({', '.join(key['roles'])}). It is shown only now:",
        key["token"],
        f"curl -H 'Authorization: Bearer {key['token']}' {client.url}/api/v1/devices",
        f"HEADWATER_TOKEN={key['token']} headwater tail",
    )


@keys.command("list")
@as_json
@asks
def list_(client: Client, as_json: bool) -> None:
    """All API keys, by name."""
    found: list[dict[str, Any]] = client.call("GET", _PATH).body["keys"]
    if as_json:
        print_json(found)
        return
    print_table(("name", "roles", "changed"), ((key["name"], " ".join(key["roles"]), key["changed"]) for key in found))


@keys.command()
@named
@asks
def remove(client: Client, name: str) -> None:
    """Remove an API key: it ends at once."""
    client.call("DELETE", f"{_PATH}/{segment(name)}")
    click.echo(f"removed {name}", err=True)


async def _write(data: Path, name: str, roles: tuple[Role, ...]) -> dict[str, Any]:
    token = new_token("key")
    try:
        async with open_registry(data / "registry.sqlite") as registry:
            key = await registry.put_key(
                ApiKey(name, digest(token), tuple(sorted(set(roles)))), 0, actor="command line"
            )
    except (Stale, Unavailable) as error:
        raise click.ClickException(str(error)) from None
    return {
        "name": key.name,
        "roles": list(key.roles),
        "version": key.version,
        "changed": rfc3339(key.changed),
        "token": token,
    }

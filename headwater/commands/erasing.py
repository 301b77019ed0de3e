"""`headwater devices erase` and `erasures`: a device and all that it ever said are forgotten.

In: a name. Out: a job that goes on by itself, and how far it is.
"""

from typing import Any

import click

from headwater.commands.client import Client, asks, segment
from headwater.commands.output import print_json, print_table

_PATH = "/api/v1/registry"


@click.command()
@click.argument("name")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--json", "as_json", is_flag=True, help="JSON.")
@asks
def erase(client: Client, name: str, *, yes: bool, as_json: bool) -> None:
    """Remove a device, and all that it ever said, everywhere. It cannot be undone.

    Live state, documents, search, reports, the lake's tables and large payloads forget it at once, once more after
    ten minutes, and a last time when the log has dropped what it said. `devices erasures` says how far that is.

    \b
    headwater devices erase pump-7
    """
    if not yes:
        click.confirm(f"Everything that {name} ever said will be lost. Go on?", abort=True, err=True)
    job = client.call("POST", f"{_PATH}/devices/{segment(name)}/erase").body
    if as_json:
        print_json(job)
    else:
        click.echo(f"erasing {name}: what was received before {job['before']}", err=True)


@click.command()
@click.option("--json", "as_json", is_flag=True, help="JSON.")
@asks
def erasures(client: Client, *, as_json: bool) -> None:
    """Devices that are forgotten, and how far that is."""
    found: list[dict[str, Any]] = []
    after: str | None = ""
    while after is not None:
        page = client.call("GET", f"{_PATH}/erasures", query={"after": after or None, "limit": 1000}).body
        found += page["erasures"]
        after = page["next"]
    if as_json:
        print_json(found)
    else:
        rows = ((one["name"], one["before"], str(one["passes"]), one["due"] or "over") for one in found)
        print_table(("name", "received before", "passes", "next"), rows)

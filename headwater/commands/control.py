"""`headwater devices command|commands|shadow`: what a device is told to do, and what it shall be.

In: names and JSON. Out: the command with its state, or its answer; the shadow. Every one asks a running Headwater.
"""

import json
from typing import Any

import click

from headwater.commands.client import Client, asks, segment
from headwater.commands.output import plain, print_json, print_table
from headwater.quantities import parse_duration

_PART = 15
"""Seconds that one request waits for an answer."""

_json = click.option("--json", "as_json", is_flag=True, help="JSON, for programs.")


@click.command()
@click.argument("device")
@click.argument("name")
@click.argument("arguments", default="null")
@click.option("--expires", metavar="TIME", help='How long it may wait: "1h". Without: `commands.expires`.')
@click.option("--id", "ident", help="Its id; the same command again with the same id makes no second one.")
@click.option("--wait", is_flag=True, help="Wait for the answer and print it; exit code 1 if it expires.")
@_json
@asks
def command(
    client: Client,
    device: str,
    name: str,
    arguments: str,
    expires: str | None,
    ident: str | None,
    wait: bool,
    as_json: bool,
) -> None:
    """Command a device; one that is away gets it when it comes.

    \b
    headwater devices command pump-7 reboot
    headwater devices command pump-7 reboot '{"delay":5}' --expires 1h --wait
    """
    body: dict[str, Any] = {"name": name, "arguments": _read(arguments)}
    if expires is not None:
        body["expires"] = _seconds(expires)
    if ident is not None:
        body["id"] = ident
    made = client.call("POST", _of(device), body=body).body
    while wait and made["state"] not in {"answered", "expired"}:
        made = client.call("GET", f"{_of(device)}/{segment(made['id'])}", query={"wait": _PART}).body
    if as_json:
        print_json(made)
    elif made["state"] == "answered":
        click.echo(json.dumps(made["answer"]))
    else:
        click.echo(f"{made['id']}\t{made['state']}")
    if wait and made["state"] == "expired":
        raise SystemExit(1)


@click.command()
@click.argument("device")
@click.option("--state", multiple=True, help="Only those in this state: queued, sent, … Can be repeated.")
@_json
@asks
def commands(client: Client, device: str, state: tuple[str, ...], as_json: bool) -> None:
    """Commands of a device, the oldest first.

    \b
    headwater devices commands pump-7
    headwater devices commands pump-7 --state expired
    """
    found: list[dict[str, Any]] = client.call("GET", _of(device)).body["items"]
    found = [one for one in found if not state or one["state"] in state]
    if as_json:
        print_json(found)
        return
    columns = ("id", "name", "state", "created", "expires", "answer")
    print_table(columns, ([plain(_text(one[column])) for column in columns] for one in found))


@click.command()
@click.argument("device")
@click.option("--desired", metavar="JSON", help="Merged into what it shall be; a null deletes a key.")
@click.option("--version", type=int, help="Change it only if it still has this version; 0: if there is none.")
@asks
def shadow(client: Client, device: str, desired: str | None, version: int | None) -> None:
    """What a device said it is, what it shall be, and how the two differ, as JSON.

    \b
    headwater devices shadow pump-7
    headwater devices shadow pump-7 --desired '{"speed":1200,"mode":null}'
    """
    path = f"/api/v1/devices/{segment(device)}/shadow"
    if desired is None:
        print_json(client.call("GET", path).body)
        return
    body: dict[str, Any] = {"desired": _read(desired)}
    if version is not None:
        body["version"] = version
    print_json(client.call("PATCH", path, body=body).body)


def _of(device: str) -> str:
    return f"/api/v1/devices/{segment(device)}/commands"


def _read(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise click.UsageError(f"{text[:80]} is not JSON: {error}") from None


def _seconds(text: str) -> float:
    try:
        return parse_duration(text)
    except ValueError as error:
        raise click.UsageError(str(error)) from None


def _text(value: object) -> str:
    return value if isinstance(value, str) else "" if value is None else json.dumps(value)

"""`headwater rejected`: what was not understood, why, and how it is sent on once it is.

In: filters. Out: tables, a mapping to edit, counts.
"""

from collections import Counter
from typing import Any

import click

from headwater.commands.client import Client, asks
from headwater.commands.devices import as_json
from headwater.commands.output import plain, print_json, print_table

_REJECTED = "/api/v1/rejected"

reason_option = click.option("--reason", help="Only for this reason, such as no_decoder.")
shape_option = click.option("--shape", help="Only of topics of this shape: tele/+/SENSOR.")
device_option = click.option("--device", help="Only of this device.")
from_option = click.option("--from", "start", help="Received from then on: RFC 3339.")
to_option = click.option("--to", "end", help="Received before then: RFC 3339.")


@click.group()
def rejected() -> None:
    """What was not valid or not understood. It waits in quarantine until something reads it.

    \b
    headwater rejected list
    headwater rejected mapping --shape "plant/+/state" > plant.yaml
    headwater decoders add plant.yaml
    headwater rejected retry --shape "plant/+/state"
    """


@rejected.command("list")
@reason_option
@shape_option
@device_option
@from_option
@to_option
@as_json
@asks
def list_(
    client: Client, reason: str | None, shape: str | None, device: str | None, start: str | None, end: str | None,
    *, as_json: bool,
) -> None:  # fmt: skip
    """Groups by shape of topic and cause, the largest first."""
    query = {"reason": reason, "shape": shape, "device": device, "from": start, "to": end}
    groups = client.call("GET", f"{_REJECTED}/groups", query=query).body["groups"]
    if as_json:
        print_json(groups)
        return
    print_table(("count", "reason", "topics", "last", "read by now", "newest"), map(_row, groups))
    if any(group["readable_by"] for group in groups):
        click.echo("some is read by now: headwater rejected retry", err=True)


@rejected.command()
@reason_option
@shape_option
@device_option
@asks
def mapping(client: Client, reason: str | None, shape: str | None, device: str | None) -> None:
    """A first draft of a mapping for the largest group that one could be made for. Edit it, then `decoders add`."""
    query = {"reason": reason, "shape": shape, "device": device}
    for group in client.call("GET", f"{_REJECTED}/groups", query=query).body["groups"]:
        if group["mapping"]:
            click.echo(
                f"# {group['count']} records, {group['reason']}; newest: {plain(group['sample']['payload'])[:200]}"
            )
            click.echo(group["mapping"], nl=False)
            return
    raise click.ClickException("nothing waits that a mapping could be drafted for")


@rejected.command("try")
@click.argument("id", required=False, default="")
@shape_option
@as_json
@asks
def try_(client: Client, id: str, shape: str | None, *, as_json: bool) -> None:  # noqa: A002 - what it is called
    """What the newest record, or the one of this ID, would become now."""
    made = client.call("GET", f"{_REJECTED}/try", query={"id": id or None, "shape": shape}).body
    if as_json:
        print_json(made)
    elif made["reason"]:
        raise click.ClickException(f"{made['reason']}: {plain(made['detail'])}")
    else:
        for message in made["messages"]:
            values = {**message.get("fields", {}), **message.get("texts", {})}
            click.echo(f"{plain(message['device'])}  {plain(', '.join(f'{k}={v}' for k, v in values.items()))}")


@rejected.command()
@reason_option
@shape_option
@device_option
@click.option("--id", help="Only this record.")
@from_option
@to_option
@as_json
@asks
def retry(
    client: Client, reason: str | None, shape: str | None, device: str | None, id: str | None, start: str | None,  # noqa: A002
    end: str | None, *, as_json: bool,
) -> None:  # fmt: skip
    """Send on what decodes now: with the time it had, under the same id, once, however often this is run."""
    body = {"reason": reason, "shape": shape, "device": device, "id": id, "from": start, "to": end}
    body = {name: value for name, value in body.items() if value is not None}
    sent = messages = 0
    still: Counter[str] = Counter()
    left = True
    while left:
        done: dict[str, Any] = client.call("POST", f"{_REJECTED}/retry", body=body).body
        sent, messages = sent + done["sent"], messages + done["messages"]
        still = Counter(done["still"])
        left = done["left"] and done["sent"] > 0
    if as_json:
        print_json({"sent": sent, "messages": messages, "still": still})
        return
    click.echo(f"sent on {sent} records as {messages} messages")
    for reason_, count in still.most_common():
        click.echo(f"{count} wait on: {reason_}", err=True)


def _row(group: dict[str, Any]) -> tuple[str, ...]:
    sample = group["sample"] or {}
    newest = plain(f"{sample.get('device') or ''} {sample.get('payload') or ''}".strip())[:60]
    where = group["shape"] or group["decoder"] or sample.get("transport", "")
    return str(group["count"]), group["reason"], where, group["last"], group["readable_by"], newest

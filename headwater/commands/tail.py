"""`headwater tail`: messages as they arrive, from the live stream.

In: server-sent events of `/api/v1/stream`. Out: a line a message, or JSON with --json.
"""

import json
import sys
from contextlib import suppress
from typing import Any

import click

from headwater.commands.client import Client, asks


@click.command()
@click.option("--device", help="Only this device.")
@click.option("--count", type=click.IntRange(min=1), help="Stop after so many messages.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line, whole.")
@asks
def tail(client: Client, device: str | None, count: int | None, as_json: bool) -> None:
    """Show messages as they arrive. Ctrl-C ends it.

    \b
    headwater tail
    headwater tail --device pump-7 --json
    """
    shown = 0
    event = ""
    with suppress(KeyboardInterrupt, BrokenPipeError):
        for line in client.lines("/api/v1/stream", query={"device": device}):
            if line.startswith("event:"):
                event = line[6:].strip()
            if not line.startswith("data:"):
                continue
            if event == "dropped":
                click.echo(f"… {line[5:].strip()} (this terminal is too slow)", err=True)
                continue
            click.echo(line[5:].strip() if as_json else _shown(json.loads(line[5:])))
            sys.stdout.flush()
            shown += 1
            if shown == count:
                return


def _shown(message: dict[str, Any]) -> str:
    values = {**message.get("fields", {}), **message.get("texts", {})}
    parts = [f"{name}={value}" for name, value in values.items()]
    position = message.get("position")
    if position:
        parts.append(f"at {position['lat']:.5f},{position['lon']:.5f}")
    via = f" via {message['via']}" if message.get("via") else ""
    return f"{message['time']}  {message['device']}{via}  {' '.join(parts)}"

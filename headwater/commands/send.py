"""`headwater send`: messages from the command line, a file or standard input, through the HTTP front door.

In: `name=value` pairs, or lines of JSON. Out: what was accepted, and each rejected message with its reason. Every
message gets an id before it is sent, so that what is sent again after a broken line is the same message.
"""

import json
import math
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.progress import Progress

from headwater.commands.client import ApiError, Client, asks

_BATCH_LINES = 500
_BATCH_BYTES = 512 * 1024
_PATIENCE = 60.0
_FILE = click.Path(exists=True, dir_okay=False, allow_dash=True, path_type=Path)


@click.command()
@click.argument("device", required=False)
@click.argument("values", nargs=-1, metavar="[NAME=VALUE]...")
@click.option("--file", "file", type=_FILE, help="Lines of JSON; `-` is standard input.")
@click.option("--at", help="The device's clock: RFC 3339 or milliseconds since 1970.")
@asks
def send(client: Client, device: str | None, values: tuple[str, ...], file: Path | None, at: str | None) -> None:
    """Send messages.

    \b
    headwater send pump-7 temperature=21.5 state=on
    headwater send --file readings.ndjson
    some-program | headwater send --file -
    """
    if file is not None:
        if device or values or at:
            raise click.UsageError("with --file, the lines say the device, the values and the time")
        _send_file(client, file)
        return
    if not device or not values:
        raise click.UsageError("name a device and values, like: headwater send pump-7 temperature=21.5")
    message: dict[str, Any] = {"device": device, "fields": dict(map(_pair, values))}
    if at is not None:
        message["at"] = int(at) if at.isdigit() else at
    accepted, rejected = _post(client, [_with_id(json.dumps(message))])
    _report(accepted, rejected, first=0)
    sys.exit(1 if rejected else 0)


def _pair(text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise click.UsageError(f"{text!r} is not NAME=VALUE")
    try:
        parsed = json.loads(value)
    except ValueError:
        return name, value
    if isinstance(parsed, float) and not math.isfinite(parsed):
        raise click.UsageError(f"{text!r}: no message can carry this number")
    return name, parsed if isinstance(parsed, bool | int | float | str) else value


def _send_file(client: Client, file: Path) -> None:
    total = None if str(file) == "-" else file.stat().st_size
    accepted = refused = sent = 0
    with (
        click.open_file(str(file), "r", encoding="utf-8", errors="surrogateescape") as lines,
        Progress(console=Console(stderr=True), transient=True) as progress,
    ):
        bar = progress.add_task("sending", total=total)
        for batch in _batches(lines):
            taken, rejected = _post(client, [_with_id(line) for line in batch])
            _report(None, rejected, first=sent)
            sent += len(batch)
            accepted += taken
            refused += len(rejected)
            progress.update(bar, advance=sum(len(_bytes(line)) + 1 for line in batch))
    click.echo(f"{accepted} accepted, {refused} rejected")
    sys.exit(1 if refused else 0)


def _batches(lines: Iterator[str]) -> Iterator[list[str]]:
    batch: list[str] = []
    size = 0
    for raw in lines:
        line = raw.strip()
        if not line:
            continue
        if batch and (len(batch) == _BATCH_LINES or size + len(line) > _BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(line)
        size += len(line)
    if batch:
        yield batch


def _with_id(line: str) -> str:
    """The line with an id, if it is an object without one; anything else as it is, for the front door to judge."""
    try:
        line.encode()  # json.loads would take what is not UTF-8
        message = json.loads(line)
    except (ValueError, RecursionError):
        return line
    if not isinstance(message, dict) or "id" in message:
        return line
    return json.dumps({**message, "id": uuid.uuid4().hex[:16]})


def _bytes(text: str) -> bytes:
    """As it was read: what is not UTF-8 goes as it is, for the front door to judge."""
    return text.encode("utf-8", "surrogateescape")


def _post(client: Client, lines: list[str]) -> tuple[int, list[dict[str, Any]]]:
    """Send until it is answered; a log that cannot take it now is asked again, for a minute."""
    body = _bytes("\n".join(lines))
    deadline = time.monotonic() + _PATIENCE
    pause = 0.2
    while True:
        try:
            answer = client.call("POST", "/ingest", body=body, content_type="application/x-ndjson").body
        except ApiError as error:
            if error.body and "accepted" in error.body:  # nothing of it was valid
                return 0, error.body["rejected"]
            if error.status not in {429, 503} or time.monotonic() > deadline:
                raise
            time.sleep(pause)
            pause = min(pause * 2, 5.0)
        else:
            return answer["accepted"], answer["rejected"]


def _report(accepted: int | None, rejected: list[dict[str, Any]], first: int) -> None:
    if accepted is not None:
        click.echo(f"{accepted} accepted, {len(rejected)} rejected")
    for item in rejected:
        click.echo(f"message {first + item['index'] + 1}: {item['reason']}: {item['detail']}", err=True)

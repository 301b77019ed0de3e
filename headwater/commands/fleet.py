"""`headwater devices import|export`: a whole fleet as CSV or JSON lines, for spreadsheets and scripts.

In: a file, one device a line. Out: the same; tokens are never in it. In CSV, names in a list are separated by blanks,
attributes and certificates are JSON.
"""

import csv
import json
import os
import sys
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import IO, Any

import click

from headwater.commands.client import Client, asks
from headwater.commands.output import plain

_DEVICES = "/api/v1/registry/devices"
_IMPORT = "/api/v1/registry/import"
_PAGE = 1000
_LISTS = ("speaks_for", "groups", "speaks_for_groups")
_JSON = ("attributes", "certificates")
_COLUMNS = ("name", "model", "disabled", "asset", *_LISTS, *_JSON)
_WORDS = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False, "": False}
_EMPTY: dict[str, Any] = {"attributes": {}, "certificates": []}
_OURS = {"version", "changed"}
"""What the API tells of a device, and nobody else says."""
_STANDARD = Path("-")

format_option = click.option(
    "--format", "form", type=click.Choice(["csv", "jsonl"]), help="Without: CSV where the file ends so, else jsonl."
)


@click.command("export")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path), default=_STANDARD)
@format_option
@asks
def export(client: Client, file: Path, form: str | None) -> None:
    """Write all devices, without their tokens, which nobody has.

    \b
    headwater devices export fleet.csv
    headwater devices export --format csv | grep line-3
    """
    found = ({key: device[key] for key in _COLUMNS} for device in _all(client))
    if file == _STANDARD:
        _write(sys.stdout, found, _form(file, form))
        return
    with file.open("w", encoding="utf-8", newline="") as out:
        _write(out, found, _form(file, form))


@click.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, allow_dash=True, path_type=Path))
@format_option
@click.option("--dry-run", is_flag=True, help="Only say what would change.")
@click.option("--tokens", type=click.Path(dir_okay=False, path_type=Path), help="New file for tokens of new devices.")
@asks
def import_(client: Client, file: Path, *, form: str | None, dry_run: bool, tokens: Path | None) -> None:
    """Add the devices in FILE, and change those that there are; a second time changes nothing.

    What a line does not say stays as it is. New devices have no token unless --tokens names a new file for them.

    \b
    headwater devices import fleet.csv --dry-run
    headwater devices import fleet.csv --tokens tokens.csv
    """
    with click.open_file(str(file), encoding="utf-8") as lines:
        devices = _read(lines, _form(file, form))
        with _secrets(None if dry_run else tokens) as kept:
            _send(client, devices, kept, dry_run=dry_run)


def _send(client: Client, devices: Iterator[dict[str, Any]], kept: IO[str] | None, *, dry_run: bool) -> None:
    done = {"added": 0, "changed": 0, "unchanged": 0}
    refused = at = 0
    while portion := list(islice(devices, _PAGE)):
        body = {"devices": portion, "dry_run": dry_run, "tokens": kept is not None}
        answer = client.call("POST", _IMPORT, body=body).body
        if kept is not None:
            csv.writer(kept).writerows(answer["tokens"].items())
            kept.flush()
        for key in done:
            done[key] += answer[key]
        for one in answer["rejected"]:
            click.echo(plain(f"device {at + one['index'] + 1}: {one['reason']}: {one['detail']}"), err=True)
        refused += len(answer["rejected"])
        at += len(portion)
    click.echo(", ".join(f"{count} {what}" for what, count in done.items()) + f", {refused} refused", err=True)
    if refused:
        raise click.ClickException(f"{refused} devices were not taken; the others were")


@contextmanager
def _secrets(path: Path | None) -> Generator[IO[str] | None, None, None]:
    """A new file that only its owner reads; None where there is no path."""
    if path is None:
        yield None
        return
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise click.ClickException(f"{path} is there already, and is not overwritten") from None
    with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as kept:
        yield kept


def _all(client: Client) -> Iterator[dict[str, Any]]:
    after: str | None = ""
    while after is not None:
        page = client.call("GET", _DEVICES, query={"after": after or None, "limit": _PAGE}).body
        yield from page["devices"]
        after = page["next"]


def _form(file: Path, form: str | None) -> str:
    return form or ("csv" if file.suffix == ".csv" else "jsonl")


def _write(out: IO[str], devices: Iterable[dict[str, Any]], form: str) -> None:
    if form == "jsonl":
        out.writelines(json.dumps(device, ensure_ascii=False) + "\n" for device in devices)
        return
    table = csv.writer(out)
    table.writerow(_COLUMNS)
    for device in devices:
        table.writerow([_cell(key, device[key]) for key in _COLUMNS])


def _cell(key: str, value: Any) -> str:
    if key in _LISTS:
        return " ".join(value)
    if key in _JSON:
        return json.dumps(value, ensure_ascii=False) if value else ""
    return str(value).lower() if key == "disabled" else str(value)


def _read(lines: IO[str], form: str) -> Iterator[dict[str, Any]]:
    return _rows(lines) if form == "csv" else _objects(lines)


def _rows(lines: IO[str]) -> Iterator[dict[str, Any]]:
    table = csv.DictReader(lines)
    if unknown := set(table.fieldnames or ()) - set(_COLUMNS):
        raise click.ClickException(f"no such columns: {', '.join(sorted(unknown))}; there are {', '.join(_COLUMNS)}")
    for row in table:
        try:
            yield {key: _value(key, text) for key, text in row.items() if isinstance(text, str)}
        except (ValueError, KeyError) as error:
            raise click.ClickException(f"line {table.line_num}: {error}") from None


def _objects(lines: IO[str]) -> Iterator[dict[str, Any]]:
    for number, line in enumerate(lines, 1):
        try:
            device = json.loads(line) if line.strip() else None
        except ValueError as error:
            raise click.ClickException(f"line {number}: {error}") from None
        if device is not None and not isinstance(device, dict):
            raise click.ClickException(f"line {number}: a device is a JSON object")
        if device is not None:
            yield {key: value for key, value in device.items() if key not in _OURS}


def _value(key: str, text: str) -> Any:
    if key in _LISTS:
        return text.split()
    if key in _JSON:
        return json.loads(text) if text.strip() else _EMPTY[key]
    return _WORDS[text.strip().lower()] if key == "disabled" else text

"""`headwater decoders`: which payloads are understood, and how to add what is not.

In: names, files. Out: tables; the messages that a sample would become. `try` needs no running Headwater.
"""

import sys
from pathlib import Path
from typing import Any

import click
import msgspec

from headwater.commands.client import Client, asks, segment
from headwater.commands.devices import as_json, named
from headwater.commands.output import plain, print_json, print_table
from headwater.config_decoders import Decoders
from headwater.errors import HeadwaterError, Rejected
from headwater.message import Message
from headwater.registry import DecoderText
from headwater.times import now, rfc3339

_DECODERS = "/api/v1/registry/decoders"
_TITLES = ("name", "title", "language", "topics", "models")
_MOST = 16 * 2**20
_SCRIPTS = {".js", ".mjs", ".cjs"}

files = click.Path(exists=True, dir_okay=False, path_type=Path, allow_dash=True)


@click.group()
def decoders() -> None:
    """Formats that are understood: built-in families, makers' codecs in JavaScript, mappings of your own in YAML.

    \b
    headwater decoders list
    headwater decoders try sample.json --topic tele/plug-1/SENSOR
    headwater decoders add browan-tbhh100.js --model TBHH100
    headwater decoders add greenhouse.yaml
    """


@decoders.command("list")
@as_json
@asks
def list_(client: Client, as_json: bool) -> None:
    """All decoders, in the order in which they are tried."""
    found = client.call("GET", _DECODERS).body["decoders"]
    if as_json:
        print_json(found)
    else:
        print_table(_TITLES, map(_row, found))


@decoders.command()
@named
@as_json
@asks
def show(client: Client, name: str, as_json: bool) -> None:
    """One that was added, with its text."""
    found = client.call("GET", f"{_DECODERS}/{segment(name)}").body
    if as_json:
        print_json(found)
    else:
        click.echo(found["text"])


@decoders.command()
@click.argument("file", type=files)
@click.option("--name", default="", help="Its name; the file's without its ending, if none is given.")
@click.option("--model", "models", multiple=True, help="A model or device profile that it is for. Repeatable.")
@as_json
@asks
def add(client: Client, file: Path, name: str, *, models: tuple[str, ...], as_json: bool) -> None:
    """Add a codec (FILE.js) or a mapping (FILE.yaml), or replace it. It reads what comes from now on, at every gateway.

    What came before it and was rejected: `headwater rejected retry`.
    """
    record = _record(file, name, models)
    body = {"name": record.name, "language": record.language, "text": record.text, "models": list(models)}
    made = client.call("POST", _DECODERS, body=body).body
    if as_json:
        print_json(made)
    else:
        for title, value in zip(_TITLES, _row(made), strict=True):
            click.echo(f"{title:<12}{plain(value)}".rstrip())


@decoders.command()
@named
@asks
def remove(client: Client, name: str) -> None:
    """Remove one that was added. A built-in one of its name is in force again."""
    client.call("DELETE", f"{_DECODERS}/{segment(name)}")
    click.echo(f"removed {name}", err=True)


@decoders.command("try")
@click.argument("file", type=files)
@click.option("--topic", default="", help="The topic that it came on; it chooses the decoder, and may name the device.")
@click.option("--decoder", default="", help="A decoder by its name, instead.")
@click.option("--with", "own", type=files, help="A codec or mapping that is not added yet.")
@click.option("--device", default="", help="The device, where payload and topic do not name it.")
@click.option("--query", default="", help='What stands behind the question mark of an HTTP request: "fPort=2".')
@click.option("--hex", "as_hex", is_flag=True, help="FILE has hexadecimal digits.")
@click.option("--lines", is_flag=True, help="Each line of FILE is a payload.")
@as_json
def try_(
    file: Path, *, topic: str, decoder: str, own: Path | None, device: str, query: str, as_hex: bool, lines: bool,
    as_json: bool,
) -> None:  # fmt: skip
    """Show what becomes of a sample: messages, or why not. Nothing is sent, nothing needs to run.

    \b
    echo '{"ts": 1763700000, "t": 68}' | headwater decoders try - --with greenhouse.yaml --device g1
    headwater decoders try 0a1b2c.hex --hex --with codec.js --query fPort=2 --device d1
    """
    from ingest.contract import Payload, Source  # noqa: PLC0415 - not for the others
    from ingest.decoders.living import open_decoders, take  # noqa: PLC0415

    living = open_decoders(Decoders())
    if own is not None:
        record = _record(own, "", ())
        _compiled(record)
        take(living, [record], Decoders())
        decoder = decoder or record.name
    source = Source("http", topic, device or living.catalogue.source(topic).device, decoder, query=query)
    failed = False
    for data in _payloads(_read(file), as_hex=as_hex, lines=lines):
        try:
            family = living.catalogue.by_source(source) or living.catalogue.by_payload(data, "")
            made = family.decode(Payload(data, source, now(), living.catalogue.context))
        except Rejected as error:
            failed = True
            _say(error, "", as_json=as_json)
            continue
        for one in made:
            failed |= isinstance(one, Rejected)
            _say(one, family.name, as_json=as_json)
        if not made:
            click.echo("nothing: such a payload says nothing", err=True)
    sys.exit(1 if failed else 0)


def _say(one: Message | Rejected, decoder: str, *, as_json: bool) -> None:
    if isinstance(one, Rejected):
        if as_json:
            print_json({"rejected": one.reason, "detail": one.detail})
        else:
            click.echo(f"rejected: {one.reason}: {plain(one.detail)}", err=True)
        return
    if as_json:
        print_json(msgspec.to_builtins(one))
        return
    when = f" at {rfc3339(one.at)}" if one.at is not None else ""
    click.secho(f"{plain(one.device)}  {one.kind}{when}  ({decoder})", bold=True)
    for name, value in (*one.fields.items(), *one.texts.items()):
        click.echo(f"  {plain(name):<32} {plain(str(value))}")
    if one.position is not None:
        click.echo(f"  {'position':<32} {one.position.lat}, {one.position.lon}")
    for heard in one.heard_by:
        click.echo(f"  {'heard by':<32} {plain(heard.gateway)} rssi {heard.rssi} snr {heard.snr}")


def _read(file: Path) -> bytes:
    if str(file) == "-":
        return sys.stdin.buffer.read(_MOST)
    with file.open("rb") as opened:
        return opened.read(_MOST)


def _payloads(data: bytes, *, as_hex: bool, lines: bool) -> list[bytes]:
    found = [line for line in data.splitlines() if line.strip()] if lines else [data.strip(b"\r\n")]
    if not as_hex:
        return found
    try:
        return [bytes.fromhex(one.decode("ascii")) for one in found]
    except ValueError:
        raise click.UsageError("that is not hexadecimal") from None


def _record(file: Path, name: str, models: tuple[str, ...]) -> DecoderText:
    try:
        text = _read(file).decode("utf-8")
    except UnicodeDecodeError:
        raise click.UsageError(f"{file} is not UTF-8") from None
    language = "javascript" if file.suffix.lower() in _SCRIPTS else "mapping"
    return DecoderText(name=name or file.stem, language=language, text=text, models=models)


def _compiled(record: DecoderText) -> None:
    from ingest.decoders.living import compiled  # noqa: PLC0415

    try:
        compiled(record, Decoders())
    except HeadwaterError as error:
        raise click.ClickException(str(error)) from None


def _row(one: dict[str, Any]) -> tuple[str, ...]:
    return one["name"], one["title"], one["language"], " ".join(one["topics"]), " ".join(one["models"])

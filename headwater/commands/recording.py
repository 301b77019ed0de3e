"""Recordings: traffic as it was sent once, line by line, for `headwater replay`.

A line is JSON: `t` (seconds since 1970, as recorded), `mqtt` (topic) with `client`, or `http` (path), and `payload`.
"""

import gzip
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import msgspec


class Line(msgspec.Struct):
    """One message of a recording. Exactly one of `mqtt` and `http` is set."""

    t: float
    payload: dict[str, Any]
    mqtt: str = ""
    client: str = ""
    http: str = ""

    def at(self, seconds: float) -> bytes:
        """The payload as bytes, its clock set to so many seconds since 1970."""
        return msgspec.json.encode({"at": round(seconds * 1000), **self.payload})


def read(path: Path) -> list[Line]:
    """All lines, in the order of `t`; files ending in .gz are unpacked. Raises `ClickException` naming the line."""
    decoder = msgspec.json.Decoder(Line)
    lines: list[Line] = []
    try:
        for number, raw in enumerate(_raw_lines(path), 1):
            try:
                line = decoder.decode(raw)
            except msgspec.MsgspecError as error:
                raise click.ClickException(f"{path.name}, line {number}: {error}") from None
            if bool(line.mqtt) == bool(line.http):
                raise click.ClickException(f"{path.name}, line {number}: one of `mqtt` and `http` is needed")
            lines.append(line)
    except (OSError, EOFError) as error:
        raise click.ClickException(f"{path}: {error}") from None
    if not lines:
        raise click.ClickException(f"{path} has no lines")
    return sorted(lines, key=lambda line: line.t)


def _raw_lines(path: Path) -> Iterator[bytes]:
    with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as file:
        for line in file:
            if line.strip():
                yield line

"""What commands print: tables on a terminal, tab-separated lines in a pipe, JSON where asked.

In: rows of texts. Out: standard output. In a pipe there is no heading and nothing is cut, so that `cut` can read it.
"""

import json
import re
import sys
from collections.abc import Iterable, Sequence
from typing import Any

import click
from rich.console import Console
from rich.markup import escape
from rich.table import Table

_CONTROLS = re.compile("[\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
"""What moves the cursor, or text on the line, and is no text itself; JSON escapes those below 0x20 anyway."""


def print_table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Columns are headings; a row has as many texts. Control characters from outside never reach the terminal."""
    if not sys.stdout.isatty():
        for row in rows:
            click.echo("\t".join(plain(cell) for cell in row))
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*(escape(plain(cell)) for cell in row))
    Console().print(table)


def print_json(value: Any) -> None:
    """Indented for people, one line in a pipe."""
    text = json.dumps(value, ensure_ascii=False, indent=2 if sys.stdout.isatty() else None)
    click.echo(_CONTROLS.sub(lambda found: f"\\u{ord(found[0]):04x}", text))


def plain(text: str) -> str:
    """The text with everything unprintable (tabs, line ends, escape sequences) made visible."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)

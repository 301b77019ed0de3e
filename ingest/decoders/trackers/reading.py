"""What trackers' payloads share: JSON of any shape, and parameters as a query or a form has them.

In: bytes. Out: a JSON value; pairs of names and values; the value that a parameter's text means; or `Rejected`.
"""

from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import unquote_plus

import msgspec

from headwater.errors import Rejected
from headwater.message import Message, Number
from ingest.contract import Source
from ingest.decoders import many
from ingest.decoders.draft import numeric
from ingest.decoders.explain import parse

MOST_PARAMETERS = 256

_anything = msgspec.json.Decoder[Any]().decode
_OURS = {"decoder", "topic"}


def read_json(data: bytes) -> Any:
    """An object or an array. Raises `Rejected` for what is neither, naming what is wrong with it."""
    try:
        value = _anything(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        value = None
    return value if value.__class__ is dict or value.__class__ is list else parse(data)


def each(items: Sequence[Any], read: Callable[[dict[str, Any]], Sequence[Message]]) -> list[Message | Rejected]:
    """What is read of each object of a list; what one of them is rejected for does not hold up the others."""

    def one(item: Any) -> Sequence[Message]:
        if not isinstance(item, dict):
            raise Rejected("bad_shape", f"an item of the list is {type(item).__name__}, not an object")
        return read(item)  # pyright: ignore[reportUnknownArgumentType]

    return many.each(items, one)


def parameters(data: bytes | str) -> list[tuple[str, str]]:
    """The pairs of `id=7&lat=60.0`, in order, without those that are Headwater's own; raises `Rejected`."""
    text = (data if isinstance(data, str) else data.decode("latin-1")).strip().lstrip("?")
    if text.count("&") >= MOST_PARAMETERS:
        raise Rejected("too_many_fields", f"a query has at most {MOST_PARAMETERS} parameters")
    parts = [part.partition("=") for part in text.split("&")]
    if "%" in text or "+" in text:
        parts = [(unquote_plus(name), mark, unquote_plus(value)) for name, mark, value in parts]
    return [(name, value) for name, _, value in parts if value and name not in _OURS]


def asked(source: Source) -> dict[str, str]:
    """The parameters behind the question mark, beside a body."""
    return dict(parameters(source.query)) if source.query else {}


def meant(text: str) -> Number | str:
    """What the text of a parameter means: a number, `true` or `false`, or itself."""
    found = numeric(text)
    if found is not None:
        return found
    return text == "true" if text in {"true", "false"} else text

"""What the families at home share: JSON or bare text, trees of values as fields and texts, texts that are numbers.

In: a payload's bytes; values as JSON gave them. Out: values; a `Draft` that has them.
"""

from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl

from headwater.errors import Rejected
from ingest.decoders.draft import DEPTH, MOST, NAME, NOTHING, TEXT, Draft, numeric, shared
from ingest.decoders.explain import anything
from ingest.decoders.parts import EXACT, NUMBERS

_JSON = b'{["'
_DECIMAL = frozenset("0123456789.-+ ")


def read(data: bytes) -> Any:
    """An object, array or quoted text of JSON; else the text as it is. Raises `Rejected`."""
    body = data.strip()
    if body[:1] in _JSON:
        return anything(body)
    try:
        return body.decode()
    except UnicodeDecodeError:
        raise Rejected("bad_encoding", "the text is not UTF-8") from None


def fill(draft: Draft, values: Mapping[str, Any], prefix: str = "", depth: int = 0) -> None:
    """Every scalar below an object, by its path; arrays by their indexes."""
    if depth >= DEPTH:
        raise Rejected("too_deep", f"objects or arrays are nested more than {DEPTH} deep")
    fields, texts = draft.fields, draft.texts
    for key, item in values.items():
        name = prefix + key
        if len(name) > NAME or not name or not name.isprintable():
            name = _plain(name)
        kind = item.__class__
        if kind is float or kind is bool or (kind is int and -EXACT <= item <= EXACT):
            fields[name] = item
        elif kind is str and len(item) <= TEXT:
            if item not in NOTHING:
                texts[name] = item
        elif kind is dict:
            fill(draft, item, f"{name}.", depth + 1)
        elif kind is list:
            fill(draft, {str(index): one for index, one in enumerate(item)}, f"{name}.", depth + 1)
        else:
            draft.put(name, item)


def _plain(name: str) -> str:
    """A name that a field may have: printable, not blank, not too long; long ones that begin alike stay apart."""
    return shared(name, 0) if name else "value"


def decimal(text: str) -> int | float | None:
    """The number that a text is, if it is written as a plain decimal one: no exponent and no leading zeros.

    So that `0012` and `12e4`, which are ids, stay texts.
    """
    body = text.strip()
    if not body or not _DECIMAL.issuperset(body):
        return None
    digits = body.lstrip("+-")
    if digits[:1] == "0" and digits[1:2].isdigit():
        return None
    found = numeric(body)
    return found if found is None or -EXACT <= found <= EXACT else None


def bare(text: str) -> bool | int | float | str:
    """A value that stands alone as text: `true`, `false` and numbers are that."""
    if text in {"true", "false"}:
        return text == "true"
    found = decimal(text)
    return text if found is None else found


def pairs(query: str) -> dict[str, str]:
    """Names and values of `a=1&b=2`; none if it is not written so."""
    try:
        return dict(parse_qsl(query, strict_parsing=True, max_num_fields=MOST)) if "=" in query else {}
    except ValueError:
        return {}


def unquote_numbers(draft: Draft, but: frozenset[str]) -> None:
    """Texts that are numbers become fields. `but`: last parts of names whose texts are ids, however they look."""
    texts = draft.texts
    for name in [name for name, text in texts.items() if text[-1:].isdigit()]:
        if name.rpartition(".")[2] in but:
            continue
        found = decimal(texts[name])
        if found is not None:
            del texts[name]
            draft.fields[name] = found


def text_of(values: Mapping[str, Any], *names: str) -> str:
    """The first of these that is a text with something in it, or a number; else ""."""
    for name in names:
        found = values.get(name)
        if isinstance(found, str) and found:
            return found
        if isinstance(found, NUMBERS) and not isinstance(found, bool):
            return str(found)
    return ""

"""Why a payload does not decode, in a person's sentence.

In: msgspec's error and the payload. Out: `Rejected` with the closed reason and what to change.
"""

import re
from typing import Any, NoReturn

import msgspec

from headwater.errors import Reason, Rejected
from ingest.decoders.parts import check_shape, check_sizes, short

_anything = msgspec.json.Decoder[Any]().decode
_AT = re.compile(r"(?P<what>.*?)(?: - at `\$(?P<path>.*)`)?", re.DOTALL)
_EXPECTED = re.compile(r"Expected `(?P<wanted>[^`]*)`, got `(?P<found>[^`]*)`")
_WORDS = {
    "object": "an object",
    "array": "an array",
    "str": "a text",
    "int": "a whole number",
    "float": "a number",
    "bool": "a boolean",
    "null": "null",
}


def parse(data: bytes) -> dict[str, Any]:
    """A JSON object, whatever is in it. Raises `Rejected` if it is none: bytes, JSON, depth, shape, in this order."""
    value = anything(data)
    if not isinstance(value, dict):
        found = "an array" if isinstance(value, list) else "a single value"
        raise Rejected("bad_shape", f"a message is a JSON object, this is {found}")
    return value


def anything(data: bytes) -> Any:
    """Any JSON value. Raises `Rejected` if it is none: bytes, JSON, depth, in this order."""
    try:
        return _anything(data)
    except UnicodeDecodeError:
        raise Rejected("bad_encoding", "the text is not UTF-8") from None
    except RecursionError:
        raise Rejected("too_deep", "objects or arrays are nested far too deep") from None
    except msgspec.ValidationError:  # untyped, it only ever minds a number
        raise Rejected("number_too_large", "a number is too large to be a 64-bit float or integer") from None
    except msgspec.DecodeError as error:
        raise Rejected("bad_json", _json_fault(data, error)) from None


def _json_fault(data: bytes, error: msgspec.DecodeError) -> str:
    if not data.strip():
        return "the payload is empty"
    if data.startswith(b"\xef\xbb\xbf"):
        return "the payload begins with a byte order mark; send plain UTF-8"
    return f"not JSON: {str(error).removeprefix('JSON is malformed: ')}"


def refuse(error: msgspec.ValidationError, values: dict[str, Any]) -> NoReturn:
    """Raise what is wrong with a native message. `values`: the same payload, decoded without types."""
    fields = values.get("fields")
    if isinstance(fields, dict):
        check_shape(fields, "in `fields`, ")
        check_sizes(fields, "in `fields`, ")
    match = _AT.fullmatch(str(error))
    what, path = (match["what"], (match["path"] or "").lstrip(".")) if match else (str(error), "")
    raise Rejected(_reason(what, path), _sentence(what, path)) from None


def _reason(what: str, path: str) -> Reason:
    if "unknown field" in what:
        return "unknown_field"
    if path.startswith("position"):
        return "bad_position"
    if path == "at" and "`int`" in what:
        return "bad_time"
    if "out of range" in what or "<=" in what:
        return "number_too_large"
    if "missing required" in what or "got `object`" in what or "got `array`" in what:
        return "bad_shape"
    return "wrong_type" if _EXPECTED.search(what) else "bad_value"


def _sentence(what: str, path: str) -> str:
    place = f"`{path}`" if path else "the message"
    match = _EXPECTED.search(what)
    if match:
        wanted = [_WORDS.get(word, word) for word in match["wanted"].split(" | ") if word != "null"]
        return f"{place} is {_WORDS.get(match['found'], match['found'])}; expected {' or '.join(wanted)}"
    name = re.search(r"field `(.*)`", what, re.DOTALL)
    if name and "unknown" in what:
        return f"{short(name[1])} is not known in {place}; values of your own go into `fields`"
    if name:
        return f"{place} has no `{name[1]}`"
    limit = re.search(r"([<>]=) ([\d.e+-]+)", what)
    if limit:
        return f"{place} must be {'at most' if limit[1] == '<=' else 'at least'} {limit[2]}"
    return f"{place}: {what[:200]}"

"""The grammar of InfluxDB line protocol.

In: text. Out: `Line`s, and the numbers of those that are none. Format: "Line protocol" of the InfluxDB documentation;
where that is silent, Telegraf's own parser: a backslash is one wherever it stands before nothing that it can escape.
"""

import re
from collections.abc import Iterator
from typing import NamedTuple

from headwater.message import Number

_MEASUREMENT = r"(?:[^\\, \t\r\n#]|\\[, ]?+)(?:[^\\, \t\r\n]|\\[, ]?+)*+"
_KEY = r"(?:[^\\,= \t\r\n]|\\[,= ]?+)++"
_PLAIN = r"(?:[^\\, \t\r\n]|\\[,= ]?+)++"
_STRING = r'"(?:[^"\\]|\\.)*+"'
_FIELD = rf'{_KEY}=(?:{_STRING}|[^", \t\r\n]++)'
_LINE = re.compile(
    rf"[ \t]*+({_MEASUREMENT})((?:,{_KEY}={_PLAIN})*+)[ \t]++({_FIELD}(?:,{_FIELD})*+)"
    r"(?:[ \t]++(-?[0-9]{1,20}))?[ \t]*+\r?(?:\n|\Z)",
    re.DOTALL,
)
_BLANK = re.compile(r"[ \t\r]*+(?:#[^\n]*+)?(?:\n|\Z)")
_TAGS = re.compile(rf",({_KEY})=({_PLAIN})")
_FIELDS = re.compile(rf'({_KEY})=({_STRING}|[^", \t\r\n]++),?', re.DOTALL)
_ESCAPED = re.compile(r'\\([,= "])')
_IN_STRING = re.compile(r'\\(["\\])')
_FLOAT = re.compile(r"[+-]?(?:[0-9]++\.?[0-9]*+|\.[0-9]++)(?:[eE][+-]?[0-9]++)?")
_WORDS = {
    **dict.fromkeys(("t", "T", "true", "True", "TRUE"), True),
    **dict.fromkeys(("f", "F", "false", "False", "FALSE"), False),
}
_RANGES = {"i": (-(2**63), 2**63 - 1), "u": (0, 2**64 - 1)}


class Line(NamedTuple):
    """One point. `time`: as written, in whichever unit."""

    measurement: str
    tags: dict[str, str]
    fields: dict[str, Number | str]
    time: int | None


def lines(text: str) -> Iterator[Line | int]:
    """Every line that says something; the number of a line, from 1 on, where it is none of this protocol."""
    place, end, number = 0, len(text), 1
    while place < end:
        found = _LINE.match(text, place)
        line = _line(found) if found is not None else None
        if found is not None and line is not None:
            yield line
            stop = found.end()
        else:
            blank = _BLANK.match(text, place)
            stop = text.find("\n", place) + 1 or end
            if blank is None:
                yield number
            elif found is None:
                stop = blank.end()
        number += text.count("\n", place, stop)
        place = stop


def _line(found: re.Match[str]) -> Line | None:
    measurement, tagged, said, time = found.groups()
    fields: dict[str, Number | str] = {}
    for key, written in _FIELDS.findall(said):
        value = _value(written)
        if value is None:
            return None
        fields[_bare(key)] = value
    tags = {_bare(key): _bare(value) for key, value in _TAGS.findall(tagged)} if tagged else {}
    return Line(_bare(measurement), tags, fields, None if time is None else int(time))


def _bare(text: str) -> str:
    return _ESCAPED.sub(r"\1", text) if "\\" in text else text


def _value(written: str) -> Number | str | None:
    """None: it is no value."""
    if written[0] == '"':
        body = written[1:-1]
        return _IN_STRING.sub(r"\1", body) if "\\" in body else body
    if _FLOAT.fullmatch(written):
        return float(written)
    limits = _RANGES.get(written[-1])
    if limits is not None:
        digits = written[:-1]
        if not digits.lstrip("+-").isdecimal() or not digits.isascii() or len(digits) > 21:
            return None
        number = int(digits)
        return number if limits[0] <= number <= limits[1] else None
    return _WORDS.get(written)

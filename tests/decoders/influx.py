"""InfluxDB line protocol as samples' sources write what they expect: one line a measurement.

In: `measurement,tag=value field=1i,other="text" time`. Out: the parts. For reading expectations only.
"""

import re
from typing import NamedTuple

from tests.decoders.compare import Value

_PART = re.compile(r'(?:[^\s,="\\]|\\.)+|"(?:[^"\\]|\\.)*"|[ ,=]')


class Line(NamedTuple):
    """Tags and fields by name."""

    measurement: str
    tags: dict[str, str]
    fields: dict[str, Value]
    time: int | None


def read_line(text: str) -> Line:
    """One line; raises `ValueError`."""
    sections: list[list[str]] = [[]]
    for part in _PART.findall(text.strip()):
        if part == " ":
            sections.append([])
        else:
            sections[-1].append(part)
    head, fields = sections[0], sections[1]
    time = int(sections[2][0]) if len(sections) > 2 else None
    tags = _pairs(head[2:]) if len(head) > 1 else {}
    return Line(
        _bare(head[0]), {k: _bare(v) for k, v in tags.items()}, {k: _value(v) for k, v in _pairs(fields).items()}, time
    )


def _pairs(parts: list[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    words: list[str] = []
    for part in [*parts, ","]:
        if part == ",":
            if len(words) == 2:
                found[_bare(words[0])] = words[1]
            words = []
        elif part != "=":
            words.append(part)
    return found


def _bare(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text.strip('"') if text.startswith('"') else text)


def _value(text: str) -> Value:
    if text.startswith('"'):
        return _bare(text)
    if text.lower() in {"t", "true", "f", "false"}:
        return text.lower().startswith("t")
    return int(text[:-1]) if text[-1] in "iu" else float(text)

"""A payload of many parts: one that cannot be read does not end the others, and a flood of such parts ends early.

In: the parts, and what makes messages of one. Out: messages and rejections. Each rejection is a record in quarantine
that leads to the same payload, so the first few say all that a person needs.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from headwater.errors import Rejected
from headwater.message import Message

FAULTS = 100
"""So many parts of one payload are rejected one by one; what comes after is left out, with one more that says so."""


def each(parts: Iterable[Any], read: Callable[[Any], Sequence[Message | Rejected]]) -> list[Message | Rejected]:
    """What `read` makes of each part, in their order."""
    made: list[Message | Rejected] = []
    faults = 0
    for part in parts:
        try:
            made += read(part)
        except Rejected as problem:
            made.append(problem)
            faults += 1
            if faults == FAULTS:
                made.append(Rejected("too_large", f"{FAULTS} parts cannot be read; what comes after them is left out"))
                break
    return made

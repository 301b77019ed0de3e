"""What the two forms of Headwater's own share: which values they take, whose message it is, numbers apart from texts.

In: values as JSON gave them. Out: the parts of a message, or `Rejected`.
"""

from collections.abc import Mapping
from typing import Annotated

import msgspec

from headwater.errors import Rejected
from headwater.message import Number

EXACT = 2**53
"""Beyond it a whole number is not the same in every store: JSON readers and SQL doubles would round it."""

LEAST = -EXACT
SEQ_MOST = 2**63 - 1

Whole = Annotated[int, msgspec.Meta(ge=LEAST, le=EXACT)]
Scalar = bool | Whole | float | str | None
"""A value of a field. null means that the device has none, as if the name had not been there."""

NUMBERS = (int, float)
NESTED = (dict, list)
"""For `isinstance`, where a union in its place would be made anew each time."""

Values = dict[str, Number | str | None]
"""Name → value, as it comes."""


def device_of(own: str | None, named: str) -> str:
    """The message's device: what the payload says, or else the topic or path; both only if they agree."""
    if own is None:
        if not named:
            raise Rejected("missing_device", "name the device in the payload, the topic or the path")
        return named
    if named and own != named:
        raise Rejected("device_mismatch", f"the payload says device {short(own)}, the topic or path {short(named)}")
    return own


def apart(values: Values) -> tuple[dict[str, Number], dict[str, str]]:
    """Numbers and booleans, and texts; nulls in neither. Returns `values` itself where there is nothing to part."""
    for value in values.values():
        if value is None or value.__class__ is str:
            break
    else:
        return values, {}  # pyright: ignore[reportReturnType]  # the loop has looked at each
    fields: dict[str, Number] = {}
    texts: dict[str, str] = {}
    for name, value in values.items():
        if isinstance(value, str):
            texts[name] = value
        elif value is not None:
            fields[name] = value
    return fields, texts


def check_shape(values: Mapping[str, object], place: str = "") -> None:
    """Raise `Rejected` naming the first object or array. `place`: where the values stand, for the sentence."""
    for name, value in values.items():
        if isinstance(value, NESTED):
            kind = "an object" if isinstance(value, dict) else "an array"
            raise Rejected("bad_shape", f"{place}{short(name)} is {kind}; a value is a number, a boolean or a text")


def check_sizes(values: Mapping[str, object], place: str = "") -> None:
    """Raise `Rejected` naming the first whole number that a 64-bit float cannot hold exactly."""
    for name, value in values.items():
        if isinstance(value, int) and not LEAST <= value <= EXACT:
            raise Rejected("number_too_large", f"{place}{short(name)} is a whole number beyond 2^53; send it as a text")


def short(name: str) -> str:
    """A name as shown to a person: quoted, at most 40 characters of it."""
    return f"`{name}`" if len(name) <= 40 else f"`{name[:40]}…`"

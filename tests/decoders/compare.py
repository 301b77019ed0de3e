"""What a sample's source expects against what the decoder made of it: compared, missing, extra, wrong.

In: a sample, and what it expects as `Expected` (`tests.decoders.expectations`). Out: a `Verdict`. Names are compared
without case and marks, numbers to 1e-9 or to the digits that the source shows; a path may be longer than the name.
"""

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from headwater.errors import Rejected
from headwater.message import Message

Value = bool | int | float | str


class Expected(NamedTuple):
    """One value. `names`: what it may be called. `step`: how far a number may be off, for what the source has rounded."""

    names: tuple[str, ...]
    value: Value
    step: float = 0.0


class Expectation(NamedTuple):
    """`refused`: it must be rejected, or say nothing. `complete`: whatever else is in the messages is extra.

    `placed`: some position must come out, whatever it is.
    """

    values: Sequence[Expected] = ()
    refused: bool = False
    complete: bool = False
    placed: bool = False


class Verdict(NamedTuple):
    """Names of values: equal, not there, there with another value (`name: expected, found`), and not expected."""

    compared: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    wrong: tuple[str, ...] = ()
    extra: tuple[str, ...] = ()
    refused: str = ""

    @property
    def passed(self) -> bool:
        """A sample of which nothing was compared has not passed."""
        return bool(self.compared) and not self.missing and not self.wrong


def plain(name: str) -> str:
    """A name without case and marks: `SI7021.Temperature` → `si7021temperature`."""
    return re.sub(r"[^a-z0-9]", "", name.lower().replace("µ", "u"))


def facts(messages: Sequence[Message]) -> dict[str, list[Value]]:
    """Everything that messages say, by plain name: each value by its whole path and by each end of it."""
    found: dict[str, list[Value]] = {plain("count of messages"): [len(messages)]}

    def say(name: str, value: Value | None) -> None:
        if value is None:
            return
        levels = name.split(".")
        for start in range(len(levels)):
            found.setdefault(plain(".".join(levels[start:])), []).append(value)

    for message in messages:
        for name, value in {**message.fields, **message.texts}.items():
            say(name, value)
        say("device", message.device)
        say("kind", message.kind)
        say("at", message.at)
        say("seq", message.seq)
        if message.position is not None:
            place = message.position
            for names, value in (
                (("latitude", "lat"), place.lat),
                (("longitude", "lon"), place.lon),
                (("altitude", "alt"), place.alt),
                (("accuracy", "acc"), place.accuracy),
            ):
                for name in names:
                    say(name, value)
        for heard in message.heard_by:
            say("gateway", heard.gateway)
            say("rssi", heard.rssi)
            say("snr", heard.snr)
    return found


def compare(expectation: Expectation, decoded: Sequence[Message | Rejected] | Rejected) -> Verdict:
    """The verdict on one sample."""
    if isinstance(decoded, Rejected):
        if expectation.refused:
            return Verdict(compared=("refused",), refused=decoded.reason)
        missing = tuple(one.names[0] for one in expectation.values)
        return Verdict(missing=missing or ("anything",), refused=decoded.reason)
    messages = [one for one in decoded if isinstance(one, Message)]
    if expectation.refused:
        return Verdict(wrong=("it was to be refused",)) if messages else Verdict(compared=("refused",))
    found = facts(messages)
    compared, missing, wrong = list[str](), list[str](), list[str]()
    known: set[str] = set()
    if expectation.placed:
        (compared if any(message.position is not None for message in messages) else missing).append("position")
    for one in expectation.values:
        names = [plain(name) for name in one.names]
        known.update(names)
        values = [value for name in names for value in found.get(name, ())]
        if not values:
            missing.append(one.names[0])
        elif any(equal(one.value, value, one.step) for value in values):
            compared.append(one.names[0])
        else:
            wrong.append(f"{one.names[0]}: {one.value!r}, found {values[:3]!r}")
    extra = [] if not expectation.complete else [name for name in _said(messages) if plain(name) not in known]
    return Verdict(tuple(compared), tuple(missing), tuple(wrong), tuple(extra))


def equal(expected: Value, found: Value, step: float = 0.0) -> bool:
    """Numbers within 1e-9 (or `step`), also where one side wrote them as a text; 1 and true are the same."""
    if isinstance(expected, str) and isinstance(found, str) and expected == found:
        return True
    first, second = _number(expected), _number(found)
    if first is None or second is None:
        return str(expected).casefold() == str(found).casefold()
    return math.isclose(first, second, rel_tol=1e-9, abs_tol=max(1e-9, step))


def flat(value: Any, prefix: str = "") -> list[tuple[str, Value]]:
    """Every scalar below an object or array, by its path; null is nothing."""
    if isinstance(value, Mapping):
        pairs = list(value.items())  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]
    elif isinstance(value, list | tuple):
        pairs = list(enumerate(value))  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]
    else:
        return [] if value is None else [(prefix, value)]
    found: list[tuple[str, Value]] = []
    for key, item in pairs:  # pyright: ignore[reportUnknownVariableType]
        found += flat(item, f"{prefix}.{key}" if prefix else str(key))  # pyright: ignore[reportUnknownArgumentType]
    return found


def _number(value: Value) -> float | None:
    if isinstance(value, str):
        try:
            return float(value)
        except ValueError:
            return {"true": 1.0, "false": 0.0}.get(value.casefold())
    try:
        return float(value)
    except OverflowError:
        return None


def _said(messages: Sequence[Message]) -> list[str]:
    names = {name for message in messages for name in (*message.fields, *message.texts)}
    return sorted(name for name in names if not name.startswith("note."))

"""One model's rule, ready to be applied: is this message worth keeping, why, and what is compared with next time.

In: a message and the track of its device's last candidates. Out: reasons like `temperature:change`,
`position:movement`, `every`; none for most messages, so whether there is any is asked first, and cheaply.
"""

import sys
from fractions import Fraction
from math import ceil, inf, nextafter
from typing import TypeVar

import msgspec

from consumers.track import FIELDS, NEVER, Track
from headwater.message import Message, Number, Position
from headwater.places import distance

V = TypeVar("V")
_EXACT = 2**53
"""Integers beyond it are not all floats, so their bounds stay integers."""

_UNSEEN = (inf, -inf)
_LARGEST = sys.float_info.max


class Deadband(msgspec.Struct, omit_defaults=True, forbid_unknown_fields=True, frozen=True):
    """How far a number may move unselected: absolute, or in percent of the last candidate's value."""

    size: float
    percent: bool = False


class FieldRule(msgspec.Struct, omit_defaults=True, forbid_unknown_fields=True, frozen=True):
    """What one field adds to its model's rule. `every` in microseconds."""

    change: Deadband | None = None
    every: int | None = None


class ModelRule(msgspec.Struct, omit_defaults=True, forbid_unknown_fields=True, frozen=True):
    """The rule of one model: `name` stands in candidates. Times in microseconds, `movement` in metres."""

    model: str
    name: str
    devices: tuple[str, ...] = ()
    change: Deadband | None = None
    every: int | None = None
    movement: float | None = None
    silence: int | None = None
    fields: dict[str, FieldRule] = {}


class Rule:
    """A compiled `ModelRule`. It has no state: that is in the tracks."""

    def __init__(self, model: ModelRule) -> None:
        self.name = model.name
        self.key = model.name.encode()
        self.silence = model.silence
        self._change = model.change
        self._bands = {name: rule.change for name, rule in model.fields.items() if rule.change is not None}
        self._named = tuple(self._bands)
        self._field_every = [(name, rule.every) for name, rule in model.fields.items() if rule.every is not None]
        self._every = model.every
        self._movement = model.movement
        every_or_where = (model.every, model.movement, model.silence)
        self.selects = bool(model.fields) or model.change is not None or any(x is not None for x in every_or_where)

    def quiet(self, track: Track, message: Message) -> bool:
        """True if nothing speaks for the message: `reasons` would be empty."""
        if self._every is not None and abs(message.time - track.time) >= self._every:
            return False
        bounds = track.bounds
        try:
            if self._change is None:
                for name in self._named:
                    value = message.fields.get(name)
                    if value is not None:
                        low, high = bounds[name]
                        if not low < value < high:
                            return False
            else:
                for name, value in message.fields.items():
                    low, high = bounds[name]
                    if not low < value < high:
                        return False
        except KeyError:  # a field that was never seen
            return False
        if self._field_every or message.texts or message.position is not None:
            return not self._speaks(track, message)
        return True

    def reasons(self, track: Track, message: Message) -> list[str]:
        """Why the message is worth keeping, in a fixed order."""
        reasons = [f"{name}:change" for name in self._changed(track, message)]
        reasons += [f"{name}:every" for name in self._due(track, message)]
        if message.position is not None and self._moved(track, message.position):
            reasons.append("position:movement")
        if self._every is not None and abs(message.time - track.time) >= self._every:
            reasons.append("every")
        return reasons

    def keep(self, track: Track, message: Message) -> None:
        """The message is a candidate: from now on, the next is compared with it."""
        track.time = message.time
        for name in self._named if self._change is None else message.fields:
            value = message.fields.get(name)
            band = self._bands.get(name, self._change)
            if value is not None and band is not None and track.values.get(name) != value:
                reference = _storable(value)
                _put(track.values, name, reference, track.bounds)
                track.bounds[name] = bounds_of(reference, band)
        for name, text in message.texts.items():
            if name in self._bands or self._change is not None:
                _put(track.texts, name, text)
        for name, _ in self._field_every:
            if name in message.fields or name in message.texts:
                _put(track.times, name, message.time)
        if message.position is not None and self._movement is not None:
            track.position = (message.position.lat, message.position.lon)

    def bind(self, track: Track) -> None:
        """Make the track's bounds follow this rule: after a restore, or when other rules came into force."""
        track.bounds = {
            name: bounds_of(value, band)
            for name, value in track.values.items()
            if (band := self._bands.get(name, self._change)) is not None
        }

    def _speaks(self, track: Track, message: Message) -> bool:
        """True if anything but the model's rhythm and the fields' deadbands speaks for the message."""
        for name, every in self._field_every:
            if abs(message.time - track.times.get(name, NEVER)) >= every and (
                name in message.fields or name in message.texts
            ):
                return True
        if message.texts and self._changed_texts(track, message.texts):
            return True
        return message.position is not None and self._moved(track, message.position)

    def _changed(self, track: Track, message: Message) -> list[str]:
        names: list[str] = []
        for name in self._named if self._change is None else message.fields:
            value = message.fields.get(name)
            if value is not None:
                low, high = track.bounds.get(name, _UNSEEN)
                if not low < value < high:
                    names.append(name)
        return names + self._changed_texts(track, message.texts) if message.texts else names

    def _changed_texts(self, track: Track, texts: dict[str, str]) -> list[str]:
        return [
            name
            for name, text in texts.items()
            if (self._change is not None or name in self._bands) and track.texts.get(name) != text
        ]

    def _due(self, track: Track, message: Message) -> list[str]:
        return [
            name
            for name, every in self._field_every
            if (name in message.fields or name in message.texts)
            and abs(message.time - track.times.get(name, NEVER)) >= every
        ]

    def _moved(self, track: Track, position: Position) -> bool:
        if self._movement is None:
            return False
        if track.position is None:
            return True
        if track.position == (position.lat, position.lon):
            return False
        return distance(*track.position, position.lat, position.lon) >= self._movement


def bounds_of(value: Number, band: Deadband) -> tuple[float, float]:
    """(low, high): a later value x deviates by less than the band exactly if low < x < high. `value` itself does.

    "By less" is meant of the decimal numbers that were sent: 0.3 deviates from 0.1 by 0.2, although the nearest binary
    floats do not quite. So each bound gives way by the rounding error of the computation, 4 units in the last place,
    and by a thousandth of the band at most. Booleans: any other value is a change.
    """
    size = 0.0 if isinstance(value, bool) else band.size
    if isinstance(value, int) and abs(value) >= _EXACT:
        step = max(1, ceil(Fraction(size) * abs(value) / 100 if band.percent else Fraction(size)))
        return value - step, value + step
    if band.percent:
        size = min(size * abs(value) / 100, _LARGEST)
    slack = min(1e-15 * (abs(value) + size), size / 1000)
    return min(value - size + slack, nextafter(value, -inf)), max(value + size - slack, nextafter(value, inf))


def _storable(value: Number) -> Number:
    """Integers beyond 64 bits as floats: the state cannot hold them otherwise."""
    if isinstance(value, float) or -(2**63) <= value < 2**63:
        return value
    return float(min(max(value, -_LARGEST), _LARGEST))


def _put(known: dict[str, V], name: str, value: V, *others: dict[str, tuple[float, float]]) -> None:
    if name not in known and len(known) >= FIELDS:
        oldest = next(iter(known))
        del known[oldest]
        for other in others:
            other.pop(oldest, None)
    known[name] = value

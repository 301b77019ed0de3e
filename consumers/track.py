"""What the next message of a device is compared with: the values, position and time of its last candidates.

A device has two tracks: one for messages in order of time, one for late ones (a backlog sent after newer messages), so
that neither hides what is worth keeping in the other.
"""

import msgspec

from headwater.message import Number

NEVER = -(10**18)
"""Microseconds: the `time` of a candidate that was never made, longer ago than any interval."""

FIELDS = 1024
"""The most fields remembered a track: beyond, the one longest known is forgotten and counts as new when it comes."""


class TrackRow(msgspec.Struct, array_like=True, gc=False, frozen=True):
    """A track as it stands in a checkpoint."""

    time: int
    values: dict[str, Number]
    texts: dict[str, str]
    times: dict[str, int]
    position: tuple[float, float] | None


class Track:
    """References of one device. `bounds` follows from `values` and the rule: between them nothing has changed.

    `time`: of the last candidate; `times`: of the last candidate with this field, where fields have an `every`.
    """

    __slots__ = ("bounds", "position", "texts", "time", "times", "values")

    def __init__(self, row: TrackRow | None = None) -> None:
        self.bounds: dict[str, tuple[float, float]] = {}
        self.time = row.time if row else NEVER
        self.values: dict[str, Number] = row.values if row else {}
        self.texts: dict[str, str] = row.texts if row else {}
        self.times: dict[str, int] = row.times if row else {}
        self.position: tuple[float, float] | None = row.position if row else None

    def row(self) -> TrackRow:
        """As it is now, to be encoded before the next message."""
        return TrackRow(self.time, self.values, self.texts, self.times, self.position)

    @property
    def weight(self) -> int:
        """How many values an encoder has to write."""
        return len(self.values) + len(self.texts) + len(self.times)

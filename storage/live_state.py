"""What is known of one device now, and how a message changes it. Pure: no I/O, no clock.

In: the state as it was, and a message. Out: the state in which every value is the newest by (time, received, id), in
whatever order messages came. It is kept as *layers*: the messages that still hold some newest value. A device that says
all its values each time has one layer, and a newer message simply takes its place.
"""

from collections.abc import Collection, Mapping

import msgspec

from headwater.message import Heard, Message, Number, Position
from storage.contract import LiveDevice, LiveValue

MOST_VALUES = 2_048
"""The most values kept of a device; beyond it those with the oldest stamps go. Field names are what a device says."""

Stamp = tuple[int, int, str]
"""(time, received, id): what "newer" means."""


class Layer(msgspec.Struct, array_like=True, gc=False):
    """What is left of one message: its stamp, and those of its values that no newer message has said again."""

    time: int
    received: int
    id: str
    values: Mapping[str, Number | str] = {}
    position: Position | None = None

    def leave_out(self, names: Collection[str]) -> None:
        """Drop these values. Makes a new dict: `values` may be the message's own, which is the caller's."""
        if any(name in names for name in self.values):
            self.values = {name: value for name, value in self.values.items() if name not in names}

    def replaced(self, stamp: Stamp, values: Mapping[str, Number | str], position: Position | None) -> bool:
        """Become a newer message that says all that this one did; False if it does not."""
        if not self.values.keys() <= values.keys() or len(values) > MOST_VALUES:
            return False
        if position is None and self.position is not None:
            return False
        self.time, self.received, self.id = stamp
        self.values, self.position = values, position
        return True


class LiveState(msgspec.Struct, array_like=True, gc=False):
    """A device as the store keeps it. `layers` by stamp, newest first; the rest is of the newest message."""

    time: int = -1
    received: int = -1
    id: str = ""
    seen: int = -1
    entries: int = 0
    via: str = ""
    kind: str = ""
    heard_by: list[Heard] = []
    layers: list[Layer] = []
    decoder: str = ""

    def add(self, message: Message) -> None:
        """Take a message in."""
        self.entries += 1
        time, received, ident = message.time, message.received, message.id
        self.seen = max(self.seen, received)
        values: Mapping[str, Number | str] = message.fields
        if message.texts:
            values = {**values, **message.texts}
        stamp = (time, received, ident)
        if time > self.time or stamp > (self.time, self.received, self.id):
            self.time, self.received, self.id = time, received, ident
            self.via, self.kind, self.heard_by = message.via, message.kind, message.heard_by
            self.decoder = message.decoder
            if len(self.layers) == 1 and self.layers[0].replaced(stamp, values, message.position):
                return
        if values or message.position is not None:
            self._merge(Layer(time, received, ident, values, message.position), stamp)

    def _merge(self, layer: Layer, stamp: Stamp) -> None:
        for other in self.layers:
            older, newer = (other, layer) if stamp > (other.time, other.received, other.id) else (layer, other)
            older.leave_out(newer.values.keys())
            if newer.position is not None:
                older.position = None
        layers = [*self.layers, layer]
        layers.sort(key=lambda one: (one.time, one.received, one.id), reverse=True)
        over = sum(len(one.values) for one in layers) - MOST_VALUES
        while over > 0:
            oldest = next(one for one in reversed(layers) if one.values)
            names = sorted(oldest.values)[:over]
            oldest.leave_out(names)
            over -= len(names)
        self.layers = [one for one in layers if one.values or one.position is not None]

    def holds(self, before: int) -> bool:
        """Whether there is anything that was received before (microseconds)."""
        return min((self.received, *(layer.received for layer in self.layers))) < before

    def forget(self, before: int) -> bool:
        """Drop what was received before (microseconds); False if nothing is left."""
        self.layers = [layer for layer in self.layers if layer.received >= before]
        if self.received < before:
            if self.seen < before or not self.layers:
                return False
            newest = self.layers[0]
            self.time, self.received, self.id = newest.time, newest.received, newest.id
            self.via, self.kind, self.heard_by = "", "", []
        return True

    @property
    def position(self) -> Position | None:
        """The newest position."""
        for layer in self.layers:
            if layer.position is not None:
                return layer.position
        return None

    def device(self, name: str) -> LiveDevice:
        """The state as readers get it."""
        found = LiveDevice(
            device=name,
            seen=self.seen,
            time=self.time,
            via=self.via,
            kind=self.kind,
            heard_by=self.heard_by,
            entries=self.entries,
            decoder=self.decoder,
        )
        for layer in self.layers:
            for field, value in layer.values.items():
                found.values[field] = LiveValue(value, layer.time, layer.received, layer.id)
            if layer.position is not None:
                found.position, found.position_time = layer.position, layer.time
        return found

"""A batch folded into the states of its devices, and cut into chunks for the script.

In: records, the ledger that is thought to be in force, and the states that are thought to be there. Out: chunks that
each bring some devices and the ledger from one state to the next, in the order of the log; a chunk keeps Redis from
everything else for about two milliseconds.
"""

import secrets
from collections.abc import Generator, Mapping, Sequence
from itertools import count
from operator import itemgetter

import msgspec

from headwater.message import Message, Position
from storage.contract import Record
from storage.live_state import LiveState
from storage.redis_script import TOKEN, Chunk

DEVICES = 1_000
"""The most devices a chunk."""
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(LiveState).decode
_writer = secrets.token_hex(5)
_numbers = count()
_POSITION = itemgetter(3)


class Held:
    """A device's state, and the token it stands there with: empty if it does not yet."""

    __slots__ = ("state", "token")

    def __init__(self, token: str, state: LiveState) -> None:
        self.token = token
        self.state = state


def held(value: bytes | None) -> Held:
    """The state as it is read from Redis."""
    return Held("", LiveState()) if value is None else Held(value[:TOKEN].decode(), _decode(value[TOKEN:]))


class Fold:
    """`ledger` and `states` are those that are thought to be there, and move on as chunks are made."""

    def __init__(self, batch: Sequence[Record], ledger: dict[str, int], states: dict[str, Held]) -> None:
        self._ledger = ledger
        self._states = states
        places = {(record.topic, record.partition) for record in batch}
        self._fields = {place: f"{place[0]}/{place[1]}" for place in places}
        self._new = self._not_applied(batch)

    def _not_applied(self, batch: Sequence[Record]) -> list[tuple[str, int, Message | None]]:
        applied = {place: self._ledger.get(field, -1) for place, field in self._fields.items()}
        new: list[tuple[str, int, Message | None]] = []
        # The log's order is usual; whatever the order, a chunk must not count as applied what comes after it.
        for topic, partition, _, position, body in sorted(batch, key=_POSITION):
            place = (topic, partition)
            if position > applied[place]:
                applied[place] = position
                new.append((self._fields[place], position, body if isinstance(body, Message) else None))
        return new

    def unknown(self, size: int) -> list[list[str]]:
        """The devices whose state is needed and not known, in pages."""
        names = {message.device for _, _, message in self._new if message is not None}
        missing = list(names.difference(self._states))
        return [missing[start : start + size] for start in range(0, len(missing), size)]

    def know(self, names: Sequence[str], values: Sequence[bytes | None]) -> None:
        """Their states as Redis has them."""
        for name, value in zip(names, values, strict=True):
            self._states[name] = held(value)

    def chunks(self) -> Generator[bytes, None, None]:
        """One argument of the script a chunk. Without anything new there is one that only compares the ledger."""
        before = self._marks()
        touched: dict[str, Held] = {}
        moved: dict[str, Position | None] = {}
        ledger, states = self._ledger, self._states
        for field, position, message in self._new:
            if message is not None:
                device = message.device
                held = touched.get(device)
                if held is None:
                    if len(touched) == DEVICES:
                        yield self._chunk(before, touched, moved)
                        before, touched, moved = self._marks(), {}, {}
                    held = touched[device] = states[device]
                if message.position is not None and device not in moved:
                    moved[device] = held.state.position
                held.state.add(message)
            ledger[field] = position
        yield self._chunk(before, touched, moved)

    def _marks(self) -> dict[str, int | None]:
        return {field: self._ledger.get(field) for field in self._fields.values()}

    def _chunk(
        self, before: Mapping[str, int | None], touched: Mapping[str, Held], moved: Mapping[str, Position | None]
    ) -> bytes:
        """`moved`: where a device was, of those that said a position: nothing else changes it."""
        chunk = Chunk()
        token = f"{_writer}{next(_numbers):0{TOKEN - len(_writer)}x}"
        for field, position in before.items():
            chunk.advance(field, position, self._ledger[field])
        held = touched.values()
        states = [token + _encode(one.state).decode() for one in held]
        chunk.replace(list(touched), [one.token for one in held], states)
        for one in held:
            one.token = token
        for device, place in moved.items():
            now = touched[device].state.position
            if now is not None and now != place:
                chunk.move(device, place, now)
        return chunk.argument()

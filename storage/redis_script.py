"""The script by which a chunk of changed devices, their places and the ledger are written, all of it or nothing.

In: what the chunk was computed from (ledger positions, and the token of each device's state), and what it makes of
that. Out: one argument, and Lua that compares and writes. Redis runs nothing else meanwhile, so that a chunk is atomic
against rivals; it undoes nothing, so that whatever can fail is looked at before the first write.
"""

import hashlib
from collections.abc import Iterable, Sequence

import msgspec

from headwater.message import Position

TOKEN = 20
"""Bytes in front of a device's state that are different after every write of it."""
_WIDEST = 85.05
"""Degrees of latitude beyond which Redis can index no place; those are found by looking at every device."""
FAR = 90.0
"""Degrees of longitude beyond which a place stands in the second index too, turned by half the Earth."""

SCRIPT = b"""
local chunk = cmsgpack.unpack(ARGV[1])
local ledger, names, tokens, states, new = chunk[1], chunk[2], chunk[3], chunk[4], chunk[5]
for i, kind in ipairs({'hash', 'hash', 'zset', 'zset', 'zset'}) do
  local found = redis.call('TYPE', KEYS[i]).ok
  if found ~= 'none' and found ~= kind then
    return redis.error_reply('WRONGTYPE ' .. KEYS[i] .. ' is a ' .. found .. ', not a ' .. kind)
  end
end
for i = 1, #ledger, 3 do
  if (redis.call('HGET', KEYS[1], ledger[i]) or '') ~= ledger[i + 1] then return 0 end
end
local step = 1000
for i = 1, #names, step do
  local last = math.min(i + step - 1, #names)
  local held = redis.call('HMGET', KEYS[2], unpack(names, i, last))
  for j = i, last do
    if string.sub(held[j - i + 1] or '', 1, #tokens[j]) ~= tokens[j] or (tokens[j] == '' and held[j - i + 1]) then
      return 0
    end
  end
end
for i = 1, #ledger, 3 do redis.call('HSET', KEYS[1], ledger[i], ledger[i + 2]) end
for i = 1, #states, step do redis.call('HSET', KEYS[2], unpack(states, i, math.min(i + step - 1, #states))) end
for i = 1, #new, step do redis.call('ZADD', KEYS[3], unpack(new, i, math.min(i + step - 1, #new))) end
for at = 4, 5 do
  local put, gone = chunk[at * 2 - 2], chunk[at * 2 - 1]
  for i = 1, #put, 999 do redis.call('GEOADD', KEYS[at], unpack(put, i, math.min(i + 998, #put))) end
  for i = 1, #gone, step do redis.call('ZREM', KEYS[at], unpack(gone, i, math.min(i + step - 1, #gone))) end
end
return 1
"""
SHA = hashlib.sha1(SCRIPT, usedforsecurity=False).hexdigest()


class Keys:
    """The names of all keys of the live state: one hash tag, one prefix."""

    def __init__(self, prefix: str, log_id: str) -> None:
        self.ledger = f"{{{prefix}}}:live:ledger:{log_id}"
        self.states = f"{{{prefix}}}:live:states"
        self.names = f"{{{prefix}}}:live:names"
        self.places = f"{{{prefix}}}:live:places"
        self.turned = f"{{{prefix}}}:live:places-turned"
        self.ping = f"{{{prefix}}}:live:ping"

    @property
    def written(self) -> tuple[str, str, str, str, str]:
        """KEYS of the script."""
        return self.ledger, self.states, self.names, self.places, self.turned


class Chunk:
    """One call of the script, in the making."""

    def __init__(self) -> None:
        self._ledger: list[str] = []
        self._names: Sequence[str] = ()
        self._tokens: Sequence[str] = ()
        self._states: list[str] = []
        self._new: list[str] = []
        self._places: list[str] = []
        self._turned: list[str] = []
        self._gone: list[str] = []
        self._turned_gone: list[str] = []

    def advance(self, field: str, before: int | None, after: int) -> None:
        """The ledger must be at `before`, and then is at `after`."""
        self._ledger += (field, "" if before is None else str(before), str(after))

    def replace(self, devices: Sequence[str], before: Sequence[str], states: Sequence[str]) -> None:
        """Each device's state must have the token `before` (empty: there is none), and then is its one of `states`."""
        self._names, self._tokens = devices, before
        self._states = [""] * (2 * len(devices))
        self._states[::2], self._states[1::2] = devices, states
        for device, token in zip(devices, before, strict=True):
            if not token:
                self._new += ("0", device)

    def move(self, device: str, before: Position | None, after: Position) -> None:
        """The device's newest position changed."""
        if indexed(after):
            self._places += (repr(after.lon), repr(after.lat), device)
        elif indexed(before):
            self._gone.append(device)
        if in_turned(after):
            self._turned += (repr(turned(after.lon)), repr(after.lat), device)
        elif in_turned(before):
            self._turned_gone.append(device)

    def argument(self) -> bytes:
        """As the script takes it: strings only, for its reader of MessagePack knows no other bytes."""
        places = (self._places, self._gone, self._turned, self._turned_gone)
        return _pack((self._ledger, self._names, self._tokens, self._states, self._new, *places))


_pack = msgspec.msgpack.encode


def indexed(place: Position | None) -> bool:
    """True if Redis can index the place."""
    return place is not None and abs(place.lat) <= _WIDEST and abs(place.lon) <= 180


def in_turned(place: Position | None) -> bool:
    """True if it belongs into the second index, where the antimeridian is in the middle."""
    return place is not None and indexed(place) and abs(place.lon) >= FAR


def turned(lon: float) -> float:
    """The longitude when the Earth is turned by half: distances stay, the antimeridian is at 0."""
    return lon - 180 if lon > 0 else lon + 180


def searchable(latitudes: Iterable[float]) -> bool:
    """True if every place between these latitudes is in an index."""
    return all(abs(lat) < _WIDEST for lat in latitudes)

"""A device is forgotten in Redis: its state, its name, its places, in one script, if it still is what it was.

In: a device, and until when. Out: what was received later, or nothing of it. Writers in other processes find that the
token of its state has gone, as for a rival's write, and fold again from what is there.
"""

import secrets

import msgspec

from headwater.errors import Unavailable
from storage.redis_connection import RedisConnection
from storage.redis_fold import held
from storage.redis_script import TOKEN, Keys, in_turned, indexed, turned

_TRIES = 20
_SCRIPT = """
if (redis.call('HGET', KEYS[1], ARGV[1]) or '') ~= ARGV[2] then return 0 end
redis.call('ZREM', KEYS[3], ARGV[1])
redis.call('ZREM', KEYS[4], ARGV[1])
if ARGV[3] == '' then
  redis.call('HDEL', KEYS[1], ARGV[1])
  redis.call('ZREM', KEYS[2], ARGV[1])
else
  redis.call('HSET', KEYS[1], ARGV[1], ARGV[3])
  if ARGV[4] ~= '' then redis.call('GEOADD', KEYS[3], ARGV[4], ARGV[5], ARGV[1]) end
  if ARGV[6] ~= '' then redis.call('GEOADD', KEYS[4], ARGV[6], ARGV[5], ARGV[1]) end
end
return 1
"""


async def erase(redis: RedisConnection, keys: Keys, device: str, before: int) -> int:
    """How many devices were there: one, or none. Raises `Unavailable`."""
    for _ in range(_TRIES):
        value: bytes | None = await redis.run("HGET", keys.states, device)
        if value is None:
            return 0
        state = held(value).state
        if not state.holds(before):
            return 0
        left, lon, lat, around = b"", "", "", ""
        if state.forget(before):
            left = secrets.token_hex(TOKEN // 2).encode() + msgspec.json.encode(state)
            place = state.position
            if place is not None and indexed(place):
                lon, lat = repr(place.lon), repr(place.lat)
                around = repr(turned(place.lon)) if in_turned(place) else ""
        names = (keys.states, keys.names, keys.places, keys.turned)
        if await redis.run("EVAL", _SCRIPT, len(names), *names, device, value, left, lon, lat, around):
            return 1
    raise Unavailable("redis: rivals were faster each time")

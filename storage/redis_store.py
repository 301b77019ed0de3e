"""Live state in Redis: a hash field a device, with its whole state, and indexes by name and by place.

In: batches of messages. Out: each device's state as JSON, and the ledger, in one script call a chunk of a batch. A
batch is folded in Python by `live_state`, device by device, exactly as the embedded store does it. What was computed is
written only where the ledger and each device still are as they were; else it is computed again.
Redis with `appendfsync everysec` may lose its last second or two in a crash. It loses the ledger's with it, so what is
missing is replayed; `Stale` is raised when a ledger has gone back, and the worker starts again from the ledger.
"""

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from itertools import islice
from typing import Any

from headwater import config
from headwater.errors import Stale, Unavailable
from headwater.log import MESSAGES
from headwater.places import boxes
from storage.contract import Circle, LiveDevice, Record
from storage.redis_connection import RedisConnection, connected, unknown_script
from storage.redis_erase import erase
from storage.redis_fold import Fold, Held, held
from storage.redis_nearest import Search, search_for, settled
from storage.redis_script import SCRIPT, SHA, Keys

_TRIES = 20
_REMEMBERED = 20_000
"""Devices whose state is kept in memory: about a kilobyte each."""
_PAGE = 1_000


class RedisLive:
    """Use `open_redis_live`. A `Store` (topic `messages`) and a `LiveReader`."""

    name = "live"

    def __init__(self, connection: RedisConnection, keys: Keys) -> None:
        self._redis = connection
        self._keys = keys
        self._lock = asyncio.Lock()
        self._known: dict[str, int] | None = None
        """The ledger as last seen: only a guess, which the script compares."""
        self._held: dict[str, Held] = {}

    async def write(self, batch: Sequence[Record]) -> None:
        """See `Store.write`. Raises `Stale` if what it once had applied is gone: go on from its ledger then."""
        if not batch:
            return
        async with self._lock:
            held, self._held = self._held, {}  # given back when all is well: nothing is known after a failure
            for _ in range(_TRIES):
                if await self._attempt(batch, held):
                    break
                held.clear()
                await self._look_again()
            else:
                raise Unavailable("redis: rivals were faster each time")
            for device in list(islice(held, max(0, len(held) - _REMEMBERED))):
                del held[device]
            self._held = held

    async def _attempt(self, batch: Sequence[Record], held: dict[str, Held]) -> bool:
        """Fold and write; False if something was not as it was thought to be."""
        ledger = dict(await self._positions() if self._known is None else self._known)
        fold = Fold(batch, ledger, held)
        for missing in fold.unknown(_PAGE):
            values = await self._redis.run("HMGET", self._keys.states, *missing)
            fold.know(missing, values)
        head = ("EVALSHA", SHA, len(self._keys.written), *self._keys.written)
        replies = await self._redis.attempt_all([(*head, chunk) for chunk in fold.chunks()])
        done = 0
        for reply in replies:
            if unknown_script(reply):
                await self._redis.run("SCRIPT", "LOAD", SCRIPT)
            elif isinstance(reply, Exception):
                raise Unavailable(f"redis: {reply}") from reply
            else:
                done += reply
        if done < len(replies):
            return False
        self._known = ledger
        return True

    async def _look_again(self) -> None:
        before, now = self._known or {}, await self._positions()
        self._known = now
        if any(now.get(field, -1) < position for field, position in before.items()):
            raise Stale("redis came back without what it had")

    async def _positions(self) -> dict[str, int]:
        return _ledger(await self._redis.run("HGETALL", self._keys.ledger))

    async def ledger(self, topic: str) -> Mapping[int, int]:
        """See `Store.ledger`."""
        async with self._lock:
            self._known = await self._positions()
            return _of_topic(self._known, topic)

    async def ping(self) -> None:
        """See `Store.ping`: writes a key that goes away."""
        await self._redis.run("SET", self._keys.ping, "1", "EX", 60)

    async def erase(self, device: str, before: int) -> int:
        """See `Erasable.erase`."""
        return await erase(self._redis, self._keys, device, before)

    async def device(self, device: str) -> LiveDevice | None:
        """See `LiveReader.device`."""
        return (await self._devices([device]) or [None])[0]

    async def device_as_of(self, device: str) -> tuple[LiveDevice | None, Mapping[int, int]]:
        """See `LiveReader.device_as_of`."""
        ask = [("HGET", self._keys.states, device), ("HGETALL", self._keys.ledger)]
        value, ledger = await self._redis.run_all(ask, atomic=True)
        found = None if value is None else held(value).state.device(device)
        return found, _of_topic(_ledger(ledger), MESSAGES)

    async def devices(self, after: str, limit: int, prefix: str = "") -> Sequence[LiveDevice]:
        """See `LiveReader.devices`."""
        first = f"({after}" if after >= prefix and after else f"[{prefix}" if prefix else "-"
        last: bytes | str = b"(" + prefix.encode() + b"\xff" if prefix else "+"  # no UTF-8 has this byte
        ask = ("ZRANGEBYLEX", self._keys.names, first, last, "LIMIT", 0, limit)
        return await self._devices([name.decode() for name in await self._redis.run(*ask)])

    async def _devices(self, names: Sequence[str]) -> list[LiveDevice]:
        found: list[LiveDevice] = []
        for start in range(0, len(names), _PAGE):
            page = names[start : start + _PAGE]
            values = await self._redis.run("HMGET", self._keys.states, *page)
            pairs = zip(page, values, strict=True)
            found += [held(value).state.device(name) for name, value in pairs if value is not None]
        return found

    async def near(self, circle: Circle, limit: int) -> Sequence[LiveDevice]:
        """See `LiveReader.near`; equally near ones by name. Looks at every device where a pole is within the circle."""
        if limit < 1 or not boxes(*circle):
            return []
        search = search_for(circle)
        return await (self._near_of_all(circle, limit) if search is None else self._near(circle, limit, search))

    async def _near(self, circle: Circle, limit: int, search: Search) -> Sequence[LiveDevice]:
        key = self._keys.turned if search.turned else self._keys.places
        asked = limit + 50
        while True:
            names = await self._redis.run("GEOSEARCH", key, *search.words(asked))
            found = await self._devices([name.decode() for name in names])
            nearest = settled(circle, limit, found, complete=len(names) < asked)
            if nearest is not None:
                return nearest
            asked *= 4

    async def _near_of_all(self, circle: Circle, limit: int) -> Sequence[LiveDevice]:
        nearest: Sequence[LiveDevice] = []
        async for batch in self.everything():
            inside = settled(circle, limit, [*nearest, *batch], complete=True)
            nearest = inside or []
        return nearest

    async def everything(self) -> AsyncGenerator[Sequence[LiveDevice], None]:
        """See `LiveReader.everything`."""
        after = ""
        while batch := await self.devices(after, _PAGE):
            yield batch
            after = batch[-1].device


def _ledger(reply: Any) -> dict[str, int]:
    return {field.decode(): int(position) for field, position in _pairs(reply)}


def _pairs(reply: Any) -> list[tuple[bytes, bytes]]:
    """HGETALL's, which the driver may have made a dict of."""
    return list(reply.items()) if isinstance(reply, dict) else list(zip(reply[::2], reply[1::2], strict=True))


def _of_topic(ledger: Mapping[str, int], topic: str) -> dict[int, int]:
    split = [(field.rpartition("/"), position) for field, position in ledger.items()]
    return {int(partition): position for (of, _, partition), position in split if of == topic}


@asynccontextmanager
async def open_redis_live(config: config.Redis, log_id: str) -> AsyncGenerator[RedisLive, None]:
    """Connect, for the log with this id; closed below the yield. Raises `Unavailable`, `ConfigError`."""
    async with connected(config) as connection:
        yield RedisLive(connection, Keys(config.prefix, log_id))

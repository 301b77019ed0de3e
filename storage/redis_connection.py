"""A connection to Redis, and what its errors mean here.

In: the section `redis`, and commands. Out: their replies as Redis gives them, each in time; whatever the driver raises,
or the server says instead, is `Unavailable`. Redis Cluster is not served: all keys would have to be on one node.
"""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import NoScriptError, RedisError, ResponseError

from headwater import config
from headwater.errors import ConfigError, Unavailable
from headwater.saying import get_logger

Command = tuple[bytes | str | int | float, ...]
_CONNECTIONS = 8
_WANTED = {
    "appendonly": ("yes", "what was written since its last snapshot is lost when Redis stops, and then replayed"),
    "appendfsync": ("always", "a crash may cost the last second or two, which is then replayed from the log"),
    "maxmemory-policy": ("noeviction", "Redis may throw devices away when its memory is full"),
}
"""Settings of the server, what they should be, and what else happens."""


class RedisConnection:
    """Use `connected`. No call is repeated here: the caller of a store does that."""

    def __init__(self, client: Redis, time: float) -> None:
        self._client = client
        self._time = time

    async def run(self, *command: bytes | str | float) -> Any:
        """The reply to one command."""
        return (await self.run_all([command]))[0]

    async def run_all(self, commands: Sequence[Command], *, atomic: bool = False) -> list[Any]:
        """All replies, in one round trip; `atomic`: with nobody else's command between. Raises `Unavailable`."""
        replies = await self.attempt_all(commands, atomic=atomic)
        for reply in replies:
            if isinstance(reply, Exception):
                raise Unavailable(f"redis: {reply}") from reply
        return replies

    async def attempt_all(self, commands: Sequence[Command], *, atomic: bool = False) -> list[Any]:
        """The same, but a command that the server refused has its error as its reply."""
        try:
            async with asyncio.timeout(self._time), self._client.pipeline(transaction=atomic) as pipeline:
                for command in commands:
                    pipeline.execute_command(*command)
                return await pipeline.execute(raise_on_error=False)
        except TimeoutError:
            raise Unavailable(f"redis: no reply within {self._time:g} s") from None
        except (RedisError, OSError) as error:
            raise Unavailable(f"redis: {error or type(error).__name__}") from error

    async def look_at_settings(self) -> None:
        """Warn of settings by which the server may lose what it was given. Raises `Unavailable`."""
        replies = await self.attempt_all([("CONFIG", "GET", name) for name in _WANTED])
        for (name, (wanted, otherwise)), reply in zip(_WANTED.items(), replies, strict=True):
            if isinstance(reply, ResponseError):  # a hosted Redis does not tell, and its owner knows
                continue
            if isinstance(reply, Exception):
                raise Unavailable(f"redis: {reply}") from reply
            is_now = _setting(reply)
            if is_now != wanted:
                get_logger().warning(f"redis: set {name} to {wanted}, else {otherwise}", now=is_now)


def _setting(reply: Any) -> str:
    """CONFIG GET's one value: the driver makes a dict of the reply."""
    value = next(iter(reply.values()), b"") if isinstance(reply, dict) else (list(reply) or [b""])[-1]
    return value.decode() if isinstance(value, bytes) else str(value)


def unknown_script(reply: object) -> bool:
    """True if this is Redis saying that it has (no longer) the script that EVALSHA names."""
    return isinstance(reply, NoScriptError)


@asynccontextmanager
async def connected(config: config.Redis) -> AsyncGenerator[RedisConnection, None]:
    """A connection that is there, with a look at the server's settings. Raises `ConfigError`, `Unavailable`."""
    options: dict[str, Any] = {"socket_timeout": config.time, "socket_connect_timeout": config.time}
    if config.user:
        options["username"] = config.user
    if password := config.password.get_secret_value():
        options["password"] = password
    try:
        pool = BlockingConnectionPool.from_url(
            config.url,
            max_connections=_CONNECTIONS,
            timeout=config.time,
            protocol=2,
            retry=Retry(NoBackoff(), 0),
            **options,
        )
    except ValueError as error:
        raise ConfigError(f"redis.url: {error}") from None
    try:
        connection = RedisConnection(Redis(connection_pool=pool), config.time)
        await connection.look_at_settings()
        yield connection
    finally:
        await pool.disconnect()

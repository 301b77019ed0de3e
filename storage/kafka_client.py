"""What the Kafka log uses of aiokafka, with types: connections from the configuration, and errors in our words.

In: the section `kafka`. Out: consumers and an admin client that are started within a time, or `Unavailable`. aiokafka
has no types; the protocols here are the part of it that is used, in its own names. What producing uses is in
`kafka_brokers`, what a group's member uses beside its consumer in `kafka_membership`.
"""

# ruff: noqa: SLF001 aiokafka has no public word for these inner parts; they are used in this file alone
import asyncio
import ssl
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Any, Protocol, TypeVar, cast

import aiokafka  # pyright: ignore[reportMissingTypeStubs] there are none
import aiokafka.admin  # pyright: ignore[reportMissingTypeStubs]
import aiokafka.errors as kafka_errors  # pyright: ignore[reportMissingTypeStubs]

from headwater.config_stack import Kafka
from headwater.errors import ConfigError, Stale, Unavailable
from headwater.log import Offset, TopicPartition

T = TypeVar("T")

ENTRY_SIZE = 8 * 2**20
"""The largest batch a topic takes: more than the largest message with all that is kept about it."""
FETCH_SIZE = 2**20
"""Bytes of a partition that a consumer holds in memory beyond what was taken from it."""
FETCH_WAIT = 30
"""Milliseconds that a broker may keep a fetch open: a partition that was just taken waits for it to end."""
FOLLOW_WAIT = 500
"""The same for a consumer that is for one partition: nothing ever waits for the fetch, and each costs CPU time."""

STARTING = 2.5
"""A client's start takes at most so many times `kafka.request_time`."""

KafkaError: type[Exception] = kafka_errors.KafkaError
Stopped: type[Exception] = kafka_errors.ConsumerStoppedError
OutOfRange: type[Exception] = kafka_errors.OffsetOutOfRangeError
GroupLost: tuple[type[Exception], ...] = (
    kafka_errors.CommitFailedError,
    kafka_errors.UnknownMemberIdError,
    kafka_errors.IllegalGenerationError,
    kafka_errors.RebalanceInProgressError,
)


class Record(Protocol):
    """An entry as aiokafka gives it; `timestamp` in milliseconds."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None


class Consumer(Protocol):
    """`aiokafka.AIOKafkaConsumer`. Partitions are its own `TopicPartition`, a named tuple equal to ours."""

    async def start(self) -> None: ...
    async def stop(self) -> None: ...
    def subscribe(self, topics: Sequence[str], *, listener: object) -> None: ...
    def assign(self, partitions: Sequence[TopicPartition]) -> None: ...
    def pause(self, *partitions: TopicPartition) -> None: ...
    def resume(self, *partitions: TopicPartition) -> None: ...
    def seek(self, partition: TopicPartition, offset: Offset) -> None: ...
    async def getmany(
        self, *partitions: TopicPartition, timeout_ms: int = 0, max_records: int | None = None
    ) -> Mapping[TopicPartition, Sequence[Record]]: ...
    async def position(self, partition: TopicPartition) -> Offset: ...
    async def beginning_offsets(self, partitions: Sequence[TopicPartition]) -> Mapping[TopicPartition, Offset]: ...
    async def end_offsets(self, partitions: Sequence[TopicPartition]) -> Mapping[TopicPartition, Offset]: ...


class Admin(Protocol):
    """`aiokafka.admin.AIOKafkaAdminClient`."""

    async def start(self) -> None: ...
    async def close(self) -> None: ...
    async def create_topics(self, topics: Sequence[object]) -> Any: ...
    async def delete_topics(self, topics: Sequence[str]) -> Any: ...
    async def list_topics(self) -> Sequence[str]: ...
    async def describe_topics(self, topics: Sequence[str]) -> list[dict[str, Any]]: ...
    async def describe_configs(self, resources: Sequence[object]) -> list[Any]: ...
    async def list_consumer_groups(self) -> Sequence[tuple[str, str]]: ...
    async def find_coordinator(self, group_id: str) -> int: ...


class Rebalanced(Protocol):
    """What a consumer tells of its group. Its coordinator awaits the first; the second comes with a new generation."""

    async def on_partitions_revoked(self, _: Iterable[TopicPartition], /) -> None: ...
    def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None: ...


def as_listener(member: Rebalanced) -> object:
    """What aiokafka takes: it insists on its own class."""
    base: type[object] = aiokafka.ConsumerRebalanceListener
    methods = {
        name: staticmethod(getattr(member, name)) for name in ("on_partitions_revoked", "on_partitions_assigned")
    }
    return type("Listener", (base,), methods)()


def partition_of(topic: str, partition: int) -> TopicPartition:
    """A partition of aiokafka's own kind: it checks for it."""
    return cast("TopicPartition", aiokafka.TopicPartition(topic, partition))


def connection(config: Kafka) -> dict[str, Any]:
    """What every client is made with. Raises `ConfigError` for certificates that cannot be read."""
    context = None
    if config.security.endswith("SSL"):
        try:
            context = ssl.create_default_context(cafile=config.ca)
        except (OSError, ssl.SSLError) as error:
            raise ConfigError(f"kafka.ca: {config.ca}: {error}") from None
    options: dict[str, Any] = {
        "bootstrap_servers": list(config.servers),
        "request_timeout_ms": int(config.request_time * 1000),
        "security_protocol": config.security,
        "ssl_context": context,
        "metadata_max_age_ms": 30_000,
    }
    if config.security.startswith("SASL"):
        options |= {
            "sasl_mechanism": config.mechanism,
            "sasl_plain_username": config.user,
            "sasl_plain_password": config.password.get_secret_value(),
        }
    return options


def new_consumer(config: Kafka, fetch_wait: int = FETCH_WAIT, **options: Any) -> Consumer:
    """Not started; with a `group_id`, a member of it once it has subscribed. `fetch_wait`: see `FETCH_WAIT`."""
    made = cast("Any", aiokafka.AIOKafkaConsumer)
    return cast(
        "Consumer",
        made(
            **connection(config),
            enable_auto_commit=False,
            auto_offset_reset="none",
            fetch_max_wait_ms=fetch_wait,
            max_partition_fetch_bytes=FETCH_SIZE,
            fetch_max_bytes=ENTRY_SIZE,
            **options,
        ),
    )


def new_admin(config: Kafka) -> Admin:
    """Not started."""
    return cast("Admin", cast("Any", aiokafka.admin.AIOKafkaAdminClient)(**connection(config)))


@contextmanager
def our_errors(what: str) -> Generator[None, None, None]:
    """What Kafka says within the block, in our words: `Unavailable`, or `Stale` for a group that has gone on."""
    try:
        yield
    except GroupLost as error:
        raise Stale(f"{what}: the group has gone on without this member ({type(error).__name__})") from error
    except (KafkaError, Stopped, TimeoutError, OSError) as error:
        raise Unavailable(f"{what}: {error or type(error).__name__}") from error
    except (AttributeError, AssertionError) as error:
        # aiokafka's, where a connection or the cluster's metadata goes away under a call
        raise Unavailable(f"{what}: the connection was lost ({error})") from error


async def start(client: "Consumer | Admin", seconds: float) -> None:
    """Start it; each of its requests takes `seconds` at most. Raises `Unavailable` where no broker answers in time.

    Its own time-outs end it, the bound is for what they miss: cut short in the middle it would leave a connection open.
    """
    try:
        await within(STARTING * seconds, client.start(), "kafka")
    except BaseException:
        await drop(client)
        raise


async def within(seconds: float, call: Awaitable[T], what: str) -> T:
    """Wait for it so long at most. Raises `Unavailable`, `Stale`."""
    with our_errors(what):
        async with asyncio.timeout(seconds):
            return await call


@asynccontextmanager
async def started(client: Consumer | Admin, seconds: float) -> AsyncGenerator[None, None]:
    """Start the client; stop it at the end. Raises `Unavailable` where no broker answers in time."""
    await start(client, seconds)
    try:
        yield
    finally:
        await stop(client)


async def stop(client: Consumer | Admin, seconds: float = 3.0) -> None:
    """Stop it in good order, or else at once: what it still waits for is given up."""
    inner = cast("Any", client)
    ending: Callable[[], Awaitable[None]] = inner.close if hasattr(inner, "close") else inner.stop
    try:
        async with asyncio.timeout(seconds):
            await ending()
    except (TimeoutError, KafkaError, OSError, KeyError):
        await drop(client)


async def drop(client: Consumer | Admin) -> None:
    """Close its connections first, then end its tasks: nothing that waits there is sent any more."""
    inner = cast("Any", client)
    inner._closed = True
    with suppress(Exception):
        async with asyncio.timeout(1):
            await inner._client.close()
    tasks = [
        getattr(getattr(inner, owner, None), name, None)
        for owner, name in (
            ("_coordinator", "_coordination_task"),
            ("_coordinator", "_heartbeat_task"),
            ("_coordinator", "_commit_refresh_task"),
            ("_coordinator", "_reset_committed_task"),
            ("_fetcher", "_fetch_task"),
        )
    ]
    live = [cast("asyncio.Task[object]", task) for task in tasks if task is not None]
    for task in live:
        task.cancel()
    if live:
        await asyncio.wait(live, timeout=1)
    with suppress(Exception):  # a connection that was just being made
        async with asyncio.timeout(1):
            await inner._client.close()
    await asyncio.sleep(0)
    for task in live:
        if task.done() and not task.cancelled():
            task.exception()  # it has been told enough

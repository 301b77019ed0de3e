"""What producing uses of aiokafka, with types: the cluster's metadata, a producer id, batches, and Produce requests.

In: batches of partitions that one broker leads. Out: what became of each. aiokafka's own producer is not used, because
its tasks and timers cost more than the messages (docs/decisions/023). A connection is given up, and made again by the
next request, when it does not answer within `kafka.request_time`.
"""

# ruff: noqa: SLF001 aiokafka has no public word for its record builder's home and its metadata's state
import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, NamedTuple, Protocol, cast

import aiokafka.client  # pyright: ignore[reportMissingTypeStubs] there are none
import aiokafka.errors as kafka_errors  # pyright: ignore[reportMissingTypeStubs]
import aiokafka.protocol.transaction as kafka_transaction  # pyright: ignore[reportMissingTypeStubs]
import aiokafka.record.default_records as kafka_records  # pyright: ignore[reportMissingTypeStubs]

from headwater.config_stack import Kafka
from headwater.errors import ConfigError, Unavailable
from headwater.log import Offset, TopicPartition
from storage.kafka_client import FETCH_SIZE, STARTING, connection, within
from storage.kafka_produce import Landed, Produce

_MAGIC = 2
_CODECS = {"none": 0, "gzip": 1, "lz4": 3, "zstd": 4}
_PAUSE = 0.1
_LAST_EPOCH = 32_000  # of 32,767
_ORDINARY = aiokafka.client.ConnectionGroup.DEFAULT


class Builder(Protocol):
    """A batch that is being written. `append` gives None where there is no room left; the first entry always has."""

    def append(
        self, offset: int, timestamp: int, key: bytes | None, value: bytes | None, headers: list[tuple[str, bytes]]
    ) -> object | None: ...
    def build(self) -> bytes: ...


class Answer(NamedTuple):
    """What became of a batch. `error` empty: it is in the log from `offset` on. `again`: it may be sent once more."""

    offset: Offset
    error: str = ""
    again: bool = False


class Numbers(NamedTuple):
    """Whose batches these are: a producer id, and which of its lives. Below 0: a new id is asked for."""

    producer: int = -1
    epoch: int = -1

    def next(self) -> "Numbers":
        """Of who goes on in its place: a broker that has heard of these refuses what is late of the ones before."""
        return Numbers(self.producer, self.epoch + 1) if 0 <= self.epoch < _LAST_EPOCH else Numbers()


class Brokers:
    """Connections to a cluster, with a producer id."""

    def __init__(self, config: Kafka, topics: Sequence[str], numbers: Numbers) -> None:
        """Nothing is sent yet. Raises `ConfigError` where the compression is not installed."""
        self._topics = topics
        self._time = config.request_time
        self._wait = int(config.request_time * 1000)
        self._codec = _CODECS[config.compression]
        self.numbers = numbers
        self._client = cast("Any", aiokafka.client.AIOKafkaClient)(**connection(config))
        sample = self.builder(0)
        sample.append(0, 0, b"", b"", [])
        try:
            sample.build()
        except kafka_errors.UnsupportedCodecError as error:
            raise ConfigError(f"kafka.compression: {error}") from None

    async def start(self) -> None:
        """Connect, learn who leads, and get a producer id. Raises `Unavailable`."""
        try:
            await within(STARTING * self._time, self._start(), "kafka")
        except (RuntimeError, KeyError) as error:  # of a connection that dies in the middle
            await self.close()
            raise Unavailable(f"kafka: {error or type(error).__name__}") from error
        except BaseException:
            await self.close()
            raise

    async def _start(self) -> None:
        await self._client.bootstrap()
        await self._client.set_topics(self._topics)
        for topic in self._topics:
            await self._client._wait_on_metadata(topic)
        while self.numbers.producer < 0:
            try:
                await self._get_id()
            except (RuntimeError, KeyError) as error:  # of one broker; the next may know better
                if isinstance(error, kafka_errors.KafkaError) and not error.retriable:
                    raise
                await asyncio.sleep(_PAUSE)

    async def _get_id(self) -> None:
        made: Any = kafka_transaction.InitProducerIdRequest
        request = made(transactional_id=None, transaction_timeout_ms=60_000)
        answer = await self._client.send(self._client.get_random_node(), request)
        if answer.error_code:
            raise kafka_errors.for_code(answer.error_code)
        self.numbers = Numbers(answer.producer_id, answer.producer_epoch)

    def leader(self, at: TopicPartition) -> int | None:
        """The broker that takes this partition's batches, if that is known."""
        node: int | None = self._client.cluster.leader_for_partition(at)
        return None if node is None or node < 0 else node

    def refresh(self) -> None:
        """Ask in the background who leads."""
        if self._asking_ended():
            self._client._sync_task = asyncio.get_running_loop().create_task(self._client._md_synchronizer())
        self._client.force_metadata_update()

    def _asking_ended(self) -> bool:
        """True if aiokafka's task that asks has died, as of uvloop's error about a socket that has just closed."""
        task: asyncio.Task[None] | None = self._client._sync_task
        if task is None or not task.done():
            return False
        if not task.cancelled():
            task.exception()
        return True

    def builder(self, sequence: int) -> Builder:
        """A batch whose first entry has this sequence number."""
        made: Any = kafka_records.DefaultRecordBatchBuilder
        return made(_MAGIC, self._codec, 0, *self.numbers, sequence, FETCH_SIZE)

    async def produce(
        self, node: int, batches: Sequence[tuple[TopicPartition, bytes]]
    ) -> Mapping[TopicPartition, Answer]:
        """Send them in one request, acks=all. Raises `Unavailable` if there was no answer: anything may have happened.

        Of a partition that is missing in what it returns nothing is known either.
        """
        request = Produce(batches, self._wait)
        try:
            if self._connected(node):  # then it is bounded by itself
                landed = await self._client.send(node, request)
            else:
                async with asyncio.timeout(self._time):
                    landed = await self._client.send(node, request)
        except (RuntimeError, KeyError, AttributeError, TimeoutError) as error:  # aiokafka's, and of a dying connection
            raise Unavailable(f"{error or type(error).__name__}") from error
        found: Mapping[TopicPartition, Landed] = landed
        return {at: Answer(offset) if code == 0 else _refused(code) for at, (code, offset) in found.items()}

    def _connected(self, node: int) -> bool:
        there = self._client._conns.get((node, _ORDINARY))
        return there is not None and there.connected()

    async def close(self) -> None:
        """Let go of every connection; what waits for an answer gets none."""
        for _ in range(2):  # the second for a connection that was just being made
            if self._asking_ended():
                self._client._sync_task = None
            with suppress(Exception):
                async with asyncio.timeout(1):
                    await self._client.close()
            await asyncio.sleep(0)


def _refused(code: int) -> Answer:
    error = kafka_errors.for_code(code)
    return Answer(-1, f"{error.__name__}: {error.description or error.message or code}", error.retriable)

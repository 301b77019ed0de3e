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
from storage.kafka_client import FETCH_SIZE, connection, within
from storage.kafka_produce import Landed, Produce

_MAGIC = 2
_CODECS = {"none": 0, "gzip": 1, "lz4": 3, "zstd": 4}
_STARTING = 2.5
_PAUSE = 0.1


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


class Brokers:
    """Connections to a cluster, with a producer id of their own."""

    def __init__(self, config: Kafka, topics: Sequence[str]) -> None:
        """Nothing is sent yet. Raises `ConfigError` where the compression is not installed."""
        self._topics = topics
        self._time = config.request_time
        self._wait = int(config.request_time * 1000)
        self._codec = _CODECS[config.compression]
        self._id = self._epoch = -1
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
            await within(_STARTING * self._time, self._start(), "kafka")
        except BaseException:
            await self.close()
            raise

    async def _start(self) -> None:
        await self._client.bootstrap()
        await self._client.set_topics(self._topics)
        for topic in self._topics:
            await self._client._wait_on_metadata(topic)
        while self._id < 0:
            await self._get_id()

    async def _get_id(self) -> None:
        made: Any = kafka_transaction.InitProducerIdRequest
        request = made(transactional_id=None, transaction_timeout_ms=60_000)
        answer = await self._client.send(self._client.get_random_node(), request)
        problem = kafka_errors.for_code(answer.error_code)
        if answer.error_code == 0:
            self._id, self._epoch = answer.producer_id, answer.producer_epoch
        elif problem.retriable:
            await asyncio.sleep(_PAUSE)
        else:
            raise problem

    def leader(self, at: TopicPartition) -> int | None:
        """The broker that takes this partition's batches, if that is known."""
        node: int | None = self._client.cluster.leader_for_partition(at)
        return None if node is None or node < 0 else node

    def refresh(self) -> None:
        """Ask in the background who leads."""
        self._client.force_metadata_update()

    def builder(self, sequence: int) -> Builder:
        """A batch whose first entry has this sequence number."""
        made: Any = kafka_records.DefaultRecordBatchBuilder
        return made(_MAGIC, self._codec, 0, self._id, self._epoch, sequence, FETCH_SIZE)

    async def produce(
        self, node: int, batches: Sequence[tuple[TopicPartition, bytes]]
    ) -> Mapping[TopicPartition, Answer]:
        """Send them in one request, acks=all. Raises `Unavailable` if there was no answer: anything may have happened.

        Of a partition that is missing in what it returns nothing is known either.
        """
        try:
            landed: Mapping[TopicPartition, Landed] = await self._client.send(node, Produce(batches, self._wait))
        except (kafka_errors.KafkaError, KeyError, AttributeError) as error:  # the latter two where a connection closes
            raise Unavailable(f"{error or type(error).__name__}") from error
        return {at: Answer(offset) if code == 0 else _refused(code) for at, (code, offset) in landed.items()}

    async def close(self) -> None:
        """Let go of every connection; what waits for an answer gets none."""
        for _ in range(2):  # the second for a connection that was just being made
            with suppress(Exception):
                async with asyncio.timeout(1):
                    await self._client.close()
            await asyncio.sleep(0)


def _refused(code: int) -> Answer:
    error = kafka_errors.for_code(code)
    return Answer(-1, f"{error.__name__}: {error.description or error.message or code}", error.retriable)

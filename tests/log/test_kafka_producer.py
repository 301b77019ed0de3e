"""The producer against a real broker: lost answers, refusals, what shares a request, and numbers that wrap."""

import asyncio
import importlib.util
import random
from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Any
from uuid import uuid4

import pytest
from aiokafka.client import AIOKafkaClient

from headwater.config_stack import Kafka
from headwater.errors import ConfigError, LogError, Unavailable
from headwater.log import NewEntry, Offset, TopicPartition
from storage import kafka_producer
from storage.kafka_brokers import Answer, Brokers, Numbers
from storage.kafka_client import partition_of
from storage.kafka_log import KafkaLog, open_kafka_log
from storage.kafka_log_append import Appender
from storage.kafka_produce import Produce
from tests.log.kit import TOPIC, kept, topic, values
from tests.services.server import Server
from tests.taking import within

Batches = Sequence[tuple[TopicPartition, bytes]]
PARTITIONS = 3


@pytest.fixture
def kafka(kafka_server: Server) -> Kafka:
    return Kafka(
        servers=(f"127.0.0.1:{kafka_server.port}",), prefix=f"p{uuid4().hex[:12]}.", request_time=5, replication=1
    )


@pytest.fixture
async def log(kafka: Kafka) -> AsyncGenerator[KafkaLog, None]:
    async with open_kafka_log(kafka, [topic(PARTITIONS)]) as opened:
        yield opened


class Between:
    """What happens to requests on their way. `script`: a word for each of the first ones."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *script: str) -> None:
        self.requests: list[Batches] = []
        self._script = list(script)
        self._real = Brokers.produce
        monkeypatch.setattr(Brokers, "produce", self._produce_of())

    def _produce_of(self) -> object:
        async def produce(brokers: Brokers, node: int, batches: Batches) -> Mapping[TopicPartition, Answer]:
            self.requests.append(batches)
            word = self._script.pop(0) if self._script else ""
            if word == "never sent":
                raise Unavailable("not sent")
            if word == "moved":
                return {at: Answer(-1, "NotLeaderForPartitionError", again=True) for at, _ in batches}
            if word == "refused":
                return {at: Answer(-1, "TopicAuthorizationFailedError") for at, _ in batches}
            answers = await self._real(brokers, node, batches)
            if word == "answer lost":
                raise Unavailable("the answer was lost")
            return {} if word == "nothing said" else answers

        return produce


async def put(log: KafkaLog, partition: int, *numbers: int) -> Sequence[Offset | LogError]:
    return await log.append(TOPIC, [NewEntry(partition, b"k", b"%d" % number) for number in numbers])


@pytest.mark.parametrize("how", ["answer lost", "nothing said", "never sent", "moved"])
async def test_a_batch_whose_fate_is_unknown_is_sent_again_and_is_there_once(
    log: KafkaLog, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    between = Between(monkeypatch, how, how)
    first, *behind = await asyncio.gather(put(log, 0, 1, 2), put(log, 0, 3), put(log, 0, 4, 5))
    assert [*first, *(offset for offsets in behind for offset in offsets)] == [0, 1, 2, 3, 4]
    assert await put(log, 0, 6) == [5]
    assert values(await kept(log, 0)) == ["1", "2", "3", "4", "5", "6"]
    assert between.requests[0] == between.requests[1] == between.requests[2], "the same bytes"


async def test_what_is_refused_for_good_fails_with_all_behind_it_and_the_next_goes_on(
    log: KafkaLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    await put(log, 0, 1)
    Between(monkeypatch, "refused")
    results = await asyncio.gather(put(log, 0, 2), put(log, 0, 3))
    assert all(isinstance(result, LogError) and "TopicAuthorization" in str(result) for (result,) in results)
    assert await put(log, 0, 4) == [1]
    assert values(await kept(log, 0)) == ["1", "4"]


async def test_a_batch_that_nobody_answers_fails_in_its_time(kafka: Kafka, monkeypatch: pytest.MonkeyPatch) -> None:
    async with open_kafka_log(kafka.model_copy(update={"request_time": 1.0}), [topic(1)]) as log:
        Between(monkeypatch, *["never sent"] * 30)
        with within(3):
            (result,) = await put(log, 0, 1)
        assert isinstance(result, LogError)
        assert "not sent" in str(result)


async def test_partitions_share_requests_and_one_is_on_its_way_at_a_time(
    log: KafkaLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    between = Between(monkeypatch)
    await asyncio.gather(*(put(log, n % PARTITIONS, n) for n in range(300)))
    assert [len(batches) for batches in between.requests] == [PARTITIONS]
    assert [len(await kept(log, n)) for n in range(PARTITIONS)] == [100] * PARTITIONS


async def test_a_request_is_bounded_and_partitions_take_turns(log: KafkaLog, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kafka_producer, "ENTRY_SIZE", 300_000)
    between = Between(monkeypatch)
    large = random.Random(1).randbytes(200_000)
    results = await asyncio.gather(
        *(log.append(TOPIC, [NewEntry(n, b"k", large)] * 10) for n in range(PARTITIONS)),
    )
    assert results == [list(range(10))] * PARTITIONS
    sizes = [sum(len(data) for _, data in batches) for batches in between.requests]
    assert max(sizes) < 300_000 + 2**20
    seen = [at.partition for batches in between.requests for at, _ in batches]
    assert set(seen[:PARTITIONS]) == set(range(PARTITIONS)), "none waits for another's second batch"


async def test_sequence_numbers_begin_again_behind_the_last(log: KafkaLog, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    real = Brokers.builder

    def builder(brokers: Brokers, sequence: int) -> object:
        shifted = (sequence + 2**31 - 5) & 0x7FFFFFFF
        asked.append(shifted)
        return real(brokers, shifted)

    monkeypatch.setattr(Brokers, "builder", builder)
    for number in range(0, 12, 3):
        assert await put(log, 0, number, number + 1, number + 2) == [number, number + 1, number + 2]
    assert asked == [2**31 - 5, 2**31 - 2, 1, 4]


async def test_what_a_successor_overtook_is_refused_when_it_comes_at_last(kafka: Kafka) -> None:
    """A broker that was frozen takes what it was sent before, when nobody waits for that any more."""
    async with open_kafka_log(kafka, [topic(1)]) as log:
        at = partition_of(kafka.prefix + TOPIC, 0)
        old = Brokers(kafka, [at.topic], Numbers())
        await old.start()
        new = Brokers(kafka, [at.topic], old.numbers.next())
        await new.start()
        assert new.numbers == (old.numbers.producer, old.numbers.epoch + 1)
        try:
            sent = [
                await one.produce(1, [(at, a_batch(one, sequence))]) for one, sequence in ((old, 0), (new, 0), (old, 1))
            ]
        finally:
            await old.close()
            await new.close()
        (first, second, late) = (answers[at] for answers in sent)
        assert (first.offset, second.offset) == (0, 1)
        assert "Epoch" in late.error
        assert not late.again
        assert len(await kept(log, 0)) == 2


def a_batch(brokers: Brokers, sequence: int) -> bytes:
    builder = brokers.builder(sequence)
    builder.append(0, 0, b"k", b"%d" % sequence, [])
    return builder.build()


async def test_a_producer_that_was_late_is_followed_under_its_own_id(
    log: KafkaLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Numbers] = []
    real = Brokers.start

    async def start(brokers: Brokers) -> None:
        await real(brokers)
        seen.append(brokers.numbers)

    monkeypatch.setattr(Brokers, "start", start)
    await put(log, 0, 1)
    monkeypatch.setattr(kafka_producer, "_PAUSE", 9.0)
    Between(monkeypatch, "answer lost")
    (result,) = await put(log, 0, 2)
    assert isinstance(result, LogError)
    assert await put(log, 0, 2) == [2]
    assert [numbers.epoch for numbers in seen] == [1], "the first began before this test looked"


async def test_entries_that_cannot_be_built_fail_alone(log: KafkaLog) -> None:
    poison: Any = "a text, where bytes are asked for"
    good, bad = put(log, 0, 1), log.append(TOPIC, [NewEntry(1, b"k", poison)])
    first, second = await asyncio.gather(good, bad)
    assert first == [0]
    assert isinstance(second[0], LogError)
    assert await asyncio.gather(put(log, 0, 2), put(log, 1, 3)) == [[1], [0]]


async def test_what_waited_too_long_for_a_start_fails_and_the_next_goes_on(
    kafka: Kafka, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_kafka_log(kafka.model_copy(update={"request_time": 1.0}), [topic(1)]) as log:
        starts: list[float] = []
        real = Brokers.start

        async def start(brokers: Brokers) -> None:
            starts.append(asyncio.get_running_loop().time())
            await asyncio.sleep(2.2)
            await real(brokers)

        monkeypatch.setattr(Brokers, "start", start)
        Between(monkeypatch, "refused")
        await put(log, 0, 1)
        (result,) = await put(log, 0, 2)
        assert isinstance(result, LogError)
        assert "too long" in str(result)
        assert await put(log, 0, 3) == [0]
        assert len(starts) == 1


@pytest.mark.parametrize("error", [RuntimeError("the handler is closed"), KeyError(1), AttributeError("_writer")])
async def test_a_connection_that_breaks_under_a_request_is_made_again(
    log: KafkaLog, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    real, broken = AIOKafkaClient.send, list[object]()

    async def send(client: AIOKafkaClient, node: object, request: object, **more: Any) -> object:
        if isinstance(request, Produce) and not broken:
            broken.append(request)
            raise error
        return await real(client, node, request, **more)

    monkeypatch.setattr(AIOKafkaClient, "send", send)
    assert await put(log, 0, 1) == [0]
    assert broken


async def test_connecting_takes_no_longer_than_a_request(kafka: Kafka, monkeypatch: pytest.MonkeyPatch) -> None:
    async with open_kafka_log(kafka.model_copy(update={"request_time": 1.0}), [topic(1)]) as log:

        async def send(*_: object) -> object:
            return await asyncio.sleep(60)

        def connected(*_: object) -> bool:
            return False

        monkeypatch.setattr(Brokers, "_connected", connected)
        monkeypatch.setattr(AIOKafkaClient, "send", send)
        with within(3):
            (result,) = await put(log, 0, 1)
        assert isinstance(result, LogError)


async def test_who_leads_is_asked_again_where_the_task_that_asks_has_died(kafka: Kafka) -> None:
    async with open_kafka_log(kafka, [topic(1)]):
        brokers = Brokers(kafka, [kafka.prefix + TOPIC], Numbers())
        await brokers.start()
        client: Any = vars(brokers)["_client"]
        client._sync_task.cancel()
        await asyncio.sleep(0.01)
        brokers.refresh()
        assert await asyncio.wait_for(client.force_metadata_update(), 5)
        client._sync_task.cancel()
        await asyncio.sleep(0.01)
        await brokers.close()
        assert not any(connection.connected() for connection in client._conns.values())


async def test_who_waits_for_a_producer_while_the_log_closes_is_told_so(
    kafka: Kafka, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_kafka_log(kafka, [topic(1)]):
        appender = Appender(kafka, [TOPIC])

        async def start(_: Brokers) -> None:
            await asyncio.sleep(60)

        monkeypatch.setattr(Brokers, "start", start)
        waiting = asyncio.ensure_future(appender.ready())
        call = asyncio.ensure_future(appender.append(TOPIC, [NewEntry(0, b"k", b"v")], {0}))
        await asyncio.sleep(0.05)
        monkeypatch.setattr(appender, "_time", 0.1)
        await appender.close()
        with pytest.raises(Unavailable, match="the log is closed"):
            await asyncio.wait_for(waiting, 5)
        (result,) = await asyncio.wait_for(call, 5)
        assert isinstance(result, LogError)


async def test_what_is_compressed_is_read_back(kafka: Kafka) -> None:
    async with open_kafka_log(kafka.model_copy(update={"compression": "gzip"}), [topic(1)]) as log:
        assert await put(log, 0, *range(100)) == list(range(100))
        assert values(await kept(log, 0)) == [str(number) for number in range(100)]


async def test_a_compression_that_is_not_installed_is_named_at_the_start(kafka: Kafka) -> None:
    assert importlib.util.find_spec("cramjam") is None, "the environment of the tests has got it"
    with pytest.raises(ConfigError, match=r"kafka\.compression: .*zstd"):
        async with open_kafka_log(kafka.model_copy(update={"compression": "zstd"}), [topic(1)]):
            pass

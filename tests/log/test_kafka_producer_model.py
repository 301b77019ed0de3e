"""What the producer promises, whatever a cluster does: against the model, with many random stories."""

import asyncio
import random
from collections.abc import Mapping, Sequence

import pytest

from headwater.config_stack import Kafka
from headwater.errors import Unavailable
from headwater.log import NewEntry, TopicPartition
from storage import kafka_log_append, kafka_producer
from storage.kafka_brokers import Answer, Numbers
from storage.kafka_lane import Call, Lane
from storage.kafka_log_append import Appender
from storage.kafka_producer import Producer
from tests.log.kafka_model import PARTITIONS, Cluster, ModelBrokers, Noted

TOPIC = "t"


async def story(rnd: random.Random, cluster: Cluster, appender: Appender) -> list["asyncio.Task[object]"]:
    """Calls of several sizes, some of them given up by who made them, while leaders move."""
    tasks: list[asyncio.Task[object]] = []
    for number in range(rnd.choice([60, 250])):
        partition = rnd.randrange(PARTITIONS)
        entries = [NewEntry(partition, b"k", b"%d.%d" % (number, at)) for at in range(rnd.choice([1, 1, 2, 5, 9]))]
        task: asyncio.Task[object] = asyncio.ensure_future(appender.append(TOPIC, entries, {partition}))
        tasks.append(task)
        if rnd.random() < 0.05:
            asyncio.get_running_loop().call_later(rnd.random() / 50, task.cancel)
        if rnd.random() < 0.03:
            cluster.leaders[partition] ^= 1
        await asyncio.sleep(rnd.choice([0, 0, 0.001, 0.01]))
    return tasks


@pytest.mark.parametrize("seed", range(24))
async def test_whatever_a_cluster_does(monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    rnd = random.Random(seed)
    cluster = ModelBrokers.cluster = Cluster(rnd, rnd.choice([0.2, 1, 2]))
    Noted.all = {}
    monkeypatch.setattr(kafka_producer, "Brokers", ModelBrokers)
    monkeypatch.setattr(kafka_log_append, "Call", Noted)
    config = Kafka(servers=("nowhere:1",), request_time=rnd.choice([0.2, 0.5, 1.0]), replication=1)
    appender = Appender(config, [TOPIC])

    tasks = await story(rnd, cluster, appender)
    if rnd.random() < 0.5:
        await asyncio.wait(tasks, timeout=10)
    await asyncio.wait_for(appender.close(), 5)
    _, hanging = await asyncio.wait(tasks, timeout=5)

    assert not hanging
    assert not cluster.problems
    assert not appender.overloaded
    await asyncio.sleep(0.05)
    assert not cluster.open, "a producer was left"
    for partition, calls in Noted.all.items():
        log = cluster.logs[partition]
        assert len(log) == len(set(log)), "an entry is there twice"
        said = [value for call in calls for _, _, value in call.entries if value is not None]
        place = {value: at for at, value in enumerate(said)}
        assert [place[value] for value in log] == sorted(place[value] for value in log)
        for at, call in enumerate(calls):
            assert call.ended
            assert [log[offset] for offset in call.offsets] == [value for _, _, value in call.entries][
                : len(call.offsets)
            ]
            if call.error is None:
                assert len(call.offsets) == len(call.entries)
            else:
                assert all(later.error or later.began > call.ended for later in calls[at + 1 :])


class SilentBrokers(ModelBrokers):
    """No request is answered."""

    requests = 0

    async def produce(
        self, node: int, batches: Sequence[tuple[TopicPartition, bytes]]
    ) -> Mapping[TopicPartition, Answer]:
        SilentBrokers.requests += 1
        raise Unavailable("not sent")


async def test_a_lane_that_rests_begins_no_request_once_its_producer_is_told_to_stop(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Between the two the log may wait a second for something else; what waits here is failed then, not sent."""
    ModelBrokers.cluster = Cluster(random.Random(1), 0)
    SilentBrokers.requests = 0
    monkeypatch.setattr(kafka_producer, "Brokers", SilentBrokers)
    monkeypatch.setattr(kafka_producer, "_PAUSE", 0.001)
    config = Kafka(servers=("nowhere:1",), request_time=5, replication=1)
    loop = asyncio.get_running_loop()
    lane = Lane(TOPIC, 0, lambda _: None)
    lane.calls.append(call := Call([NewEntry(0, b"k", b"v")], loop.time() + 5))
    producer = Producer(config, [TOPIC], Numbers(1, 0), lambda _: None, lambda _: None)
    producer.carry(lane)
    async with asyncio.timeout(5):
        while SilentBrokers.requests < 2:  # it has rested, and does again
            await asyncio.sleep(0)
        await asyncio.sleep(0)
        producer.stop()
        before = SilentBrokers.requests
        await asyncio.sleep(0.05)  # timers fire in their order, and the lane's comes before this one
        assert (SilentBrokers.requests, call.done.done()) == (before, False)
        await producer.close()
        await call.done
    assert "closed" in str(call.error)
    assert SilentBrokers.requests == before

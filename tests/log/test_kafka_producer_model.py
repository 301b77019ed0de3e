"""What the producer promises, whatever a cluster does: against the model, with many random stories."""

import asyncio
import random

import pytest

from headwater.config_stack import Kafka
from headwater.log import NewEntry
from storage import kafka_log_append, kafka_producer
from storage.kafka_log_append import Appender
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
    await asyncio.wait_for(appender.close(), 20)
    _, hanging = await asyncio.wait(tasks, timeout=20)

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

"""The Kafka log on three brokers, of which one after the other dies while senders go on."""

import asyncio
import os
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import uuid4

import pytest

from headwater.config_stack import Kafka
from storage.kafka_log import open_kafka_log
from tests.log.kit import kept, topic, values
from tests.log.senders import all_there_in_order, sending
from tests.services.recipes import kafka_cluster
from tests.services.server import Missing, Process

PARTITIONS = 6
LIMIT = 100.0

pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
"""Where a broker goes away while aiokafka connects to it, aiokafka leaves a socket to the garbage collector."""


@pytest.fixture
def brokers(tmp_path: Path) -> Generator[list[Process]]:
    try:
        made = kafka_cluster(tmp_path, 3)
    except Missing as missing:
        if os.environ.get("CI"):
            pytest.fail(str(missing), pytrace=False)
        pytest.skip(str(missing))
    try:
        with ThreadPoolExecutor(len(made)) as threads:
            list(threads.map(Process.start, made))
        yield made
    finally:
        for broker in made:
            broker.close()


@pytest.mark.timeout(240)
async def test_leaders_die_and_every_entry_is_there_once_in_order(brokers: list[Process]) -> None:
    config = Kafka(
        servers=tuple(f"{broker.host}:{broker.port}" for broker in brokers),
        prefix=f"c{uuid4().hex[:12]}.",
        request_time=12,
        replication=3,
        min_insync=2,
    )
    async with asyncio.timeout(LIMIT), open_kafka_log(config, [topic(PARTITIONS)]) as log:
        async with sending(log, PARTITIONS) as senders:
            for broker in brokers[:2]:
                await senders.more()
                await asyncio.to_thread(broker.kill)
                await senders.more()
                await asyncio.to_thread(broker.start)
            await senders.more()
        await all_there_in_order(log, senders)
        for partition in range(PARTITIONS):
            found = values(await kept(log, partition))
            assert len(found) - len(set(found)) <= senders.errors, "what nobody sent twice is there twice"
        print(f"{senders.errors} refusals, {senders.longest:.1f} s at most")

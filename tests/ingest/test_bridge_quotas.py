"""A bridge that brings more than its class may is acknowledged later; nothing of it is lost."""

import asyncio

import pytest

from headwater.config_quotas import Quotas as Limits
from headwater.config_ways import Bridge as Settings
from headwater.errors import ConfigError
from headwater.metrics import Metrics
from ingest.bridge.bridge import Bridge
from ingest.mqtt.packets import Publish
from ingest.quotas import Quotas
from tests.ingest.bridge_kit import Broker, Reading, bridged
from tests.ingest.mqtt.kit import ScriptedIntake, until

CLASSES = {"classes": {"slow": {"publishes": 100, "size": 0}}}


def messages(count: int, qos: int) -> list[Publish]:
    return [
        Publish("devices/d1/telemetry", b'{"fields":{"n":%d}}' % n, qos << 1, n + 1 if qos else 0) for n in range(count)
    ]


def throttled(reading: Reading) -> float:
    return reading.metrics.sample("throttled_total", transport="bridge")


async def test_a_fast_broker_is_acknowledged_at_its_rate_and_all_of_it_in_order() -> None:
    broker = Broker(messages=messages(200, 1))
    begin = asyncio.get_running_loop().time()
    async with bridged(broker, CLASSES, quota="slow") as reading:
        await until(lambda: len(broker.acknowledged) == 200)
        assert asyncio.get_running_loop().time() - begin > 0.8  # 100 at once, then 100 a second, less what is in flight
        assert [publish.payload for publish in messages(200, 1)] == reading.intake.payloads
        assert throttled(reading) > 0
    assert sorted(broker.acknowledged) == list(range(1, 201))


async def test_what_need_not_be_acknowledged_is_read_later() -> None:
    broker = Broker(messages=messages(200, 0), window=200)
    async with bridged(broker, CLASSES, quota="slow") as reading:
        await until(lambda: len(reading.intake.payloads) == 200)
        await until(lambda: throttled(reading) > 0)
    assert broker.versions == [5]


async def test_without_a_class_there_is_no_limit_but_that_of_all() -> None:
    broker = Broker(messages=messages(300, 1))
    begin = asyncio.get_running_loop().time()
    async with bridged(broker, {"publishes": 150}):
        await until(lambda: len(broker.acknowledged) == 300)
    assert asyncio.get_running_loop().time() - begin > 0.8


async def test_a_class_that_is_not_there_is_refused_by_name() -> None:
    settings = Settings(quota="fast")
    quotas = Quotas(Limits(), asyncio.get_running_loop().time)
    with pytest.raises(ConfigError, match=r"bridges\.plant\.quota: quotas\.classes has no 'fast'"):
        Bridge("plant", settings, ScriptedIntake(), Metrics(), "127.0.0.1:1", quotas)

"""Which MQTT a bridge speaks: 5 where the broker knows it, 3.1.1 where it does not, found out anew each time."""

from collections.abc import Callable

import pytest

from tests.ingest.bridge_kit import Broker, bridged
from tests.ingest.mqtt.kit import until

UNACCEPTABLE = b"\x20\x02\0\x01"
"""CONNACK as 3.1.1 refuses a version."""
UNSUPPORTED = b"\x20\x03\0\x84\0"
"""CONNACK as MQTT 5 does."""


def reads(broker: Broker, version: int) -> Callable[[], bool]:
    return lambda: bool(broker.acknowledged) and broker.versions[-1] == version


@pytest.mark.parametrize(
    ("refusal", "stays"),
    [(UNACCEPTABLE, False), (UNACCEPTABLE, True), (UNSUPPORTED, False), (UNSUPPORTED, True), (b"", False)],
)
async def test_a_broker_that_refuses_five_is_read_with_3_1_1(refusal: bytes, stays: bool) -> None:
    broker = Broker(refusal, stays=stays)
    async with bridged(broker):
        await until(reads(broker, 4))
        assert broker.filters == ["#"]


async def test_a_broker_that_speaks_five_is_read_with_it_and_shared() -> None:
    broker = Broker()
    async with bridged(broker):
        await until(reads(broker, 5))
        assert broker.filters == ["$share/headwater/#"]


async def test_a_broker_that_has_learnt_five_is_read_with_it_from_then_on() -> None:
    broker = Broker(UNACCEPTABLE)
    async with bridged(broker):
        await until(reads(broker, 4))
        broker.refusal, broker.acknowledged = None, []
        broker.drop()
        await until(reads(broker, 5))
        assert broker.filters == ["$share/headwater/#"]


async def test_a_broker_that_closes_once_is_not_taken_for_an_old_one() -> None:
    broker = Broker(b"")
    async with bridged(broker):
        await until(lambda: broker.versions)
        broker.refusal = None
        await until(reads(broker, 5))
    assert 4 not in broker.versions


async def test_where_five_is_wanted_nothing_else_is_spoken() -> None:
    broker = Broker(UNACCEPTABLE)
    async with bridged(broker, version="5"):
        await until(lambda: len(broker.versions) > 3)
    assert set(broker.versions) == {5}

"""Quotas over MQTT: a sender that is too fast is read later, and nothing of what it sent is lost."""

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

import pytest

from ingest.mqtt.packets import Pingresp
from ingest.mqtt.properties import Properties
from ingest.mqtt.reasons import ReasonCode
from tests.ingest.mqtt.kit import Endpoint, endpoint, until, will

SLOW = {"publishes": 100, "size": 0}


@pytest.fixture
async def slow() -> AsyncGenerator[Endpoint, None]:
    quotas = {"default": {**SLOW, "subscriptions": 2, "in_flight": 7, "packet_size": 1000, "topic_length": 30}}
    async with endpoint(quotas=quotas | {"classes": {"fast": {"publishes": 0, "size": 1000}}}) as made:
        yield made


async def test_beyond_its_rate_a_connection_is_not_read_for_a_while_and_all_of_it_arrives(slow: Endpoint) -> None:
    client = await slow.connected("d1", 4, username="d1", password=slow.door.add("d1").encode())
    client.publish(*[b"x"] * 150, qos=0)
    await until(lambda: len(slow.intake.payloads) == 150)
    await until(slow.paused)
    assert slow.metrics.sample("throttled_total", transport="mqtt") == 1
    client.publish(b"later")
    await asyncio.sleep(0.05)  # nothing shall come: there is no event to wait for
    assert len(slow.intake.payloads) == 150
    slow.after(1)
    assert await client.acknowledged(1) == [1]
    assert slow.intake.payloads[-1] == b"later"
    assert not slow.paused()


async def test_its_keep_alive_rests_meanwhile(slow: Endpoint) -> None:
    client = await slow.connected("d1", 5, username="d1", password=slow.door.add("d1").encode(), keep_alive=10)
    client.publish(*[b"x"] * 150, qos=0)
    await until(slow.paused)
    slow.after(20)
    assert slow.broker.connections
    client.send_bytes(b"\xc0\0")
    assert isinstance(await client.packet(), Pingresp)


async def test_bytes_are_counted_too(slow: Endpoint) -> None:
    client = await slow.connected("d1", 4, username="d1", password=slow.door.add("d1", quota="fast").encode())
    client.publish(b"x" * 3000, qos=0)
    await until(slow.paused)
    slow.after(3)
    await until(lambda: not slow.paused())


async def test_whoever_is_trusted_has_no_quota(slow: Endpoint) -> None:
    client = await slow.connected("c1", 4)
    client.publish(*[b"x"] * 500, qos=0)
    await until(lambda: len(slow.intake.payloads) == 500)
    assert not slow.paused()


async def test_all_devices_together_have_one_too() -> None:
    async with endpoint(quotas={"publishes": 100, "default": {"publishes": 0}}) as made:
        clients = [
            await made.connected(name, 4, username=name, password=made.door.add(name).encode()) for name in ("a", "b")
        ]
        for name, client in zip("ab", clients, strict=True):
            client.publish(*[b"x"] * 80, qos=0, topic=f"devices/{name}/telemetry")
            await until(lambda: len(made.intake.payloads) in {80, 160})
        await until(lambda: made.metrics.sample("throttled_total") == 1)


async def test_limits_of_a_class_are_told_and_hold(slow: Endpoint) -> None:
    token = slow.door.add("d1").encode()
    client = await slow.client()
    connack = await client.connect("d1", username="d1", password=token)
    assert connack.properties.receive_maximum == 7
    assert (connack.properties.maximum_packet_size or 0) < 100_000
    suback = await client.subscribe("devices/d1/a", "devices/d1/b", "devices/d1/c")
    assert suback.codes == (0, 0, ReasonCode.QUOTA_EXCEEDED)
    client.publish(b"x" * 1001)
    assert (await client.disconnected()).code is ReasonCode.PACKET_TOO_LARGE


async def test_a_longer_topic_ends_the_connection(slow: Endpoint) -> None:
    client = await slow.connected("d1", username="d1", password=slow.door.add("d1").encode())
    client.publish(b"x", topic="devices/d1/" + "t" * 20)
    assert (await client.disconnected()).code is ReasonCode.QUOTA_EXCEEDED
    assert slow.intake.payloads == []


async def test_a_client_that_connects_again_and_again_has_to_wait(slow: Endpoint) -> None:
    token = slow.door.add("d1").encode()
    for _ in range(5):
        await (await slow.connected("d1", username="d1", password=token)).close()
    client = await slow.client()
    refused = await client.connect("d1", username="d1", password=token)
    assert refused.code is ReasonCode.CONNECTION_RATE_EXCEEDED
    await client.closed()
    await slow.connected("other", username="d1", password=token)  # another one is not its equal
    slow.after(1)
    await slow.connected("d1", username="d1", password=token)
    assert slow.metrics.sample("throttled_connects_total") == 1


async def test_a_blocked_address_is_refused_and_its_connections_end(slow: Endpoint) -> None:
    client = await slow.connected("c1", 4)
    slow.door.change("d1")
    slow.door.shut_out.add("127.0.0.1")
    slow.door.change("127.0.0.0/8")
    await client.closed()
    late = await slow.client()
    await late.closed()
    slow.door.shut_out.clear()
    again = await slow.client()
    assert (await again.connect("c1")).code is ReasonCode.SUCCESS
    assert slow.metrics.sample("blocked_total", transport="mqtt") == 2


async def test_wills_count_and_none_is_dropped_but_the_next_one_has_to_wait(slow: Endpoint) -> None:
    credentials = {"username": "d1", "password": slow.door.add("d1").encode()}
    for number in range(101):
        client = await slow.connected(f"c{number}", 5, will=will(), **credentials)
        await client.close()
    await until(lambda: len(slow.intake.payloads) == 101)
    late = await slow.client()
    assert (await late.connect("late", will=will(), **credentials)).code is ReasonCode.CONNECTION_RATE_EXCEEDED
    await slow.connected("no-will", 5, **credentials)
    assert slow.broker.quotas.rates().devices["d1"].messages == 101
    slow.after(0.02)
    await slow.connected("late", 5, will=will(), **credentials)


async def test_a_will_counts_in_the_share_of_all_devices() -> None:
    async with endpoint(quotas={"publishes": 1, "default": {"publishes": 0}}) as made:
        for name in ("a", "b"):
            client = await made.connected(
                name, 5, username=name, password=made.door.add(name).encode(), will=will(f"devices/{name}/telemetry")
            )
            await client.close()
        await until(lambda: len(made.intake.payloads) == 2)
        client = await made.connected("d", 4, username="d", password=made.door.add("d").encode())
        client.publish(b"x", qos=0, topic="devices/d/telemetry")
        await until(made.paused)


async def test_what_is_paid_for_between_two_looks_at_the_clock_is_paid_for(slow: Endpoint) -> None:
    client = await slow.connected("d1", 4, username="d1", password=slow.door.add("d1").encode())
    client.publish(*[b"x"] * 105, qos=0)
    await until(slow.paused)
    due = slow.clock.now + 0.05
    moments = iter([due - 1e-7])
    slow.broker.clock = lambda: next(moments, due + 1)  # a hair is owed at the first look, and nothing at the next
    await until(lambda: not slow.paused())
    client.publish(b"later")
    assert await client.acknowledged(1) == [1]


async def test_one_device_does_not_take_the_sessions_of_all_others() -> None:
    hour = Properties(session_expiry_interval=3600)
    async with endpoint(quotas={"default": {"sessions": 2}}, sessions=3) as here:
        greedy: dict[str, Any] = {"username": "d1", "password": here.door.add("d1").encode()}
        for name in ("a", "b"):
            await here.connected(name, **greedy, properties=hour)
        client, older = await here.client(5), await here.client(4)
        assert (await client.connect("c", **greedy, properties=hour)).code is ReasonCode.QUOTA_EXCEEDED
        assert (await older.connect("c", **greedy, clean=False)).code is ReasonCode.SERVER_UNAVAILABLE
        await here.connected("c", **greedy)
        await here.connected("b", **greedy, clean=False, properties=hour)
        await here.connected("x", username="d2", password=here.door.add("d2").encode(), properties=hour)
        await here.connected("a", **greedy)  # a clean one in the place of one that was kept
        await here.connected("e", **greedy, properties=hour)
        assert here.broker.plane.table.kept == {"d1": 2, "d2": 1}

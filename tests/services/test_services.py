"""The tests' own tools: a server can be killed, frozen and emptied, and the proxy takes one away without touching it."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from tests.services.proxy import proxied
from tests.services.server import Server

LIMIT = 60


@contextlib.asynccontextmanager
async def client(port: int) -> AsyncGenerator[Redis, None]:
    once = Retry(NoBackoff(), 0)
    connected = Redis(host="127.0.0.1", port=port, socket_timeout=0.5, socket_connect_timeout=0.5, retry=once)
    try:
        yield connected
    finally:
        await connected.aclose()


async def test_a_killed_redis_comes_back_on_its_port_with_its_data(redis_server: Server) -> None:
    async with asyncio.timeout(LIMIT), client(redis_server.port) as redis:
        await redis.set("services", "kept")
        await asyncio.to_thread(redis_server.kill)
        with pytest.raises(RedisConnectionError):
            await redis.ping()
        await asyncio.to_thread(redis_server.start)
        assert await redis.get("services") == b"kept"


async def test_a_frozen_redis_is_silent_and_answers_after_the_thaw(redis_server: Server) -> None:
    async with asyncio.timeout(LIMIT), client(redis_server.port) as redis:
        redis_server.freeze()
        with pytest.raises(RedisTimeoutError):
            await redis.ping()
        redis_server.thaw()
        assert await redis.ping()


async def test_a_wiped_redis_is_empty_and_serves(redis_server: Server) -> None:
    async with asyncio.timeout(LIMIT), client(redis_server.port) as redis:
        await redis.set("services", "lost")
    async with asyncio.timeout(LIMIT), client(redis_server.port) as redis:
        await asyncio.to_thread(redis_server.wipe)
        assert await redis.get("services") is None


async def append(port: int, topic: str, value: bytes) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=f"127.0.0.1:{port}", acks="all", request_timeout_ms=10_000)
    await producer.start()
    try:
        await producer.send_and_wait(topic, value)
    finally:
        await producer.stop()


async def read_one(port: int, topic: str) -> bytes | None:
    consumer = AIOKafkaConsumer(bootstrap_servers=f"127.0.0.1:{port}", auto_offset_reset="earliest")
    await consumer.start()
    try:
        consumer.assign([TopicPartition(topic, 0)])
        return (await consumer.getone()).value
    finally:
        await consumer.stop()


async def topics(port: int, *make: str) -> set[str]:
    admin = AIOKafkaAdminClient(bootstrap_servers=f"127.0.0.1:{port}", request_timeout_ms=10_000)
    await admin.start()
    try:
        if make:
            await admin.create_topics([NewTopic(name, 1, 1) for name in make])
        return set(await admin.list_topics())
    finally:
        await admin.close()


async def test_a_killed_kafka_keeps_what_it_acknowledged_and_a_wiped_one_nothing(kafka_server: Server) -> None:
    async with asyncio.timeout(LIMIT):
        await topics(kafka_server.port, "services")
        await append(kafka_server.port, "services", b"kept")
        await asyncio.to_thread(kafka_server.kill)
        await asyncio.to_thread(kafka_server.start)
        assert await read_one(kafka_server.port, "services") == b"kept"
        await asyncio.to_thread(kafka_server.wipe)
        assert "services" not in await topics(kafka_server.port)


async def test_a_frozen_kafka_takes_an_entry_after_the_thaw(kafka_server: Server) -> None:
    async with asyncio.timeout(LIMIT):
        await topics(kafka_server.port, "frozen")
        kafka_server.freeze()
        sending = asyncio.create_task(append(kafka_server.port, "frozen", b"late"))
        done, _ = await asyncio.wait([sending], timeout=0.3)
        assert not done
        kafka_server.thaw()
        await sending
        assert await read_one(kafka_server.port, "frozen") == b"late"


async def test_the_proxy_serves_hangs_and_refuses(redis_server: Server) -> None:
    async with asyncio.timeout(LIMIT), proxied(redis_server.port) as proxy, client(proxy.port) as redis:
        assert await redis.ping()
        await proxy.hang()
        with pytest.raises(RedisTimeoutError):
            await redis.ping()
        await proxy.serve()
        assert await redis.ping()
        await proxy.refuse()
        with pytest.raises(RedisConnectionError):
            await redis.ping()
        await proxy.serve()
        assert await redis.ping()


async def test_the_proxy_passes_much_both_ways_unchanged(redis_server: Server) -> None:
    async with asyncio.timeout(LIMIT), proxied(redis_server.port) as proxy, client(proxy.port) as redis:
        value = bytes(range(256)) * 20_000
        await redis.set("services:much", value)
        assert await redis.get("services:much") == value

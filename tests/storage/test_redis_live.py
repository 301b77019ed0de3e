"""Live state in Redis: the laws of stores, the same answers as the embedded one, and a server that goes and comes."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from headwater.config_stack import Redis
from headwater.errors import ConfigError, Stale, Unavailable
from headwater.log import MESSAGES
from headwater.message import Message
from headwater.saying import capture_logs
from storage.contract import Circle, LiveDevice, LiveReader, Record, Store
from storage.redis_connection import RedisConnection, connected
from storage.redis_script import Keys
from storage.redis_store import RedisLive, open_redis_live
from storage.sqlite_live import open_live
from tests.services.proxy import Proxy, proxied
from tests.services.server import Server
from tests.storage.factory import cut, message, messages, records
from tests.storage.laws import StoreLaws
from tests.storage.live.kit import LivePlace

LIMIT = 20.0


def settings_for(port: int, prefix: str, time: float = 5) -> Redis:
    return Redis(url=f"redis://127.0.0.1:{port}/0", prefix=prefix, time=time)


@pytest.fixture
def config(redis_server: Server) -> Redis:
    return settings_for(redis_server.port, f"live-{uuid4().hex}")


@pytest.fixture
async def live(config: Redis) -> AsyncGenerator[RedisLive, None]:
    async with open_redis_live(config, "log-1") as store:
        yield store


async def told(config: Redis, *command: str | bytes | float) -> object:
    """A command from outside."""
    async with connected(config) as redis:
        return await redis.run(*command)


async def forget(config: Redis) -> None:
    """All of this test's keys are gone, as if the server had come back empty."""
    keys = Keys(config.prefix, "log-1")
    await told(config, "DEL", *keys.written)


class RedisPlace(LivePlace):
    """A prefix on the test run's server, reached through a proxy once it is to be taken away."""

    def __init__(self, folder: Path, port: int, *, hang: bool) -> None:
        super().__init__(folder)
        self._prefix = f"live-{uuid4().hex}"
        self._port = port
        self._hang = hang
        self._proxy: Proxy | None = None

    @asynccontextmanager
    async def open(self, log_id: str = "log-1") -> AsyncGenerator[RedisLive, None]:  # type: ignore[override]
        async with AsyncExitStack() as stack:
            self._proxy = await stack.enter_async_context(proxied(self._port))
            yield await stack.enter_async_context(
                open_redis_live(settings_for(self._proxy.port, self._prefix, 0.5), log_id)
            )

    @asynccontextmanager
    async def taken_away(self) -> AsyncGenerator[None, None]:
        assert self._proxy is not None
        await (self._proxy.hang() if self._hang else self._proxy.refuse())
        try:
            yield
        finally:
            await self._proxy.serve()


class TestLaws(StoreLaws):
    hang = False

    @pytest.fixture(autouse=True)
    def _server(self, redis_server: Server) -> None:
        self.port = redis_server.port

    def place(self, folder: Path) -> RedisPlace:
        return RedisPlace(folder, self.port, hang=self.hang)


class TestLawsWhereItHangs(TestLaws):
    hang = True


async def answers(live: LiveReader) -> Sequence[object]:
    near = [await live.near(Circle(10.0, 20.0, radius), 5) for radius in (0.0, 1e6, 3e7)]
    return [await live.devices("", 100), await live.devices("7", 2), await live.devices("", 9, "pump"), near]


async def both(port: int, cuts: Sequence[Sequence[Record]], others: Sequence[Sequence[Record]]) -> None:
    with TemporaryDirectory() as folder:
        config = settings_for(port, f"live-{uuid4().hex}")
        async with open_live(Path(folder) / "live", "log-1") as one, open_redis_live(config, "log-1") as other:
            stores: list[tuple[Store, Sequence[Sequence[Record]]]] = [(one, cuts), (other, others)]
            for store, batches in stores:
                for batch in batches:
                    await store.write(batch)
            assert await answers(other) == await answers(one)
            assert await other.ledger(MESSAGES) == await one.ledger(MESSAGES)
            for found in await one.devices("", 100):
                assert await other.device_as_of(found.device) == await one.device_as_of(found.device)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(said=st.lists(messages(), max_size=14), data=st.data())
def test_it_answers_as_the_embedded_store_does(redis_server: Server, said: list[Message], data: st.DataObject) -> None:
    written = records(said)
    cuts, others = data.draw(cut(written)), data.draw(cut(written))
    asyncio.run(asyncio.wait_for(both(redis_server.port, cuts, others), LIMIT))


async def test_a_batch_of_many_devices_goes_in_chunks_and_counts_each_entry_once(
    live: RedisLive, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("storage.redis_fold.DEVICES", 7)
    written = records([message(n, f"d-{n % 23}") for n in range(200)])
    await live.write(written)
    await live.write(written)
    assert sum(found.entries for found in await live.devices("", 100)) == 200


async def test_rivals_in_many_chunks_count_each_entry_once(config: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("storage.redis_fold.DEVICES", 5)
    written = records([message(n, f"d-{n % 40}") for n in range(600)])
    async with open_redis_live(config, "log-1") as one, open_redis_live(config, "log-1") as other:
        for start in range(0, 600, 120):
            batch = written[max(0, start - 30) : start + 120]
            await asyncio.wait_for(asyncio.gather(one.write(batch), other.write(batch)), LIMIT)
        assert [found.entries for found in await one.devices("", 100)] == [15] * 40


async def test_logs_that_say_the_same_devices_at_once_lose_nothing(config: Redis) -> None:
    written = records([message(n, f"d-{n % 3}") for n in range(60)])
    async with open_redis_live(config, "log-1") as one, open_redis_live(config, "log-2") as other:
        for start in range(0, 60, 10):
            batch = written[start : start + 10]
            await asyncio.wait_for(asyncio.gather(one.write(batch), other.write(batch)), LIMIT)
        assert [found.entries for found in await one.devices("", 100)] == [40] * 3


async def test_without_its_script_the_server_is_given_it_again(live: RedisLive, config: Redis) -> None:
    written = records([message(n) for n in range(4)])
    for record in written:
        await told(config, "SCRIPT", "FLUSH")
        await live.write([record])
    found = await live.device("pump-7")
    assert found is not None
    assert found.entries == 4


async def test_back_empty_it_says_so_once_and_is_filled_again(live: RedisLive, config: Redis) -> None:
    written = records([message(n) for n in range(4)])
    await live.write(written[:3])
    await forget(config)
    with pytest.raises(Stale):
        await live.write(written[2:])
    assert await live.ledger(MESSAGES) == {}
    assert await live.devices("", 10) == []
    await live.write(written)
    found = await live.device("pump-7")
    assert found is not None
    assert found.entries == 4


async def test_back_empty_what_was_asked_of_it_before_is_no_excuse(live: RedisLive, config: Redis) -> None:
    written = records([message(n) for n in range(4)])
    await live.write(written)
    await forget(config)
    with pytest.raises(Stale):
        await live.write(written)
    await forget(config)
    assert await live.ledger(MESSAGES) == {}
    await live.write(written)
    assert len(await live.devices("", 10)) == 1


async def within(seconds: float, store: RedisLive, batch: Sequence[Record]) -> None:
    with pytest.raises(Unavailable):
        await asyncio.wait_for(store.write(batch), seconds)


async def test_frozen_killed_and_emptied_it_is_unavailable_and_comes_back(redis_server: Server) -> None:
    written = records([message(n) for n in range(30)])
    config = settings_for(redis_server.port, f"live-{uuid4().hex}", 0.3)
    async with open_redis_live(config, "log-1") as live:
        await told(config, "CONFIG", "SET", "appendfsync", "always")  # else a kill may cost it what it has answered
        await live.write(written[:10])
        redis_server.freeze()
        try:
            await within(3, live, written[10:20])
            with pytest.raises(Unavailable):
                await asyncio.wait_for(live.device("pump-7"), 3)
            with pytest.raises(Unavailable):
                async with open_redis_live(config, "log-1"):
                    pass
        finally:
            redis_server.thaw()
        await written_at_last(live, written[5:20])
        assert await live.ledger(MESSAGES) == {written[0].partition: 19}
        redis_server.kill()
        try:
            await within(3, live, written[20:])
            with pytest.raises(Unavailable):
                await live.ping()
        finally:
            redis_server.start()
        await written_at_last(live, written[15:])
        found = await live.device("pump-7")
        assert found is not None
        assert found.entries == 30
        redis_server.wipe()
        with pytest.raises(Stale):
            await written_at_last(live, written[25:])
        await live.write(written)
        found = await live.device("pump-7")
        assert found is not None
        assert found.entries == 30


async def written_at_last(live: RedisLive, batch: Sequence[Record]) -> None:
    async with asyncio.timeout(LIMIT):
        while True:
            try:
                await live.write(batch)
            except Unavailable:
                continue
            return


@pytest.mark.parametrize("key", ["ledger", "states", "names", "places", "turned"])
async def test_a_key_of_another_kind_is_named_and_nothing_is_written(live: RedisLive, config: Redis, key: str) -> None:
    await live.write(records([message(0)]))
    name: str = getattr(Keys(config.prefix, "log-1"), key)
    await told(config, "DEL", name)
    await told(config, "SET", name, "mine")
    before = await told(config, "HGETALL", Keys(config.prefix, "log-1").ledger) if key != "ledger" else None
    with pytest.raises(Unavailable, match="WRONGTYPE"):
        await live.write(records([message(1)], start=1))
    if before is not None:
        assert await told(config, "HGETALL", Keys(config.prefix, "log-1").ledger) == before


async def test_a_full_server_is_unavailable_and_nothing_is_half_there(live: RedisLive, config: Redis) -> None:
    await live.write(records([message(0)]))
    limit = await _setting(config, "maxmemory")
    await told(config, "CONFIG", "SET", "maxmemory", "1mb")
    try:
        with pytest.raises(Unavailable, match="maxmemory"):
            await live.write(records([message(1)], start=1))
        with pytest.raises(Unavailable):
            await live.ping()
    finally:
        await told(config, "CONFIG", "SET", "maxmemory", limit)
    await live.write(records([message(1)], start=1))
    found = await live.device("pump-7")
    assert found is not None
    assert found.entries == 2


async def _setting(config: Redis, name: str) -> bytes:
    reply = await told(config, "CONFIG", "GET", name)
    assert isinstance(reply, list)
    return reply[1]


async def test_settings_that_may_lose_data_are_warned_of(config: Redis) -> None:
    before = await _setting(config, "maxmemory-policy")
    await told(config, "CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
    try:
        with capture_logs() as lines:
            async with open_redis_live(config, "log-1"):
                pass
    finally:
        await told(config, "CONFIG", "SET", "maxmemory-policy", before)
    assert any("maxmemory-policy" in line["event"] and line["now"] == "allkeys-lru" for line in lines)


async def test_a_wrong_address_is_a_mistake_in_the_configuration() -> None:
    with pytest.raises(ConfigError, match=r"redis\.url"):
        async with open_redis_live(Redis(url="http://127.0.0.1:1"), "log-1"):
            pass


async def test_a_reader_that_is_cancelled_leaves_no_reply_behind(live: RedisLive, redis_server: Server) -> None:
    await live.write(records([message(0)]))
    redis_server.freeze()
    readers = [asyncio.create_task(live.device("other")) for _ in range(20)]
    try:
        await asyncio.wait(readers, timeout=0.05)
    finally:
        for reader in readers:
            reader.cancel()
        redis_server.thaw()
    await asyncio.wait_for(asyncio.gather(*readers, return_exceptions=True), LIMIT)
    found: list[LiveDevice | None] = await asyncio.wait_for(
        asyncio.gather(*(live.device("pump-7") for _ in range(20))), LIMIT
    )
    assert [one.device for one in found if one is not None] == ["pump-7"] * 20


async def test_a_connection_is_bounded_in_number(config: Redis) -> None:
    async with connected(config) as redis:
        assert isinstance(redis, RedisConnection)
        replies = await asyncio.wait_for(asyncio.gather(*(redis.run("PING") for _ in range(100))), LIMIT)
        assert len(replies) == 100
        listed = await redis.run("CLIENT", "LIST")
    assert listed.count(b"\n") <= 8

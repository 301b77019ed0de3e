"""The Kafka log while brokers die, hang and come back, and while members freeze."""

import asyncio
import gc
import signal
import sys
from collections.abc import Callable, Generator
from contextlib import aclosing
from uuid import uuid4

import pytest

from headwater.config_stack import Kafka
from headwater.errors import ConfigError, HeadwaterError, LogError, Stale, Unavailable
from headwater.log import NewEntry, TopicSpec
from storage.kafka_client import Consumer, new_consumer
from storage.kafka_log import open_kafka_log
from tests.log.kit import TOPIC, kept, put, take, topic, values
from tests.log.senders import all_there_in_order, sending
from tests.services.proxy import proxied
from tests.services.server import Server
from tests.taking import within

pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
"""Where a broker goes away while aiokafka connects to it, aiokafka leaves a socket to the garbage collector."""

LIMIT = 40.0
"""Seconds that any of this may take on a busy machine: a broker that was killed starts again in some of them."""


@pytest.fixture(autouse=True)
def collected() -> Generator[None, None, None]:
    """Such sockets are found here, not in another test."""
    yield
    gc.collect()


@pytest.fixture
def kafka(kafka_server: Server) -> Kafka:
    return Kafka(
        servers=(f"127.0.0.1:{kafka_server.port}",), prefix=f"f{uuid4().hex[:12]}.", request_time=1.5, replication=1
    )


@pytest.mark.parametrize("how", ["killed", "frozen"])
async def test_what_was_acknowledged_is_there_in_order_whatever_happens_to_the_broker(
    kafka: Kafka, kafka_server: Server, how: str
) -> None:
    away: Callable[[], None] = kafka_server.kill if how == "killed" else kafka_server.freeze
    back: Callable[[], None] = kafka_server.start if how == "killed" else kafka_server.thaw
    async with asyncio.timeout(LIMIT), open_kafka_log(kafka, [topic(2)]) as log:
        async with sending(log, 2, 3.5 * kafka.request_time) as senders:
            await senders.more()
            await asyncio.to_thread(away)
            try:
                while senders.errors < 4:
                    await asyncio.sleep(0.02)
                with pytest.raises(Unavailable):
                    await log.ping()
                with pytest.raises(Unavailable):
                    await log.ends(TOPIC)
            finally:
                await asyncio.to_thread(back)
            await senders.more()
            await senders.more()
        await all_there_in_order(log, senders)
        await log.ping()


async def test_everything_behind_a_failed_append_fails_too(kafka: Kafka, kafka_server: Server) -> None:
    async with asyncio.timeout(LIMIT), open_kafka_log(kafka, [topic(2)]) as log:
        await put(log, 0, "before")
        await asyncio.to_thread(kafka_server.freeze)
        try:
            with within(3.5 * kafka.request_time):
                calls = [asyncio.ensure_future(log.append(TOPIC, [NewEntry(0, b"k", b"%d" % n)])) for n in range(20)]
                results = [result for call in calls for result in await call]
            assert all(isinstance(result, LogError) for result in results)
        finally:
            await asyncio.to_thread(kafka_server.thaw)


async def test_members_take_on_after_the_broker_was_away(kafka: Kafka, kafka_server: Server) -> None:
    async with asyncio.timeout(LIMIT), open_kafka_log(kafka, [topic(1)]) as log:
        await put(log, 0, "a")
        async with log.subscribe([TOPIC], "g") as member:
            await member.commit(await take(member, 1))
            await asyncio.to_thread(kafka_server.kill)
            try:
                assert list(await member.batch(10, 1000, 0)) == []
            except Unavailable:
                pass
            finally:
                await asyncio.to_thread(kafka_server.start)
            while isinstance((await log.append(TOPIC, [NewEntry(0, b"k", b"b")]))[0], LogError):
                await asyncio.sleep(0.1)
            found: list[str] = []
            while "b" not in found:
                try:
                    batch = await member.batch(10, 1000, 0)
                    await member.commit(batch)
                    found += values(batch)
                except (Unavailable, Stale):
                    await asyncio.sleep(0.1)
            assert "a" not in found


async def test_no_broker_at_opening_is_unavailable_in_time(kafka_server: Server) -> None:
    async with asyncio.timeout(LIMIT), proxied(kafka_server.port) as proxy:
        config = Kafka(servers=(f"127.0.0.1:{proxy.port}",), prefix=f"f{uuid4().hex[:12]}.", request_time=0.5)
        for away in (proxy.refuse, proxy.hang):
            await away()
            with within(5), pytest.raises(Unavailable):
                async with open_kafka_log(config, [topic(1)]):
                    pass


async def test_another_number_of_partitions_is_refused_with_both_numbers(kafka: Kafka) -> None:
    async with open_kafka_log(kafka, [topic(3)]):
        pass
    with pytest.raises(ConfigError, match="made with 3 partitions, and 4 are configured"):
        async with open_kafka_log(kafka, [topic(4)]):
            pass


async def test_another_durability_is_refused(kafka: Kafka) -> None:
    async with open_kafka_log(kafka, [topic(1)]):
        pass
    more = kafka.model_copy(update={"replication": 2, "min_insync": 1})
    with pytest.raises(ConfigError, match="has 1 copies"):
        async with open_kafka_log(more, [topic(1)]):
            pass
    with pytest.raises(ConfigError, match=r"kafka\.min_insync is 2"):
        async with open_kafka_log(kafka.model_copy(update={"min_insync": 2}), [topic(1)]):
            pass


async def test_more_copies_than_brokers_are_refused_by_name(kafka: Kafka) -> None:
    with pytest.raises(ConfigError, match="replication"):
        async with open_kafka_log(kafka.model_copy(update={"replication": 3}), [topic(1)]):
            pass


async def test_processes_that_start_at_the_same_time_agree_on_the_id(kafka: Kafka) -> None:
    async def identity() -> str:
        async with open_kafka_log(kafka, [topic(2)]) as log:
            return log.id

    async with asyncio.timeout(LIMIT):
        assert len(set(await asyncio.gather(*(identity() for _ in range(5))))) == 1


async def test_a_member_that_was_frozen_past_its_session_cannot_commit(kafka: Kafka, kafka_server: Server) -> None:
    """Its broker hears nothing of it, and gives its partition to another before it speaks again."""
    async with asyncio.timeout(LIMIT):
        frozen = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.log.frozen_member", str(kafka_server.port), kafka.prefix,
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        assert frozen.stdin is not None
        assert frozen.stdout is not None
        try:
            async with open_kafka_log(kafka, [topic(1)], session=6) as log:
                await put(log, 0, "a", "b")
                assert await _said(frozen.stdout) == b"taken"
                frozen.send_signal(signal.SIGSTOP)
                async with log.subscribe([TOPIC], "g") as other:
                    theirs = await take(other, 2, 20)
                    await other.commit(theirs[:1])
                    frozen.send_signal(signal.SIGCONT)
                    frozen.stdin.write(b"commit\n")
                    assert await _said(frozen.stdout) == b"stale"
                    assert await log.committed("g", TOPIC) == {0: 1}
        finally:
            frozen.kill()
            await frozen.communicate()


async def _said(output: asyncio.StreamReader) -> bytes:
    """The next word of it that is no line of its log."""
    while line := await output.readline():
        if line.strip() in {b"taken", b"stale", b"committed"}:
            return line.strip()
    raise AssertionError("it ended")


async def test_what_a_group_is_behind_is_told(kafka: Kafka) -> None:
    spec = TopicSpec(TOPIC, 1, retention=1000.0)
    async with asyncio.timeout(LIMIT), open_kafka_log(kafka, [spec]) as log:
        await put(log, 0, "a", "b", "c")
        async with log.subscribe([TOPIC], "g") as member:
            await member.commit((await take(member, 3))[:1])
        (lag,) = await log.lags()
        assert (lag.group, lag.topic, lag.partition, lag.behind) == ("g", TOPIC, 0, 2)
        assert 0 < lag.age < LIMIT
        assert lag.share == pytest.approx(lag.age / 1000)


async def test_a_log_opened_for_reading_appends_nothing(kafka: Kafka) -> None:
    async with open_kafka_log(kafka, [topic(1)]) as log:
        await put(log, 0, "a")
    async with open_kafka_log(kafka, [topic(1)], produce=False) as log:
        assert values(await kept(log, 0)) == ["a"]
        assert isinstance((await log.append(TOPIC, [NewEntry(0, b"k", b"x")]))[0], HeadwaterError)


async def test_a_log_that_is_not_there_is_not_made_for_who_only_reads(kafka: Kafka) -> None:
    for _ in range(2):
        with pytest.raises(ConfigError, match=rf"kafka has no topic {kafka.prefix}"):
            async with open_kafka_log(kafka, [topic(1)], produce=False, make=False):
                pass


async def test_readers_that_want_no_more_leave_their_connections_to_the_next(
    kafka: Kafka, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    started: list[Kafka] = []

    def counted(config: Kafka, fetch_wait: int) -> Consumer:
        started.append(config)
        return new_consumer(config, fetch_wait)

    monkeypatch.setattr("storage.kafka_log_reader.new_consumer", counted)
    async with asyncio.timeout(LIMIT), open_kafka_log(kafka, [topic(1)]) as log:
        await put(log, 0, "a", "b", "c")
        for start in (0, 1, 2, 0):
            async with aclosing(log.read(TOPIC, 0, start)) as batches:
                async for entries in batches:
                    assert entries[0].offset == start
                    break
    gc.collect()
    assert len(started) == 1
    assert "never retrieved" not in caplog.text
    assert "destroyed" not in caplog.text

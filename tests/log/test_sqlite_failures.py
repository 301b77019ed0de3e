"""The SQLite log when the disk, the load or another process is against it."""

import asyncio
import resource
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from headwater import failpoints
from headwater.errors import ConfigError, LogError, Stale, Unavailable
from headwater.log import NewEntry, TopicPartition, TopicSpec
from storage.sqlite_log import open_log
from storage.sqlite_log_reader import open_log_readonly
from tests.log.kit import TOPIC, Recorder, kept, new, put, take, topic, values


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "log.sqlite"


@contextmanager
def armed(text: str) -> Generator[None, None, None]:
    failpoints.arm(text)
    try:
        yield
    finally:
        failpoints.arm("")


async def test_if_a_transaction_fails_so_does_all_that_waited_behind_it(path: Path) -> None:
    async with open_log(path, [topic(2)]) as log:
        await put(log, 0, "before")
        with armed("log.transaction=sleep:0.1"):
            first = asyncio.ensure_future(log.append(TOPIC, [*new(0, "a"), *new(1, "b")]))
            await asyncio.sleep(0.03)
            failpoints.arm("log.transaction=fail")
            second = asyncio.ensure_future(log.append(TOPIC, new(0, "c")))
            assert list(await first) == [1, 0]
            await asyncio.sleep(0)
            third = asyncio.ensure_future(log.append(TOPIC, new(0, "d", "e")))
            for results in (await second, await third):
                assert all(isinstance(result, LogError) for result in results)
        assert await put(log, 0, "after") == [2]
        assert values(await kept(log, 0)) == ["before", "a", "after"]


async def test_what_failed_to_be_committed_is_committed_by_the_next_try(path: Path) -> None:
    async with open_log(path, [topic(1)]) as log, log.subscribe([TOPIC], "g") as member:
        await put(log, 0, "a")
        entries = await take(member, 1)
        with armed("log.transaction=fail"), pytest.raises(Unavailable):
            await member.commit(entries)
        assert await log.committed("g", TOPIC) == {}
        await member.commit(entries)
        assert await log.committed("g", TOPIC) == {0: 1}


async def test_too_much_waiting_is_refused_at_once(path: Path) -> None:
    async with open_log(path, [topic(1)], most_waiting=10) as log:
        with armed("log.transaction=sleep:0.2"):
            running = asyncio.ensure_future(log.append(TOPIC, new(0, *"abc")))
            await asyncio.sleep(0.05)
            waiting = asyncio.ensure_future(log.append(TOPIC, new(0, *"0123456789")))
            await asyncio.sleep(0)
            refused = await log.append(TOPIC, new(0, "x"))
            assert isinstance(refused[0], LogError)
            assert refused[0].retry_after
            with pytest.raises(Unavailable):
                await log.ping()
            failpoints.arm("")
        assert list(await running) == [0, 1, 2]
        assert list(await waiting) == list(range(3, 13))
        await log.ping()


async def test_what_its_caller_has_given_up_is_not_written(path: Path) -> None:
    async with open_log(path, [topic(1)]) as log:
        with armed("log.transaction=sleep:0.1"):
            running = asyncio.ensure_future(log.append(TOPIC, new(0, "a")))
            await asyncio.sleep(0.03)
            given_up = asyncio.ensure_future(log.append(TOPIC, new(0, "b")))
            await asyncio.sleep(0)
            given_up.cancel()
            await running
        assert await put(log, 0, "c") == [1]
        assert values(await kept(log, 0)) == ["a", "c"]


async def test_a_full_disk_is_a_log_error_and_the_log_goes_on_when_there_is_room(path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    async with open_log(path, [topic(1)]) as log:
        await put(log, 0, "before")
        resource.setrlimit(resource.RLIMIT_FSIZE, (2**20, hard))
        try:
            results = await log.append(TOPIC, [NewEntry(0, b"k", bytes(500_000)) for _ in range(8)])
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        assert all(isinstance(result, LogError) for result in results)
        assert await put(log, 0, "after") == [1]
    async with open_log(path, [topic(1)]) as log:
        assert values(await kept(log, 0)) == ["before", "after"]


async def test_a_disk_that_does_not_answer_is_not_waited_for(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("storage.sqlite_log_append._PATIENCE", 0.05)
    async with open_log(path, [topic(1)]) as log:
        with armed("log.transaction=sleep:0.3"):
            stuck = await log.append(TOPIC, new(0, "a"))
            behind = await log.append(TOPIC, new(0, "b"))
            assert isinstance(stuck[0], LogError)
            assert isinstance(behind[0], LogError)
        await asyncio.sleep(0.4)
        assert await put(log, 0, "c") == [1]
        assert values(await kept(log, 0)) == ["a", "c"]  # it came through later, as its error says it may


async def test_another_partition_count_is_refused_with_both_numbers(path: Path) -> None:
    async with open_log(path, [topic(4)]):
        pass
    with pytest.raises(ConfigError, match=r"messages was made with 4 partitions, and 5 are"):
        async with open_log(path, [topic(5)]):
            pass


@pytest.mark.parametrize(
    "spec",
    [
        TopicSpec("t", 0),
        TopicSpec("t", 40_000),
        TopicSpec("t", 1, retention=5, compact=True),
        TopicSpec("t", 1, retention_size=5, compact=True),
    ],
)
async def test_a_topic_that_makes_no_sense_is_refused(path: Path, spec: TopicSpec) -> None:
    with pytest.raises(ConfigError, match="topic t"):
        async with open_log(path, [spec]):
            pass


async def test_a_second_opener_is_refused_and_told_who_has_it(path: Path) -> None:
    script = "import sys, time; from pathlib import Path; from storage.process_lock import process_lock\n"
    script += f"with process_lock(Path({str(path)!r} + '.lock'), 'x'): print('held', flush=True); time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"held\n"
        with pytest.raises(ConfigError, match=f"in use by another process .pid {other.pid}"):
            async with open_log(path, [topic(1)]):
                pass
        other.send_signal(signal.SIGKILL)
    async with open_log(path, [topic(1)]) as log:
        with pytest.raises(ConfigError, match="in use"):
            async with open_log(path, [topic(1)]):
                pass
        assert await put(log, 0, "a") == [0]


async def test_a_file_that_is_no_log_is_said_to_be_none(path: Path) -> None:
    path.write_bytes(b"something else entirely" * 100)
    with pytest.raises(Unavailable, match="not a database"):
        async with open_log(path, [topic(1)]):
            pass
    with pytest.raises(ConfigError, match="not a log"):
        async with open_log_readonly(path):
            pass


async def test_a_log_of_a_later_format_is_refused(path: Path) -> None:
    async with open_log(path, [topic(1)]):
        pass
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE meta SET value = '2' WHERE name = 'format'")
    connection.close()
    with pytest.raises(ConfigError, match="format 2"):
        async with open_log(path, [topic(1)]):
            pass
    with pytest.raises(ConfigError, match="format 2"):
        async with open_log_readonly(path):
            pass


async def test_a_reader_beside_the_writer_sees_what_is_durable(path: Path) -> None:
    with pytest.raises(ConfigError, match="no log"):
        async with open_log_readonly(path):
            pass
    async with open_log(path, [topic(2)]) as log, open_log_readonly(path) as beside:
        await put(log, 1, "a", "b")
        async with log.subscribe([TOPIC], "g") as member:
            await member.commit(await take(member, 2))
        assert beside.id == log.id
        assert beside.partitions(TOPIC) == 2
        assert await beside.ends(TOPIC) == await log.ends(TOPIC)
        assert await beside.committed("g", TOPIC) == {1: 2}
        reader = beside.read(TOPIC, 1, 0, follow=True)
        assert values(await anext(reader)) == ["a", "b"]
        await put(log, 1, "c")
        async with asyncio.timeout(5):
            assert values(await anext(reader)) == ["c"]
        await reader.aclose()
    async with open_log_readonly(path) as alone:
        assert [values(batch) async for batch in alone.read(TOPIC, 1, 1)] == [["b", "c"]]


@pytest.mark.parametrize("how", ["hangs", "fails"])
async def test_a_revoked_hook_that_hangs_or_fails_does_not_keep_the_partition(
    path: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    class Bad(Recorder):
        async def revoked(self, partitions: Sequence[TopicPartition]) -> None:
            await super().revoked(partitions)
            if how == "fails":
                raise RuntimeError
            await asyncio.sleep(3600)

    monkeypatch.setattr("storage.sqlite_log_member.REVOKE_TIME", 0.05)
    hooks = Bad()
    async with open_log(path, [topic(2)]) as log, log.subscribe([TOPIC], "g", hooks) as first:
        await put(log, 0, "a")
        await put(log, 1, "b")
        in_hand = await take(first, 2)
        async with log.subscribe([TOPIC], "g") as second:
            theirs = await take(second, 1)
            assert [at.partition for at in hooks.revocations[0]] == [theirs[0].partition]
            with pytest.raises(Stale):
                await first.commit(in_hand)


async def test_an_assigned_hook_that_hangs_is_silence(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Hanging(Recorder):
        async def assigned(self, partitions: Sequence[TopicPartition]) -> Mapping[TopicPartition, int]:
            await asyncio.sleep(3600)
            return {}

    monkeypatch.setattr("storage.sqlite_log_member.REVOKE_TIME", 0.05)
    async with open_log(path, [topic(1)], session=0.1) as log, log.subscribe([TOPIC], "g", Hanging()) as stuck:
        await put(log, 0, "a")
        hanging = asyncio.ensure_future(stuck.batch(1, 1, 0))
        await asyncio.sleep(0.02)
        async with log.subscribe([TOPIC], "g") as other:
            assert values(await take(other, 1)) == ["a"]
        hanging.cancel()

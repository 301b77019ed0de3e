"""Killed at any moment, the log has every entry whose offset it reported, once, where it said."""

import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from headwater.log import TopicSpec
from storage.sqlite_log import open_log
from tests.log.crash_child import PARTITIONS
from tests.log.kit import TOPIC, kept, put

ROOT = Path(__file__).parents[2]


def append_until_killed(path: Path, lines: int, failpoint: str = "") -> list[bytes]:
    """Let a child append; kill it after it has reported that many entries, unless it kills itself."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "HEADWATER_FAILPOINTS": failpoint}
    command = [sys.executable, "-m", "tests.log.crash_child", str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment, cwd=ROOT) as child:
        assert child.stdout is not None
        reported = b""
        while reported.count(b"\n") < lines and (more := os.read(child.stdout.fileno(), 65_536)):
            reported += more
        child.send_signal(signal.SIGKILL)
        reported += child.stdout.read()
        assert child.wait(10) == -signal.SIGKILL
    return reported.split(b"\n")[:-1]


async def check(path: Path, reported: list[bytes]) -> int:
    """Every reported entry is there, offsets have no gaps, nothing is twice, and appending goes on behind it all."""
    found: dict[tuple[int, int], bytes | None] = {}
    async with open_log(path, [TopicSpec(TOPIC, PARTITIONS)]) as log:
        for partition in range(PARTITIONS):
            entries = await kept(log, partition)
            assert [entry.offset for entry in entries] == list(range(len(entries)))
            found |= {(partition, entry.offset): entry.value for entry in entries}
            assert await put(log, partition, f"after {len(reported)} in {partition}") == [len(entries)]
    assert len(set(found.values())) == len(found)
    for line in reported:
        partition, offset, value = line.split(b" ", 2)
        assert found[int(partition), int(offset)] == value
    return len(found)


@pytest.mark.process
async def test_every_reported_offset_is_there_after_kill_9(tmp_path: Path) -> None:
    path, reported = tmp_path / "log.sqlite", list[bytes]()
    for _ in range(4):
        reported += append_until_killed(path, random.randint(20, 3_000))
        assert await check(path, reported) >= len(reported)


@pytest.mark.process
async def test_what_was_not_yet_committed_when_it_died_is_not_there(tmp_path: Path) -> None:
    path = tmp_path / "log.sqlite"
    reported = append_until_killed(path, 10**9, "log.transaction=kill@12")
    assert reported
    assert await check(path, reported) == len(reported)

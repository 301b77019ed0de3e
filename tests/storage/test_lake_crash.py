"""Killed at any place, or raced by another process, the lake has each record once when it is opened again."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from storage.contract import Record
from storage.delta_lake import open_lake
from tests.storage.lake_kit import TOPICS, expected, reader, seen
from tests.storage.lake_rival import CONFIG, save
from tests.storage.laws import some_records

PLACES = [
    "lake.files_written",
    "lake.files_written@3",
    "lake.first_table@2",
    "lake.committed@3",
    "lake.compacting",
    "lake.compacting@2",
    "lake.compacted",
]


def start(root: Path, written: list[Record], batch: int, *seed: str, **environment: str) -> "subprocess.Popen[str]":
    file = save(root.with_name(f"records{''.join(seed)}"), written)
    command = [sys.executable, "-m", "tests.storage.lake_rival", str(root), str(file), str(batch), *seed]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=os.environ | environment)


@pytest.mark.process
@pytest.mark.parametrize("place", PLACES)
async def test_killed_there_and_started_again_each_record_is_there_once(tmp_path: Path, place: str) -> None:
    root = tmp_path / "lake"
    written = some_records(TOPICS, 20)
    name, _, nth = place.partition("@")
    killed = start(root, written, 14, HEADWATER_FAILPOINTS=f"{name}=kill@{nth or 1}", MERGE="1")
    assert killed.communicate(timeout=60)[0] == ""
    assert killed.returncode == -9, "it passed the place and died there"
    wanted = expected(written)
    async with reader(root) as lake:
        before = await seen(lake)
        assert before.messages.items() <= wanted.messages.items()
    async with open_lake(root, "log-1", CONFIG) as lake:
        await lake.write(written)
        assert await seen(lake) == wanted
    assert not list((root / ".scratch").iterdir()), "what the killed one left there is gone"


@pytest.mark.process
async def test_processes_that_write_and_merge_the_same_at_once_leave_it_there_once(tmp_path: Path) -> None:
    root = tmp_path / "lake"
    written = some_records(TOPICS, 60)
    rivals = [start(root, written, 20, seed, MERGE="1") for seed in ("a", "b", "c")]
    assert [rival.communicate(timeout=100)[0] for rival in rivals] == ["done\n"] * 3
    async with open_lake(root, "log-1", CONFIG) as lake:
        assert await seen(lake) == expected(written)
        rows = [row async for batch in lake.ids("messages") for row in batch]
        assert len(rows) == len({row[:2] for row in rows}) == 60, "not only in the view: no entry is there twice"

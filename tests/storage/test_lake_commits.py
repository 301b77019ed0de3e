"""What a commit promises: whole or not at all, on the version it was meant for, the ledger in it, and seen by others."""

import asyncio
import errno
import json
import os
import shutil
import time
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
from deltalake import DeltaTable

from headwater import failpoints
from headwater.config import Lake
from headwater.errors import ConfigError, PartialWrite, Stale, Unavailable
from headwater.log import MESSAGES
from storage.delta_lake import DeltaLake, open_lake
from storage.lake_log import Conflict, TableLog
from storage.lake_schema import MESSAGES_TABLE
from tests.storage.factory import T, candidate, highest, message, records, rejected
from tests.storage.lake_kit import expected, reader, seen

CONFIG = Lake()


@pytest.fixture
async def lake(tmp_path: Path) -> AsyncGenerator[DeltaLake, None]:
    async with open_lake(tmp_path / "lake", "log-1", CONFIG) as opened:
        yield opened


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "lake"


def on_disk(root: Path, table: str = "messages") -> list[Path]:
    return sorted((root / table).glob("day=*/*.parquet"))


async def test_a_folder_that_deltalake_would_misread_is_refused_at_once(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="use another one"):
        async with open_lake(tmp_path / "a%20lake", "log-1", CONFIG):
            pass


async def test_deltalake_sees_the_ledger_and_the_files(lake: DeltaLake, root: Path) -> None:
    written = records([message(n, f"d{n % 4}") for n in range(20)])
    await lake.write(written[:10])
    await lake.write(written[10:])
    for name in ("messages", "readings"):
        table = DeltaTable(root / name)
        for partition, position in highest(written).items():
            assert table.transaction_version(f"log-1/messages/{partition}") == position
        assert len(table.file_uris()) == 2
        rows = table.get_add_actions(flatten=True).to_struct_array().to_pylist()
        assert [row["num_records"] for row in rows] == [10, 10]
        assert {row["min.device"] for row in rows} == {"d0"}


async def test_the_range_that_a_commit_states_is_around_all_rows(lake: DeltaLake, root: Path) -> None:
    await lake.write(records([message(0, "b", time=T + 1), message(1, "a", time=T + 1999)]))
    (row,) = DeltaTable(root / "messages").get_add_actions(flatten=True).to_struct_array().to_pylist()
    assert (row["min.device"], row["max.device"]) == ("a", "b")
    micros = [int(row[f"{end}.time"].timestamp() * 1e6) - T for end in ("min", "max")]
    assert micros == [0, 2000], "in whole milliseconds, as the protocol has it"


async def test_a_writer_that_slept_until_the_log_was_tidied_loses_nothing(lake: DeltaLake, root: Path) -> None:
    written = records([message(n) for n in range(30)])
    async with open_lake(root, "log-1", CONFIG) as sleeper:
        await sleeper.write(written[:10])
        for start in range(10, 20):
            await lake.write(written[start : start + 1])
        log = root / "messages" / "_delta_log"
        DeltaTable(root / "messages").create_checkpoint()
        for path in log.iterdir():
            os.utime(path, (0, 0))
        DeltaTable(root / "messages").cleanup_metadata()
        assert not (log / f"{2:020d}.json").exists(), "the version that the sleeper would commit is free again"
        await sleeper.write(written[5:])
        assert await sleeper.ledger(MESSAGES) == highest(written)
    assert await seen(lake) == expected(written)


async def test_a_version_below_the_checkpoint_is_never_committed(lake: DeltaLake, root: Path) -> None:
    written = records([message(n) for n in range(10)])
    await lake.write(written[:5])
    log = TableLog(lake.files, MESSAGES_TABLE)
    before = log.latest()
    assert before is not None
    await lake.write(written[5:])
    folder = root / "messages" / "_delta_log"
    DeltaTable(root / "messages").create_checkpoint()
    for path in folder.glob("*.json"):
        path.unlink()
    with pytest.raises(Conflict):
        log.commit(before, "WRITE", transactions={"log-1/messages/0": 999})
    assert not list(folder.glob("*.json"))
    assert await lake.ledger(MESSAGES) == highest(written)


async def test_what_has_no_place_in_a_column_is_refused_and_the_rest_is_durable(lake: DeltaLake) -> None:
    said = records([message(n, seq=2**63 if n in {1, 3} else n) for n in range(5)])
    written = [*records([candidate(0)]), *said, *records([rejected(0)])]
    with pytest.raises(PartialWrite) as refused:
        await lake.write(written)
    assert set(refused.value.reasons) == {2, 4}, "by their index in the batch"
    assert await lake.ledger(MESSAGES) == highest(said)
    assert await seen(lake) == expected([record for at, record in enumerate(written) if at not in {2, 4}])
    await lake.write(written)
    await lake.write(records([message(n, seq=n) for n in range(5, 7)], start=5))
    with pytest.raises(PartialWrite):
        await lake.write(records([message(7, seq=2**63)], start=7))
    assert await lake.ledger(MESSAGES) == {said[0].partition: 7}, "nothing to write moves the ledger, too"


async def test_a_full_disk_leaves_nothing_behind_and_is_no_reason_to_lose_anything(
    lake: DeltaLake, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = records([message(n) for n in range(10)])
    await lake.write(written[:5])
    real = os.write

    def full(handle: int, data: memoryview) -> int:
        if len(data) < 500:
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(handle, data[: len(data) // 2])

    def fuller(handle: int, data: memoryview) -> int:
        return full(handle, data[:1])

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(Unavailable, match="No space left"):
        await lake.write(written)
    monkeypatch.setattr(os, "write", fuller)
    with pytest.raises(Unavailable, match="No space left"):
        await lake.ping()
    monkeypatch.undo()
    assert len(on_disk(root)) == 1, "half a file is no file"
    await lake.write(written)
    assert await seen(lake) == expected(written)


async def test_between_its_two_tables_a_batch_is_not_applied_yet(lake: DeltaLake, root: Path) -> None:
    written = records([message(n) for n in range(10)])
    failpoints.arm("lake.first_table=fail")
    try:
        with pytest.raises(Unavailable):
            await lake.write(written)
    finally:
        failpoints.arm("")
    assert await lake.ledger(MESSAGES) == {}
    assert [len(DeltaTable(root / name).file_uris()) for name in ("messages", "readings")] == [1, 0]
    await lake.write(written[:3])
    await lake.write(written)
    assert await lake.ledger(MESSAGES) == highest(written)
    assert await seen(lake) == expected(written)
    rows = DeltaTable(root / "readings").to_pyarrow_table()
    assert sorted(rows["offset"].to_pylist()) == list(range(10))


async def test_a_table_in_place_of_another_one_makes_its_writer_begin_anew(lake: DeltaLake, root: Path) -> None:
    written = records([message(n) for n in range(10)])
    await lake.write(written[:5])
    shutil.rmtree(root / "messages")
    async with open_lake(root, "log-1", CONFIG):
        with pytest.raises(Stale):
            await lake.write(written[5:])
    assert await lake.ledger(MESSAGES) == {}
    await lake.write(written)
    assert await lake.ledger(MESSAGES) == highest(written)
    assert await seen(lake) == expected(written)


async def test_a_write_that_nobody_waits_for_any_more_is_not_written_twice(lake: DeltaLake) -> None:
    written = records([message(n) for n in range(2000)])
    for _ in range(3):
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(lake.write(written), 0.001)
    await lake.write(written)
    rows = [row async for batch in lake.ids(MESSAGES) for row in batch]
    assert len(rows) == 2000


async def test_after_a_power_cut_no_commit_is_there_without_its_files(
    lake: DeltaLake, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever has a name was synced before, and its folder after; and data before the commit that refers to it."""
    synced: dict[str, int] = {}
    links: list[tuple[str, int]] = []
    real_sync, real_link = os.fsync, os.link

    def sync(handle: int) -> None:
        synced[str(Path(f"/proc/self/fd/{handle}").readlink())] = time.monotonic_ns()
        real_sync(handle)

    def link(hidden: Path, target: Path) -> None:
        assert str(hidden) in synced, "its bytes are on disk before it has its name"
        for action in map(json.loads, hidden.read_text().splitlines()):
            if "add" in action:
                path = target.parent.parent / action["add"]["path"]
                assert str(path) in synced
                assert synced[str(path.parent)] > synced[str(path)], "and so is its name"
                assert str(path.parent.parent) in synced, "and that of its folder"
        links.append((str(target.parent), time.monotonic_ns()))
        real_link(hidden, target)

    monkeypatch.setattr(os, "fsync", sync)
    monkeypatch.setattr(os, "link", link)
    await lake.write(records([message(n) for n in range(3)]))
    assert len(links) == 2
    for folder, moment in links:
        assert synced[folder] > moment


async def test_a_half_written_checkpoint_is_never_in_the_log(
    lake: DeltaLake, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("storage.lake_log.CHECKPOINT_EVERY", 3)
    written = records([message(n) for n in range(12)])
    real = DeltaTable.create_checkpoint

    def fail(table: DeltaTable) -> None:
        real(table)
        raise OSError(errno.EIO, "the power went just now")

    monkeypatch.setattr(DeltaTable, "create_checkpoint", fail)
    for start in range(0, 8, 2):
        await lake.write(written[start : start + 2])
    log = root / "messages" / "_delta_log"
    assert not list(log.glob("*checkpoint*")), "it is made beside the log"
    monkeypatch.setattr(DeltaTable, "create_checkpoint", real)
    await lake.write(written)
    assert json.loads((log / "_last_checkpoint").read_text())["version"] == 5
    async with reader(root) as other:
        assert await seen(other) == expected(written)

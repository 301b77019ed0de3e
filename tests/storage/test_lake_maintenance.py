"""Closed days become few sorted files with one row an id; open days stay readable; old files go, young ones never."""

import asyncio
import os
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
from deltalake import DeltaTable

from headwater.config import Lake
from headwater.log import CANDIDATES, MESSAGES, REJECTED
from headwater.message import Body, Origin
from headwater.times import SECOND
from storage import lake_log, lake_merge
from storage.arrow import pq
from storage.contract import Record
from storage.delta_lake import DeltaLake, open_lake
from storage.lake_compaction import CROWD
from storage.lake_maintenance import Done, Maintainer
from tests.storage.factory import DAY, T, candidate, message, records, rejected
from tests.storage.lake_kit import expected, reader, seen

LATER = time.time_ns() // 1000 + 3 * DAY
CONFIG = Lake(closed_after=3600)


def files_of(root: Path, table: str) -> list[Path]:
    """Those the newest version refers to."""
    return sorted(root / table / path for path in DeltaTable(root / table).get_add_actions().column("path").to_pylist())


def on_disk(root: Path, table: str) -> set[Path]:
    return set((root / table).glob("day=*/*.parquet"))


def set_age(path: Path, seconds: float) -> None:
    then = time.time() - seconds
    os.utime(path, (then, then))


def sample(copies: int = 2) -> list[Record]:
    """Two days, several devices, everything `copies` times on the topics."""
    bodies: list[Body] = []
    for copy in range(copies):
        for n in range(40):
            device = f"d{n % 4}"
            shift = (n % 2) * DAY
            bodies.append(message(n, device, received=T + shift + n * SECOND, fields={"a": n, "b": n % 3 == 0}))
            bodies.append(rejected(n, device=device))
            chosen = candidate(n, device, revision=copy)
            chosen.origin = Origin(chosen.origin.partition, 1000 * copy + n, 0)
            bodies.append(chosen)
    return records(bodies)


async def fill(lake: DeltaLake, written: Sequence[Record], batch: int = 30) -> None:
    for start in range(0, len(written), batch):
        await lake.write(written[start : start + batch])


@pytest.mark.parametrize("name", ["lake", "a% lake [7] of {x,y}* 'ü'"])
async def test_closed_days_become_one_file_and_look_the_same(tmp_path: Path, name: str) -> None:
    written, root = sample(), tmp_path / name
    async with open_lake(root, "log-1", CONFIG) as lake:
        await fill(lake, written)
        before = await seen(lake)
        ledgers = [await lake.ledger(topic) for topic in (MESSAGES, CANDIDATES, REJECTED)]
        done = await Maintainer(lake, CONFIG).once(LATER)
        assert done.closed == 2 + 1 + 1
        assert await seen(lake) == before == expected(written)
        assert [await lake.ledger(topic) for topic in (MESSAGES, CANDIDATES, REJECTED)] == ledgers
        assert await Maintainer(lake, CONFIG).once(LATER) == Done(), "nothing more to do"
    assert [len(files_of(root, table)) for table in ("messages", "readings")] == [2, 2]
    rows = [pq.ParquetFile(path).metadata.num_rows for path in files_of(root, "messages")]
    assert rows == [20, 20], "each id once in the files too"
    rows = [pq.ParquetFile(path).metadata.num_rows for path in files_of(root, "readings")]
    assert rows == [40, 40], "and its readings"


async def test_nothing_is_closed_while_files_still_come_for_it(tmp_path: Path) -> None:
    async with open_lake(tmp_path / "lake", "log-1", CONFIG) as lake:
        await fill(lake, sample())
        now = time.time_ns() // 1000
        assert (await Maintainer(lake, CONFIG).once(now)).closed == 0, "the day is long over, its files are new"
        assert (await Maintainer(lake, CONFIG).once(now + 2 * 3600 * SECOND)).closed == 4


async def test_a_copy_that_comes_for_a_closed_day_is_still_one_row_and_goes_with_the_next_closing(
    tmp_path: Path,
) -> None:
    written = sample(copies=1)
    late = records([message(n, f"d{n % 4}", received=T + n % 2 * DAY + n * SECOND) for n in range(6)], start=500)
    async with open_lake(tmp_path / "lake", "log-1", CONFIG) as lake:
        await fill(lake, written)
        await Maintainer(lake, CONFIG).once(LATER)
        await lake.write(late)
        assert await seen(lake) == expected(written)
        assert (await Maintainer(lake, CONFIG).once(LATER)).closed == 2
        assert await seen(lake) == expected(written)
    for table, rows in (("messages", [20, 20]), ("readings", [40, 40])):
        assert [pq.ParquetFile(path).metadata.num_rows for path in files_of(tmp_path / "lake", table)] == rows


async def test_many_small_files_of_an_open_day_become_one_and_doubles_stay_for_the_view(tmp_path: Path) -> None:
    written = records([message(n) for n in [*range(CROWD), *range(CROWD)]])
    async with open_lake(tmp_path / "lake", "log-1", CONFIG) as lake:
        await fill(lake, written, batch=2)
        assert len(files_of(tmp_path / "lake", "messages")) == CROWD
        done = await Maintainer(lake, CONFIG).once()
        assert (done.closed, done.thinned) == (0, 2)
        assert await seen(lake) == expected(written)
    (file,) = files_of(tmp_path / "lake", "messages")
    assert pq.ParquetFile(file).metadata.num_rows == 2 * CROWD


async def test_rows_that_come_while_a_day_is_closed_survive_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written = sample()
    late = records([message(n, "late", received=T + n * SECOND) for n in range(5)], start=500)
    async with open_lake(tmp_path / "lake", "log-1", CONFIG) as lake:
        await fill(lake, written)
        loop, prove = asyncio.get_running_loop(), lake_merge.Merge._prove  # pyright: ignore[reportPrivateUsage]
        wrote: list[object] = []

        def meanwhile(merge: lake_merge.Merge, made: Sequence[Sequence[object]]) -> None:
            if not wrote:
                wrote.append(asyncio.run_coroutine_threadsafe(lake.write(late), loop).result(30))
            prove(merge, made)  # type: ignore[arg-type]

        monkeypatch.setattr(lake_merge.Merge, "_prove", meanwhile)
        assert (await Maintainer(lake, CONFIG).once(LATER)).closed == 4
        assert wrote
        assert await seen(lake) == expected([*written, *late])


async def test_two_maintainers_at_once_do_no_harm(tmp_path: Path) -> None:
    written = sample()
    async with open_lake(tmp_path / "lake", "log-1", CONFIG) as lake:
        await fill(lake, written)
        await asyncio.gather(Maintainer(lake, CONFIG).once(LATER), Maintainer(lake, CONFIG).once(LATER))
        assert await seen(lake) == expected(written)
        await Maintainer(lake, CONFIG).once(LATER)
        assert await seen(lake) == expected(written)
    assert len(files_of(tmp_path / "lake", "messages")) == 2


async def test_a_merge_that_would_lose_an_id_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written = sample()

    def without_the_last(*said: object, **options: object) -> object:
        for rows in all_rows(*said, **options):  # type: ignore[arg-type]
            yield rows.slice(0, rows.num_rows - 1)

    async with open_lake(tmp_path / "lake", "log-1", CONFIG) as lake:
        await fill(lake, written)
        before = on_disk(tmp_path / "lake", "messages")
        all_rows = lake_merge.Merge._rows  # pyright: ignore[reportPrivateUsage]
        monkeypatch.setattr(lake_merge.Merge, "_rows", without_the_last)
        assert (await Maintainer(lake, CONFIG).once(LATER)).closed == 0
        assert await seen(lake) == expected(written)
    assert on_disk(tmp_path / "lake", "messages") == before, "and nothing is left of it"


async def test_large_days_are_merged_range_by_range_into_files_of_the_asked_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = records([message(n, f"d{n % 10}", received=T + n * SECOND) for n in [*range(200), *range(100)]])
    monkeypatch.setattr(lake_merge, "RANGE", 25)
    monkeypatch.setattr("storage.lake_output.ROW_GROUP", 40)
    config = Lake(closed_after=3600, file_size=6000)
    async with open_lake(tmp_path / "lake", "log-1", config) as lake:
        await fill(lake, written, batch=50)
        assert (await Maintainer(lake, config).once(LATER)).closed == 1
        assert await seen(lake) == expected(written)
    files = files_of(tmp_path / "lake", "messages")
    assert len(files) > 1
    devices = [device for path in sorted(files, key=first_device) for device in column(path, "device")]
    assert devices == sorted(devices)
    assert len(devices) == 200
    assert all(pq.ParquetFile(path).metadata.num_rows % 40 == 0 for path in files)


def column(path: Path, name: str) -> list[str]:
    return pq.ParquetFile(path).read([name])[name].to_pylist()


def first_device(path: Path) -> str:
    return column(path, "device")[0]


async def test_old_files_go_and_young_ones_never(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = tmp_path / "lake"
    config = Lake(closed_after=3600, vacuum_after=7200)
    async with open_lake(root, "log-1", config) as lake:
        await fill(lake, sample())
        replaced = on_disk(root, "messages")
        left, young = (root / "messages" / "day=2025-11-21" / f"{name}.parquet" for name in ("left", "young"))
        for path in (left, young):
            path.write_bytes(b"written by a process that was killed before its commit")
        for path in (left, *replaced):
            set_age(path, 3 * 7200)
        # One day is closed now, as the table's log has it; the other one was closed three hours ago.
        monkeypatch.setattr(lake_log, "now", lambda: time.time_ns() // 1000 - 3 * 3600 * SECOND)
        assert (await Maintainer(lake, config).once(LATER)).removed >= len(replaced) + 1
        assert on_disk(root, "messages") == {*files_of(root, "messages"), young}
        monkeypatch.undo()
        await lake.write(records([message(n, "new") for n in range(5)], start=900))
        await Maintainer(lake, config).once(LATER)
        assert len(on_disk(root, "messages")) > len(files_of(root, "messages")) + 1, "replaced just now: kept"
        assert len((await seen(lake)).messages) == 45


async def test_ledgers_survive_closing_checkpoints_and_the_tidying_of_the_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "lake"
    written = sample()
    monkeypatch.setattr(lake_log, "CHECKPOINT_EVERY", 5)
    async with open_lake(root, "log-1", CONFIG) as lake:
        await fill(lake, written, batch=10)
        ledger = await lake.ledger(MESSAGES)
        await Maintainer(lake, CONFIG).once(LATER)
    log = root / "messages" / "_delta_log"
    assert list(log.glob("*.checkpoint.parquet"))
    for path in log.iterdir():
        set_age(path, 3 * 86_400)
    table = DeltaTable(root / "messages")
    table.create_checkpoint()
    table.cleanup_metadata()
    assert len(list(log.glob("*.json"))) < 5, "the test is about a log that was tidied"
    async with open_lake(root, "log-1", CONFIG) as lake:
        assert await lake.ledger(MESSAGES) == ledger
        await lake.write(written)
        assert await seen(lake) == expected(written)
    for path in log.glob("*.json"):
        path.unlink()
    async with open_lake(root, "log-1", CONFIG) as lake:
        assert await lake.ledger(MESSAGES) == ledger, "from the checkpoint alone"


async def test_it_runs_until_it_is_stopped(tmp_path: Path) -> None:
    config = Lake(closed_after=0, maintain_every=0.05)
    stop = asyncio.Event()
    async with open_lake(tmp_path / "lake", "log-1", config) as lake:
        await fill(lake, sample(copies=1))
        running = asyncio.create_task(Maintainer(lake, config).run(stop))
        async with asyncio.timeout(30):
            while len(files_of(tmp_path / "lake", "messages")) > 2:
                await asyncio.sleep(0.02)
            stop.set()
            await running


async def test_a_reader_that_was_overtaken_by_vacuum_looks_again(tmp_path: Path) -> None:
    written = sample(copies=1)
    root = tmp_path / "lake"
    async with open_lake(root, "log-1", CONFIG) as lake, reader(root) as other:
        await fill(lake, written)
        assert await seen(other) == expected(written)
        old = on_disk(root, "messages")
        await Maintainer(lake, CONFIG).once(LATER)
        for path in old:
            path.unlink()
        assert await seen(other) == expected(written)

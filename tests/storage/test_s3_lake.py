"""The lake on S3: the laws, lost answers, a server that hangs or comes back empty, and other engines."""

import asyncio
import time
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any
from uuid import uuid4

import obstore
import obstore.exceptions
import pytest
from deltalake import DeltaTable

from headwater.config import Lake
from headwater.config_stack import S3
from headwater.errors import Stale, Unavailable
from headwater.log import MESSAGES
from storage import lake_log
from storage.delta_lake import DeltaLake
from storage.lake_log import TableLog
from storage.lake_maintenance import Done, Maintainer
from storage.lake_schema import MESSAGES_TABLE
from storage.s3_client import delta_options
from storage.s3_lake import open_s3_lake, open_s3_lake_reader
from tests.services.proxy import proxied
from tests.services.server import Server
from tests.storage.factory import DAY, T, highest, message, records
from tests.storage.lake_kit import ALL, TOPICS, expected, seen
from tests.storage.laws import StoreLaws, some_records
from tests.storage.s3_kit import S3LakePlace, at_port, delete_bucket, objects, s3_of
from tests.taking import within

LATER = time.time_ns() // 1000 + 3 * DAY
CONFIG = Lake(closed_after=3600)


class TestS3Lake(StoreLaws):
    server: Server

    @pytest.fixture(autouse=True)
    def _on(self, minio_server: Server) -> None:
        type(self).server = minio_server

    def place(self, folder: Path) -> S3LakePlace:
        return S3LakePlace(self.server, folder)


@pytest.fixture
def config(minio_server: Server) -> S3:
    return s3_of(minio_server)


@pytest.fixture
async def lake(config: S3, tmp_path: Path) -> AsyncGenerator[DeltaLake, None]:
    async with open_s3_lake(config, "log-1", CONFIG, cache=tmp_path / "cache") as opened:
        yield opened


def files_of(config: S3, table: str) -> set[str]:
    return {path for path in objects(config, f"lake/{table}") if path.endswith(".parquet") and "/day=" in path}


def answer_lost(monkeypatch: pytest.MonkeyPatch, name: str, times: int = 1) -> list[str]:
    """The next puts of an object with this in its name are done, and say that they failed."""
    real, lost = obstore.put, list[str]()

    def put(store: Any, path: str, *data: Any, **options: Any) -> object:
        done = real(store, path, *data, **options)
        if name in path and len(lost) < times:
            lost.append(path)
            raise obstore.exceptions.GenericError("no answer")
        return done

    monkeypatch.setattr(obstore, "put", put)
    return lost


async def test_a_commit_whose_answer_was_lost_is_made_once(
    lake: DeltaLake, config: S3, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = records([message(n) for n in range(10)])
    await lake.write(written[:5])
    lost = answer_lost(monkeypatch, "_delta_log")
    await lake.write(written)
    assert len(lost) == 1
    assert await seen(lake) == expected(written)
    assert len(files_of(config, "messages")) == 2, "its files were not taken for files of a lost race"


async def test_when_no_commit_is_ever_answered_nothing_is_lost_or_doubled(
    lake: DeltaLake, minio_server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = records([message(n) for n in range(10)])
    monkeypatch.setattr("storage.s3_objects.pauses", lambda _: iter(()))  # pyright: ignore[reportUnknownLambdaType]
    lost = answer_lost(monkeypatch, "_delta_log")
    with pytest.raises(Unavailable, match="no answer"):
        await lake.write(written)
    assert len(lost) == 1
    await lake.write(written)
    assert await seen(lake) == expected(written)
    assert await lake.ledger(MESSAGES) == highest(written)


async def test_rivals_that_write_and_merge_the_same_at_once_leave_it_there_once(config: S3, tmp_path: Path) -> None:
    written = some_records(TOPICS, 30)

    async def rival(number: int) -> None:
        async with open_s3_lake(config, "log-1", CONFIG, cache=tmp_path / f"cache-{number}") as own:
            for start in range(0, len(written), 30):
                await own.write(written[max(0, start - 7 * number) : start + 30])
            await Maintainer(own, CONFIG).once(LATER)

    async with asyncio.timeout(60):
        await asyncio.gather(*(rival(number) for number in range(3)))
    async with open_s3_lake_reader(config, "log-1", cache=tmp_path / "cache") as lake:
        assert await seen(lake) == expected(written)
        rows = [row async for batch in lake.ids(MESSAGES) for row in batch]
    assert len(rows) == len({row[:2] for row in rows}) == 30


async def test_a_server_that_hangs_is_unavailable_in_bounded_time(
    lake: DeltaLake, config: S3, minio_server: Server, tmp_path: Path
) -> None:
    written = records([message(n) for n in range(20)])
    await lake.write(written[:10])
    async with proxied(minio_server.port) as proxy:
        near = at_port(config, proxy.port, 3)
        async with open_s3_lake(near, "log-1", CONFIG, cache=tmp_path / "other") as other:
            await proxy.hang()
            with within(30):
                for call in (
                    other.ping(),
                    other.write(written),
                    other.ledger(MESSAGES),
                    other.history("pump-7", ALL, 5),
                ):
                    with pytest.raises(Unavailable):
                        await call
                with pytest.raises(Unavailable):
                    async with open_s3_lake(near, "log-1", CONFIG, cache=tmp_path / "third"):
                        pass
            await proxy.serve()
            await other.write(written)
            assert await seen(other) == expected(written)


async def test_a_frozen_server_is_unavailable_and_then_goes_on(
    config: S3, minio_server: Server, tmp_path: Path
) -> None:
    written = records([message(n) for n in range(20)])
    near = at_port(config, minio_server.port, 1)
    async with open_s3_lake(near, "log-1", CONFIG, cache=tmp_path / "cache") as lake:
        await lake.write(written[:10])
        minio_server.freeze()
        try:
            with pytest.raises(Unavailable):
                await asyncio.wait_for(lake.write(written), 10)
        finally:
            minio_server.thaw()
        async with asyncio.timeout(20):
            while True:
                try:
                    await lake.write(written)
                except Unavailable:
                    continue
                break
        assert await seen(lake) == expected(written)


async def test_a_bucket_that_has_gone_is_made_again_with_empty_ledgers(minio_server: Server, tmp_path: Path) -> None:
    config = s3_of(minio_server, bucket=f"tests-{uuid4().hex}")
    written = records([message(n) for n in range(20)])
    async with (
        open_s3_lake(config, "log-1", CONFIG, cache=tmp_path / "cache") as lake,
        open_s3_lake_reader(config, "log-1", cache=tmp_path / "cache") as reader,
    ):
        await lake.write(written[:10])
        assert len((await reader.history("pump-7", ALL, 100))[0]) == 10
        await delete_bucket(config)
        assert await reader.history("pump-7", ALL, 100) == ([], {}), "not what the cache still has"
        with pytest.raises(Stale):
            await lake.write(written[10:])
        assert await lake.ledger(MESSAGES) == {}
        await lake.ping()
        await lake.write(written)
        assert await seen(lake) == await seen(reader) == expected(written)


async def test_closed_days_are_merged_and_the_log_is_summed_up(
    lake: DeltaLake, config: S3, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lake_log, "CHECKPOINT_EVERY", 3)
    written = records([message(n % 20, f"d{n % 4}", received=T + n % 2 * DAY) for n in range(40)])
    for start in range(0, 40, 8):
        await lake.write(written[start : start + 8])
    before = await seen(lake)
    assert (await Maintainer(lake, CONFIG).once(LATER)).closed == 2
    assert await seen(lake) == before == expected(written)
    assert await Maintainer(lake, CONFIG).once(LATER) == Done(), "nothing more to do"
    assert "lake/messages/_delta_log/_last_checkpoint" in objects(config, "lake/messages/_delta_log")
    async with open_s3_lake_reader(config, "log-1", cache=Path(lake.files.scratch) / "new") as other:
        assert await seen(other) == before, "also for who begins with the checkpoint"


async def test_what_a_crashed_writer_left_is_found_and_removed(lake: DeltaLake, config: S3) -> None:
    written = records([message(n) for n in range(5)])
    await lake.write(written)
    used = files_of(config, "messages")
    lake.files.put("messages/day=2025-11-21/left.parquet", b"of a writer that died before its commit")
    await Maintainer(lake, CONFIG).once()
    assert len(files_of(config, "messages")) == 2, "a young file may still be committed"
    left = TableLog(lake.files, MESSAGES_TABLE).unreferenced(0)
    assert left == ["messages/day=2025-11-21/left.parquet"]
    lake.files.remove(left)
    assert files_of(config, "messages") == used
    assert await seen(lake) == expected(written)


async def test_another_engine_reads_the_tables_through_its_own_client(lake: DeltaLake, config: S3) -> None:
    written = records([message(n, f"d{n % 3}", fields={"a": n / 8}) for n in range(50)])
    await lake.write(written[:20])
    await lake.write(written)
    uri = f"s3://{config.bucket}/{config.prefix}/lake"
    table = DeltaTable(f"{uri}/messages", storage_options=delta_options(config))
    rows = table.to_pyarrow_table(columns=["id", "offset"])
    assert sorted(rows["id"].to_pylist()) == sorted(record.body.id for record in written)
    readings = DeltaTable(f"{uri}/readings", storage_options=delta_options(config)).to_pyarrow_table()
    assert sum(readings["value"].to_pylist()) == sum(n / 8 for n in range(50))


async def test_a_large_file_is_put_in_parts_and_comes_back(lake: DeltaLake, tmp_path: Path) -> None:
    data = bytes(range(256)) * 80_000
    (lake.files.scratch / "large").write_bytes(data)
    lake.files.put("messages/day=2025-11-21/a.parquet", data)
    lake.files.adopt("messages/day=2025-11-21/b.parquet", lake.files.scratch / "large")
    for name in ("a", "b"):
        assert lake.files.read(f"messages/day=2025-11-21/{name}.parquet") == data
    with lake.files.local(["messages/day=2025-11-21/a.parquet"]) as (path,):
        assert Path(path).read_bytes() == data

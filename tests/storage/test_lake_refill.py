"""A store is filled from the lake: every record of a partition above a position, in order, once."""

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager, aclosing
from pathlib import Path

import pytest

from headwater.config import Lake
from headwater.errors import Unavailable
from headwater.log import CANDIDATES, MESSAGES, REJECTED
from storage import lake_refill
from storage.contract import Record
from storage.delta_lake import DeltaLake, open_lake
from storage.lake_maintenance import Maintainer
from storage.lake_reader import DeltaLakeReader
from storage.lake_refill import refill
from storage.s3_lake import open_s3_lake
from tests.storage.factory import DAY, T, message, records
from tests.storage.lake_kit import TOPICS
from tests.storage.laws import on, some_records
from tests.storage.s3_kit import s3_of

CONFIG = Lake(closed_after=3600)


@pytest.fixture(params=["local", "s3"])
def opening(request: pytest.FixtureRequest, tmp_path: Path) -> AbstractAsyncContextManager[DeltaLake]:
    if request.param == "s3":
        config = s3_of(request.getfixturevalue("minio_server"))
        return open_s3_lake(config, "log-1", CONFIG, cache=tmp_path / "cache")
    return open_lake(tmp_path / "lake", "log-1", CONFIG)


async def all_of(lake: DeltaLakeReader, topic: str, partition: int, above: int = -1) -> list[Record]:
    return [record async for batch in refill(lake, topic, partition, above) for record in batch]


def wanted(written: Sequence[Record], topic: str, partition: int, above: int = -1) -> list[Record]:
    return [one for one in on(topic, written) if one.partition == partition and one.position > above]


async def test_each_partition_comes_back_as_it_stood_on_the_log(
    opening: AbstractAsyncContextManager[DeltaLake], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lake_refill, "BATCH", 7)
    written = some_records(TOPICS)
    async with opening as lake:
        for start in range(0, len(written), 25):
            await lake.write(written[start : start + 25])
        for topic in TOPICS:
            for partition in range(4):
                everything = wanted(written, topic, partition)
                assert await all_of(lake, topic, partition) == everything
                if everything:
                    middle = everything[len(everything) // 2].position
                    assert await all_of(lake, topic, partition, middle) == wanted(written, topic, partition, middle)


async def test_days_that_overlap_on_the_log_come_in_its_order_doubles_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lake_refill, "BATCH", 3)
    said = [message(n % 30, received=T + (n // 10 + (n % 3 == 0)) * DAY) for n in range(60)]
    written = records(said)
    partition = written[0].partition
    async with open_lake(tmp_path / "lake", "log-1", CONFIG) as lake:
        for start in range(0, 60, 9):
            await lake.write(written[start : start + 9])
        assert await all_of(lake, MESSAGES, partition) == written
        assert await all_of(lake, MESSAGES, partition, 31) == written[32:]
        assert await all_of(lake, MESSAGES, partition, 59) == []
        await Maintainer(lake, CONFIG).once(T + 900 * DAY)
        found = await all_of(lake, MESSAGES, partition)
        assert [one for one in written if one in found] == found, "of closed days one row an id"
        assert {one.body.id for one in found} == {one.body.id for one in written}


async def test_rows_of_an_older_log_never_take_the_place_of_this_ones(tmp_path: Path) -> None:
    old = records([message(n, id=f"old-{n}") for n in range(20)])
    new = records([message(n, id=f"new-{n}", received=T + 5 * DAY) for n in range(8)])
    async with open_lake(tmp_path / "lake", "log-0", CONFIG) as before:
        await before.write(old)
    async with open_lake(tmp_path / "lake", "log-1", CONFIG) as lake:
        assert await all_of(lake, MESSAGES, old[0].partition) == []
        await lake.write(new)
        assert await all_of(lake, MESSAGES, old[0].partition) == new


async def test_it_can_be_left_at_any_time_and_a_lake_that_is_away_is_unavailable(tmp_path: Path) -> None:
    written = records([message(n) for n in range(5000)])
    async with open_lake(tmp_path / "lake", "log-1", CONFIG) as lake:
        await lake.write(written)
        async with aclosing(refill(lake, MESSAGES, written[0].partition)) as batches:
            assert list(await anext(batches)) == written[: lake_refill.BATCH]
        for path in (tmp_path / "lake" / "messages").glob("day=*/*.parquet"):
            path.unlink()
        with pytest.raises(Unavailable):
            await all_of(lake, MESSAGES, written[0].partition)
        assert await all_of(lake, CANDIDATES, 0) == await all_of(lake, REJECTED, 0) == []

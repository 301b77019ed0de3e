"""What comes back from the lake is what was written, once, in order, page by page; and others can read it too."""

import asyncio
import math
from collections.abc import AsyncGenerator, Sequence
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import duckdb
import pyarrow.dataset as ds
import pytest
from deltalake import DeltaTable, QueryBuilder
from hypothesis import given, settings
from hypothesis import strategies as st

from headwater.config import Lake
from headwater.errors import Unavailable
from headwater.log import CANDIDATES, MESSAGES, REJECTED, partition_for
from headwater.message import Body, Candidate, Message, Origin
from headwater.times import SECOND
from storage.contract import LakeRow, Span
from storage.delta_lake import DeltaLake, open_lake
from storage.lake_query import Answer
from storage.s3_lake import open_s3_lake
from tests.storage import factory
from tests.storage.factory import DAY, PARTITIONS, T, candidate, message, records, rejected
from tests.storage.lake_kit import ALL, expected, reader, seen
from tests.storage.s3_kit import s3_of


@pytest.fixture
async def local_lake(tmp_path: Path) -> AsyncGenerator[DeltaLake, None]:
    async with open_lake(tmp_path / "lake", "log-1", Lake()) as opened:
        yield opened


@pytest.fixture(params=["local", "s3"])
async def lake(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncGenerator[DeltaLake, None]:
    if request.param == "local":
        opening = open_lake(tmp_path / "lake", "log-1", Lake())
    else:
        config = s3_of(request.getfixturevalue("minio_server"))
        opening = open_s3_lake(config, "log-1", Lake(), cache=tmp_path / "cache")
    async with opening as opened:
        yield opened


def ids(rows: Sequence[LakeRow]) -> list[str]:
    return [row.message.id for row in rows]


def named(body: Body) -> tuple[str, str]:
    return body.device, body.id


@settings(max_examples=15, deadline=None)
@given(
    said=st.lists(factory.messages(), max_size=6, unique_by=named),
    chosen=st.lists(factory.candidates(), max_size=3, unique_by=named),
    refused=st.lists(factory.rejections(), max_size=3, unique_by=named),
)
async def test_any_record_comes_back_equal(
    said: Sequence[Message], chosen: Sequence[Candidate], refused: Sequence[factory.RejectedMessage]
) -> None:
    written = records([*said, *sorted(chosen, key=lambda one: one.origin), *refused])
    with TemporaryDirectory() as folder:
        async with open_lake(Path(folder) / "lake", "log-1", Lake()) as lake:
            await lake.write(written)
            found = await seen(lake, written)
    assert found == expected([record for record in written if not _repeats(record, written)])


def _repeats(record: factory.Record, written: Sequence[factory.Record]) -> bool:
    """A position the ledger had already: two candidates of one origin are one emission and its repetition."""
    before = written[: next(at for at, other in enumerate(written) if other is record)]
    return any(
        other.topic == record.topic and other.partition == record.partition and other.position >= record.position
        for other in before
    )


async def test_zero_keeps_its_sign_and_values_their_type(lake: DeltaLake) -> None:
    said = {"minus": -0.0, "zero": 0.0, "one": 1.0, "yes": True, "no": False, "big": 2**53, "half": 0.5, "far": 1e300}
    await lake.write(records([message(fields=dict(said))]))
    (row,), _ = await lake.history("pump-7", ALL, 10)
    fields = row.message.fields
    assert fields == said
    assert math.copysign(1, fields["minus"]) == -1
    types = {name: type(value) for name, value in fields.items()}
    assert types == {
        "minus": float, "zero": int, "one": int, "yes": bool, "no": bool, "big": int, "half": float, "far": float,
    }  # fmt: skip


async def test_history_is_ordered_by_time_then_received_then_id_and_cut_by_the_span(lake: DeltaLake) -> None:
    said = [message(n, id=f"m{n}", time=T + (n % 3) * SECOND, received=T + (n % 2)) for n in range(12)]
    await lake.write(records([*said[6:], message(0, "other")]))
    await lake.write(records(said[:6], start=100))
    ordered = [one.id for one in sorted(said, key=lambda one: (one.time, one.received, one.id))]
    rows, _ = await lake.history("pump-7", ALL, 100, newest_first=False)
    assert ids(rows) == ordered
    rows, _ = await lake.history("pump-7", ALL, 100)
    assert ids(rows) == ordered[::-1]
    rows, _ = await lake.history("pump-7", Span(T + SECOND, T + 2 * SECOND), 100, newest_first=False)
    assert ids(rows) == [one for one in ordered if said[int(one[1:])].time == T + SECOND]
    assert await lake.history("nobody", ALL, 100) == ([], await lake.ledger(MESSAGES))


@pytest.mark.parametrize("newest_first", [True, False])
async def test_pages_follow_one_another_without_gap_or_double(lake: DeltaLake, newest_first: bool) -> None:
    said = [message(n, id=f"{n:02d}", time=T + n // 4 * SECOND, received=T + n // 2) for n in range(60)]
    for start in range(0, 60, 10):
        again = said[max(0, start - 4) : start + 10]
        await lake.write(records(again, start=1000 * start))
    found: list[str] = []
    after: tuple[int, int, str] | None = None
    while rows := (await lake.history("pump-7", ALL, 7, newest_first=newest_first, after=after))[0]:
        found += ids(rows)
        last = rows[-1].message
        after = (last.time, last.received, last.id)
    assert found == [one.id for one in (said[::-1] if newest_first else said)]


@pytest.mark.parametrize("newest_first", [True, False])
async def test_files_are_left_aside_only_when_none_of_their_rows_comes_before(
    lake: DeltaLake, monkeypatch: pytest.MonkeyPatch, newest_first: bool
) -> None:
    monkeypatch.setattr("storage.lake_query._FILES", 1)
    monkeypatch.setattr("storage.lake_query._SPARE", 0)
    said = [message(n, id=f"{n:02d}") for n in range(40)]
    for start in range(10):
        await lake.write(records(said[start::10], start=100 * start))
    rows, _ = await lake.history("pump-7", ALL, 12, newest_first=newest_first)
    assert ids(rows) == [one.id for one in (said[::-1] if newest_first else said)][:12]


async def test_of_repeated_messages_the_first_on_the_log_counts_in_whichever_file_it_is(lake: DeltaLake) -> None:
    # Without a clock of its own, the device's retry has another time: only the first one's is the message's.
    first, retry = message(1, received=T, time=T, at=None, flag="none"), message(1, received=T + 600 * SECOND)
    retry.time, retry.at, retry.flag = retry.received, None, "none"
    await lake.write(records([first]))
    await lake.write(records([retry], start=50))
    rows, _ = await lake.history("pump-7", ALL, 10)
    assert [(row.offset, row.message.time) for row in rows] == [(0, T)]
    assert (await lake.history("pump-7", Span(T + SECOND, None), 10))[0] == [], "where the retry stands alone, too"
    storm = [message(1, received=T + n * SECOND) for n in range(1, 60)]
    await lake.write(records([*storm, message(2, time=T - SECOND)], start=100))
    rows, _ = await lake.history("pump-7", ALL, 2)
    assert [row.offset for row in rows] == [0, 159], "copies take nobody's place on a page"


async def test_history_of_a_field_is_of_the_messages_that_have_it(lake: DeltaLake) -> None:
    said: list[dict[str, Any]] = [
        {"fields": {"a": 1}}, {"fields": {"a": False}}, {"fields": {"b": 1}}, {"fields": {}, "texts": {"a": "x"}},
    ]  # fmt: skip
    await lake.write(records([message(n, id=str(n), **parts) for n, parts in enumerate(said)]))
    rows, _ = await lake.history("pump-7", ALL, 10, field="a", newest_first=False)
    assert ids(rows) == ["0", "1", "3"]
    assert (await lake.history("pump-7", ALL, 10, field="it's"))[0] == []


async def test_the_ledger_is_that_of_what_was_read(tmp_path: Path, local_lake: DeltaLake) -> None:
    async with reader(tmp_path / "lake") as other:
        for n in range(5):
            await local_lake.write(records([message(n), candidate(n), rejected(n)], start=n))
            rows, ledger = await other.history("pump-7", ALL, 100)
            assert (len(rows), ledger) == (n + 1, {partition_for(b"pump-7", PARTITIONS): n})
            assert (await other.candidates(None, ALL, 100))[1] == await local_lake.ledger(CANDIDATES)
            assert (await other.rejected(ALL, 100))[1] == await local_lake.ledger(REJECTED)


async def test_a_lake_that_is_not_there_yet_is_empty(tmp_path: Path) -> None:
    async with reader(tmp_path / "nowhere") as lake:
        assert await lake.history("pump-7", ALL, 10) == ([], {})
        assert await lake.candidates(None, ALL, 10) == ([], {})
        assert await lake.rejected(ALL, 10) == ([], {})
        assert [batch async for batch in lake.ids(MESSAGES)] == []


async def test_of_a_candidate_the_highest_revision_counts(lake: DeltaLake) -> None:
    def revised(n: int, revision: int) -> Candidate:
        origin = Origin(partition_for(b"pump-7", PARTITIONS), 10 * revision + n, 0)
        return candidate(n, revision=revision, origin=origin, reasons=[f"revision {revision}"])

    await lake.write(records([revised(0, 0), revised(1, 0)]))
    await lake.write(records([revised(0, 1)], start=5))
    await lake.write(records([candidate(2, "other", rule="late")], start=9))
    found, _ = await lake.candidates("pump-7", ALL, 10, newest_first=False)
    assert [one.reasons for one in found] == [["revision 1"], ["revision 0"]]
    everything, _ = await lake.candidates(None, ALL, 10)
    assert [one.rule for one in everything] == ["late", "change", "change"]
    (first,), _ = await lake.candidates(None, ALL, 1)
    rest, _ = await lake.candidates(None, ALL, 10, after=(first.time, first.id))
    assert [first, *rest] == everything


async def test_rejected_messages_newest_first_by_reason_and_device(lake: DeltaLake) -> None:
    wrong = [rejected(n, reason="too_large" if n % 2 else "bad_json", device=f"d{n % 3}") for n in range(9)]
    await lake.write(records(wrong))
    found, _ = await lake.rejected(ALL, 100)
    assert found == wrong[::-1]
    assert (await lake.rejected(ALL, 2, reason="too_large"))[0] == [wrong[7], wrong[5]]
    assert (await lake.rejected(ALL, 100, device="d1"))[0] == [wrong[7], wrong[4], wrong[1]]
    assert (await lake.rejected(Span(wrong[3].received, wrong[5].received), 9))[0] == [wrong[4], wrong[3]]


async def test_ids_are_of_every_row_doubles_too(lake: DeltaLake) -> None:
    said = records([message(n, f"d{n % 3}") for n in [0, 1, 2, 2, 1]])
    await lake.write(said[:2])
    await lake.write(said[2:])
    found = [row async for batch in lake.ids(MESSAGES) for row in batch]
    wanted = [(record.partition, record.offset, record.body.device, record.body.id) for record in said]
    assert sorted(found) == sorted(wanted)


async def test_an_answer_that_takes_too_long_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def count_for_ever(answer: Answer, limit: int) -> object:
        execute = answer._execute  # pyright: ignore[reportPrivateUsage]
        return execute("SELECT count(*) FROM range(100000000000) a WHERE hash(a.range) = ?", [limit])

    async with open_lake(tmp_path / "lake", "log-1", Lake(), answer_time=0.2) as lake:
        await lake.write(records([message(1)]))
        monkeypatch.setattr("storage.lake_query.Answer.rows", count_for_ever)
        with pytest.raises(Unavailable, match=r"within 0\.2 seconds"):
            await asyncio.wait_for(lake.history("pump-7", ALL, 10), 20)
        monkeypatch.undo()
        assert len((await lake.history("pump-7", ALL, 10))[0]) == 1, "and the next one is answered"


async def test_other_engines_read_the_same(tmp_path: Path, local_lake: DeltaLake) -> None:
    said = [message(n, f"d{n % 7}", received=T + n % 3 * DAY, fields={"a": n / 8, "b": n % 2 == 0}) for n in range(500)]
    for start in range(0, 500, 100):
        await local_lake.write(records(said[start : start + 100], start=start))
    uri = tmp_path / "lake" / "readings"
    table = DeltaTable(uri)
    total = sum(n / 8 for n in range(500)) + 250
    duck = duckdb.execute("SELECT count(*), sum(value) FROM read_parquet(?)", [table.file_uris()]).fetchall()
    assert duck == [(1000, total)]
    arrow = ds.dataset([str(path) for path in table.file_uris()], format="parquet").to_table()
    assert (arrow.num_rows, sum(arrow["value"].to_pylist())) == (1000, total)
    rows = QueryBuilder().register("r", table).execute("SELECT count(*) n, sum(value) s, max(time) t FROM r")
    (answer,) = rows.read_all().to_struct_array().to_pylist()
    assert (answer["n"], answer["s"]) == (1000, total)
    messages = DeltaTable(tmp_path / "lake" / "messages")
    sql = (
        "SELECT count(*) n, count(DISTINCT id) d, sum(numbers['a']) s FROM m WHERE day = '2025-11-22' AND device = 'd1'"
    )
    (answer,) = QueryBuilder().register("m", messages).execute(sql).read_all().to_struct_array().to_pylist()
    wanted = [n for n in range(500) if n % 7 == 1 and n % 3 == 1]
    assert (answer["n"], answer["d"], answer["s"]) == (len(wanted), len(wanted), sum(n / 8 for n in wanted))
    table = messages.to_pyarrow_table(columns=["id", "time", "numbers"], filters=[("day", "=", date(2025, 11, 22))])
    assert sorted(table["id"].to_pylist()) == sorted(one.id for one in said[1::3])

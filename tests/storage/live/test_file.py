"""Live state in one file: ledgers, failures within a transaction, other processes, older files."""

import sqlite3
from pathlib import Path

import pytest

from headwater import failpoints
from headwater.errors import Unavailable
from headwater.log import MESSAGES
from headwater.message import Position
from storage.contract import Circle
from storage.sqlite_live import SqliteLive, open_live
from tests.storage.live.kit import LivePlace, read, records, say
from tests.storage.sqlite_kit import SqliteLaws, held


async def test_a_ledger_is_of_one_log_and_survives_reopening(tmp_path: Path) -> None:
    path = tmp_path / "live.sqlite"
    async with open_live(path, "log-1") as live:
        await live.write(records([say(1, {"a": 1})], start=7, partition=3))
    async with open_live(path, "log-2") as live:
        assert await live.ledger(MESSAGES) == {}
    async with open_live(path, "log-1") as live:
        assert await live.ledger(MESSAGES) == {3: 7}
        assert (await read(live)).values["a"].value == 1


async def test_a_failure_inside_the_transaction_leaves_nothing(sqlite_live: SqliteLive) -> None:
    live = sqlite_live
    await live.write(records([say(1, {"a": 1})]))
    failpoints.arm("live.transaction=fail")
    try:
        with pytest.raises(Unavailable):
            await live.write(records([say(2, {"a": 2, "b": 3})], start=1))
    finally:
        failpoints.arm("")
    found, ledger = await live.device_as_of("pump-7")
    assert found is not None
    assert ({name: held.value for name, held in found.values.items()}, found.entries) == ({"a": 1}, 1)
    assert ledger == {0: 0}
    await live.write(records([say(2, {"a": 2, "b": 3})], start=1))
    found = await read(live)
    assert ({name: held.value for name, held in found.values.items()}, found.entries) == ({"a": 2, "b": 3}, 2)


async def test_what_is_remembered_is_dropped_when_someone_else_wrote_the_file(tmp_path: Path) -> None:
    path = tmp_path / "live.sqlite"
    async with open_live(path, "log-1") as one, open_live(path, "log-1") as other:
        await one.write(records([say(1, {"a": 1})]))
        await other.write(records([say(2, {"b": 2})], start=1))
        await one.write(records([say(3, {"c": 3})], start=2))
        found = await read(one)
    assert {name: held.value for name, held in found.values.items()} == {"a": 1, "b": 2, "c": 3}
    assert found.entries == 3


async def test_a_file_that_another_process_holds_is_unavailable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("storage.sqlite_file._BUSY_MS", 20)
    async with open_live(tmp_path / "live.sqlite", "log-1") as live:
        async with held(tmp_path / "live.sqlite"):
            with pytest.raises(Unavailable):
                await live.ping()
            with pytest.raises(Unavailable):
                await live.write(records([say(1)]))
        await live.ping()


async def test_a_file_made_before_there_was_near_learns_its_places(tmp_path: Path) -> None:
    async with open_live(tmp_path / "live.sqlite", "log-1") as live:
        await live.write(records([say(1, device="a", position=Position(52.5, 13.4)), say(1, device="b")]))
    old = sqlite3.connect(tmp_path / "live.sqlite")
    old.executescript("DROP TABLE place; PRAGMA user_version = 0")
    old.close()
    async with open_live(tmp_path / "live.sqlite", "log-1") as live:
        assert [one.device for one in await live.near(Circle(52.5, 13.4, 10.0), 10)] == ["a"]


class TestLaws(SqliteLaws):
    def place(self, folder: Path) -> LivePlace:
        return LivePlace(folder)

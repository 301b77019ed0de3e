"""Reports on a real MariaDB that is refused, killed, frozen, emptied, or written to by two logs at once."""

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from itertools import pairwise

import pytest

from headwater.errors import Unavailable
from headwater.log import MESSAGES
from storage import mysql_store
from storage.contract import Record, Store
from storage.mysql_connection import Cursor, open_mysql
from storage.mysql_store import open_mysql_reports
from tests.services.proxy import proxied
from tests.services.server import Server
from tests.storage.factory import T, message, records
from tests.storage.reports.kit import (
    EVERYTHING,
    HOUR,
    NOW,
    Clock,
    Opens,
    Reports,
    a_database,
    naive,
    rollups,
    rows,
    said_by,
    say,
)

Trouble = Callable[[Server], None]


async def test_who_only_reads_makes_neither_database_nor_tables(mariadb_server: Server) -> None:
    config = a_database(mariadb_server.port)
    for _ in range(2):
        async with open_mysql_reports(config, "log-1", rows=EVERYTHING, readonly=True) as reading:
            with pytest.raises(Unavailable, match="Unknown database"):
                await reading.ledger(MESSAGES)
    async with open_mysql_reports(config, "log-1", rows=EVERYTHING, now=Clock()) as store:
        await store.write(records([message(0)]))
        async with open_mysql_reports(config, "log-1", rows=EVERYTHING, now=Clock(), readonly=True) as reading:
            assert await reading.ledger(MESSAGES) == await store.ledger(MESSAGES)
            assert [name async for batch in reading.ids() for name in batch] == [("pump-7", message(0).id)]


async def test_refused_and_back(mariadb_server: Server) -> None:
    async with (
        proxied(mariadb_server.port) as proxy,
        open_mysql_reports(a_database(proxy.port), "log-1", rows=EVERYTHING, now=Clock()) as store,
    ):
        await store.write(records([message(0)]))
        await proxy.refuse()
        for call in (store.ping(), store.write(records([message(1)], start=1)), store.ledger(MESSAGES)):
            with pytest.raises(Unavailable):
                await asyncio.wait_for(call, 10)
        await proxy.serve()
        await store.write(records([message(1)], start=1))
        assert len(await rows(store)) == 2


async def test_a_server_that_is_away_is_unavailable_from_the_start(mariadb_server: Server) -> None:
    async with proxied(mariadb_server.port) as proxy:
        config = a_database(proxy.port, time=0.5)
        for trouble in (proxy.refuse, proxy.hang):
            await trouble()
            with pytest.raises(Unavailable):
                async with open_mysql_reports(config, "log-1", rows=EVERYTHING):
                    pytest.fail("opened")


async def test_killed_and_frozen_in_the_middle_of_a_transaction(
    mariadb_server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    troubles: list[Trouble] = [lambda server: server.kill(), lambda server: server.freeze()]
    mendings: list[Trouble] = [lambda server: server.start(), lambda server: server.thaw()]
    config = a_database(mariadb_server.port)
    async with open_mysql_reports(config, "log-1", rows=EVERYTHING, now=Clock()) as store:
        await store.write(records([message(0)]))
        for at, (trouble, mending) in enumerate(zip(troubles, mendings, strict=True), 1):
            monkeypatch.setattr("storage.mysql_store.passing", partial(_passing, trouble, mariadb_server))
            batch = records([message(at)], start=at)
            try:
                with pytest.raises(Unavailable):
                    await asyncio.wait_for(store.write(batch), 20)
            finally:
                monkeypatch.undo()
                await asyncio.to_thread(mending, mariadb_server)
            await _until_written(store, batch)
        assert await rows(store) == [message(n) for n in range(3)]
        assert said_by(await rollups(store)) == naive([message(n) for n in range(3)], "minute")


def _passing(trouble: Trouble, server: Server, place: str) -> None:
    assert place == "reports.transaction"
    trouble(server)


async def test_two_logs_that_bring_the_same_messages_at_once_make_each_count_once(opens: Opens) -> None:
    said = [message(n) for n in range(60)]
    async with opens("log-1") as one, opens("log-2") as other:

        async def bring(store: Reports) -> None:
            for start in range(0, len(said), 6):
                await _until_written(store, records(said)[start : start + 6])

        await asyncio.wait_for(asyncio.gather(bring(one), bring(other)), 30)
        assert await rows(one) == said
        assert said_by(await rollups(one)) == naive(said, "minute")


async def _until_written(store: Store, batch: Sequence[Record]) -> None:
    async with asyncio.timeout(20):
        while True:
            try:
                return await store.write(batch)
            except Unavailable:
                continue


async def test_a_database_that_came_back_empty_is_set_up_again_and_has_applied_nothing(
    mariadb_server: Server,
) -> None:
    config = a_database(mariadb_server.port)
    async with open_mysql_reports(config, "log-1", rows=EVERYTHING, now=Clock()) as store:
        batch = records([message(0)])
        await store.write(batch)

        async def lose_all(cursor: Cursor) -> None:
            await cursor.execute(f"DROP DATABASE {config.database}")

        async with open_mysql(config, []) as other:
            await other.plain(lose_all)
        assert await store.ledger(MESSAGES) == {}
        await _until_written(store, batch)
        assert await rows(store) == [message(0)]


async def test_a_device_with_more_rollups_than_one_call_can_delete_is_erased(
    mariadb_server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Years of minutes: what a single transaction deletes within a call's time is not enough, and would be undone."""
    monkeypatch.setattr(mysql_store, "_DELETED", 20_000)
    config, clock = a_database(mariadb_server.port, time=1), Clock()

    async def years(cursor: Cursor) -> None:
        key = f"{T:016x}{T:016x}a"
        for field in range(20):
            await cursor.execute(
                "INSERT INTO report_minute (start, device, field, n, total, low, high, newest, newest_key) "
                "SELECT seq * 60000000, 'pump-7', %s, 1, 1, 1, 1, 1, %s FROM seq_1_to_20000",
                (f"f{field}", key),
            )

    async with open_mysql_reports(config, "log-1", rows=3600, now=clock) as store:
        await store.write(records([say({"v": 1}), say({"v": 1}, device="other", ident="b")]))
        async with open_mysql(config.model_copy(update={"time": 60}), []) as other:
            await other.plain(years)
        assert await store.erase("pump-7", NOW) == 400_004
        assert {found.device for found in await rollups(store)} == {"other"}


async def test_no_row_is_in_a_partition_that_nothing_drops(mariadb_server: Server) -> None:
    config, clock = a_database(mariadb_server.port, time=10), Clock()
    async with open_mysql_reports(config, "log-1", rows=3600, now=clock) as store:
        said = [say({"v": 1}, time=clock.now + n * HOUR, ident=f"{n}") for n in range(8)]
        await store.write(records(said))
        async with open_mysql(config, []) as other:

            async def bounds(cursor: Cursor) -> list[str]:
                await cursor.execute(
                    "SELECT PARTITION_DESCRIPTION FROM information_schema.PARTITIONS WHERE TABLE_SCHEMA = %s AND "
                    "TABLE_NAME = 'report_row' ORDER BY PARTITION_ORDINAL_POSITION",
                    (config.database,),
                )
                return [str(bound) for (bound,) in await cursor.fetchall()]

            found = list(map(int, await other.plain(bounds)))
            assert found[0] == 0
            assert {later - one for one, later in pairwise(found[1:])} == {HOUR}
            clock.now += 5 * HOUR
            assert await store.maintain() == 5
            assert [m.id for m in await rows(store)] == ["4", "5", "6", "7"]

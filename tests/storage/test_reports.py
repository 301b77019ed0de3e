"""Reports: each message counts once, sums are exact, rows go by whole hours; the same answers from SQLite and MariaDB."""

import asyncio
import sqlite3
import uuid
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from fractions import Fraction
from functools import partial
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Protocol

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from headwater import failpoints
from headwater.config_stack import MariaDb
from headwater.errors import PartialWrite, Unavailable
from headwater.log import MESSAGES
from headwater.message import Message, Number, encode
from storage.contract import Period, Record, Rollup, Span, Store
from storage.mysql_connection import Cursor, open_mysql
from storage.mysql_store import MySqlReports, open_mysql_reports
from storage.sqlite_reports import SqliteReports, open_sqlite_reports
from tests.services.proxy import Proxy, proxied
from tests.services.server import Server
from tests.storage.factory import DAY, T, cut, highest, message, messages, records
from tests.storage.laws import StoreLaws

HOUR = DAY // 24
NOW = T + DAY // 2
EVERYTHING = 5 * DAY / 1e6
LENGTHS: dict[Period, int] = {"minute": HOUR // 60, "hour": HOUR, "day": DAY}
ALL = Span()
Reports = MySqlReports | SqliteReports


def a_database(port: int, *, time: float = 2) -> MariaDb:
    return MariaDb(port=port, user="root", database=f"reports_{uuid.uuid4().hex}", time=time)


class Clock:
    """Our clock, that a test can turn on."""

    def __init__(self, now: int = NOW) -> None:
        self.now = now

    def __call__(self) -> int:
        return self.now


class Opens(Protocol):
    def __call__(self, log_id: str = "log-1", rows: float = EVERYTHING) -> AbstractAsyncContextManager[Reports]: ...


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(params=["sqlite", "mariadb"])
def opens(request: pytest.FixtureRequest, tmp_path: Path, clock: Clock) -> Opens:
    """How one and the same place is opened."""
    if request.param == "sqlite":
        return lambda log_id="log-1", rows=EVERYTHING: open_sqlite_reports(
            tmp_path / "reports.sqlite", log_id, rows=rows, now=clock
        )
    server: Server = request.getfixturevalue("mariadb_server")
    config = a_database(server.port, time=10)
    return lambda log_id="log-1", rows=EVERYTHING: open_mysql_reports(config, log_id, rows=rows, now=clock)


@pytest.fixture
async def reports(opens: Opens) -> AsyncGenerator[Reports, None]:
    async with opens() as store:
        yield store


def say(
    values: dict[str, Number] | None = None,
    *,
    time: int = T,
    received: int | None = None,
    ident: str = "a",
    device: str = "pump-7",
) -> Message:
    return Message(device, ident, time if received is None else received, time, fields=values or {})


async def rollups(store: Reports, period: Period = "minute") -> Sequence[Rollup]:
    return (await store.rollups(period, None, None, ALL, 100_000))[0]


async def rows(store: Reports) -> Sequence[Message]:
    return (await store.rows(None, ALL, 100_000))[0]


async def ids(store: Reports) -> list[tuple[str, str]]:
    return [name async for batch in store.ids() for name in batch]


def once(said: Sequence[Message]) -> list[Message]:
    """The first of each name."""
    first: dict[tuple[str, str], Message] = {}
    for one in said:
        first.setdefault((one.device, one.id), one)
    return list(first.values())


def naive(said: Sequence[Message], period: Period) -> list[tuple[object, ...]]:
    """Rollups of messages that all count, said with fractions and sorting."""
    groups: dict[tuple[int, str, str], list[tuple[tuple[int, int, str], Number]]] = {}
    for one in said:
        for field, number in one.fields.items():
            key = (one.time // LENGTHS[period] * LENGTHS[period], one.device, field)
            groups.setdefault(key, []).append(((one.time, one.received, one.id), number))
    return [
        (
            *key,
            len(values),
            sum((Fraction(repr(number + 0)) for _, number in values), Fraction(0)),
            min(float(number) for _, number in values),
            max(float(number) for _, number in values),
            float(max(values, key=lambda value: value[0])[1]),
        )
        for key, values in sorted(groups.items())
    ]


def said_by(found: Sequence[Rollup]) -> list[tuple[object, ...]]:
    return [(r.start, r.device, r.field, r.count, Fraction(r.sum), r.min, r.max, r.last) for r in found]


async def test_a_batch_makes_rows_and_rollups(reports: Reports) -> None:
    said = [
        say({"v": 1.5, "on": True}, ident="a"),
        say({"v": -3}, time=T + HOUR, ident="b"),
        say({"v": 2.25}, time=T + 1, ident="c"),
    ]
    await reports.write(records(said))
    assert [(r.count, str(r.sum), r.min, r.max, r.last) for r in await rollups(reports, "hour")] == [
        (1, "1", 1, 1, 1),
        (2, "3.75", 1.5, 2.25, 2.25),
        (1, "-3", -3, -3, -3),
    ]
    assert [(r.count, str(r.sum)) for r in await rollups(reports, "day")] == [(1, "1"), (3, "0.75")]
    assert await rows(reports) == [said[0], said[2], said[1]]


async def test_sums_are_of_the_decimals_as_written_whatever_their_size(reports: Reports) -> None:
    tenths = [say({"v": 0.1}, ident=f"{n}") for n in range(10)]
    far = [say({"w": value}, ident=f"w{n}") for n, value in enumerate([1.7976931348623157e308, 5e-324, 1e20, -3.5])]
    twice = [say({"w": value}, ident=f"x{n}") for n, value in enumerate([1.7976931348623157e308, 1e-14])]
    await reports.write(records([*tenths, *far]))
    await reports.write(records(twice, start=14))
    v, w = await rollups(reports)
    assert (v.count, str(v.sum)) == (10, "1")
    values = [1.7976931348623157e308, 5e-324, 1e20, -3.5, 1.7976931348623157e308, 1e-14]
    assert Fraction(w.sum) == sum(Fraction(repr(value)) for value in values)
    assert (w.min, w.max) == (-3.5, 1.7976931348623157e308)


async def test_last_is_by_time_and_received_and_id_not_by_arrival(reports: Reports) -> None:
    said = [
        say({"v": 1}, time=T + 5, received=T + 9, ident="b"),
        say({"v": 2}, time=T + 5, received=T + 9, ident="a"),
        say({"v": 3}, time=T + 5, received=T + 8, ident="z"),
        say({"v": 4}, time=T + 4, received=T + 99, ident="y"),
    ]
    for at, one in enumerate(said):
        await reports.write(records([one], start=at))
    assert [r.last for period in LENGTHS for r in await rollups(reports, period)] == [1, 1, 1]


async def test_names_that_differ_in_case_accent_or_blanks_are_different(reports: Reports) -> None:
    names = ["v", "V", "v ", "v\u0308", "é", "e", "ß", "ss", "😀", "a'b\\c\"%s", "x" * 128]
    said = [say({name: 1}, ident=name[:64]) for name in names]
    said += [say(device=device, ident="v") for device in ("Pump", "pump", "p" * 128)]
    await reports.write(records(said))
    assert sorted(r.field for r in await rollups(reports)) == sorted(names)
    assert sorted(await ids(reports)) == sorted((one.device, one.id) for one in said)
    assert sorted(map(encode, await rows(reports))) == sorted(map(encode, said))


async def test_the_same_message_received_hours_later_counts_once_while_its_row_is_kept(reports: Reports) -> None:
    first = say({"v": 1}, ident="a")
    again = say({"v": 1}, time=T, received=T + 5 * HOUR, ident="a")
    await reports.write(records([first, again]))
    await reports.write(records([again, first], start=2))
    assert [r.count for r in await rollups(reports)] == [1]
    assert await rows(reports) == [first]


async def test_a_late_message_is_counted_without_a_row(opens: Opens, clock: Clock) -> None:
    async with opens(rows=3600) as store:
        late = say({"v": 1}, time=T, received=T, ident="a")
        fresh = say({"v": 2}, time=T, received=clock.now, ident="b")
        await store.write(records([late, fresh]))
        assert [(r.count, str(r.sum)) for r in await rollups(store)] == [(2, "3")]
        assert await ids(store) == [("pump-7", "b")]


async def test_a_message_from_a_mad_clock_is_counted_without_a_row(reports: Reports) -> None:
    await reports.write(records([say({"v": 1}, time=T, received=T + 9_000 * DAY)]))
    assert [r.count for r in await rollups(reports)] == [1]
    assert await rows(reports) == []


async def test_rows_end_by_the_clock_and_are_dropped_by_the_hour_while_rollups_stay(opens: Opens, clock: Clock) -> None:
    said = [say({"v": n}, time=NOW + n * HOUR // 2, ident=f"{n}") for n in range(8)]
    async with opens(rows=2 * 3600) as store:
        for at, one in enumerate(said):
            clock.now = one.received
            await store.write(records([one], start=at))
            await store.maintain()
        assert await rows(store) == said[3:]
        clock.now += HOUR * 10
        assert (await rows(store), await ids(store)) == ([], [])
        assert await store.maintain() > 0
        assert await store.maintain() == 0
        await store.write(records([say({"v": 1}, time=NOW, received=NOW, ident="late")], start=8))
        assert await rows(store) == []
        assert sum(r.count for r in await rollups(store)) == 9
        now = say({"v": 1}, time=clock.now, ident="now")
        await store.write(records([now], start=9))
        assert await rows(store) == [now]


async def test_what_can_never_be_stored_is_named_and_the_rest_is_there(reports: Reports) -> None:
    said = [
        say({"v": 1}, ident="a"),
        say({"v": 10**400}, ident="b"),
        say({"v": float("inf")}, ident="c"),
        say({"n" * 300: 1}, ident="d"),
        say({"v": 2}, ident="e"),
    ]
    with pytest.raises(PartialWrite) as refused:
        await reports.write(records(said))
    assert set(refused.value.reasons) == {1, 2, 3}
    assert [(r.count, str(r.sum)) for r in await rollups(reports)] == [(2, "3")]
    assert await reports.ledger(MESSAGES) == highest(records(said))


async def test_a_failure_inside_the_transaction_leaves_nothing(reports: Reports) -> None:
    batch = records([say({"v": 1})])
    failpoints.arm("reports.transaction=fail")
    try:
        with pytest.raises(Unavailable):
            await reports.write(batch)
    finally:
        failpoints.arm("")
    assert (await rows(reports), await rollups(reports), await reports.ledger(MESSAGES)) == ([], [], {})
    await reports.write(batch)
    assert [r.count for r in await rollups(reports)] == [1]


async def test_answers_come_in_pages_and_by_device_field_and_span(reports: Reports) -> None:
    said = [
        say({"a": n, "b": n}, time=T + n * HOUR // 60, ident=f"{n}", device=device)
        for n in range(5)
        for device in ("p", "q")
    ]
    await reports.write(records(said))
    everything = await rollups(reports)
    found: list[Rollup] = []
    after: tuple[int, str, str] | None = None
    while page := (await reports.rollups("minute", None, None, ALL, 3, after=after))[0]:
        found += page
        after = (page[-1].start, page[-1].device, page[-1].field)
    assert found == everything
    assert len(found) == 20
    span = Span(everything[4].start, everything[8].start)
    some, ledger = await reports.rollups("minute", "p", "b", span, 9)
    assert [(r.start, r.device, r.field) for r in some] == [(span.start, "p", "b")]
    assert ledger == highest(records(said))
    one, _ = await reports.rows("q", Span(T + 1, T + 3 * HOUR // 60), 9)
    assert [m.id for m in one] == ["1", "2"]
    first, _ = await reports.rows("q", ALL, 2)
    rest, _ = await reports.rows("q", ALL, 9, after=(first[1].time, first[1].received, first[1].id))
    assert [m.id for m in (*first, *rest)] == ["0", "1", "2", "3", "4"]


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(data=st.data())
async def test_both_answer_as_a_naive_computation_however_batches_are_cut(
    mariadb_server: Server, data: st.DataObject
) -> None:
    said = data.draw(st.lists(messages(st.sampled_from(["p", "P", "q"])), max_size=12))
    said += data.draw(st.lists(st.sampled_from(said), max_size=4)) if said else []
    for one in said:
        one.received = min(max(one.received, T - DAY), T + DAY)
    written = records(said)
    with TemporaryDirectory() as folder:
        sqlite = open_sqlite_reports(Path(folder) / "r.sqlite", "log-1", rows=EVERYTHING, now=Clock())
        mysql = open_mysql_reports(a_database(mariadb_server.port, time=10), "log-1", rows=EVERYTHING, now=Clock())
        async with sqlite as one, mysql as other:
            for store in (one, other):
                for batch in data.draw(cut(written)):
                    await store.write(batch)
            for period in LENGTHS:
                expected = naive(once(said), period)
                assert said_by(await rollups(one, period)) == expected
                assert said_by(await rollups(other, period)) == expected
                assert [str(r.sum) for r in await rollups(one)] == [str(r.sum) for r in await rollups(other)]
            kept = sorted(once(said), key=lambda m: (m.time, m.received, m.id, m.device))
            assert await rows(one) == kept
            assert await rows(other) == kept
            assert await ids(one) == await ids(other) == sorted((m.device, m.id) for m in kept)


class ReportsPlace:
    """What both have in common: (rows, rollups) that a user sees, and what they must be."""

    topics = (MESSAGES,)

    def open(self, log_id: str = "log-1") -> AbstractAsyncContextManager[Reports]:
        raise NotImplementedError

    async def read_back(self) -> object:
        async with self.open() as store:
            return await rows(store), {period: said_by(await rollups(store, period)) for period in LENGTHS}

    def expected(self, written: Sequence[Record]) -> object:
        said = once([record.body for record in written if isinstance(record.body, Message)])
        kept = sorted(said, key=lambda m: (m.time, m.received, m.id, m.device))
        return kept, {period: naive(said, period) for period in LENGTHS}


class SqlitePlace(ReportsPlace):
    def __init__(self, folder: Path) -> None:
        self._path = folder / "reports.sqlite"

    def open(self, log_id: str = "log-1") -> AbstractAsyncContextManager[SqliteReports]:
        return open_sqlite_reports(self._path, log_id, rows=EVERYTHING, now=Clock())

    @asynccontextmanager
    async def taken_away(self) -> AsyncGenerator[None, None]:
        other = sqlite3.connect(self._path, isolation_level=None)
        try:
            other.execute("BEGIN IMMEDIATE")
            yield
        finally:
            other.close()


class MySqlPlace(ReportsPlace):
    """A database of its own, behind a proxy for each that has it open."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._config = a_database(server.port)
        self._proxies: list[Proxy] = []

    @asynccontextmanager
    async def open(self, log_id: str = "log-1") -> AsyncGenerator[MySqlReports, None]:
        async with proxied(self._server.port) as proxy:
            self._proxies.append(proxy)
            config = self._config.model_copy(update={"port": proxy.port})
            try:
                async with open_mysql_reports(config, log_id, rows=EVERYTHING, now=Clock()) as store:
                    yield store
            finally:
                self._proxies.remove(proxy)

    @asynccontextmanager
    async def taken_away(self) -> AsyncGenerator[None, None]:
        await asyncio.gather(*(proxy.hang() for proxy in self._proxies))
        yield
        await asyncio.gather(*(proxy.serve() for proxy in self._proxies))


class TestSqliteReports(StoreLaws):
    @pytest.fixture(autouse=True)
    def _impatient(self, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
        if "taken_away" in request.node.name:
            monkeypatch.setattr("storage.sqlite_file._BUSY_MS", 20)

    def place(self, folder: Path) -> SqlitePlace:
        return SqlitePlace(folder)


class TestMySqlReports(StoreLaws):
    server: Server

    @pytest.fixture(autouse=True, scope="class")
    @classmethod
    def _server(cls, mariadb_server: Server) -> None:
        cls.server = mariadb_server

    def place(self, folder: Path) -> MySqlPlace:
        return MySqlPlace(self.server)


Trouble = Callable[[Server], None]


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

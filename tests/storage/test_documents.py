"""Documents: each candidate once, its highest revision, given back exactly; the same answers from both backends.

MongoDB is a stand-in for mongod where no mongod is to be had: tests/services/not_shown.md says what that leaves open.
"""

import asyncio
import sqlite3
import uuid
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import UTC, datetime
from itertools import permutations
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Protocol

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pymongo import AsyncMongoClient
from pymongo.asynchronous.collection import AsyncCollection
from pymongo.errors import BulkWriteError

from headwater.config_stack import MongoDb
from headwater.errors import ConfigError, PartialWrite, Unavailable
from headwater.log import CANDIDATES
from headwater.message import Candidate, Heard, Origin, Position
from storage.contract import CandidateReader, Record, Span, Store
from storage.mongo_connection import judged
from storage.mongo_store import MongoDocuments, open_mongo_documents
from storage.sqlite_documents import SqliteDocuments, open_sqlite_documents
from tests.services.proxy import Proxy, proxied
from tests.services.server import Server
from tests.storage.factory import DAY, T, candidate, candidates, cut, message, partition_of, records
from tests.storage.laws import StoreLaws, check_ledgers

LIMIT = 2.0
"""Seconds that a call may take where a test takes the server away."""
RETENTION = 4 * 86_400.0


def clock() -> int:
    """Three days after `T`: what is older than a day before it has expired."""
    return T + 3 * DAY


class Documents(Store, CandidateReader, Protocol):
    """Both contracts, and the pruning."""

    async def maintain(self) -> int: ...


async def soon(work: Awaitable[Any], seconds: float = 20) -> Any:
    return await asyncio.wait_for(work, seconds)


def mongo_config(port: int, database: str, time: float = 20) -> MongoDb:
    return MongoDb(url=f"mongodb://127.0.0.1:{port}/?retryWrites=false", database=database, time=time)


def new_database() -> str:
    return f"test-{uuid.uuid4().hex}"


def mongo(
    server: Server,
    database: str,
    log_id: str = "log-1",
    *,
    time: float = 20,
    clock: Callable[[], int] = clock,
) -> AbstractAsyncContextManager[Documents]:
    return open_mongo_documents(mongo_config(server.port, database, time), log_id, retention=RETENTION, clock=clock)


class Open(Protocol):
    """Opens a store, always on the same data."""

    def __call__(
        self, log_id: str = "log-1", *, clock: Callable[[], int] = clock
    ) -> AbstractAsyncContextManager[Documents]: ...


@pytest.fixture(params=["sqlite", "the stand-in for mongod"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Open:
    """One of the two."""
    if request.param == "sqlite":
        path = tmp_path / "documents.sqlite"

        def on_sqlite(
            log_id: str = "log-1", *, clock: Callable[[], int] = clock
        ) -> AbstractAsyncContextManager[Documents]:
            return open_sqlite_documents(path, log_id, retention=RETENTION, clock=clock)

        return on_sqlite
    server: Server = request.getfixturevalue("mongo_server")
    database = new_database()

    def on_mongo(log_id: str = "log-1", *, clock: Callable[[], int] = clock) -> AbstractAsyncContextManager[Documents]:
        return mongo(server, database, log_id, clock=clock)

    return on_mongo


async def everything(store: CandidateReader) -> list[Candidate]:
    found, _ = await soon(store.candidates(None, Span(), 10_000, newest_first=False))
    return list(found)


async def all_ids(store: CandidateReader) -> list[str]:
    return [ident async for ids in store.ids() for ident, _ in ids]


def at(offset: int, body: Candidate) -> Record:
    """A candidate of the message at this offset."""
    origin = Origin(partition_of(body), offset, 0)
    return records([msgspec.structs.replace(body, origin=origin)])[0]


# ---- behaviour of both


async def test_a_candidate_comes_back_exactly_as_it_was(place: Open) -> None:
    said = message(
        7,
        at=T + 123_456,
        seq=2**64 - 1,
        flag="past",
        via="gateway-1",
        fields={
            "a.b": 1,
            "$set": 2.0,
            "%2E": True,
            "nul\0": -(2**63),
            "big": -(10**33) - 1,
            "ä": -0.0,
            "__proto__": 5e-324,
        },
        texts={"$where": "1", "a.b.": "\0", "%": "%25"},
        position=Position(90, -180, alt=None, accuracy=3.5),
        heard_by=[Heard("g", -70, None), Heard("h")],
        decoder="tasmota",
        raw=b"\x00\xff",
        v=2,
    )
    one = candidate(7, time=T + 999_999, message=said, kind="silent", revision=3, v=2, rule="", reasons=[])
    async with place() as store:
        await store.write(records([one]))
        (found,) = await everything(store)
    assert found == one
    assert {name: type(value) for name, value in found.message.fields.items()} == {
        name: type(value) for name, value in said.fields.items()
    }


async def test_the_highest_revision_stays_in_whatever_order_they_come(place: Open) -> None:
    async with place() as store:
        for number, order in enumerate(permutations(range(3))):
            written = [
                at(10 * number + place, candidate(number, "7", revision=revision, reasons=[f"revision {revision}"]))
                for place, revision in enumerate(order)
            ]
            if number % 2:
                await store.write(written)
            else:
                for record in written:
                    await store.write([record])
        assert [(found.revision, found.reasons) for found in await everything(store)] == [(2, ["revision 2"])] * 6


async def test_rivals_with_other_revisions_leave_the_highest(place: Open) -> None:
    async with place("log-1") as one, place("log-2") as other:
        for round_ in range(5):
            lower, higher = (
                [at(10 * round_ + n, candidate(10 * round_ + n, "7", revision=revision)) for n in range(10)]
                for revision in (round_, round_ + 1)
            )
            await soon(asyncio.gather(one.write(lower), other.write(higher[::-1])))
        assert [found.revision for found in await everything(one)] == [1 + n // 10 for n in range(50)]


async def test_what_another_log_replays_is_there_once(place: Open) -> None:
    written = records([candidate(n) for n in range(30)])
    async with place("log-1") as store:
        await store.write(written)
        before = await everything(store)
    async with place("log-2") as store:
        await store.write(written)
        assert await everything(store) == before
        assert len(await all_ids(store)) == 30


async def test_the_same_id_of_two_devices_is_two_candidates(place: Open) -> None:
    async with place() as store:
        await store.write(records([candidate(0, device, id="00ff") for device in ("pump-7", "tank:1")]))
        assert sorted(found.device for found in await everything(store)) == ["pump-7", "tank:1"]
        assert await all_ids(store) == ["00ff", "00ff"]


async def test_what_can_never_be_stored_is_named_and_all_else_is_durable(place: Open) -> None:
    bodies = [candidate(n, "7") for n in range(6)]
    bodies[1] = candidate(1, "7", time=2**63)
    bodies[4] = candidate(4, "7", message=message(4, "7", texts={"x": "\ud800"}))
    written = records(bodies)
    async with place() as store:
        with pytest.raises(PartialWrite) as refusal:
            await store.write(written)
        assert refusal.value.reasons.keys() == {1, 4}
        assert await everything(store) == [bodies[n] for n in (0, 2, 3, 5)]
    async with place() as store:
        assert await store.ledger(CANDIDATES) == {}, (
            "a crash now must bring the batch again: nobody has quarantined yet"
        )
        await store.write([written[n] for n in (0, 2, 3, 5)])
        assert len(await all_ids(store)) == 4
        await check_ledgers(store, (CANDIDATES,), written)


async def test_what_has_expired_is_not_shown_before_nor_after_it_is_deleted(
    place: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("storage.mongo_store._CHUNK", 4)
    monkeypatch.setattr("storage.sqlite_documents._CHUNK", 4)
    old = [candidate(n, "7", time=T + n) for n in range(10)]
    new = [candidate(n, "7", time=T + DAY) for n in range(10, 15)]
    written = records([*old, *new])
    async with place() as store:
        await store.write(written)
        assert await store.maintain() == 0
        assert len(await everything(store)) == 15

    def later() -> int:
        return T + 4 * DAY + 5

    async with place(clock=later) as store:
        assert await everything(store) == [*old[5:], *sorted(new, key=lambda found: found.id)], "the edge is still in"
        assert len(await all_ids(store)) == 10
        assert await store.maintain() == 5
        assert await store.maintain() == 0
        assert len(await everything(store)) == 10
    async with place("log-2", clock=later) as store:
        await store.write(written)
        assert len(await everything(store)) == 10
        await check_ledgers(store, (CANDIDATES,), written)
    async with place() as store:
        assert len(await everything(store)) == 10, "a late replay has brought nothing back"


async def test_candidates_are_read_by_device_time_and_page(place: Open) -> None:
    ids = ["b", "a", "B", "aa", "0"]
    bodies = [candidate(n, "7", id=ident, time=T + n // 3) for n, ident in enumerate(ids)]
    bodies.append(candidate(9, "pump-7", id="x", time=T + 1))
    async with place() as store:
        await store.write(records(bodies))

        async def ask(device: str | None, span: Span, limit: int = 10, **more: Any) -> list[str]:
            found, ledger = await store.candidates(device, span, limit, **more)
            assert ledger == await store.ledger(CANDIDATES)
            return [one.id for one in found]

        forth = ["B", "a", "b", "0", "aa", "x"]
        assert await ask(None, Span(), newest_first=False) == forth
        assert await ask(None, Span()) == forth[::-1]
        assert await ask("7", Span()) == ["aa", "0", "b", "a", "B"]
        assert await ask("nobody", Span()) == []
        assert await ask("7", Span(T + 1)) == ["aa", "0"]
        assert await ask("7", Span(None, T + 1)) == ["b", "a", "B"]
        assert await ask("7", Span(T + 1, T + 1)) == []
        assert await ask(None, Span(), 0) == []
        assert await ask(None, Span(), 2, after=(T, "a"), newest_first=False) == ["b", "0"]
        assert await ask(None, Span(), 2, after=(T + 1, "0")) == ["b", "a"]
        assert await ask(None, Span(None, T + 1), after=(T + 1, "0")) == ["b", "a", "B"]


# ---- both give what a page of Python says


@st.composite
def histories(draw: st.DrawFn) -> list[Record]:
    """Candidates in revisions and repetitions, in any order, behind one another on the log."""
    plain = st.text(st.characters(max_codepoint=0xD7FF).filter(str.isprintable), min_size=1, max_size=8)
    drawn = draw(st.lists(candidates(), max_size=8, unique_by=lambda one: one.message.id))
    bodies: list[Candidate] = []
    for number, one in enumerate(drawn):
        ident = f"{number}{draw(plain)}"  # compared by UTF-16 units in the stand-in: none beyond the first plane
        for revision in draw(st.lists(st.integers(0, 3), min_size=1, max_size=3)):
            bodies.append(msgspec.structs.replace(one, id=ident, revision=revision, rule_version=revision))
    return [at(offset, one) for offset, one in enumerate(draw(st.permutations(bodies)))]


def model(written: Sequence[Record]) -> list[Candidate]:
    """What must be shown, by (time, id)."""
    best: dict[str, Candidate] = {}
    for record in written:
        one = record.body
        assert isinstance(one, Candidate)
        if one.time >= clock() - 4 * DAY and (one.id not in best or one.revision > best[one.id].revision):
            best[one.id] = one
    return sorted(best.values(), key=lambda one: (one.time, one.id))


async def pages(store: CandidateReader, size: int, *, newest_first: bool) -> list[Candidate]:
    read: list[Candidate] = []
    after = None
    while True:
        found, _ = await store.candidates(None, Span(), size, newest_first=newest_first, after=after)
        if not found:
            return read
        read += found
        after = (found[-1].time, found[-1].id)


@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.differing_executors, HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(data=st.data())
async def test_both_give_the_same_answers_whatever_comes_in_whatever_cuts(
    mongo_server: Server, data: st.DataObject
) -> None:
    written = data.draw(histories())
    shown = model(written)
    for kind in ("sqlite", "the stand-in for mongod"):
        with TemporaryDirectory() as folder:
            opened: AbstractAsyncContextManager[Documents]
            opened = (
                open_sqlite_documents(Path(folder) / "d.sqlite", "log-1", retention=RETENTION, clock=clock)
                if kind == "sqlite"
                else mongo(mongo_server, new_database())
            )
            async with opened as store:
                for batch in data.draw(cut(written)):
                    await store.write(batch)
                await store.write(written[: len(written) // 2])
                assert await pages(store, 3, newest_first=False) == shown, kind
                assert await pages(store, 2, newest_first=True) == shown[::-1], kind
                for device in {one.device for one in shown}:
                    found, _ = await store.candidates(device, Span(), 100, newest_first=False)
                    assert found == [one for one in shown if one.device == device], kind
                found, _ = await store.candidates(None, Span(T, T + DAY), 100, newest_first=False)
                assert found == [one for one in shown if T <= one.time < T + DAY], kind
                assert sorted(await all_ids(store)) == sorted(one.id for one in shown), kind
                await check_ledgers(store, (CANDIDATES,), written)


# ---- the laws of every store


class DocumentsPlace(ABC):
    """What is there, by (device, id)."""

    topics = (CANDIDATES,)

    @abstractmethod
    def open(self, log_id: str = "log-1") -> AbstractAsyncContextManager[Documents]: ...

    async def read_back(self) -> object:
        async with self.open() as store:
            found = await everything(store)
            assert sorted(await all_ids(store)) == sorted(one.id for one in found)
            return {(one.device, one.id): (one.origin, one) for one in found} | {"rows": len(found)}

    def expected(self, written: Sequence[Record]) -> object:
        named: dict[tuple[str, str], tuple[Origin, Candidate]] = {}
        for record in written:
            assert isinstance(record.body, Candidate)
            named.setdefault((record.body.device, record.body.id), (record.body.origin, record.body))
        return named | {"rows": len(named)}


class SqlitePlace(DocumentsPlace):
    def __init__(self, folder: Path) -> None:
        self._path = folder / "documents.sqlite"

    def open(self, log_id: str = "log-1") -> AbstractAsyncContextManager[Documents]:
        return open_sqlite_documents(self._path, log_id, retention=RETENTION, clock=clock)

    @asynccontextmanager
    async def taken_away(self) -> AsyncGenerator[None, None]:
        other = sqlite3.connect(self._path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        try:
            yield
        finally:
            other.execute("ROLLBACK")
            other.close()


class TestLawsOnSqlite(StoreLaws):
    @pytest.fixture(autouse=True)
    def _impatient(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("storage.sqlite_file._BUSY_MS", 200)

    def place(self, folder: Path) -> SqlitePlace:
        return SqlitePlace(folder)


class MongoPlace(DocumentsPlace):
    """A database of its own, behind proxies that can take it away."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._database = new_database()
        self._proxies: list[Proxy] = []

    @asynccontextmanager
    async def open(self, log_id: str = "log-1") -> AsyncGenerator[Documents, None]:
        async with proxied(self._server.port) as proxy:
            config = mongo_config(proxy.port, self._database, LIMIT)
            async with open_mongo_documents(config, log_id, retention=RETENTION, clock=clock) as store:
                self._proxies.append(proxy)
                try:
                    yield store
                finally:
                    self._proxies.remove(proxy)

    @asynccontextmanager
    async def taken_away(self) -> AsyncGenerator[None, None]:
        for proxy in self._proxies:
            await proxy.refuse()
        try:
            yield
        finally:
            for proxy in self._proxies:
                await proxy.serve()


class TestLawsOnTheStandInForMongod(StoreLaws):
    @pytest.fixture(autouse=True)
    def _server(self, mongo_server: Server) -> None:
        self.server = mongo_server

    def place(self, folder: Path) -> MongoPlace:
        return MongoPlace(self.server)


# ---- MongoDB alone


@asynccontextmanager
async def shell(server: Server, database: str) -> AsyncGenerator[Any, None]:
    """The database as a person sees it."""
    client: AsyncMongoClient[Any] = AsyncMongoClient(
        f"mongodb://127.0.0.1:{server.port}/?retryWrites=false", tz_aware=True, timeoutMS=20_000
    )
    async with client:
        yield client[database]


async def test_on_the_stand_in_a_person_finds_natural_documents_and_indexes(mongo_server: Server) -> None:
    database = new_database()
    said = message(1, time=T + 123_456, fields={"a.b": 21.5, "on": True}, position=Position(50.5, 8.25, alt=100.0))
    one = candidate(1, time=T + 123_456, message=said)
    async with mongo(mongo_server, database) as store, shell(mongo_server, database) as seen:
        await store.write(records([one]))
        found = await seen.candidates.find_one({"_id": f"pump-7/{one.id}", "message.fields.a%2Eb": {"$gt": 21}})
        assert found["time"] == datetime(2025, 11, 21, 4, 40, 0, 123_000, tzinfo=UTC)
        assert found["exact"]["time"] == T + 123_456
        assert found["expires"] == datetime(2025, 11, 25, 4, 40, 0, 124_000, tzinfo=UTC)
        assert found["message"]["location"] == {"type": "Point", "coordinates": [8.25, 50.5]}
        assert found["message"]["fields"] == {"a%2Eb": 21.5, "on": True}
        assert found["origin"] == {"partition": one.origin.partition, "offset": 1, "n": 0}
        indexes = await seen.candidates.index_information()
        assert indexes.keys() == {"_id_", "device_time", "time", "rule_time", "expires"}
        assert indexes["expires"]["expireAfterSeconds"] == 0


async def test_on_the_stand_in_a_document_too_large_for_mongodb_is_refused_alone(mongo_server: Server) -> None:
    bodies = [candidate(n, "7") for n in range(3)]
    bodies[1] = candidate(1, "7", message=message(1, "7", texts={"x": "y" * (17 * 2**20)}))
    async with mongo(mongo_server, new_database()) as store:
        with pytest.raises(PartialWrite, match="1 records") as refusal:
            await store.write(records(bodies))
        assert "bytes" in refusal.value.reasons[1]
        assert await everything(store) == [bodies[0], bodies[2]]


def test_a_bulk_write_is_judged_operation_by_operation() -> None:
    def said(*codes: int, concern: bool = False) -> BulkWriteError:
        errors = [{"index": at, "code": code, "errmsg": "no"} for at, code in enumerate(codes)]
        return BulkWriteError({"writeErrors": errors, "writeConcernErrors": [{"errmsg": "late"}] if concern else []})

    present, refused = judged(said(11000, 121, 10334, 11000))
    assert present == [0, 3]
    assert refused.keys() == {1, 2}
    for code in (10107, 11600, 189, 91, 50, 8, 123456):
        with pytest.raises(Unavailable):
            judged(said(11000, code))
    with pytest.raises(Unavailable, match="late"):
        judged(said(11000, concern=True))


async def test_a_url_that_is_none_is_an_error_of_the_configuration() -> None:
    for url in ("nonsense", "mongodb://127.0.0.1:99999", "mongodb://127.0.0.1:1/?w=-1"):
        with pytest.raises(ConfigError, match="mongodb"):
            async with open_mongo_documents(MongoDb(url=url, time=1), "log-1", retention=1):
                pass


async def test_a_server_that_refuses_or_hangs_makes_open_unavailable_and_then_works(mongo_server: Server) -> None:
    async with proxied(mongo_server.port) as proxy:
        config = mongo_config(proxy.port, new_database(), 0.5)
        for take_away in (proxy.refuse, proxy.hang):
            await take_away()
            with pytest.raises(Unavailable):
                async with asyncio.timeout(5), open_mongo_documents(config, "log-1", retention=RETENTION):
                    pass
        await proxy.serve()
        config = mongo_config(proxy.port, config.database)
        async with open_mongo_documents(config, "log-1", retention=RETENTION) as store:
            await soon(store.ping())


async def test_a_frozen_stand_in_is_unavailable_to_every_call_and_then_goes_on(mongo_server: Server) -> None:
    written = records([candidate(n) for n in range(10)])
    async with mongo(mongo_server, new_database(), time=1) as store:
        await store.write(written[:5])
        mongo_server.freeze()
        try:
            for call in (store.write(written[5:]), store.ledger(CANDIDATES), everything(store), store.maintain()):
                with pytest.raises(Unavailable):
                    await soon(call, 3)
        finally:
            mongo_server.thaw()
        await until_well(store)
        await store.write(written[5:])
        assert len(await everything(store)) == 10
        await check_ledgers(store, (CANDIDATES,), written)


async def until_well(store: Store) -> None:
    """Ask until it answers: the driver looks for a lost server again in its own time."""
    async with asyncio.timeout(20):
        while True:
            try:
                return await store.ping()
            except Unavailable:
                continue


async def test_a_killed_stand_in_is_unavailable_and_is_written_to_when_it_is_back(mongo_server: Server) -> None:
    written = records([candidate(n) for n in range(10)])
    async with mongo(mongo_server, new_database(), time=1) as store:
        await store.write(written[:5])
        await asyncio.to_thread(mongo_server.kill)
        try:
            with pytest.raises(Unavailable):
                await soon(store.write(written[5:]), 3)
        finally:
            await asyncio.to_thread(mongo_server.start)
        await until_well(store)
        for _ in range(2):  # the stand-in may have lost what it said was durable; then the first one says so
            try:
                await store.write(written)
            except Unavailable:
                continue
        assert len(await everything(store)) == 10
        await check_ledgers(store, (CANDIDATES,), written)


async def test_a_stand_in_that_is_back_empty_is_set_up_again_and_says_so_once(mongo_server: Server) -> None:
    database = new_database()
    written = records([candidate(n) for n in range(10)])
    async with mongo(mongo_server, database, time=5) as store, mongo(mongo_server, database, time=5) as rival:
        await store.write(written[:5])
        await asyncio.to_thread(mongo_server.wipe)
        await until_well(store)
        await until_well(rival)
        assert await store.ledger(CANDIDATES) == {}
        assert await everything(store) == []
        for one in (store, rival):
            with pytest.raises(Unavailable, match="empty"):  # not "written", or what was before would be missing
                await one.write(written[5:])
        await store.write(written)
        await rival.write(written)
        assert len(await everything(rival)) == 10
        await check_ledgers(store, (CANDIDATES,), written)
        async with shell(mongo_server, database) as seen:
            assert "device_time" in await seen.candidates.index_information()


async def test_a_stand_in_emptied_between_data_and_ledger_does_not_get_a_ledger_without_data(
    mongo_server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = new_database()
    written = records([candidate(n) for n in range(10)])
    async with mongo(mongo_server, database) as store, shell(mongo_server, database) as seen:
        await store.write(written[:5])
        insert = AsyncCollection.insert_many

        async def insert_and_lose(self: AsyncCollection[Any], *args: Any, **options: Any) -> Any:
            done = await insert(self, *args, **options)
            await seen.client.drop_database(database)
            return done

        with monkeypatch.context() as patch:
            patch.setattr(AsyncCollection, "insert_many", insert_and_lose)
            with pytest.raises(Unavailable, match="empty"):
                await store.write(written[5:])
        assert await store.ledger(CANDIDATES) == {}


def test_both_are_named_documents() -> None:
    assert SqliteDocuments.name == MongoDocuments.name == "documents"

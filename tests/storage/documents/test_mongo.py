"""Documents on MongoDB: what a person finds there, what it refuses, and a server that refuses, hangs, dies or comes back empty."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import pytest
from pymongo import AsyncMongoClient
from pymongo.asynchronous.collection import AsyncCollection
from pymongo.errors import BulkWriteError

from headwater.config_stack import MongoDb
from headwater.errors import ConfigError, PartialWrite, Unavailable
from headwater.log import CANDIDATES
from headwater.message import Position
from storage.contract import Store
from storage.mongo_connection import judged
from storage.mongo_store import MongoDocuments, open_mongo_documents
from storage.sqlite_documents import SqliteDocuments
from tests.services.proxy import proxied
from tests.services.server import Server
from tests.storage.documents.kit import RETENTION, everything, mongo, mongo_config, new_database, soon
from tests.storage.factory import T, candidate, message, records
from tests.storage.laws import check_ledgers


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

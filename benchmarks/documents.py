"""The documents writers: CPU-seconds per million candidates, beside the bare drivers with the same batches.

Run: `python -m benchmarks.documents [--candidates N] [--batch N] [--runs N] [--mongo HOST:PORT]`. Candidates of
messages with three fields and a position. *bare* is `sqlite3.executemany` of the same rows into the same table, and
PyMongo's `bulk_write` of unordered upserts of the same documents: the driver alone, without a ledger. The ratio is with
these. *as records*: PyMongo again, with the candidates as they are on the log: two thirds of the bytes, no dates, no
place that can be searched, no end. CPU is this process's, not the server's. Without `--mongo` it is SQLite that is
measured. The stand-in for MongoDB that tests use takes one or two thousand a second, and fewer the more there are: give
it 6,000.
"""

import argparse
import asyncio
import gc
import sqlite3
import sys
import tempfile
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
from pymongo import AsyncMongoClient, ReplaceOne, WriteConcern

from benchmarks.measure import Result, cheapest, measure, report
from headwater.config_stack import MongoDb
from headwater.ids import hashed
from headwater.log import CANDIDATES
from headwater.message import Candidate, Message, Origin, Position, encode
from headwater.times import SECOND
from storage.contract import ORIGIN_BITS, Record
from storage.mongo_document import Document, document
from storage.mongo_store import open_mongo_documents
from storage.sqlite_documents import open_sqlite_documents

MOST_SECONDS = 240.0
"""For one run on a server."""
_START = 1_763_700_000_000_000
_RETENTION = 100 * 365 * 86_400.0
_SCHEMA = """
PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA cache_size = -32768;
CREATE TABLE candidate (device TEXT, id TEXT, time INTEGER, revision INTEGER, body BLOB, UNIQUE (device, id));
CREATE INDEX candidate_device_time ON candidate (device, time, id);
CREATE INDEX candidate_time ON candidate (time, id);
"""
_PUT = """INSERT INTO candidate VALUES (?, ?, ?, ?, ?) ON CONFLICT (device, id) DO UPDATE SET
    time = excluded.time, revision = excluded.revision, body = excluded.body WHERE excluded.revision > revision"""


def made(count: int, size: int) -> list[list[Record]]:
    """Batches of `size` candidates of a thousand devices."""
    batches: list[list[Record]] = []
    for start in range(0, count, size):
        numbers = range(start, min(start + size, count))
        batches.append([Record(CANDIDATES, 0, n, n << ORIGIN_BITS, _candidate(n)) for n in numbers])
    return batches


def _candidate(n: int) -> Candidate:
    time = _START + n * 100
    device = f"device-{n * 7919 % 1000}"
    message = Message(
        device=device,
        id=f"{n:016x}",
        received=time,
        time=time,
        at=time,
        fields={"temperature": n % 400 / 10, "voltage": n % 700},
        texts={"state": "on"},
        position=Position(50.0, 8.0),
    )
    ident = hashed(device.encode(), message.id.encode(), b"change")
    return Candidate(ident, device, time, "change", 1, ["temperature changed"], Origin(0, n, 0), message)


def _bodies(batch: Sequence[Record]) -> list[Candidate]:
    return [record.body for record in batch if isinstance(record.body, Candidate)]


async def on_sqlite(folder: Path, batches: Sequence[Sequence[Record]]) -> Result:
    async with open_sqlite_documents(folder / "documents.sqlite", "benchmark", retention=_RETENTION) as store:
        with measure("documents on SQLite") as result:
            for batch in batches:
                await store.write(batch)
                result.count += len(batch)
    return result


def bare_sqlite(folder: Path, batches: Sequence[Sequence[Record]]) -> Result:
    connection = sqlite3.connect(folder / "bare.sqlite", isolation_level=None)
    connection.executescript(_SCHEMA)
    with measure("bare sqlite3") as result:
        for batch in batches:
            connection.execute("BEGIN IMMEDIATE")
            connection.executemany(_PUT, [(c.device, c.id, c.time, c.revision, encode(c)) for c in _bodies(batch)])
            connection.execute("COMMIT")
            result.count += len(batch)
    connection.close()
    return result


async def on_mongo(url: str, batches: Sequence[Sequence[Record]]) -> Result:
    config = MongoDb(url=url, database=f"benchmark-{uuid.uuid4().hex}", time=60)
    async with open_mongo_documents(config, "benchmark", retention=_RETENTION) as store:
        with measure("documents on MongoDB") as result:
            for batch in batches:
                await store.write(batch)
                result.count += len(batch)
    await _drop(url, config.database)
    return result


def _as_stored(candidate: Candidate) -> Document:
    return document(candidate, round(_RETENTION * SECOND))


def _as_record(candidate: Candidate) -> Document:
    return msgspec.to_builtins(candidate) | {"_id": candidate.id}


async def bare_mongo(
    url: str, batches: Sequence[Sequence[Record]], name: str, made: Callable[[Candidate], Document]
) -> Result:
    database = f"benchmark-{uuid.uuid4().hex}"
    client: AsyncMongoClient[Document] = AsyncMongoClient(url)
    async with client:
        collection = client[database].get_collection("bare", write_concern=WriteConcern(w="majority", j=True))
        await collection.create_index([("device", 1), ("time", 1), ("id", 1)])
        await collection.create_index([("time", 1), ("id", 1)])
        await collection.create_index([("rule", 1), ("time", 1)])
        with measure(name) as result:
            for batch in batches:
                documents = [made(body) for body in _bodies(batch)]
                upserts = [ReplaceOne({"_id": body["_id"]}, body, upsert=True) for body in documents]
                await collection.bulk_write(upserts, ordered=False)
                result.count += len(batch)
    await _drop(url, database)
    return result


async def _drop(url: str, database: str) -> None:
    client: AsyncMongoClient[Document] = AsyncMongoClient(url)
    async with client:
        await client.drop_database(database)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--candidates", type=int, default=100_000)
    parser.add_argument("--batch", type=int, default=2_000)
    parser.add_argument("--runs", type=int, default=1)
    parser.add_argument("--mongo", default="", help="HOST:PORT of a MongoDB; a database of its own is made and dropped")
    options = parser.parse_args()
    batches = made(options.candidates, options.batch)
    gc.collect()
    gc.freeze()  # this and the threshold as the program has them
    gc.set_threshold(50_000, 20, 50)
    results = cheapest([asyncio.run(_run(options.mongo, batches)) for _ in range(options.runs)])
    results[0].beside(results[1])
    kept = report(results, f"{options.candidates} in batches of {options.batch}; ratio: bare / ours")
    return 0 if kept else 1


async def _run(mongo: str, batches: Sequence[Sequence[Record]]) -> Sequence[Result]:
    """Ours first, then the bare driver's."""
    if not mongo:
        with tempfile.TemporaryDirectory() as folder:
            return await on_sqlite(Path(folder), batches), bare_sqlite(Path(folder), batches)
    url = f"mongodb://{mongo}/?retryWrites=false"
    async with asyncio.timeout(MOST_SECONDS):
        return [
            await on_mongo(url, batches),
            await bare_mongo(url, batches, "bare PyMongo, the same documents", _as_stored),
            await bare_mongo(url, batches, "bare PyMongo, as records", _as_record),
        ]


if __name__ == "__main__":
    sys.exit(main())

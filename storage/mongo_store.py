"""Documents in MongoDB: a document a candidate (`mongo_document` says what it looks like), and the ledger beside them.

In: batches of candidates. Out: each in the collection `candidates`, its highest revision, and then, in the collection
`ledger`, how far this log has got. There are transactions on replica sets only, so the ledger follows the data: what
came in between a crash is written again, and changes nothing.

New candidates are inserted, unordered; those whose key is there replace it if their revision is higher, in one atomic
operation each. So no order of rivals leaves a lower revision behind, and a duplicate key is never an error.

A ledger is `born` once. A server that came back empty has none, or another one: the write that finds so makes the
collections again and is `Unavailable`, so that its caller asks for the ledger and starts from there.
"""

import secrets
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any, NamedTuple

import bson
from bson.codec_options import CodecOptions, DatetimeConversion
from bson.errors import BSONError
from bson.raw_bson import RawBSONDocument
from pymongo import ASCENDING, AsyncMongoClient, IndexModel, ReadPreference, ReplaceOne, WriteConcern
from pymongo.asynchronous.collection import AsyncCollection
from pymongo.errors import BulkWriteError, DuplicateKeyError, PyMongoError
from pymongo.read_concern import ReadConcern

from headwater.config_stack import MongoDb
from headwater.errors import PartialWrite, Unavailable
from headwater.log import CANDIDATES
from headwater.message import Candidate
from headwater.times import SECOND, now
from storage.candidate_batch import Row, encode_new
from storage.contract import Record, Span
from storage.mongo_connection import bounded, connected, judged
from storage.mongo_document import Document, candidate_of, date, document

LARGEST = 16 * 2**20
"""Bytes of a document, at most: a bound of MongoDB."""
_BY_TIME = [("time", ASCENDING), ("exact.time", ASCENDING), ("id", ASCENDING)]
_INDEXES = [
    IndexModel([("device", ASCENDING), *_BY_TIME], name="device_time"),
    IndexModel(_BY_TIME, name="time"),
    IndexModel([("rule", ASCENDING), ("time", ASCENDING)], name="rule_time"),
    IndexModel([("expires", ASCENDING)], name="expires", expireAfterSeconds=0),
]
_NOT_ENCODED = (BSONError, ArithmeticError, UnicodeError, ValueError, TypeError)
"""What the driver raises for values that BSON has no form for."""
_CHUNK = 1_000
"""Expired candidates deleted at once, and ids read at once."""


class _Ledger(NamedTuple):
    born: str
    positions: Mapping[int, int]


class MongoDocuments:
    """Use `open_mongo_documents`. A `Store` (topic `candidates`) and a `CandidateReader`."""

    name = "documents"

    def __init__(
        self,
        client: AsyncMongoClient[Document],
        config: MongoDb,
        log_id: str,
        retention: float,
        clock: Callable[[], int],
    ) -> None:
        codec: CodecOptions[Document] = CodecOptions(datetime_conversion=DatetimeConversion.DATETIME_MS)
        database = client[config.database].with_options(
            codec_options=codec,
            read_preference=ReadPreference.PRIMARY,
            read_concern=ReadConcern("majority"),
            write_concern=WriteConcern(w="majority", j=True),
        )
        self._candidates: AsyncCollection[Any] = database["candidates"]
        self._ledgers: AsyncCollection[Document] = database["ledger"]
        self._ledger_id = f"{log_id}/{CANDIDATES}"
        self._limit = config.time
        self._retention = round(retention * SECOND)
        self._clock = clock
        self._born: str | None = None

    async def set_up(self) -> None:
        """Make the indexes, and with them the collections, and a ledger that covers nothing, where missing."""
        async with bounded(self._limit):
            await self._make()

    async def write(self, batch: Sequence[Record]) -> None:
        """See `Store.write`. The ledger moves only with a batch that is stored whole.

        So a crash before the quarantine has the rest loses nothing: the batch comes again, and changes nothing.
        """
        async with bounded(self._limit):
            ledger = await self._current()
            rows, positions, refused = encode_new(batch, ledger.positions, self._cutoff(), self._document)
            refused |= await self._put(rows)
            if refused:
                raise PartialWrite(refused)
            if positions:
                await self._advance(ledger.born, positions)

    async def ledger(self, topic: str) -> Mapping[int, int]:
        """See `Store.ledger`."""
        async with bounded(self._limit):
            return await self._positions() if topic == CANDIDATES else {}

    async def ping(self) -> None:
        """See `Store.ping`: a durable write to the ledger that moves nothing."""
        async with bounded(self._limit):
            await self._ledgers.update_one({"_id": self._ledger_id}, {"$set": {"pinged": date(now())}})

    async def maintain(self) -> int:
        """Delete what has expired, in bounded steps; returns how many candidates. The server's TTL does it, too."""
        deleted = 0
        while True:
            async with bounded(self._limit):
                expired = {"time": {"$lte": date(self._cutoff())}, "exact.time": {"$lt": self._cutoff()}}
                found = await self._candidates.find(expired, {"_id": 1}).sort(_BY_TIME).limit(_CHUNK).to_list()
                chosen = {"_id": {"$in": [stored["_id"] for stored in found]}} | expired
                deleted += (await self._candidates.delete_many(chosen)).deleted_count if found else 0
            if len(found) < _CHUNK:
                return deleted

    async def erase(self, device: str, before: int) -> int:
        """See `Erasable.erase`."""
        async with bounded(self._limit):
            chosen = {"device": device, "message.exact.received": {"$lt": before}}
            return (await self._candidates.delete_many(chosen)).deleted_count

    async def candidates(
        self,
        device: str | None,
        span: Span,
        limit: int,
        *,
        newest_first: bool = True,
        after: tuple[int, str] | None = None,
    ) -> tuple[Sequence[Candidate], Mapping[int, int]]:
        """See `CandidateReader.candidates`."""
        async with bounded(self._limit):
            positions = await self._positions()
            if limit <= 0:
                return [], positions
            wanted = _wanted(device, span, self._cutoff(), after, newest_first=newest_first)
            order = [(name, -way if newest_first else way) for name, way in _BY_TIME]
            found = await self._candidates.find(wanted).sort(order).limit(limit).to_list()
        return [candidate_of(stored) for stored in found], positions

    async def ids(self) -> AsyncGenerator[Sequence[tuple[str, int]], None]:
        """See `CandidateReader.ids`."""
        after = ""
        while True:
            async with bounded(self._limit):
                wanted = {"_id": {"$gt": after}, "exact.time": {"$gte": self._cutoff()}}
                cursor = self._candidates.find(wanted, {"id": 1, "revision": 1}).sort("_id")
                found = await cursor.limit(_CHUNK).to_list()
            if not found:
                return
            yield [(stored["id"], int(stored["revision"])) for stored in found]
            after = found[-1]["_id"]

    def _cutoff(self) -> int:
        return self._clock() - self._retention

    def _document(self, candidate: Candidate) -> Document:
        return document(candidate, self._retention)

    def _encode(self, candidate: Candidate) -> RawBSONDocument:
        encoded = bson.encode(document(candidate, self._retention, large=True))
        if len(encoded) > LARGEST:
            raise ValueError(f"the document has {len(encoded)} bytes, {LARGEST} is the most")
        return RawBSONDocument(encoded)

    async def _put(self, rows: Sequence[Row[Document]]) -> dict[int, str]:
        """Insert; then replace, where the key was there already. Returns index in the batch → why never.

        The driver encodes a batch at once, for little. Where it can't, and where the server does not take it, each
        candidate is encoded and measured by itself: one that is too large may end the connection.
        """
        try:
            return await self._insert(rows)
        except (*_NOT_ENCODED, PyMongoError) as error:
            encoded, refused = self._each_encoded(rows)
            if not refused and isinstance(error, PyMongoError):
                raise
            return refused | await self._insert(encoded)

    def _each_encoded(self, rows: Sequence[Row[Document]]) -> tuple[list[Row[RawBSONDocument]], dict[int, str]]:
        encoded: list[Row[RawBSONDocument]] = []
        refused: dict[int, str] = {}
        for row in rows:
            try:
                encoded.append(Row(row.at, row.candidate, self._encode(row.candidate)))
            except _NOT_ENCODED as error:
                refused[row.at] = f"{type(error).__name__}: {error}"[:500]
        return encoded, refused

    async def _insert(self, rows: Sequence[Row[Any]]) -> dict[int, str]:
        if not rows:
            return {}
        try:
            await self._candidates.insert_many([row.encoded for row in rows], ordered=False)
        except BulkWriteError as error:
            present, refused = judged(error)
        else:
            return {}
        reasons = {rows[index].at: reason for index, reason in refused.items()}
        return reasons | await self._replace([rows[index] for index in present])

    async def _replace(self, rows: Sequence[Row[Any]]) -> dict[int, str]:
        """Replace what has a lower revision. A key that has gone since then had expired."""
        higher = [row for row in rows if row.candidate.revision > 0]
        if not higher:
            return {}
        replacements = [
            ReplaceOne({"_id": _key(row.candidate), "revision": {"$lt": row.candidate.revision}}, row.encoded)
            for row in higher
        ]
        try:
            await self._candidates.bulk_write(replacements, ordered=False)
        except BulkWriteError as error:
            _, refused = judged(error)
            return {higher[index].at: reason for index, reason in refused.items()}
        return {}

    async def _positions(self) -> Mapping[int, int]:
        ledger = await self._read()
        return {} if ledger is None else ledger.positions

    async def _read(self) -> _Ledger | None:
        stored = await self._ledgers.find_one({"_id": self._ledger_id})
        if stored is None:
            return None
        positions = {int(partition): int(at) for partition, at in stored["positions"].items()}
        return _Ledger(stored["born"], positions)

    async def _current(self) -> _Ledger:
        """The ledger that this store has known since it was opened."""
        ledger = await self._read()
        if ledger is None or ledger.born != self._born:
            await self._make()
            raise Unavailable("mongodb came back empty; its collections are made again")
        return ledger

    async def _advance(self, born: str, positions: Mapping[int, int]) -> None:
        highest = {f"positions.{partition}": position for partition, position in positions.items()}
        done = await self._ledgers.update_one({"_id": self._ledger_id, "born": born}, {"$max": highest})
        if done.matched_count == 0:
            raise Unavailable("mongodb came back empty during a write")

    async def _make(self) -> None:
        await self._candidates.create_indexes(_INDEXES)
        new = {"$setOnInsert": {"born": secrets.token_hex(8), "positions": {}}}
        with suppress(DuplicateKeyError):  # a rival made it at this moment
            await self._ledgers.update_one({"_id": self._ledger_id}, new, upsert=True)
        ledger = await self._read()
        self._born = None if ledger is None else ledger.born


def _key(candidate: Candidate) -> str:
    return f"{candidate.device}/{candidate.id}"


def _wanted(
    device: str | None, span: Span, cutoff: int, after: tuple[int, str] | None, *, newest_first: bool
) -> Document:
    """The query: every bound also on `time`, the date, which the indexes begin with."""
    lowest = cutoff if span.start is None else max(cutoff, span.start)
    dates: Document = {}
    exact: Document = {}
    wanted: Document = {"time": dates, "exact.time": exact}
    if span.end is not None:
        dates["$lte"] = date(span.end)
        exact["$lt"] = span.end
    if device is not None:
        wanted["device"] = device
    if after is not None:
        time, ident = after
        way = "$lt" if newest_first else "$gt"
        wanted["$or"] = [{"exact.time": {way: time}}, {"exact.time": time, "id": {way: ident}}]
        if newest_first:
            dates["$lte"] = date(time if span.end is None else min(time, span.end))
        else:
            lowest = max(lowest, time)
    dates["$gte"] = date(lowest)
    exact["$gte"] = lowest
    return wanted


@asynccontextmanager
async def open_mongo_documents(
    config: MongoDb, log_id: str, *, retention: float, clock: Callable[[], int] = now, readonly: bool = False
) -> AsyncGenerator[MongoDocuments, None]:
    """Connect, and make what is missing unless `readonly`, for the log with this id; closed below the yield.

    `retention`: seconds that a candidate is kept, by its `time`; one that is there keeps the end it was given.
    `clock`: microseconds since 1970 UTC. Raises `Unavailable` where the server is away, `ConfigError`.
    """
    async with connected(config) as client:
        store = MongoDocuments(client, config, log_id, retention, clock)
        if not readonly:
            await store.set_up()
        yield store

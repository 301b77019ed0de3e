"""Documents in one SQLite file: a row a candidate, found by device and time.

In: batches of candidates. Out: each as it stands on the log, its highest revision, and the ledger, in one transaction.
A candidate is named by (device, id). One that is older than the retention is not shown, even where it
is still there.
"""

import sqlite3
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from headwater.errors import PartialWrite
from headwater.log import CANDIDATES
from headwater.message import Candidate, decode_candidate, encode
from headwater.times import SECOND, now
from storage.candidate_batch import encode_new
from storage.contract import Record, Span
from storage.sqlite_file import SqliteFile, open_sqlite

_SCHEMA = """
PRAGMA cache_size = -32768;
CREATE TABLE IF NOT EXISTS ledger (
    log_id TEXT, topic TEXT, partition INTEGER, position INTEGER NOT NULL,
    PRIMARY KEY (log_id, topic, partition)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS candidate (
    device TEXT NOT NULL, id TEXT NOT NULL, time INTEGER NOT NULL, revision INTEGER NOT NULL, body BLOB NOT NULL,
    UNIQUE (device, id));
CREATE INDEX IF NOT EXISTS candidate_device_time ON candidate (device, time, id);
CREATE INDEX IF NOT EXISTS candidate_time ON candidate (time, id);
"""
_PUT = """
INSERT INTO candidate (device, id, time, revision, body) VALUES (?, ?, ?, ?, ?)
ON CONFLICT (device, id) DO UPDATE SET time = excluded.time, revision = excluded.revision, body = excluded.body
WHERE excluded.revision > candidate.revision"""
_PUT_LEDGER = """
INSERT INTO ledger (log_id, topic, partition, position) VALUES (?, ?, ?, ?)
ON CONFLICT DO UPDATE SET position = max(position, excluded.position)"""
_EXPIRE = "DELETE FROM candidate WHERE rowid IN (SELECT rowid FROM candidate WHERE time < ? ORDER BY time LIMIT ?)"
_ERASE = """
DELETE FROM candidate WHERE device = ? AND json_extract(CAST(body AS TEXT), '$.message.received') < ?"""
_IDS = """
SELECT device, id, revision FROM candidate WHERE (device, id) > (?, ?) AND time >= ? ORDER BY device, id LIMIT 1000"""
_CHUNK = 2_000
"""Expired candidates deleted in one transaction."""
_LOWEST, _HIGHEST = -(2**63), 2**63 - 1


class SqliteDocuments:
    """Use `open_sqlite_documents`. A `Store` (topic `candidates`) and a `CandidateReader`."""

    name = "documents"

    def __init__(self, file: SqliteFile, log_id: str, retention: float, clock: Callable[[], int]) -> None:
        self._file = file
        self._log_id = log_id
        self._retention = round(retention * SECOND)
        self._clock = clock

    async def write(self, batch: Sequence[Record]) -> None:
        """See `Store.write`. The ledger moves only with a batch that is stored whole.

        So a crash before the quarantine has the rest loses nothing: the batch comes again, and changes nothing.
        """
        refused = await self._file.write(lambda connection: self._apply(connection, batch))
        if refused:
            raise PartialWrite(refused)

    async def ledger(self, topic: str) -> Mapping[int, int]:
        """See `Store.ledger`."""
        return await self._file.read(lambda connection: self._positions(connection, topic))

    async def ping(self) -> None:
        """See `Store.ping`: takes the write lock and lets it go."""
        await self._file.write(lambda _: None)

    async def maintain(self) -> int:
        """Delete what has expired, in small transactions; returns how many candidates."""
        deleted = 0
        while True:
            done = await self._file.write(lambda at: at.execute(_EXPIRE, (self._cutoff(), _CHUNK)).rowcount)
            deleted += done
            if done < _CHUNK:
                return deleted

    async def erase(self, device: str, before: int) -> int:
        """See `Erasable.erase`."""
        return await self._file.write(lambda connection: connection.execute(_ERASE, (device, before)).rowcount)

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
        where, values = ["time >= ?"], [max(self._cutoff(), span.start if span.start is not None else _LOWEST)]
        parameters: list[int | str] = [*values]
        if span.end is not None:
            where.append("time < ?")
            parameters.append(span.end)
        if device is not None:
            where.append("device = ?")
            parameters.append(device)
        if after is not None:
            where.append(f"(time, id) {'<' if newest_first else '>'} (?, ?)")
            parameters.extend(after)
        order = "DESC" if newest_first else "ASC"
        select = f"SELECT body FROM candidate WHERE {' AND '.join(where)} ORDER BY time {order}, id {order} LIMIT ?"  # noqa: S608 only our own words

        def work(connection: sqlite3.Connection) -> tuple[Sequence[Candidate], Mapping[int, int]]:
            positions = self._positions(connection, CANDIDATES)
            found = connection.execute(select, [*parameters, max(0, limit)])
            return [decode_candidate(body) for (body,) in found], positions

        return await self._file.read(work)

    async def ids(self) -> AsyncGenerator[Sequence[tuple[str, int]], None]:
        """See `CandidateReader.ids`."""
        after = ("", "")
        while rows := await self._keys_after(after):
            yield [(ident, revision) for _, ident, revision in rows]
            after = rows[-1][:2]

    async def _keys_after(self, after: tuple[str, str]) -> Sequence[tuple[str, str, int]]:
        return await self._file.read(lambda at: at.execute(_IDS, (*after, self._cutoff())).fetchall())

    def _cutoff(self) -> int:
        return self._clock() - self._retention

    def _apply(self, connection: sqlite3.Connection, batch: Sequence[Record]) -> Mapping[int, str]:
        applied = self._positions(connection, CANDIDATES)
        rows, positions, refused = encode_new(batch, applied, self._cutoff(), _row)
        connection.executemany(_PUT, [row.encoded for row in rows])
        if not refused:
            moved = [(self._log_id, CANDIDATES, partition, position) for partition, position in positions.items()]
            connection.executemany(_PUT_LEDGER, moved)
        return refused

    def _positions(self, connection: sqlite3.Connection, topic: str) -> Mapping[int, int]:
        select = "SELECT partition, position FROM ledger WHERE log_id = ? AND topic = ?"
        return dict(connection.execute(select, (self._log_id, topic)).fetchall())


def _row(candidate: Candidate) -> tuple[str, str, int, int, bytes]:
    if not (_LOWEST <= candidate.time <= _HIGHEST and _LOWEST <= candidate.revision <= _HIGHEST):
        raise OverflowError("a time or revision has more than 64 bits")
    return candidate.device, candidate.id, candidate.time, candidate.revision, encode(candidate)


@asynccontextmanager
async def open_sqlite_documents(
    path: Path, log_id: str, *, retention: float, clock: Callable[[], int] = now, readonly: bool = False
) -> AsyncGenerator[SqliteDocuments, None]:
    """Open the file (made if need be) for the log with this id; closed below the yield.

    `retention`: seconds that a candidate is kept, by its `time`. `clock`: microseconds since 1970 UTC.
    `readonly`: nothing is made.
    """
    async with open_sqlite(path, _SCHEMA, readonly=readonly) as file:
        yield SqliteDocuments(file, log_id, retention, clock)

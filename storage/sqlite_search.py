"""Search in one SQLite file: a row a candidate, and a full-text index a day of `time`.

In: batches of candidates. Out: rows, their words and the ledger, in one transaction. A word is one token of FTS5:
`w` and the hexadecimal of its UTF-8 bytes (`p` for a pair), so that the tokenizer changes nothing and a prefix stays a
prefix. The indexes hold no text and forget nothing: a new revision gets a new row number, which leaves the old one's
words pointing at no row, and retention drops whole days of them.
"""

import sqlite3
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec

from headwater.errors import PartialWrite
from headwater.message import Candidate, decode_candidate
from headwater.places import boxes, distance
from headwater.times import now as _now
from storage.contract import Circle, Record, Span, Term
from storage.search_batch import DAY, Kept, first_time, place_of, sensible, sift, visible
from storage.search_words import Wanted, wanted, words_of
from storage.sqlite_file import SqliteFile, open_sqlite

_SCHEMA = """
PRAGMA cache_size = -32768;
CREATE TABLE IF NOT EXISTS ledger (
    log_id TEXT, topic TEXT, partition INTEGER, position INTEGER NOT NULL,
    PRIMARY KEY (log_id, topic, partition)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS candidate (
    number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, revision INTEGER NOT NULL,
    time INTEGER NOT NULL, lat REAL, lon REAL, json BLOB NOT NULL);
CREATE INDEX IF NOT EXISTS by_time ON candidate (time, id);
CREATE TABLE IF NOT EXISTS day (day INTEGER PRIMARY KEY);
"""
_MAKE_DAY = """CREATE VIRTUAL TABLE IF NOT EXISTS "words_{}" USING fts5(
    tokens, content='', columnsize=0, detail=none, tokenize='ascii')"""
_PUT_LEDGER = """
INSERT INTO ledger (log_id, topic, partition, position) VALUES (?, ?, ?, ?)
ON CONFLICT DO UPDATE SET position = excluded.position"""
_REVISIONS = "SELECT id, revision, json FROM candidate WHERE id IN (SELECT value FROM json_each(?))"
_OF_DEVICE = """
SELECT number, time FROM candidate WHERE json_extract(CAST(json AS TEXT), '$.device') = ?
AND json_extract(CAST(json AS TEXT), '$.message.received') < ?"""
_DROPPED_AT_ONCE = 10_000
"""Rows deleted in one transaction, so that a write never waits long for retention."""
_IDS = 5000

_Position = dict[tuple[str, int], int]


class SqliteSearch:
    """Use `open_sqlite_search`. A `Store` (topic `candidates`) and a `SearchReader`."""

    name = "search"

    def __init__(self, file: SqliteFile, log_id: str, retention: float, now: Callable[[], int]) -> None:
        self._file = file
        self._log_id = log_id
        self._retention = retention
        self._now = now

    async def write(self, batch: Sequence[Record]) -> None:
        """See `Store.write`: candidates, words and ledger in one transaction, on disk when this returns.

        The ledger moves only with a batch that is stored whole: a crash before the quarantine has the rest loses
        nothing, since the batch comes again, and changes nothing.
        """
        refused = await self._file.write(lambda connection: self._apply(connection, batch))
        if refused:
            raise PartialWrite(refused)

    def _apply(self, connection: sqlite3.Connection, batch: Sequence[Record]) -> Mapping[int, str]:
        sifted = sift(batch, _ledger(connection, self._log_id), self._now(), self._retention)
        _put(connection, _newer(connection, sifted.kept))
        if not sifted.refused:
            rows = [(self._log_id, *key, position) for key, position in sifted.ledger.items()]
            connection.executemany(_PUT_LEDGER, rows)
        return sifted.refused

    async def ledger(self, topic: str) -> Mapping[int, int]:
        """See `Store.ledger`."""
        return await self._file.read(lambda connection: self._positions(connection, topic))

    async def ping(self) -> None:
        """See `Store.ping`: takes the write lock and lets it go."""
        await self._file.write(lambda _: None)

    async def maintain(self) -> None:
        """Drop the days that `retention` no longer reaches. Called now and then."""
        first = first_time(self._now(), self._retention)
        while await self._file.write(lambda connection: _drop(connection, first)):
            pass

    async def erase(self, device: str, before: int) -> int:
        """See `Erasable.erase`. An index forgets no word by itself: that of a day that loses something is made anew."""
        found = await self._file.read(lambda connection: connection.execute(_OF_DEVICE, (device, before)).fetchall())
        for day in sorted({time // DAY for _, time in found}):
            numbers = [(number,) for number, time in found if time // DAY == day]
            await self._file.write(lambda connection: _forget(connection, day, numbers))  # noqa: B023  # awaited before it moves
        return len(found)

    async def search(
        self,
        terms: Sequence[Term],
        span: Span,
        limit: int,
        *,
        within: Circle | None = None,
        newest_first: bool = True,
        after: tuple[int, str] | None = None,
    ) -> tuple[Sequence[Candidate], Mapping[int, int]]:
        """See `SearchReader.search`."""
        asked = None if within is not None and not sensible(within) else wanted(terms)
        seen = visible(span, self._now(), self._retention)

        def work(connection: sqlite3.Connection) -> tuple[Sequence[Candidate], Mapping[int, int]]:
            found: list[Candidate] = []
            rows = () if asked is None else _rows(connection, asked, seen, within, after, newest_first=newest_first)
            for lat, lon, json in rows:
                if len(found) >= limit:
                    break
                if within is None or distance(lat, lon, within.lat, within.lon) <= within.radius:
                    found.append(decode_candidate(json))
            return found, self._positions(connection, "candidates")

        return await self._file.read(work)

    async def ids(self) -> AsyncGenerator[Sequence[tuple[str, int]], None]:
        """See `SearchReader.ids`."""
        last = (first_time(self._now(), self._retention), "")
        query = "SELECT time, id, revision FROM candidate WHERE (time, id) > (?, ?) ORDER BY time, id LIMIT ?"
        while batch := await self._file.read(
            lambda connection: connection.execute(query, (*last, _IDS)).fetchall()  # noqa: B023  # awaited before it moves
        ):
            yield [(ident, revision) for _, ident, revision in batch]
            last = batch[-1][:2]

    def _positions(self, connection: sqlite3.Connection, topic: str) -> Mapping[int, int]:
        ledger = _ledger(connection, self._log_id)
        return {partition: position for (of, partition), position in ledger.items() if of == topic}


def _ledger(connection: sqlite3.Connection, log_id: str) -> _Position:
    rows = connection.execute("SELECT topic, partition, position FROM ledger WHERE log_id = ?", (log_id,))
    return {(topic, partition): position for topic, partition, position in rows}


def _newer(connection: sqlite3.Connection, kept: Sequence[Kept]) -> list[Kept]:
    """One a candidate, its highest revision, unless the same or a higher one is there; the lower one is deleted."""
    newest: dict[str, Kept] = {}
    for one in kept:
        rival = newest.get(one.candidate.id)
        if rival is None or rival.candidate.revision <= one.candidate.revision:
            newest[one.candidate.id] = one
    old: list[tuple[str]] = []
    for ident, revision, json in connection.execute(_REVISIONS, (msgspec.json.encode(list(newest)).decode(),)):
        if revision > newest[ident].candidate.revision or json == newest[ident].json:
            del newest[ident]
        else:
            old.append((ident,))
    connection.executemany("DELETE FROM candidate WHERE id = ?", old)
    return list(newest.values())


def _put(connection: sqlite3.Connection, kept: Sequence[Kept]) -> None:
    row = connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'candidate'").fetchone()
    rows: list[tuple[object, ...]] = []
    tokens: dict[int, list[tuple[int, str]]] = {}
    for number, (_, candidate, json) in enumerate(kept, 1 if row is None else row[0] + 1):
        at = place_of(candidate)
        place = (None, None) if at is None else (at.lat, at.lon)
        rows.append((number, candidate.id, candidate.revision, candidate.time, *place, json))
        tokens.setdefault(candidate.time // DAY, []).append((number, _tokens(candidate)))
    connection.executemany("INSERT INTO candidate VALUES (?, ?, ?, ?, ?, ?, ?)", rows)
    for day, words in tokens.items():
        connection.execute(_MAKE_DAY.format(day))
        connection.execute("INSERT OR IGNORE INTO day VALUES (?)", (day,))
        connection.executemany(f'INSERT INTO "words_{day}" (rowid, tokens) VALUES (?, ?)', words)  # noqa: S608


def _forget(connection: sqlite3.Connection, day: int, numbers: Sequence[tuple[int]]) -> None:
    """Remove these rows of a day, and every word that only they had."""
    connection.executemany("DELETE FROM candidate WHERE number = ?", numbers)
    connection.execute(f'DROP TABLE IF EXISTS "words_{day}"')
    connection.execute(_MAKE_DAY.format(day))
    query = "SELECT number, json FROM candidate WHERE time >= ? AND time < ?"
    rows = connection.execute(query, (day * DAY, (day + 1) * DAY)).fetchall()
    words = [(number, _tokens(decode_candidate(json))) for number, json in rows]
    connection.executemany(f'INSERT INTO "words_{day}" (rowid, tokens) VALUES (?, ?)', words)  # noqa: S608


def _tokens(candidate: Candidate) -> str:
    words, pairs = words_of(candidate)
    return " ".join([_token(word, pair=False) for word in words] + [_token(pair, pair=True) for pair in pairs])


def _token(text: str, *, pair: bool) -> str:
    return ("p" if pair else "w") + text.encode().hex()


def _drop(connection: sqlite3.Connection, first: int) -> bool:
    """One step; true while there may be more to drop."""
    for (day,) in connection.execute("SELECT day FROM day WHERE day < ?", (first // DAY,)).fetchall():
        connection.execute(f'DROP TABLE IF EXISTS "words_{day}"')
        connection.execute("DELETE FROM day WHERE day = ?", (day,))
    some = "SELECT number FROM candidate WHERE time < ? ORDER BY time LIMIT ?"
    gone = connection.execute(f"DELETE FROM candidate WHERE number IN ({some})", (first, _DROPPED_AT_ONCE))  # noqa: S608
    return gone.rowcount == _DROPPED_AT_ONCE


_Row = tuple[float, float, bytes]


def _rows(
    connection: sqlite3.Connection,
    asked: Sequence[Wanted],
    span: Span,
    within: Circle | None,
    after: tuple[int, str] | None,
    *,
    newest_first: bool,
) -> Iterator[_Row]:
    """(lat, lon, JSON) in order, lazily; a circle gives what is in its box."""
    where, values = _conditions(span, within, after, newest_first=newest_first)
    order = "ORDER BY time DESC, id DESC" if newest_first else "ORDER BY time, id"
    if not asked:
        query = f"SELECT lat, lon, json FROM candidate WHERE {where} {order}"  # noqa: S608
        yield from connection.execute(query, values)
        return
    match = " AND ".join(f'"{_token(one.text, pair=one.pair)}"{" *" if one.prefix else ""}' for one in asked)
    for day in _days(connection, span, after, newest_first=newest_first):
        query = f"""SELECT lat, lon, json FROM "words_{day}" JOIN candidate ON number = "words_{day}".rowid
            WHERE "words_{day}" MATCH ? AND {where} {order}"""  # noqa: S608
        yield from connection.execute(query, (match, *values))


def _days(
    connection: sqlite3.Connection, span: Span, after: tuple[int, str] | None, *, newest_first: bool
) -> Iterable[int]:
    days = [row[0] for row in connection.execute("SELECT day FROM day ORDER BY day")]
    start, end = span
    if after is not None and newest_first:
        end = after[0] + 1 if end is None else min(end, after[0] + 1)
    elif after is not None:
        start = after[0] if start is None else max(start, after[0])
    days = [day for day in days if (start is None or (day + 1) * DAY > start) and (end is None or day * DAY < end)]
    return reversed(days) if newest_first else days


def _conditions(
    span: Span, within: Circle | None, after: tuple[int, str] | None, *, newest_first: bool
) -> tuple[str, list[object]]:
    where, values = ["TRUE"], list[object]()
    if span.start is not None:
        where.append("time >= ?")
        values.append(span.start)
    if span.end is not None:
        where.append("time < ?")
        values.append(span.end)
    if after is not None:
        where.append(f"(time, id) {'<' if newest_first else '>'} (?, ?)")
        values += after
    if within is not None:
        areas = boxes(*within)
        where.append(f"({' OR '.join(['lat BETWEEN ? AND ? AND lon BETWEEN ? AND ?'] * len(areas))})")
        values += [edge for area in areas for edge in area]
    return " AND ".join(where), values


@asynccontextmanager
async def open_sqlite_search(
    path: Path, log_id: str, *, retention: float, now: Callable[[], int] = _now, readonly: bool = False
) -> AsyncGenerator[SqliteSearch, None]:
    """Open the file for the log with this id, made if need be unless `readonly`; `retention` in seconds."""
    async with open_sqlite(path, _SCHEMA, readonly=readonly) as file:
        yield SqliteSearch(file, log_id, retention, now)

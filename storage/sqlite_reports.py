"""Reports in one SQLite file: rollups per minute, hour and day for ever, and the messages of the last day in rows.

In: batches of messages. Out: rows, what new rows add to the rollups, and the ledger, in one transaction. Sums are exact
decimals, kept as text and added by a function of ours. What counts and what becomes a row is in `report_rollups`.
"""

import sqlite3
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path

from headwater import times
from headwater.errors import PartialWrite
from headwater.failpoints import passing
from headwater.log import MESSAGES
from headwater.message import Message, decode_message, encode
from storage.contract import Period, Record, Rollup, Span
from storage.report_query import of_rollups, of_rows
from storage.report_rollups import LENGTHS, Kept, Key, Part, add, fold, plain, rollup, split, take, widened
from storage.sqlite_file import SqliteFile, open_sqlite

_ROLLUP = """
CREATE TABLE IF NOT EXISTS report_{period} (
    start INTEGER, device TEXT, field TEXT, n INTEGER NOT NULL, total TEXT NOT NULL, low REAL NOT NULL,
    high REAL NOT NULL, newest REAL NOT NULL, newest_key TEXT NOT NULL,
    PRIMARY KEY (start, device, field)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS report_{period}_device ON report_{period} (device, field, start);
"""
_SCHEMA = """
PRAGMA cache_size = -32768;
CREATE TABLE IF NOT EXISTS ledger (
    log_id TEXT, topic TEXT, partition INTEGER, position INTEGER NOT NULL,
    PRIMARY KEY (log_id, topic, partition)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS report_row (
    device TEXT, id TEXT, received INTEGER NOT NULL, time INTEGER NOT NULL, body BLOB NOT NULL,
    PRIMARY KEY (device, id));
CREATE INDEX IF NOT EXISTS report_row_received ON report_row (received);
CREATE INDEX IF NOT EXISTS report_row_time ON report_row (time, received, id);
CREATE INDEX IF NOT EXISTS report_row_device ON report_row (device, time, received, id);
""" + "".join(_ROLLUP.format(period=period) for period in LENGTHS)
_PUT_LEDGER = """
INSERT INTO ledger (log_id, topic, partition, position) VALUES (?, ?, ?, ?)
ON CONFLICT DO UPDATE SET position = excluded.position"""
_PUT_ROW = "INSERT INTO report_row (device, id, received, time, body) VALUES (?, ?, ?, ?, ?)"
_IS_THERE = "SELECT 1 FROM report_row WHERE device = ? AND id = ?"
_ADD = """
INSERT INTO {table} (start, device, field, n, total, low, high, newest, newest_key) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT DO UPDATE SET n = n + excluded.n, total = exact_sum(total, excluded.total), low = min(low, excluded.low),
    high = max(high, excluded.high), newest = iif(excluded.newest_key > newest_key, excluded.newest, newest),
    newest_key = max(newest_key, excluded.newest_key)"""
_DROP = "DELETE FROM report_row WHERE rowid IN (SELECT rowid FROM report_row WHERE received < ? LIMIT ?)"
_ERASE_ROWS = "DELETE FROM report_row WHERE device = ? AND received < ?"
_ERASE_ROLLUPS = "DELETE FROM report_{} WHERE device = ? AND start < ? AND substr(newest_key, 17, 16) < ?"
_CHUNK = 2_000
"""Rows that are dropped in one transaction: the writer waits for it."""


class SqliteReports:
    """Use `open_sqlite_reports`. A `Store` (topic `messages`) and a `ReportReader`."""

    name = "reports"

    def __init__(self, file: SqliteFile, log_id: str, rows: float, now: Callable[[], int]) -> None:
        self._file = file
        self._log_id = log_id
        self._rows = rows
        self._now = now

    async def write(self, batch: Sequence[Record]) -> None:
        """See `Store.write`: rows, rollups and ledger in one transaction, on disk when this returns."""
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
        """Drop the rows that are over, a few thousand at a time; how many they were."""
        floor, dropped = self._kept().floor, 0
        while True:
            done = await self._file.write(lambda connection: connection.execute(_DROP, (floor, _CHUNK)).rowcount)
            dropped += done
            if done < _CHUNK:
                return dropped

    async def erase(self, device: str, before: int) -> int:
        """See `Erasable.erase`. A rollup goes where its newest message does."""

        def work(connection: sqlite3.Connection) -> int:
            erased = connection.execute(_ERASE_ROWS, (device, before)).rowcount
            for period in LENGTHS:
                values = (device, before, f"{before:016x}")
                erased += connection.execute(_ERASE_ROLLUPS.format(period), values).rowcount
            return erased

        return await self._file.write(work)

    async def rollups(
        self,
        period: Period,
        device: str | None,
        field: str | None,
        span: Span,
        limit: int,
        *,
        after: tuple[int, str, str] | None = None,
    ) -> tuple[Sequence[Rollup], Mapping[int, int]]:
        """See `ReportReader.rollups`."""
        query, values = of_rollups("?", "total", period, device, field, span, after)

        def work(connection: sqlite3.Connection) -> tuple[Sequence[Rollup], Mapping[int, int]]:
            found = connection.execute(query, (*values, limit))
            answer = [
                rollup((start, name, of), n, Decimal(total), low, high, newest)
                for start, name, of, n, total, low, high, newest in found
            ]
            return answer, self._positions(connection, MESSAGES)

        return await self._file.read(work)

    async def rows(
        self, device: str | None, span: Span, limit: int, *, after: tuple[int, int, str, str] | None = None
    ) -> tuple[Sequence[Message], Mapping[int, int]]:
        """See `ReportReader.rows`."""
        query, values = of_rows("?", device, span, self._kept().since, after)

        def work(connection: sqlite3.Connection) -> tuple[Sequence[Message], Mapping[int, int]]:
            found = connection.execute(query, (*values, limit))
            return [decode_message(body) for (body,) in found], self._positions(connection, MESSAGES)

        return await self._file.read(work)

    async def ids(self) -> AsyncGenerator[Sequence[tuple[str, str]], None]:
        """See `ReportReader.ids`."""
        query = "SELECT device, id FROM report_row WHERE received >= ? AND (device, id) > (?, ?) ORDER BY 1, 2 LIMIT ?"
        last, since = ("", ""), self._kept().since
        while True:
            values = (since, *last, 10_000)

            def work(connection: sqlite3.Connection, values: tuple[object, ...] = values) -> Sequence[tuple[str, str]]:
                return connection.execute(query, values).fetchall()

            found = await self._file.read(work)
            if not found:
                return
            yield found
            last = found[-1]

    def _kept(self) -> Kept:
        return Kept(self._now(), self._rows)

    def _apply(self, connection: sqlite3.Connection, batch: Sequence[Record]) -> Mapping[int, str]:
        connection.create_function("exact_sum", 2, _exact_sum, deterministic=True)
        query = "SELECT topic, partition, position FROM ledger WHERE log_id = ?"
        applied = {(topic, part): at for topic, part, at in connection.execute(query, (self._log_id,))}
        messages, refused, ledger = take(batch, applied)
        names = {(message.device, message.id) for message in messages}
        there = {name for name in names if connection.execute(_IS_THERE, name).fetchone()}
        kept = self._kept()
        counted, rows = split(messages, there, kept)
        values = ((m.device, m.id, m.received, m.time, encode(m) if m in kept else b"") for m in rows)
        connection.executemany(_PUT_ROW, values)
        minutes = fold(counted)
        for period, length in LENGTHS.items():
            parts = minutes if period == "minute" else widened(minutes, length)
            connection.executemany(_ADD.format(table=f"report_{period}"), _lines(parts))
        connection.executemany(_PUT_LEDGER, [(self._log_id, *key, position) for key, position in ledger.items()])
        passing("reports.transaction")
        return refused

    def _positions(self, connection: sqlite3.Connection, topic: str) -> Mapping[int, int]:
        query = "SELECT partition, position FROM ledger WHERE log_id = ? AND topic = ?"
        return dict(connection.execute(query, (self._log_id, topic)))


def _lines(parts: Mapping[Key, Part]) -> list[tuple[object, ...]]:
    return [
        (*key, p.count, str(plain(add(p.total, p.rest))), p.low, p.high, p.newest, p.newest_key)
        for key, p in parts.items()
    ]


def _exact_sum(one: str, other: str) -> str:
    return str(plain(add(Decimal(one), Decimal(other))))


@asynccontextmanager
async def open_sqlite_reports(
    path: Path, log_id: str, *, rows: float, now: Callable[[], int] = times.now, readonly: bool = False
) -> AsyncGenerator[SqliteReports, None]:
    """Open the file for this log, made if need be unless `readonly`. A row is kept for `rows` seconds."""
    async with open_sqlite(path, _SCHEMA, readonly=readonly) as file:
        yield SqliteReports(file, log_id, rows, now)

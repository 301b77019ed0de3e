"""Reports in MariaDB or MySQL: rollups per minute, hour and day for ever, and the messages of the last day in rows.

In: batches of messages. Out: rows, what new rows add to the rollups, and the ledger, in one transaction. It takes the
ledger's rows first, in order: writers of the same partitions wait for each other, so that looking for what is there
already and writing what is not are one step, and a stale owner finds its records applied. What counts and what becomes
a row is in `report_rollups`; how rows are dropped, in `mysql_partitions`; how it is read, in `mysql_report_reader`.
"""

from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from decimal import Decimal

import aiomysql

from headwater import times
from headwater.config_stack import MariaDb
from headwater.errors import PartialWrite, Stale, Unavailable
from headwater.failpoints import passing
from headwater.message import Message, encode
from storage.contract import Period, Record
from storage.mysql_connection import Cursor, MySql, open_mysql, quoted, send_all
from storage.mysql_partitions import drop, extend
from storage.mysql_report_reader import MySqlReportReader
from storage.report_rollups import LENGTHS, PLACES, Kept, Key, Part, add, digits, fold, plain, split, take, widened
from storage.seen import Ledger, Seen

# VARBINARY: names compare byte by byte, with case, accents and blanks at the end; and order as in every other store.
_ROLLUP = """
CREATE TABLE IF NOT EXISTS report_{period} (
    start BIGINT NOT NULL, device VARBINARY(512) NOT NULL, field VARBINARY(1024) NOT NULL,
    n BIGINT NOT NULL, total DECIMAL(65, {places}) NOT NULL, rest VARBINARY(4000) NOT NULL DEFAULT '0',
    low DOUBLE NOT NULL, high DOUBLE NOT NULL, newest DOUBLE NOT NULL, newest_key VARBINARY(300) NOT NULL,
    PRIMARY KEY (start, device, field), KEY by_device (device, field, start)) ENGINE = InnoDB ROW_FORMAT = DYNAMIC"""
_SCHEMA = (
    """
CREATE TABLE IF NOT EXISTS report_ledger (
    log_id VARBINARY(128) NOT NULL, topic VARBINARY(128) NOT NULL, part INT NOT NULL, position BIGINT NOT NULL,
    PRIMARY KEY (log_id, topic, part)) ENGINE = InnoDB""",
    """
CREATE TABLE IF NOT EXISTS report_row (
    device VARBINARY(512) NOT NULL, id VARBINARY(256) NOT NULL, received BIGINT NOT NULL, time BIGINT NOT NULL,
    body MEDIUMBLOB NOT NULL, PRIMARY KEY (device, id, received), KEY by_time (time, received, id)) ENGINE = InnoDB
    ROW_FORMAT = DYNAMIC PARTITION BY RANGE (received) (PARTITION p0 VALUES LESS THAN (0))""",
    *(_ROLLUP.format(period=period, places=PLACES) for period in LENGTHS),
)
_HOLD = """
INSERT INTO report_ledger (log_id, topic, part, position) VALUES (%s, %s, %s, %s)
ON DUPLICATE KEY UPDATE position = position"""
_HELD = "SELECT position FROM report_ledger WHERE log_id = %s AND topic = %s AND part = %s FOR UPDATE"
_MOVE = """
INSERT INTO report_ledger (log_id, topic, part, position) VALUES (%s, %s, %s, %s)
ON DUPLICATE KEY UPDATE position = VALUES(position)"""
_PUT_ROWS = "INSERT INTO report_row (device, id, received, time, body) VALUES "
_ADD = "INSERT INTO {table} (start, device, field, n, total, low, high, newest, newest_key) VALUES "
# Assigned from left to right: `newest_key` last, since `newest` asks for the old one.
_ADDED = """
ON DUPLICATE KEY UPDATE n = n + VALUES(n), total = total + VALUES(total), low = LEAST(low, VALUES(low)),
    high = GREATEST(high, VALUES(high)), newest = IF(VALUES(newest_key) > newest_key, VALUES(newest), newest),
    newest_key = GREATEST(newest_key, VALUES(newest_key))"""
_ERASE_ROWS = "DELETE FROM report_row WHERE device = %s AND received < %s"
_ERASE_ROLLUPS = "DELETE FROM report_{} WHERE device = %s AND start < %s AND SUBSTRING(newest_key, 17, 16) < %s"
_DELETED = 100_000
"""Rows that one transaction deletes: a third of a second's work. Each passes by what those before left for later."""
_LOOKED_UP = 500
"""Names in one look-up: far below where a server gives up its index for so many."""


class MySqlReports(MySqlReportReader):
    """Use `open_mysql_reports`. A `Store` (topic `messages`) and a `ReportReader`."""

    name = "reports"

    def __init__(self, mysql: MySql, log_id: str, rows: float, now: Callable[[], int]) -> None:
        super().__init__(mysql, log_id, rows, now)
        self._bound = 0  # of the highest partition, as far as we know
        self._seen = Seen("MariaDB")

    async def ledger(self, topic: str) -> Mapping[int, int]:
        """See `Store.ledger`."""
        found = await super().ledger(topic)
        self._seen.begin(topic, found)
        return found

    async def write(self, batch: Sequence[Record]) -> None:
        """See `Store.write`: rows, rollups and ledger in one transaction. Raises `Stale` if what it had is gone."""
        kept = self._kept()
        arrived = [r.body.received for r in batch if isinstance(r.body, Message) and kept.remembers(r.body)]
        try:
            if arrived and max(arrived) >= self._bound:
                self._bound = await extend(self._mysql, max(arrived), kept, self._rows)
            refused, ledger = await self._mysql.transaction(lambda cursor: self._apply(cursor, batch, kept))
        except aiomysql.IntegrityError as error:  # another log's writer put the same row a moment ago
            raise Unavailable(f"{self._mysql.where}: {error}") from error
        except (Stale, Unavailable):
            self._bound = 0  # the table may be another one when the server is back
            raise
        self._seen.moved(ledger)
        if refused:
            raise PartialWrite(refused)

    async def ping(self) -> None:
        """See `Store.ping`: a write that changes nothing."""

        async def work(cursor: Cursor) -> None:
            await cursor.execute("DELETE FROM report_ledger WHERE log_id = ''")

        await self._mysql.transaction(work)

    async def maintain(self) -> int:
        """Make the partitions of the hours to come, drop those that are over; how many these were."""
        kept = self._kept()
        self._bound = await extend(self._mysql, 0, kept, self._rows)
        return await drop(self._mysql, kept)

    async def erase(self, device: str, before: int) -> int:
        """See `Erasable.erase`. A rollup goes where its newest message does.

        Some at a time: years of minutes are more than a transaction ends within a call's time, and it would be undone.
        """
        erased = await self._delete(_ERASE_ROWS, (device, before))
        for period in LENGTHS:
            erased += await self._delete(_ERASE_ROLLUPS.format(period), (device, before, f"{before:016x}"))
        return erased

    async def _delete(self, query: str, values: Sequence[object]) -> int:
        deleted = 0
        while True:
            done = await self._mysql.transaction(lambda cursor: cursor.execute(f"{query} LIMIT {_DELETED}", values))
            deleted += done
            if done < _DELETED:
                return deleted

    async def _apply(self, cursor: Cursor, batch: Sequence[Record], kept: Kept) -> tuple[Mapping[int, str], Ledger]:
        applied = await self._hold(cursor, sorted({(record.topic, record.partition) for record in batch}))
        self._seen.check(applied, applied)
        messages, refused, ledger = take(batch, applied)
        counted, rows = split(messages, await _there(cursor, messages), kept)
        await send_all(cursor, _PUT_ROWS, (_row(message, shown=message in kept) for message in rows), "")
        minutes = fold(counted)
        for period, length in LENGTHS.items():
            await _add(cursor, period, minutes if period == "minute" else widened(minutes, length))
        await cursor.executemany(_MOVE, [(self._log_id, *key, ledger[key]) for key in sorted(ledger)])
        passing("reports.transaction")
        return refused, ledger

    async def _hold(self, cursor: Cursor, keys: Sequence[tuple[str, int]]) -> Mapping[tuple[str, int], int]:
        """Lock the ledger's rows, in order, made where they are missing; what they say."""
        held: dict[tuple[str, int], int] = {}
        await cursor.executemany(_HOLD, [(self._log_id, *key, -1) for key in keys])
        for topic, partition in keys:
            await cursor.execute(_HELD, (self._log_id, topic, partition))
            for (position,) in await cursor.fetchall():
                held[topic, partition] = position
        return held


async def _there(cursor: Cursor, messages: Sequence[Message]) -> set[tuple[str, str]]:
    """Which of them have a row, received in any hour."""
    names = sorted({(message.device, message.id) for message in messages})
    there: set[tuple[str, str]] = set()
    for start in range(0, len(names), _LOOKED_UP):
        some = [f"({quoted(device)},{quoted(name)})" for device, name in names[start : start + _LOOKED_UP]]
        await send_all(cursor, "SELECT device, id FROM report_row WHERE (device, id) IN (", some, ")")
        there.update((device.decode(), name.decode()) for device, name in await cursor.fetchall())
    return there


def _row(message: Message, *, shown: bool) -> str:
    named = f"({quoted(message.device)},{quoted(message.id)}"
    body = quoted(encode(message).decode()) if shown else "''"
    return f"{named},{message.received},{message.time},{body})"


def _line(key: Key, part: Part) -> str:
    start, device, field = key
    named = f"({start},{quoted(device)},{quoted(field)},{part.count},'{digits(part.total)}'"
    values = f"{_double(part.low)},{_double(part.high)},{_double(part.newest)}"
    return f"{named},{values},{quoted(part.newest_key)})"


def _double(value: float) -> str:
    """With an exponent: without one it would be a decimal number first."""
    text = repr(value)
    return text if "e" in text else text + "e0"


async def _add(cursor: Cursor, period: Period, parts: Mapping[Key, Part]) -> None:
    """Add to the rollups, in the order of their keys, so that writers of different partitions don't entangle."""
    table, keys = f"report_{period}", sorted(parts)
    await send_all(cursor, _ADD.format(table=table), (_line(key, parts[key]) for key in keys), _ADDED)
    for key in keys:
        if rest := parts[key].rest:
            await _add_rest(cursor, table, key, rest)


async def _add_rest(cursor: Cursor, table: str, key: Key, rest: Decimal) -> None:
    """Values too large or too small for the column: added here, while the row is ours."""
    where = "WHERE start = %s AND device = %s AND field = %s"
    await cursor.execute(f"SELECT rest FROM {table} {where} FOR UPDATE", key)  # noqa: S608
    for (held,) in await cursor.fetchall():
        summed = str(plain(add(Decimal(held.decode()), rest)))
        await cursor.execute(f"UPDATE {table} SET rest = %s {where}", (summed, *key))  # noqa: S608


@asynccontextmanager
async def open_mysql_reports(
    config: MariaDb, log_id: str, *, rows: float, now: Callable[[], int] = times.now, readonly: bool = False
) -> AsyncGenerator[MySqlReports, None]:
    """Connected, tables there; closed below the yield. A row is kept for `rows` seconds. Raises `Unavailable`.

    `readonly`: nothing is made.
    """
    async with open_mysql(config, None if readonly else _SCHEMA) as mysql:
        yield MySqlReports(mysql, log_id, rows, now)

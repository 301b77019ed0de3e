"""Live state in one SQLite file: a row a device, with the newest value of each of its fields.

In: batches of messages. Out: each device's state as JSON, and the ledger, in one transaction. A batch is folded in
Python, device by device, so that a device costs one upsert a batch however much it said. What "newest" means is in
`live_state`. States of recent devices are kept in memory, and forgotten whenever the file may have moved without them.
"""

import sqlite3
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from heapq import nsmallest
from itertools import islice
from pathlib import Path

import msgspec

from headwater.failpoints import passing
from headwater.log import MESSAGES
from headwater.message import Message
from headwater.places import boxes, distance
from storage.contract import Circle, LiveDevice, Record
from storage.live_state import LiveState
from storage.sqlite_file import SqliteFile, open_sqlite

_SCHEMA = """
PRAGMA cache_size = -32768;
CREATE TABLE IF NOT EXISTS ledger (
    log_id TEXT, topic TEXT, partition INTEGER, position INTEGER NOT NULL,
    PRIMARY KEY (log_id, topic, partition)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS device (device TEXT PRIMARY KEY, state TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS place (device TEXT PRIMARY KEY, lat REAL NOT NULL, lon REAL NOT NULL) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS place_by_lat ON place (lat, lon);
"""
_VERSION = 1
"""`user_version` of a file whose `place` is filled; 0: made before there was that table."""
_PUT = "INSERT INTO device (device, state) VALUES (?, ?) ON CONFLICT DO UPDATE SET state = excluded.state"
_GET = "SELECT state FROM device WHERE device = ?"
_RANGE = "SELECT device, state FROM device WHERE device >= ? AND device > ? AND device < ? ORDER BY device LIMIT ?"
_PUT_PLACE = """
INSERT INTO place (device, lat, lon) VALUES (?, ?, ?)
ON CONFLICT DO UPDATE SET lat = excluded.lat, lon = excluded.lon WHERE lat != excluded.lat OR lon != excluded.lon"""
_IN_BOX = "SELECT device, lat, lon FROM place WHERE lat BETWEEN ? AND ? AND lon BETWEEN ? AND ?"
_PUT_LEDGER = """
INSERT INTO ledger (log_id, topic, partition, position) VALUES (?, ?, ?, ?)
ON CONFLICT DO UPDATE SET position = excluded.position"""
_BEHIND_ALL = "\U0010ffff"
_REMEMBERED = 20_000
"""Devices whose state is kept in memory: about a kilobyte each."""

_Ledger = dict[tuple[str, str, int], int]
"""(log id, topic, partition) → position."""

_encode = msgspec.json.encode
_decode = msgspec.json.Decoder(LiveState).decode


class _Writer:
    """Folds batches into rows. Belongs to the writing thread."""

    def __init__(self, log_id: str) -> None:
        self._log_id = log_id
        self._states: dict[str, LiveState] = {}
        # The ledger that `_states` go with. A transaction that failed, wherever it did, leaves another one in the file.
        self._as_of: _Ledger | None = None

    def apply(self, connection: sqlite3.Connection, batch: Sequence[Record]) -> None:
        """Within a transaction: what the ledger does not cover yet, and the ledger."""
        ledger = _ledger(connection)
        if ledger != self._as_of:
            self._states.clear()
        self._as_of = None
        touched = self._fold(connection, batch, ledger.copy(), ledger)
        connection.executemany(_PUT, [(device, _encode(state).decode()) for device, state in touched.items()])
        connection.executemany(_PUT_PLACE, _places(touched))
        connection.executemany(_PUT_LEDGER, [(*key, position) for key, position in ledger.items()])
        passing("live.transaction")
        for device in list(islice(self._states, max(0, len(self._states) - _REMEMBERED))):
            del self._states[device]
        self._as_of = ledger

    def erase(self, connection: sqlite3.Connection, device: str, before: int) -> int:
        """See `Erasable.erase`."""
        self._states.pop(device, None)
        row = connection.execute(_GET, (device,)).fetchone()
        if row is None:
            return 0
        state = _decode(row[0])
        if not state.holds(before):
            return 0
        connection.execute("DELETE FROM place WHERE device = ?", (device,))
        if state.forget(before):
            connection.execute(_PUT, (device, _encode(state).decode()))
            connection.executemany(_PUT_PLACE, _places({device: state}))
        else:
            connection.execute("DELETE FROM device WHERE device = ?", (device,))
        return 1

    def _fold(
        self, connection: sqlite3.Connection, batch: Sequence[Record], applied: _Ledger, ledger: _Ledger
    ) -> dict[str, LiveState]:
        touched: dict[str, LiveState] = {}
        for topic, partition, _, position, body in batch:
            key = (self._log_id, topic, partition)
            if position <= applied.get(key, -1):
                continue
            if position > ledger.get(key, -1):
                ledger[key] = position
            if isinstance(body, Message):
                state = touched.get(body.device)
                if state is None:
                    state = touched[body.device] = self._state(connection, body.device)
                state.add(body)
        return touched

    def _state(self, connection: sqlite3.Connection, device: str) -> LiveState:
        state = self._states.get(device)
        if state is None:
            row = connection.execute(_GET, (device,)).fetchone()
            state = self._states[device] = LiveState() if row is None else _decode(row[0])
        return state


class SqliteLive:
    """Use `open_live`. A `Store` (topic `messages`) and a `LiveReader`.

    A device's `messages` counts entries of the log, each once, however often it is offered.
    """

    name = "live"

    def __init__(self, file: SqliteFile, log_id: str) -> None:
        self._file = file
        self._log_id = log_id
        self._writer = _Writer(log_id)

    async def write(self, batch: Sequence[Record]) -> None:
        """See `Store.write`: states and ledger in one transaction, on disk when this returns."""
        await self._file.write(lambda connection: self._writer.apply(connection, batch))

    async def ledger(self, topic: str) -> Mapping[int, int]:
        """See `Store.ledger`."""
        return await self._file.read(lambda connection: self._positions(connection, topic))

    async def ping(self) -> None:
        """See `Store.ping`: takes the write lock and lets it go."""
        await self._file.write(lambda _: None)

    async def erase(self, device: str, before: int) -> int:
        """See `Erasable.erase`."""
        return await self._file.write(lambda connection: self._writer.erase(connection, device, before))

    async def device(self, device: str) -> LiveDevice | None:
        """See `LiveReader.device`."""
        return (await self.device_as_of(device))[0]

    async def device_as_of(self, device: str) -> tuple[LiveDevice | None, Mapping[int, int]]:
        """See `LiveReader.device_as_of`."""

        def work(connection: sqlite3.Connection) -> tuple[LiveDevice | None, Mapping[int, int]]:
            row = connection.execute(_GET, (device,)).fetchone()
            found = None if row is None else _decode(row[0]).device(device)
            return found, self._positions(connection, MESSAGES)

        return await self._file.read(work)

    async def devices(self, after: str, limit: int, prefix: str = "") -> Sequence[LiveDevice]:
        """See `LiveReader.devices`."""

        def work(connection: sqlite3.Connection) -> Sequence[LiveDevice]:
            rows = connection.execute(_RANGE, (prefix, after, prefix + _BEHIND_ALL, limit))
            return [_decode(state).device(name) for name, state in rows]

        return await self._file.read(work)

    async def near(self, circle: Circle, limit: int) -> Sequence[LiveDevice]:
        """See `LiveReader.near`; equally near ones by name."""

        def work(connection: sqlite3.Connection) -> Sequence[LiveDevice]:
            found: set[tuple[float, str]] = set()
            for box in boxes(*circle):
                for device, lat, lon in connection.execute(_IN_BOX, box):
                    found.add((distance(circle.lat, circle.lon, lat, lon), device))
            inside = nsmallest(limit, (one for one in found if one[0] <= circle.radius))
            rows = [(device, connection.execute(_GET, (device,)).fetchone()) for _, device in inside]
            return [_decode(row[0]).device(device) for device, row in rows]

        return await self._file.read(work)

    async def everything(self) -> AsyncGenerator[Sequence[LiveDevice], None]:
        """See `LiveReader.everything`."""
        after = ""
        while batch := await self.devices(after, 1000):
            yield batch
            after = batch[-1].device

    def _positions(self, connection: sqlite3.Connection, topic: str) -> Mapping[int, int]:
        return {
            partition: position
            for (log_id, of, partition), position in _ledger(connection).items()
            if (log_id, of) == (self._log_id, topic)
        }


def _places(states: Mapping[str, LiveState]) -> list[tuple[str, float, float]]:
    at = [(device, state.position) for device, state in states.items()]
    return [(device, position.lat, position.lon) for device, position in at if position is not None]


def _migrate(connection: sqlite3.Connection) -> None:
    """Fill `place`, in a file made before there was one."""
    if connection.execute("PRAGMA user_version").fetchone()[0] >= _VERSION:
        return
    for device, state in connection.execute("SELECT device, state FROM device"):
        connection.executemany(_PUT_PLACE, _places({device: _decode(state)}))
    connection.execute(f"PRAGMA user_version = {_VERSION}")


def _ledger(connection: sqlite3.Connection) -> _Ledger:
    rows = connection.execute("SELECT log_id, topic, partition, position FROM ledger")
    return {(log_id, topic, partition): position for log_id, topic, partition, position in rows}


@asynccontextmanager
async def open_live(path: Path, log_id: str, *, readonly: bool = False) -> AsyncGenerator[SqliteLive, None]:
    """Open the file for the log with this id, made if need be unless `readonly`; closed below the yield."""
    async with open_sqlite(path, _SCHEMA, readonly=readonly) as file:
        if not readonly:
            await file.write(_migrate)
        yield SqliteLive(file, log_id)

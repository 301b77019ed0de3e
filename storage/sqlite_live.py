"""Live state in one SQLite file: the newest value of each field of each device, its position, and who heard it.

In: batches of messages. Out: rows that hold the newest by (time, received, id), never the last that arrived, and the
ledger, in one transaction. A batch is first folded in Python to one row a (device, field), so that a busy field costs
one upsert a batch. Values are kept as JSON, so that 1, 1.0, true and "1" stay what they were.
"""

import sqlite3
from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec

from headwater.failpoints import passing
from headwater.log import MESSAGES
from headwater.message import Heard, Message, Number, Position
from storage.contract import LiveDevice, LiveValue, Record
from storage.sqlite_file import SqliteFile, open_sqlite

Stamp = tuple[int, int, str]
"""(time, received, id): what "newer" means. SQLite compares such rows as Python does, ids by code point."""

_SCHEMA = """
PRAGMA cache_size = -32768;
CREATE TABLE IF NOT EXISTS ledger (
    log_id TEXT, topic TEXT, partition INTEGER, position INTEGER NOT NULL,
    PRIMARY KEY (log_id, topic, partition)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS device (
    device TEXT PRIMARY KEY, time INTEGER NOT NULL, received INTEGER NOT NULL, id TEXT NOT NULL,
    via TEXT NOT NULL, kind TEXT NOT NULL, heard_by TEXT NOT NULL,
    seen INTEGER NOT NULL, messages INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS newest (
    device TEXT, field TEXT, value TEXT NOT NULL, time INTEGER NOT NULL, received INTEGER NOT NULL, id TEXT NOT NULL,
    PRIMARY KEY (device, field)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS place (
    device TEXT PRIMARY KEY, position TEXT NOT NULL,
    time INTEGER NOT NULL, received INTEGER NOT NULL, id TEXT NOT NULL) WITHOUT ROWID;
"""
_PUT_VALUE = """
INSERT INTO newest (device, field, value, time, received, id) VALUES (?, ?, ?, ?, ?, ?)
ON CONFLICT DO UPDATE SET value = excluded.value, time = excluded.time, received = excluded.received, id = excluded.id
WHERE (excluded.time, excluded.received, excluded.id) > (newest.time, newest.received, newest.id)"""
_PUT_PLACE = """
INSERT INTO place (device, position, time, received, id) VALUES (?, ?, ?, ?, ?)
ON CONFLICT DO UPDATE SET
    position = excluded.position, time = excluded.time, received = excluded.received, id = excluded.id
WHERE (excluded.time, excluded.received, excluded.id) > (place.time, place.received, place.id)"""
_PUT_DEVICE = """
INSERT INTO device (device, time, received, id, via, kind, heard_by, seen, messages) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT DO UPDATE SET
    seen = max(seen, excluded.seen), messages = messages + excluded.messages,
    time = iif(<newer>, excluded.time, device.time), received = iif(<newer>, excluded.received, device.received),
    id = iif(<newer>, excluded.id, device.id), via = iif(<newer>, excluded.via, device.via),
    kind = iif(<newer>, excluded.kind, device.kind), heard_by = iif(<newer>, excluded.heard_by, device.heard_by)
""".replace("<newer>", "(excluded.time, excluded.received, excluded.id) > (device.time, device.received, device.id)")
_PUT_LEDGER = """
INSERT INTO ledger (log_id, topic, partition, position) VALUES (?, ?, ?, ?)
ON CONFLICT DO UPDATE SET position = excluded.position WHERE excluded.position > ledger.position"""
_LEDGER = "SELECT partition, position FROM ledger WHERE log_id = ? AND topic = ?"
_DEVICES = """
SELECT device, device.time, via, kind, heard_by, seen, messages, place.position, place.time
FROM device LEFT JOIN place USING (device)
WHERE device >= ? AND device > ? AND device < ? ORDER BY device LIMIT ?"""
_VALUES = "SELECT device, field, value, time, received, id FROM newest WHERE device BETWEEN ? AND ?"
_BEHIND_ALL = "\U0010ffff"

_encode = msgspec.json.encode
_value = msgspec.json.Decoder(Number | str).decode
_position = msgspec.json.Decoder(Position).decode
_heard = msgspec.json.Decoder(list[Heard]).decode


def _json(value: object) -> str:
    return _encode(value).decode()


class _Fold:
    """A batch as the rows it comes to: what is newest within the batch, by (time, received, id)."""

    def __init__(self, batch: Iterable[Record], applied: Mapping[tuple[str, int], int]) -> None:
        self.values: dict[tuple[str, str], tuple[Stamp, Number | str]] = {}
        self.places: dict[str, tuple[Stamp, Position]] = {}
        self.newest: dict[str, tuple[Stamp, Message]] = {}
        self.counts: dict[str, int] = {}
        self.seen: dict[str, int] = {}
        self.ledger: dict[tuple[str, int], int] = {}
        for topic, partition, _, position, body in batch:
            if position <= applied.get((topic, partition), -1):
                continue
            if position > self.ledger.get((topic, partition), -1):
                self.ledger[topic, partition] = position
            if isinstance(body, Message):
                self._add(body)

    def _add(self, message: Message) -> None:
        device = message.device
        stamp = (message.time, message.received, message.id)
        self.counts[device] = self.counts.get(device, 0) + 1
        if message.received > self.seen.get(device, -1):
            self.seen[device] = message.received
        held = self.newest.get(device)
        if held is None or stamp > held[0]:
            self.newest[device] = (stamp, message)
        values = self.values
        for named in (message.fields, message.texts):
            for field, value in named.items():
                key = (device, field)
                known = values.get(key)
                if known is None or stamp > known[0]:
                    values[key] = (stamp, value)
        if message.position is not None:
            place = self.places.get(device)
            if place is None or stamp > place[0]:
                self.places[device] = (stamp, message.position)

    def put(self, connection: sqlite3.Connection) -> None:
        """Write the rows, each only where it is newer than the one that is there."""
        connection.executemany(
            _PUT_DEVICE,
            [
                (
                    device,
                    *stamp,
                    newest.via,
                    newest.kind,
                    _json(newest.heard_by),
                    self.seen[device],
                    self.counts[device],
                )
                for device, (stamp, newest) in self.newest.items()
            ],
        )
        connection.executemany(
            _PUT_VALUE,
            [(device, field, _json(value), *stamp) for (device, field), (stamp, value) in self.values.items()],
        )
        connection.executemany(
            _PUT_PLACE, [(device, _json(position), *stamp) for device, (stamp, position) in self.places.items()]
        )


class SqliteLive:
    """Use `open_live`. A `Store` (topic `messages`) and a `LiveReader`.

    `messages` of a device counts entries on the log, so an entry counts once however often it is offered.
    """

    name = "live"

    def __init__(self, file: SqliteFile, log_id: str) -> None:
        self._file = file
        self._log_id = log_id

    async def write(self, batch: Sequence[Record]) -> None:
        """See `Store.write`: values and ledger in one transaction, on disk when this returns."""

        def work(connection: sqlite3.Connection) -> None:
            topics = {record.topic for record in batch}
            applied = {
                (topic, partition): position
                for topic in topics
                for partition, position in connection.execute(_LEDGER, (self._log_id, topic))
            }
            fold = _Fold(batch, applied)
            fold.put(connection)
            connection.executemany(_PUT_LEDGER, [(self._log_id, *key, at) for key, at in fold.ledger.items()])
            passing("live.transaction")

        await self._file.write(work)

    async def ledger(self, topic: str) -> Mapping[int, int]:
        """See `Store.ledger`."""
        return await self._file.read(lambda connection: dict(connection.execute(_LEDGER, (self._log_id, topic))))

    async def ping(self) -> None:
        """See `Store.ping`: takes the write lock and lets it go."""
        await self._file.write(lambda _: None)

    async def device(self, device: str) -> LiveDevice | None:
        """See `LiveReader.device`."""
        return (await self.device_as_of(device))[0]

    async def device_as_of(self, device: str) -> tuple[LiveDevice | None, Mapping[int, int]]:
        """See `LiveReader.device_as_of`."""

        def work(connection: sqlite3.Connection) -> tuple[LiveDevice | None, Mapping[int, int]]:
            found = _devices(connection, (device, "", device + "\0"), 1)
            return found[0] if found else None, dict(connection.execute(_LEDGER, (self._log_id, MESSAGES)))

        return await self._file.read(work)

    async def devices(self, after: str, limit: int, prefix: str = "") -> Sequence[LiveDevice]:
        """See `LiveReader.devices`."""
        bounds = (prefix, after, prefix + _BEHIND_ALL)
        return await self._file.read(lambda connection: _devices(connection, bounds, limit))

    async def everything(self) -> AsyncGenerator[Sequence[LiveDevice], None]:
        """See `LiveReader.everything`."""
        after = ""
        while batch := await self.devices(after, 1000):
            yield batch
            after = batch[-1].device


def _devices(connection: sqlite3.Connection, bounds: tuple[str, str, str], limit: int) -> list[LiveDevice]:
    """Devices with `bounds[0] <= name`, `bounds[1] < name < bounds[2]`, by name, with their values."""
    found: dict[str, LiveDevice] = {}
    for name, time, via, kind, heard_by, seen, messages, place, place_time in connection.execute(
        _DEVICES, (*bounds, limit)
    ):
        found[name] = LiveDevice(
            device=name,
            seen=seen,
            time=time,
            via=via,
            kind=kind,
            position=None if place is None else _position(place),
            position_time=place_time,
            heard_by=_heard(heard_by),
            messages=messages,
        )
    if found:
        names = list(found)
        for name, field, value, time, received, id_ in connection.execute(_VALUES, (names[0], names[-1])):
            found[name].values[field] = LiveValue(_value(value), time, received, id_)
    return list(found.values())


@asynccontextmanager
async def open_live(path: Path, log_id: str) -> AsyncGenerator[SqliteLive, None]:
    """Open the file (made if need be) for the log with this id; closed below the yield."""
    async with open_sqlite(path, _SCHEMA) as file:
        yield SqliteLive(file, log_id)

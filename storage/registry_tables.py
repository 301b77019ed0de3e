"""The registry's tables, and rows to records and back. Who may change them, and how, is in `registry_changes`.

In: a connection within a transaction. Out: devices, keys, rules, lines of the audit trail.
"""

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from typing import TypeVar

import msgspec

from headwater.registry import ApiKey, AuditEntry, Change, Device, DeviceChange, KeyChange, RulesChange

SCHEMA = """
CREATE TABLE IF NOT EXISTS device (
    name TEXT PRIMARY KEY, token TEXT NOT NULL, model TEXT NOT NULL, speaks_for TEXT NOT NULL,
    disabled INTEGER NOT NULL, removed INTEGER NOT NULL, version INTEGER NOT NULL, changed INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS api_key (
    name TEXT PRIMARY KEY, digest TEXT NOT NULL, roles TEXT NOT NULL,
    removed INTEGER NOT NULL, version INTEGER NOT NULL, changed INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS rules (version INTEGER PRIMARY KEY, rules BLOB NOT NULL, changed INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS audit (
    number INTEGER PRIMARY KEY AUTOINCREMENT, time INTEGER NOT NULL, actor TEXT NOT NULL, kind TEXT NOT NULL,
    name TEXT NOT NULL, action TEXT NOT NULL, before INTEGER NOT NULL, after INTEGER NOT NULL, changes TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS outbox (number INTEGER PRIMARY KEY AUTOINCREMENT, key BLOB NOT NULL, value BLOB NOT NULL);
"""
_DEVICES = "SELECT name, token, model, speaks_for, disabled, removed, version, changed FROM device"
_KEYS = "SELECT name, digest, roles, removed, version, changed FROM api_key"
_AUDIT = "SELECT number, time, actor, kind, name, action, before, after, changes FROM audit"

_encode = msgspec.json.encode

T = TypeVar("T", bound=msgspec.Struct)


def device_row(connection: sqlite3.Connection, name: str) -> Device | None:
    """The device, also a removed one."""
    return next(_devices(connection.execute(_DEVICES + " WHERE name = ?", (name,))), None)


def devices_page(connection: sqlite3.Connection, after: str, limit: int) -> list[Device]:
    """By name, without the removed ones."""
    where = " WHERE name > ? AND NOT removed ORDER BY name LIMIT ?"
    return list(_devices(connection.execute(_DEVICES + where, (after, limit))))


def key_row(connection: sqlite3.Connection, name: str) -> ApiKey | None:
    """The key, also a removed one."""
    return next(_keys(connection.execute(_KEYS + " WHERE name = ?", (name,))), None)


def key_rows(connection: sqlite3.Connection) -> list[ApiKey]:
    """By name, without the removed ones."""
    return list(_keys(connection.execute(_KEYS + " WHERE NOT removed ORDER BY name")))


def current_rules(connection: sqlite3.Connection) -> RulesChange | None:
    """The rules of the highest version."""
    row = connection.execute("SELECT version, rules FROM rules ORDER BY version DESC LIMIT 1").fetchone()
    return None if row is None else RulesChange(row[0], msgspec.Raw(row[1]))


def row_of(connection: sqlite3.Connection, change: Change) -> Change | None:
    """What the tables have where this change is about, as a change."""
    match change:
        case DeviceChange(device):
            found = device_row(connection, device.name)
            return None if found is None else DeviceChange(found)
        case KeyChange(key):
            known = key_row(connection, key.name)
            return None if known is None else KeyChange(known)
        case RulesChange():
            return current_rules(connection)


def every_row(connection: sqlite3.Connection) -> Iterator[Change]:
    """The present state of everything, removed ones too, as changes."""
    yield from map(DeviceChange, _devices(connection.execute(_DEVICES)))
    yield from map(KeyChange, _keys(connection.execute(_KEYS)))
    if (rules := current_rules(connection)) is not None:
        yield rules


def store(connection: sqlite3.Connection, change: Change, time: int) -> None:
    """Write the record as it is, with the version it has. `time` is for rules; the others carry their own."""
    match change:
        case DeviceChange(d):
            children = _encode(d.speaks_for).decode()
            connection.execute(
                "INSERT OR REPLACE INTO device VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (d.name, d.token, d.model, children, d.disabled, d.removed, d.version, d.changed),
            )
        case KeyChange(k):
            roles = _encode(k.roles).decode()
            connection.execute(
                "INSERT OR REPLACE INTO api_key VALUES (?, ?, ?, ?, ?, ?)",
                (k.name, k.digest, roles, k.removed, k.version, k.changed),
            )
        case RulesChange(version, rules):
            connection.execute("INSERT OR REPLACE INTO rules VALUES (?, ?, ?)", (version, bytes(rules), time))


def write_audit(connection: sqlite3.Connection, entry: AuditEntry) -> None:
    """Add it; its number is the next one, whatever it says."""
    connection.execute(
        "INSERT INTO audit VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            entry.time,
            entry.actor,
            entry.kind,
            entry.name,
            entry.action,
            entry.before,
            entry.after,
            _encode(entry.changes).decode(),
        ),
    )


def audit_before(connection: sqlite3.Connection, number: int, limit: int) -> list[AuditEntry]:
    """The newest first, numbered below `number`."""
    where = " WHERE number < ? ORDER BY number DESC LIMIT ?"
    return list(_entries(connection.execute(_AUDIT + where, (number, limit))))


def audit_after(connection: sqlite3.Connection, number: int, limit: int) -> list[AuditEntry]:
    """The oldest first, numbered above `number`."""
    return list(_entries(connection.execute(_AUDIT + " WHERE number > ? ORDER BY number LIMIT ?", (number, limit))))


def _records(rows: Iterable[Sequence[object]], kind: type[T], listed: str) -> Iterator[T]:
    """Columns stand in the order of the struct's fields; the field `listed` is JSON in its column."""
    for row in rows:
        values = dict(zip(kind.__struct_fields__, row, strict=True))
        values[listed] = msgspec.json.decode(str(values[listed]))
        yield msgspec.convert(values, kind, strict=False)


def _devices(rows: Iterable[Sequence[object]]) -> Iterator[Device]:
    return _records(rows, Device, "speaks_for")


def _keys(rows: Iterable[Sequence[object]]) -> Iterator[ApiKey]:
    return _records(rows, ApiKey, "roles")


def _entries(rows: Iterable[Sequence[object]]) -> Iterator[AuditEntry]:
    return _records(rows, AuditEntry, "changes")

"""The registry's tables, and rows to records and back. Who may change them, and how, is in `registry_changes`.

Each function gives the statements that it needs, one after the other, takes their rows, and returns devices, keys,
rules, lines of the audit trail. Who runs it within a transaction may be SQLite or MariaDB: parameters are `?`, names
that one of them reserves stand in backticks, and what both understand is all that is used.
"""

from collections.abc import Generator, Iterator, Sequence
from typing import NamedTuple, TypeAlias, TypeVar, cast

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
_RULES = "SELECT version, rules FROM rules ORDER BY version DESC LIMIT 1"
_AUDIT = "SELECT number, time, actor, kind, name, action, `before`, `after`, changes FROM audit"

_encode = msgspec.json.encode

S = TypeVar("S", bound=msgspec.Struct)
T = TypeVar("T")
Rows: TypeAlias = Sequence[Sequence[object]]
Statement: TypeAlias = tuple[str, Sequence[object]]
Steps: TypeAlias = Generator[Statement, Rows, T]
"""Statements to run in one transaction, each one sent its rows (none: empty); in the end it returns a T."""


class Outgoing(NamedTuple):
    """A change that the log does not have yet, as an entry of topic `registry`."""

    number: int
    key: bytes
    value: bytes


def device_row(name: str) -> Steps[Device | None]:
    """The device, also a removed one."""
    return next(_devices((yield _DEVICES + " WHERE name = ?", (name,))), None)


def devices_page(after: str, limit: int) -> Steps[list[Device]]:
    """By name, without the removed ones."""
    where = " WHERE name > ? AND NOT removed ORDER BY name LIMIT ?"
    return list(_devices((yield _DEVICES + where, (after, limit))))


def key_row(name: str) -> Steps[ApiKey | None]:
    """The key, also a removed one."""
    return next(_keys((yield _KEYS + " WHERE name = ?", (name,))), None)


def key_rows() -> Steps[list[ApiKey]]:
    """By name, without the removed ones."""
    return list(_keys((yield _KEYS + " WHERE NOT removed ORDER BY name", ())))


def current_rules() -> Steps[RulesChange | None]:
    """The rules of the highest version."""
    rows = cast("Sequence[tuple[int, bytes]]", (yield _RULES, ()))
    return RulesChange(rows[0][0], msgspec.Raw(rows[0][1])) if rows else None


def row_of(change: Change) -> Steps[Change | None]:
    """What the tables have where this change is about, as a change."""
    match change:
        case DeviceChange(device):
            found = yield from device_row(device.name)
            return None if found is None else DeviceChange(found)
        case KeyChange(key):
            known = yield from key_row(key.name)
            return None if known is None else KeyChange(known)
        case RulesChange():
            return (yield from current_rules())


def every_row() -> Steps[list[Change]]:
    """The present state of everything, removed ones too, as changes."""
    found: list[Change] = [DeviceChange(device) for device in _devices((yield _DEVICES, ()))]
    found += [KeyChange(key) for key in _keys((yield _KEYS, ()))]
    rules = yield from current_rules()
    return found if rules is None else [*found, rules]


def store(change: Change, time: int) -> Steps[None]:
    """Write the record as it is, with the version it has. `time` is for rules; the others carry their own."""
    match change:
        case DeviceChange(d):
            children = _encode(d.speaks_for).decode()
            yield (
                "REPLACE INTO device VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (d.name, d.token, d.model, children, d.disabled, d.removed, d.version, d.changed),
            )
        case KeyChange(k):
            roles = _encode(k.roles).decode()
            yield (
                "REPLACE INTO api_key VALUES (?, ?, ?, ?, ?, ?)",
                (k.name, k.digest, roles, k.removed, k.version, k.changed),
            )
        case RulesChange(version, rules):
            yield "REPLACE INTO rules VALUES (?, ?, ?)", (version, bytes(rules), time)


def write_audit(entry: AuditEntry) -> Steps[None]:
    """Add it; its number is the next one, whatever it says."""
    yield (
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


def audit_before(number: int, limit: int) -> Steps[list[AuditEntry]]:
    """The newest first, numbered below `number`."""
    where = " WHERE number < ? ORDER BY number DESC LIMIT ?"
    return list(_entries((yield _AUDIT + where, (number, limit))))


def audit_after(number: int, limit: int) -> Steps[list[AuditEntry]]:
    """The oldest first, numbered above `number`."""
    return list(_entries((yield _AUDIT + " WHERE number > ? ORDER BY number LIMIT ?", (number, limit))))


def _records(rows: Rows, kind: type[S], listed: str) -> Iterator[S]:
    """Columns stand in the order of the struct's fields; the field `listed` is JSON in its column."""
    for row in rows:
        values = dict(zip(kind.__struct_fields__, row, strict=True))
        values[listed] = msgspec.json.decode(str(values[listed]))
        yield msgspec.convert(values, kind, strict=False)


def _devices(rows: Rows) -> Iterator[Device]:
    return _records(rows, Device, "speaks_for")


def _keys(rows: Rows) -> Iterator[ApiKey]:
    return _records(rows, ApiKey, "roles")


def _entries(rows: Rows) -> Iterator[AuditEntry]:
    return _records(rows, AuditEntry, "changes")


def oldest_outgoing(limit: int) -> Steps[list[Outgoing]]:
    """What stands first in the outbox."""
    rows = yield "SELECT number, `key`, value FROM outbox ORDER BY number LIMIT ?", (limit,)
    return [msgspec.convert(row, Outgoing) for row in rows]


def drop_outgoing(number: int) -> Steps[None]:
    """Take what stands in the outbox up to this number out of it."""
    yield "DELETE FROM outbox WHERE number <= ?", (number,)


def waiting_keys() -> Steps[set[object]]:
    """The keys of all that stands in the outbox."""
    return {key for (key,) in (yield "SELECT DISTINCT `key` FROM outbox", ())}

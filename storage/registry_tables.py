"""The registry's tables, and rows to records and back. Who may change them, and how, is in `registry_changes`.

Each function gives the statements that it needs, one after the other, takes their rows, and returns records, rules,
lines of the audit trail. A record is a row with its JSON: a new kind of record needs no table. Who runs it within a
transaction may be SQLite or MariaDB: parameters are `?`, names that one of them reserves stand in backticks, and what
both understand is all that is used.
"""

from collections.abc import Generator, Iterator, Sequence
from typing import NamedTuple, TypeAlias, TypeVar, cast

import msgspec

from headwater.registry import Change, Record, RulesChange, decode_record, encode_change, kind_of
from headwater.registry_contract import AuditEntry

SCHEMA = """
CREATE TABLE IF NOT EXISTS record (
    kind TEXT NOT NULL, name TEXT NOT NULL, removed INTEGER NOT NULL, version INTEGER NOT NULL, body TEXT NOT NULL,
    PRIMARY KEY (kind, name)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS rules (version INTEGER PRIMARY KEY, rules BLOB NOT NULL, changed INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS audit (
    number INTEGER PRIMARY KEY AUTOINCREMENT, time INTEGER NOT NULL, actor TEXT NOT NULL, kind TEXT NOT NULL,
    name TEXT NOT NULL, action TEXT NOT NULL, before INTEGER NOT NULL, after INTEGER NOT NULL, changes TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS outbox (number INTEGER PRIMARY KEY AUTOINCREMENT, key BLOB NOT NULL, value BLOB NOT NULL);
"""
_RECORDS = "SELECT body FROM record"
_RULES = "SELECT version, rules FROM rules ORDER BY version DESC LIMIT 1"
_AUDIT = "SELECT number, time, actor, kind, name, action, `before`, `after`, changes FROM audit"

_NAMES = 500
"""In one statement."""

_encode = msgspec.json.encode

R = TypeVar("R", bound=Record)
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


def record_row(kind: type[R], name: str) -> Steps[R | None]:
    """The record, also a removed one."""
    rows = yield _RECORDS + " WHERE kind = ? AND name = ?", (kind_of(kind), name)
    return cast("R | None", next(_records(rows), None))


def records_named(kind: type[R], names: Sequence[str]) -> Steps[dict[str, R]]:
    """Those of these names, without the removed ones."""
    found: list[Record] = []
    for start in range(0, len(names), _NAMES):
        some = names[start : start + _NAMES]
        marks = ", ".join("?" * len(some))
        found += _records((yield _RECORDS + f" WHERE kind = ? AND name IN ({marks})", (kind_of(kind), *some)))
    return {record.name: cast("R", record) for record in found if not record.removed}


def records_page(kind: type[R], after: str, limit: int) -> Steps[list[R]]:
    """By name, without the removed ones."""
    where = " WHERE kind = ? AND name > ? AND NOT removed ORDER BY name LIMIT ?"
    return cast("list[R]", list(_records((yield _RECORDS + where, (kind_of(kind), after, limit)))))


def current_rules() -> Steps[RulesChange | None]:
    """The rules of the highest version."""
    rows = cast("Sequence[tuple[int, bytes]]", (yield _RULES, ()))
    return RulesChange(rows[0][0], msgspec.Raw(rows[0][1])) if rows else None


def row_of(change: Change) -> Steps[Change | None]:
    """What the tables have where this change is about, as a change."""
    if isinstance(change, RulesChange):
        return (yield from current_rules())
    return (yield from record_row(type(change), change.name))


def every_row() -> Steps[list[Change]]:
    """The present state of everything, removed ones too, as changes."""
    found: list[Change] = list(_records((yield _RECORDS, ())))
    rules = yield from current_rules()
    return found if rules is None else [*found, rules]


def store(change: Change, time: int) -> Steps[None]:
    """Write the record as it is, with the version it has. `time` is for rules; the others carry their own."""
    if isinstance(change, RulesChange):
        yield "REPLACE INTO rules VALUES (?, ?, ?)", (change.version, bytes(change.rules), time)
        return
    body = encode_change(change).decode()
    yield (
        "REPLACE INTO record VALUES (?, ?, ?, ?, ?)",
        (kind_of(change), change.name, change.removed, change.version, body),
    )


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


def _records(rows: Rows) -> Iterator[Record]:
    for (body,) in rows:
        yield decode_record(str(body))


def _entries(rows: Rows) -> Iterator[AuditEntry]:
    for row in rows:
        values = dict(zip(AuditEntry.__struct_fields__, row, strict=True))
        values["changes"] = msgspec.json.decode(str(values["changes"]))
        yield msgspec.convert(values, AuditEntry, strict=False)


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

"""The one way in which the registry is changed: the row, a line in the audit trail and an entry in the outbox together.

In: a connection within a transaction; the record as it shall be; who asked. Out: the record with its new version.
"""

import sqlite3
from collections.abc import Mapping
from typing import TypeVar, cast

import msgspec

from headwater.errors import Stale
from headwater.registry import (
    ApiKey,
    AuditEntry,
    Change,
    Device,
    DeviceChange,
    KeyChange,
    RulesChange,
    change_of,
    encode_change,
    key_of,
    version_of,
)
from storage.registry_tables import current_rules, device_row, every_row, key_row, row_of, store, write_audit

C = TypeVar("C", Device, ApiKey)

_UNTOLD = {"name", "token", "digest", "removed", "version", "changed"}
"""Fields that the audit trail does not spell out: secrets, and what its other columns say."""


def put(connection: sqlite3.Connection, wanted: C, expected: int | None, actor: str, time: int) -> C:
    """See `Registry.put_device`. A removed name that comes back counts on, so that no old entry can win over it."""
    before = _row(connection, wanted)
    known = None if before is None or before.removed else before
    _check_version(wanted.name, 0 if known is None else known.version, expected)
    if known is None and wanted.removed:
        return before or wanted
    if before is not None and msgspec.structs.replace(wanted, version=before.version, changed=before.changed) == before:
        return before
    if known is None:
        _check_free(connection, wanted)
    version = 1 if before is None else before.version + 1
    after = msgspec.structs.replace(wanted, version=version, changed=time)
    change = change_of(after)
    store(connection, change, time)
    told = {} if known is None or after.removed else _differences(known, after)
    kind = "device" if isinstance(after, Device) else "key"
    was = 0 if known is None else known.version
    write_audit(connection, AuditEntry(0, time, actor, kind, after.name, _action(known, after), was, version, told))
    send(connection, change)
    return after


def put_rules(connection: sqlite3.Connection, rules: bytes, actor: str, time: int) -> int:
    """See `Registry.publish_rules`; `rules` is canonical, so that equal rules are equal bytes."""
    current = current_rules(connection)
    if current is not None and bytes(current.rules) == rules:
        return current.version
    before = 0 if current is None else current.version
    change = RulesChange(before + 1, msgspec.Raw(rules))
    store(connection, change, time)
    action = "change" if before else "add"
    write_audit(connection, AuditEntry(0, time, actor, "rules", "rules", action, before, change.version))
    send(connection, change)
    return change.version


def send(connection: sqlite3.Connection, change: Change) -> None:
    """Put it into the outbox."""
    connection.execute("INSERT INTO outbox VALUES (NULL, ?, ?)", (key_of(change), encode_change(change)))


def reconcile(connection: sqlite3.Connection, on_log: Change, time: int) -> int:
    """Bring the tables and what the log has of one key together; returns the version that the log then has or will get.

    The log never has a change before the tables. So what is newer there was lost here (the file was removed, or put
    back from an older copy), and is taken back; and of two changes with one version, ours gets the next one.
    """
    ours = row_of(connection, on_log)
    have = 0 if ours is None else version_of(ours)
    if version_of(on_log) > have:
        _take(connection, on_log, have, "restore", time)
        return version_of(on_log)
    if ours is not None and version_of(on_log) == have and encode_change(ours) != encode_change(on_log):
        newer = _with_version(ours, have + 1)
        _take(connection, newer, have, "change", time)
        send(connection, newer)
        return have + 1
    return version_of(on_log)


def send_missing(connection: sqlite3.Connection, on_log: Mapping[bytes, int]) -> int:
    """Put into the outbox what is newer than on the log (key → version) and does not wait there; returns how many."""
    waiting = {key for (key,) in connection.execute("SELECT DISTINCT key FROM outbox")}
    missing = [
        change
        for change in every_row(connection)
        if version_of(change) > on_log.get(key_of(change), 0) and key_of(change) not in waiting
    ]
    for change in missing:
        send(connection, change)
    return len(missing)


def _take(connection: sqlite3.Connection, change: Change, before: int, action: str, time: int) -> None:
    kind, _, name = key_of(change).decode().partition(":")
    store(connection, change, time)
    entry = AuditEntry(0, time, "headwater", kind, name or kind, action, before, version_of(change))
    write_audit(connection, entry)


def _with_version(change: Change, version: int) -> Change:
    match change:
        case DeviceChange(device):
            return DeviceChange(msgspec.structs.replace(device, version=version))
        case KeyChange(key):
            return KeyChange(msgspec.structs.replace(key, version=version))
        case RulesChange(_, rules):
            return RulesChange(version, rules)


def _row(connection: sqlite3.Connection, wanted: C) -> C | None:
    found = device_row(connection, wanted.name) if isinstance(wanted, Device) else key_row(connection, wanted.name)
    return cast("C | None", found)  # of the same kind as what is wanted


def _check_version(name: str, known: int, expected: int | None) -> None:
    if expected is None or expected == known:
        return
    if known == 0:
        raise Stale(f"there is no {name!r} any more")
    if expected == 0:
        raise Stale(f"there is a {name!r} already")
    raise Stale(f"{name!r} has version {known} by now, not {expected}")


def _check_free(connection: sqlite3.Connection, wanted: Device | ApiKey) -> None:
    if isinstance(wanted, Device):
        other, what = key_row(connection, wanted.name), "an API key"
    else:
        other, what = device_row(connection, wanted.name), "a device"
    if other is not None and not other.removed:
        raise Stale(f"{what} is called {wanted.name!r}")


def _differences(before: Device | ApiKey, after: Device | ApiKey) -> dict[str, tuple[object, object]]:
    pairs = {field: (getattr(before, field), getattr(after, field)) for field in after.__struct_fields__}
    return {field: pair for field, pair in pairs.items() if field not in _UNTOLD and pair[0] != pair[1]}


def _action(before: Device | ApiKey | None, after: Device | ApiKey) -> str:
    if before is None:
        return "add"
    if after.removed:
        return "remove"
    if _secret(before) != _secret(after):
        return "rotate"
    was, now = (isinstance(record, Device) and record.disabled for record in (before, after))
    if was != now:
        return "disable" if now else "enable"
    return "change"


def _secret(record: Device | ApiKey) -> str:
    return record.token if isinstance(record, Device) else record.digest

"""The one way in which the registry is changed: the row, a line in the audit trail and an entry in the outbox together.

In: the record as it shall be; who asked. Out: statements to run in one transaction (`registry_tables.Steps`), and the
record with its new version.
"""

from collections.abc import Collection, Mapping, Sequence
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
from storage.registry_tables import (
    Steps,
    current_rules,
    device_row,
    every_row,
    key_row,
    row_of,
    store,
    waiting_keys,
    write_audit,
)

C = TypeVar("C", Device, ApiKey)

_UNTOLD = {"name", "token", "digest", "removed", "version", "changed"}
"""Fields that the audit trail does not spell out: secrets, and what its other columns say."""


def put(wanted: C, expected: int | None, actor: str, time: int) -> Steps[C]:
    """See `Registry.put_device`. A removed name that comes back counts on, so that no old entry can win over it."""
    before = yield from _row(wanted)
    known = None if before is None or before.removed else before
    _check_version(wanted.name, 0 if known is None else known.version, expected)
    if known is None and wanted.removed:
        return before or wanted
    if before is not None and msgspec.structs.replace(wanted, version=before.version, changed=before.changed) == before:
        return before
    if known is None:
        yield from _check_free(wanted)
    version = 1 if before is None else before.version + 1
    after = msgspec.structs.replace(wanted, version=version, changed=time)
    change = change_of(after)
    yield from store(change, time)
    told = {} if known is None or after.removed else _differences(known, after)
    kind = "device" if isinstance(after, Device) else "key"
    was = 0 if known is None else known.version
    yield from write_audit(AuditEntry(0, time, actor, kind, after.name, _action(known, after), was, version, told))
    yield from send(change)
    return after


def put_rules(rules: bytes, actor: str, time: int) -> Steps[int]:
    """See `Registry.publish_rules`; `rules` is canonical, so that equal rules are equal bytes."""
    current = yield from current_rules()
    if current is not None and bytes(current.rules) == rules:
        return current.version
    before = 0 if current is None else current.version
    change = RulesChange(before + 1, msgspec.Raw(rules))
    yield from store(change, time)
    action = "change" if before else "add"
    yield from write_audit(AuditEntry(0, time, actor, "rules", "rules", action, before, change.version))
    yield from send(change)
    return change.version


def send(change: Change) -> Steps[None]:
    """Put it into the outbox."""
    yield "INSERT INTO outbox VALUES (NULL, ?, ?)", (key_of(change), encode_change(change))


def reconcile(on_log: Change, time: int) -> Steps[int]:
    """Bring the tables and what the log has of one key together; returns the version that the log then has or will get.

    The log never has a change before the tables. So what is newer there was lost here (the file was removed, or put
    back from an older copy), and is taken back; and of two changes with one version, ours gets the next one.
    """
    ours = yield from row_of(on_log)
    have = 0 if ours is None else version_of(ours)
    if version_of(on_log) > have:
        yield from _take(on_log, have, "restore", time)
        return version_of(on_log)
    if ours is not None and version_of(on_log) == have and encode_change(ours) != encode_change(on_log):
        newer = _with_version(ours, have + 1)
        yield from _take(newer, have, "change", time)
        yield from send(newer)
        return have + 1
    return version_of(on_log)


def reconcile_all(on_log: Sequence[Change], time: int) -> Steps[dict[bytes, int]]:
    """`reconcile` one after the other; returns each key's version on the log."""
    versions: dict[bytes, int] = {}
    for change in on_log:
        versions[key_of(change)] = yield from reconcile(change, time)
    return versions


def send_again(keys: Collection[bytes]) -> Steps[None]:
    """Put what the tables have of these keys into the outbox, where nothing of the key waits there."""
    left = set(keys) - (yield from waiting_keys())
    for change in (yield from every_row()) if left else ():
        if key_of(change) in left:
            yield from send(change)


def send_missing(on_log: Mapping[bytes, int]) -> Steps[int]:
    """Put into the outbox what is newer than on the log (key → version) and does not wait there; returns how many."""
    waiting = yield from waiting_keys()
    missing = [
        change
        for change in (yield from every_row())
        if version_of(change) > on_log.get(key_of(change), 0) and key_of(change) not in waiting
    ]
    for change in missing:
        yield from send(change)
    return len(missing)


def _take(change: Change, before: int, action: str, time: int) -> Steps[None]:
    kind, _, name = key_of(change).decode().partition(":")
    yield from store(change, time)
    entry = AuditEntry(0, time, "headwater", kind, name or kind, action, before, version_of(change))
    yield from write_audit(entry)


def _with_version(change: Change, version: int) -> Change:
    match change:
        case DeviceChange(device):
            return DeviceChange(msgspec.structs.replace(device, version=version))
        case KeyChange(key):
            return KeyChange(msgspec.structs.replace(key, version=version))
        case RulesChange(_, rules):
            return RulesChange(version, rules)


def _row(wanted: C) -> Steps[C | None]:
    found = yield from device_row(wanted.name) if isinstance(wanted, Device) else key_row(wanted.name)
    return cast("C | None", found)  # of the same kind as what is wanted


def _check_version(name: str, known: int, expected: int | None) -> None:
    if expected is None or expected == known:
        return
    if known == 0:
        raise Stale(f"there is no {name!r} any more")
    if expected == 0:
        raise Stale(f"there is a {name!r} already")
    raise Stale(f"{name!r} has version {known} by now, not {expected}")


def _check_free(wanted: Device | ApiKey) -> Steps[None]:
    if isinstance(wanted, Device):
        other, what = (yield from key_row(wanted.name)), "an API key"
    else:
        other, what = (yield from device_row(wanted.name)), "a device"
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

"""The one way in which the registry is changed: the row, a line in the audit trail and an entry in the outbox together.

In: the record as it shall be; who asked. Out: statements to run in one transaction (`registry_tables.Steps`), and the
record with its new version.
"""

from collections.abc import Collection, Mapping, Sequence
from hashlib import sha256
from typing import TypeVar

import msgspec

from headwater.errors import Stale
from headwater.registry import (
    ApiKey,
    Block,
    Change,
    Claim,
    DecoderText,
    Device,
    Erasure,
    Group,
    Record,
    RulesChange,
    Signer,
    encode_change,
    key_of,
    kind_of,
)
from headwater.registry_contract import AuditEntry
from storage.registry_tables import (
    Steps,
    current_rules,
    every_row,
    record_row,
    row_of,
    store,
    waiting_keys,
    write_audit,
)

R = TypeVar("R", bound=Record)
_LONG = 1000

_SENDERS: Mapping[type[Device | ApiKey], str] = {Device: "a device", ApiKey: "an API key"}
"""Both stand in `via`: a name is one or the other."""
_UNTOLD = {"name", "token", "digest", "previous", "previous_until", "removed", "version", "changed"}
"""Fields that the audit trail does not spell out: secrets, and what its other columns say."""


def put(wanted: R, expected: int | None, actor: str, time: int) -> Steps[R]:
    """See `Registry.put`. A removed name that comes back counts on, so that no old entry can win over it."""
    before = yield from record_row(type(wanted), wanted.name)
    known = None if before is None or before.removed else before
    _check_version(wanted.name, 0 if known is None else known.version, expected)
    if known is None and wanted.removed:
        return before or wanted
    if before is not None and msgspec.structs.replace(wanted, version=before.version, changed=before.changed) == before:
        return before
    if known is None:
        yield from _check_free(wanted)
        wanted = _remembering(wanted, before)
    version = 1 if before is None else before.version + 1
    after = msgspec.structs.replace(wanted, version=version, changed=time)
    yield from store(after, time)
    told = {} if known is None or after.removed else _differences(known, after)
    was = 0 if known is None else known.version
    yield from write_audit(
        AuditEntry(0, time, actor, kind_of(after), after.name, _action(known, after), was, version, told)
    )
    yield from send(after)
    return after


def _remembering(wanted: R, removed: R | None) -> R:
    """A device that comes back does not get back the certificates that its name has lost."""
    if isinstance(wanted, Device) and isinstance(removed, Device) and removed.revoked:
        again = {one.fingerprint for one in wanted.certificates}
        lost = tuple(one for one in removed.revoked if one not in again and one not in wanted.revoked)
        return msgspec.structs.replace(wanted, revoked=(*lost, *wanted.revoked))
    return wanted


def put_all(wanted: Sequence[tuple[Record, int | None]], actor: str, time: int) -> Steps[list[Record]]:
    """See `Registry.put_all`."""
    after: list[Record] = []
    for record, expected in wanted:
        after.append((yield from put(record, expected, actor, time)))
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
    have = 0 if ours is None else ours.version
    if on_log.version > have:
        yield from _take(on_log, have, "restore", time)
        return on_log.version
    if ours is not None and on_log.version == have and encode_change(ours) != encode_change(on_log):
        newer = msgspec.structs.replace(ours, version=have + 1)
        yield from _take(newer, have, "change", time)
        yield from send(newer)
        return have + 1
    return on_log.version


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
        if change.version > on_log.get(key_of(change), 0) and key_of(change) not in waiting
    ]
    for change in missing:
        yield from send(change)
    return len(missing)


def _take(change: Change, before: int, action: str, time: int) -> Steps[None]:
    kind, _, name = key_of(change).decode().partition(":")
    yield from store(change, time)
    entry = AuditEntry(0, time, "headwater", kind, name or kind, action, before, change.version)
    yield from write_audit(entry)


def _check_version(name: str, known: int, expected: int | None) -> None:
    if expected is None or expected == known:
        return
    if known == 0:
        raise Stale(f"there is no {name!r} any more")
    if expected == 0:
        raise Stale(f"there is a {name!r} already")
    raise Stale(f"{name!r} has version {known} by now, not {expected}")


def _check_free(wanted: Record) -> Steps[None]:
    for kind, what in _SENDERS.items():
        if isinstance(wanted, tuple(_SENDERS)) and not isinstance(wanted, kind):
            other = yield from record_row(kind, wanted.name)
            if other is not None and not other.removed:
                raise Stale(f"{what} is called {wanted.name!r}")


def _differences(before: Record, after: Record) -> dict[str, tuple[object, object]]:
    pairs = {field: (_told(getattr(before, field)), _told(getattr(after, field))) for field in after.__struct_fields__}
    return {field: pair for field, pair in pairs.items() if field not in _UNTOLD and pair[0] != pair[1]}


def _told(value: object) -> object:
    """As the trail spells it: of a long text, such as a decoder's, its hash."""
    if isinstance(value, str) and len(value) > _LONG:
        return f"sha256:{sha256(value.encode('utf-8', 'replace')).hexdigest()}"
    return value


def _action(before: Record | None, after: Record) -> str:
    if before is None:
        return "add"
    if after.removed:
        return "remove"
    if _secret(before) != _secret(after):
        return "rotate"
    match before, after:
        case Device(disabled=was), Device(disabled=now) if was != now:
            return "disable" if now else "enable"
        case _:
            return "change"


def _secret(record: Record) -> str:
    match record:
        case Device():
            return record.token
        case ApiKey() | Claim():
            return record.digest
        case Group() | Block() | Signer() | DecoderText() | Erasure():
            return ""

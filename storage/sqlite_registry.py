"""The registry in one SQLite file: `headwater.registry.Registry`, and the outbox that `storage.outbox` empties.

In: devices, keys and rules as they shall be. Out: what is committed, with its new version; every commit has put its
change into the outbox too, and `changed` is set so that the pump wakes.
"""

import asyncio
import sqlite3
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple, TypeVar

import msgspec

from headwater.errors import Rejected
from headwater.registry import (
    ApiKey,
    AuditEntry,
    Change,
    Device,
    RulesChange,
    check_name,
    check_speaks_for,
    key_of,
)
from headwater.times import now
from storage import registry_changes as changes
from storage import registry_tables as tables
from storage.sqlite_file import SqliteFile, open_sqlite

T = TypeVar("T")
_PAGE = 1000
_LAST = 2**63 - 1


class Outgoing(NamedTuple):
    """A change that the log does not have yet, as an entry of topic `registry`."""

    number: int
    key: bytes
    value: bytes


class SqliteRegistry:
    """Use `open_registry`."""

    def __init__(self, file: SqliteFile, clock: Callable[[], int]) -> None:
        self._file = file
        self._clock = clock
        self.changed = asyncio.Event()
        """Set when there may be something in the outbox."""

    async def put_device(
        self, device: Device, expected_version: int | None = None, *, actor: str = "headwater"
    ) -> Device:
        """See `headwater.registry.Registry`. Raises `Rejected` for a name that no device can have."""
        check_name(device.name)
        wanted = msgspec.structs.replace(device, speaks_for=check_speaks_for(device.speaks_for))
        time = self._clock()
        return await self._change(lambda db: changes.put(db, wanted, expected_version, actor, time))

    async def device(self, name: str) -> Device | None:
        """See `headwater.registry.Registry`."""
        found = await self._file.read(lambda db: tables.device_row(db, name))
        return None if found is None or found.removed else found

    async def devices(self, after: str = "", limit: int = _PAGE) -> Sequence[Device]:
        """See `headwater.registry.Registry`."""
        return await self._file.read(lambda db: tables.devices_page(db, after, limit))

    async def put_key(self, key: ApiKey, expected_version: int | None = None, *, actor: str = "headwater") -> ApiKey:
        """See `headwater.registry.Registry`."""
        check_name(key.name)
        time = self._clock()
        return await self._change(lambda db: changes.put(db, key, expected_version, actor, time))

    async def key(self, name: str) -> ApiKey | None:
        """See `headwater.registry.Registry`."""
        found = await self._file.read(lambda db: tables.key_row(db, name))
        return None if found is None or found.removed else found

    async def keys(self) -> Sequence[ApiKey]:
        """See `headwater.registry.Registry`."""
        return await self._file.read(tables.key_rows)

    async def publish_rules(self, rules: bytes, *, actor: str = "headwater") -> int:
        """See `headwater.registry.Registry`. Raises `Rejected("bad_json")`."""
        try:
            canonical = msgspec.json.encode(msgspec.json.decode(rules), order="sorted")
        except msgspec.DecodeError as error:
            raise Rejected("bad_json", f"selection rules: {error}") from None
        time = self._clock()
        return await self._change(lambda db: changes.put_rules(db, canonical, actor, time))

    async def rules(self) -> RulesChange | None:
        """The selection rules in force, None before any were published."""
        return await self._file.read(tables.current_rules)

    async def audit(self, before: int | None = None, limit: int = _PAGE) -> Sequence[AuditEntry]:
        """See `headwater.registry.Registry`."""
        number = _LAST if before is None else before
        return await self._file.read(lambda db: tables.audit_before(db, number, limit))

    async def audit_trail(self) -> AsyncGenerator[AuditEntry, None]:
        """See `headwater.registry.Registry`."""
        last = 0
        while page := await self._page(last):
            for entry in page:
                yield entry
            last = page[-1].number

    async def pending(self, limit: int) -> Sequence[Outgoing]:
        """The oldest changes that are not known to be on the log."""
        query = "SELECT number, key, value FROM outbox ORDER BY number LIMIT ?"
        return await self._file.read(lambda db: [Outgoing(*row) for row in db.execute(query, (limit,))])

    async def sent(self, number: int) -> None:
        """All changes up to this one are durable on the log."""
        await self._file.write(lambda db: db.execute("DELETE FROM outbox WHERE number <= ?", (number,)))

    async def reconcile(self, on_log: Sequence[Change]) -> Mapping[bytes, int]:
        """Take back what only the log has; returns each key's version there. See `registry_changes.reconcile`."""
        time = self._clock()
        return await self._file.write(
            lambda db: {key_of(change): changes.reconcile(db, change, time) for change in on_log}
        )

    async def send_missing(self, on_log: Mapping[bytes, int]) -> int:
        """Put what the log lacks (it has: key → version) into the outbox again; returns how many changes."""
        return await self._file.write(lambda db: changes.send_missing(db, on_log))

    async def _change(self, work: Callable[[sqlite3.Connection], T]) -> T:
        try:
            return await self._file.write(work)
        finally:
            self.changed.set()

    async def _page(self, last: int) -> Sequence[AuditEntry]:
        return await self._file.read(lambda db: tables.audit_after(db, last, _PAGE))


@asynccontextmanager
async def open_registry(path: Path, *, clock: Callable[[], int] = now) -> AsyncGenerator[SqliteRegistry, None]:
    """Open or make it. `clock`: microseconds since 1970 UTC. Raises `Unavailable`."""
    async with open_sqlite(path, tables.SCHEMA) as file:
        yield SqliteRegistry(file, clock)

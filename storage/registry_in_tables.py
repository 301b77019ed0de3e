"""The registry in tables: `headwater.registry.Registry` and the outbox that `storage.outbox` empties.

In: devices, keys and rules as they shall be. Out: what is committed, with its new version; every commit has put its
change into the outbox too, and `changed` is set so that the pump wakes. The database is the subclass's.
"""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import TypeVar

import msgspec

from headwater.errors import Rejected
from headwater.registry import ApiKey, Change, Device, R, Record, RulesChange, checked
from headwater.registry_contract import AuditEntry
from storage import registry_changes as changes
from storage import registry_tables as tables
from storage.registry_tables import Outgoing, Steps

T = TypeVar("T")
_PAGE = 1000
_LAST = 2**63 - 1


class TablesRegistry(ABC):
    """Subclasses say how statements are run. `clock`: microseconds since 1970 UTC."""

    def __init__(self, clock: Callable[[], int]) -> None:
        self._clock = clock
        self.changed = asyncio.Event()
        """Set when there may be something in the outbox."""

    @abstractmethod
    async def _read(self, steps: Callable[[], Steps[T]]) -> T:
        """Run them in one snapshot."""

    @abstractmethod
    async def _write(self, steps: Callable[[], Steps[T]]) -> T:
        """Run them in one transaction, one at a time; may be begun again."""

    @abstractmethod
    def turn(self) -> AbstractAsyncContextManager[bool]:
        """See `storage.outbox.Outbox`."""

    @abstractmethod
    async def emptied(self) -> bool:
        """See `storage.outbox.Outbox`."""

    async def put_device(
        self, device: Device, expected_version: int | None = None, *, actor: str = "headwater"
    ) -> Device:
        """See `headwater.registry.Registry`. Raises `Rejected` for a name that no device can have."""
        return await self.put(device, expected_version, actor=actor)

    async def device(self, name: str) -> Device | None:
        """See `headwater.registry.Registry`."""
        return await self.find(Device, name)

    async def devices(self, after: str = "", limit: int = _PAGE) -> Sequence[Device]:
        """See `headwater.registry.Registry`."""
        return await self.page(Device, after, limit)

    async def put_key(self, key: ApiKey, expected_version: int | None = None, *, actor: str = "headwater") -> ApiKey:
        """See `headwater.registry.Registry`."""
        return await self.put(key, expected_version, actor=actor)

    async def key(self, name: str) -> ApiKey | None:
        """See `headwater.registry.Registry`."""
        return await self.find(ApiKey, name)

    async def keys(self) -> Sequence[ApiKey]:
        """See `headwater.registry.Registry`."""
        return await self.page(ApiKey, limit=_LAST)

    async def put(self, record: R, expected_version: int | None = None, *, actor: str = "headwater") -> R:
        """See `headwater.registry.Registry`."""
        wanted = checked(record)
        time = self._clock()
        return await self._change(lambda: changes.put(wanted, expected_version, actor, time))

    async def find(self, kind: type[R], name: str) -> R | None:
        """See `headwater.registry.Registry`."""
        found = await self._read(lambda: tables.record_row(kind, name))
        return None if found is None or found.removed else found

    async def page(self, kind: type[R], after: str = "", limit: int = _PAGE) -> Sequence[R]:
        """See `headwater.registry.Registry`."""
        return await self._read(lambda: tables.records_page(kind, after, limit))

    async def find_all(self, kind: type[R], names: Sequence[str]) -> Mapping[str, R]:
        """See `headwater.registry.Registry`."""
        return await self._read(lambda: tables.records_named(kind, names))

    async def put_all(
        self, records: Sequence[tuple[Record, int | None]], *, actor: str = "headwater"
    ) -> Sequence[Record]:
        """See `headwater.registry.Registry`."""
        wanted = [(checked(record), expected) for record, expected in records]
        time = self._clock()
        return await self._change(lambda: changes.put_all(wanted, actor, time))

    async def publish_rules(self, rules: bytes, *, actor: str = "headwater") -> int:
        """See `headwater.registry.Registry`. Raises `Rejected("bad_json")`."""
        try:
            canonical = msgspec.json.encode(msgspec.json.decode(rules), order="sorted")
        except msgspec.DecodeError as error:
            raise Rejected("bad_json", f"selection rules: {error}") from None
        time = self._clock()
        return await self._change(lambda: changes.put_rules(canonical, actor, time))

    async def rules(self) -> RulesChange | None:
        """The selection rules in force, None before any were published."""
        return await self._read(tables.current_rules)

    async def audit(self, before: int | None = None, limit: int = _PAGE) -> Sequence[AuditEntry]:
        """See `headwater.registry.Registry`."""
        number = _LAST if before is None else before
        return await self._read(lambda: tables.audit_before(number, limit))

    async def audit_trail(self) -> AsyncGenerator[AuditEntry, None]:
        """See `headwater.registry.Registry`."""
        last = 0
        while page := await self._page(last):
            for entry in page:
                yield entry
            last = page[-1].number

    async def audit_from(self, number: int, limit: int) -> Sequence[AuditEntry]:
        """Entries numbered `number` and above, the oldest first."""
        return await self._read(lambda: tables.audit_after(number - 1, limit))

    async def pending(self, limit: int) -> Sequence[Outgoing]:
        """The oldest changes that are not known to be on the log."""
        return await self._read(lambda: tables.oldest_outgoing(limit))

    async def sent(self, number: int) -> None:
        """All changes up to this one are durable on the log."""
        await self._write(lambda: tables.drop_outgoing(number))

    async def reconcile(self, on_log: Sequence[Change]) -> Mapping[bytes, int]:
        """Take back what only the log has; returns each key's version there. See `registry_changes.reconcile`."""
        time = self._clock()
        return await self._write(lambda: changes.reconcile_all(on_log, time))

    async def send_missing(self, on_log: Mapping[bytes, int]) -> int:
        """Put what the log lacks (it has: key → version) into the outbox again; returns how many changes."""
        return await self._write(lambda: changes.send_missing(on_log))

    async def _change(self, steps: Callable[[], Steps[T]]) -> T:
        try:
            return await self._write(steps)
        finally:
            self.changed.set()

    async def _page(self, last: int) -> Sequence[AuditEntry]:
        return await self._read(lambda: tables.audit_after(last, _PAGE))

"""The registry as its users see it; the tables are in `storage.registry_in_tables`.

In: records as they shall be. Out: records with their new versions, and the trail of all that was ever changed.
"""

from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Protocol

import msgspec

from headwater.registry import ApiKey, Device, R, Record


class AuditEntry(msgspec.Struct, omit_defaults=True, frozen=True):
    """One change ever made. `number` grows; `changes`: field → what it was and is, secrets left out.

    `action`: add, change, disable, enable, rotate, remove, restore. `before` 0: there was nothing.
    """

    number: int
    time: int
    actor: str
    kind: str
    name: str
    action: str
    before: int
    after: int
    changes: dict[str, tuple[object, object]] = {}


class Registry(Protocol):
    """The authority. Every method commits before it returns; the outbox brings the change to the topic `registry`.

    `actor` is who asked for it, for the audit trail. What changes nothing gets no new version.
    """

    async def put_device(
        self, device: Device, expected_version: int | None = None, *, actor: str = "headwater"
    ) -> Device:
        """Create or replace; returns it with its new version. Raises `Stale` if the version is another by now.

        `expected_version` 0: there must be none (a removed one counts as none); None: whatever there is. Also raises
        `Stale` if an API key has the name: both stand in `via`, where they must not be taken for each other.
        """
        ...

    async def device(self, name: str) -> Device | None:
        """None also for one that was removed."""
        ...

    async def devices(self, after: str = "", limit: int = 1000) -> Sequence[Device]:
        """By name, those after `after`, without the removed ones."""
        ...

    async def put_key(self, key: ApiKey, expected_version: int | None = None, *, actor: str = "headwater") -> ApiKey:
        """As `put_device`."""
        ...

    async def key(self, name: str) -> ApiKey | None:
        """None also for one that was removed."""
        ...

    async def keys(self) -> Sequence[ApiKey]:
        """By name, without the removed ones."""
        ...

    async def put(self, record: R, expected_version: int | None = None, *, actor: str = "headwater") -> R:
        """As `put_device`, for a record of any kind."""
        ...

    async def find(self, kind: type[R], name: str) -> R | None:
        """None also for one that was removed."""
        ...

    async def page(self, kind: type[R], after: str = "", limit: int = 1000) -> Sequence[R]:
        """By name, those after `after`, without the removed ones."""
        ...

    async def find_all(self, kind: type[R], names: Sequence[str]) -> Mapping[str, R]:
        """As `find`, of many: those that there are, in one snapshot."""
        ...

    async def put_all(
        self, records: Sequence[tuple[Record, int | None]], *, actor: str = "headwater"
    ) -> Sequence[Record]:
        """As `put`, of many with the versions expected, in one transaction: all of them, or none and `Stale`."""
        ...

    async def publish_rules(self, rules: bytes, *, actor: str = "headwater") -> int:
        """Make these selection rules (JSON) the current ones; returns their version (the same if equal)."""
        ...

    async def audit(self, before: int | None = None, limit: int = 1000) -> Sequence[AuditEntry]:
        """The newest changes first; those numbered below `before`."""
        ...

    def audit_trail(self) -> AsyncGenerator[AuditEntry, None]:
        """Every change ever made, oldest first."""
        ...

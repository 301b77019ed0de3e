"""The registry: who may send, who may ask. The words here; the tables in `storage.sqlite_registry`.

A change is made in tables with transactions and version columns, and goes to the topic `registry` through an outbox;
`Directory` is a process's own copy, built from that topic: a look-up costs a dict access, a revocation is seen at once.
"""

from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Literal, Protocol

import msgspec

Role = Literal["ingest", "read", "admin"]
"""What an API key may do: send for any device; read; change the registry. `admin` includes the others."""


class Device(msgspec.Struct, omit_defaults=True, frozen=True):
    """A device that may send. `token` is the SHA-256 (hex) of its token, never the token.

    `speaks_for`: names of children (or `prefix*`) it may send for. `version` grows with each change.
    """

    name: str
    token: str = ""
    model: str = ""
    speaks_for: tuple[str, ...] = ()
    disabled: bool = False
    removed: bool = False
    version: int = 0
    changed: int = 0


class ApiKey(msgspec.Struct, omit_defaults=True, frozen=True):
    """A key for people and programs. `digest` is the SHA-256 (hex) of the key."""

    name: str
    digest: str
    roles: tuple[Role, ...]
    removed: bool = False
    version: int = 0
    changed: int = 0


class Identity(msgspec.Struct, frozen=True):
    """Who is at the door. `device` is empty for API keys; `trusted` (loopback, anonymous) may do everything."""

    name: str
    device: str = ""
    roles: tuple[Role, ...] = ()
    speaks_for: tuple[str, ...] = ()
    trusted: bool = False

    def may(self, role: Role) -> bool:
        """True if this identity has the role, by itself or through `admin`."""
        return self.trusted or role in self.roles or "admin" in self.roles

    def may_send_for(self, device: str) -> bool:
        """True if this identity may send messages of that device."""
        if self.trusted or device == self.device or "ingest" in self.roles or "admin" in self.roles:
            return True
        return any(
            device.startswith(child[:-1]) if child.endswith("*") else device == child for child in self.speaks_for
        )


ANONYMOUS = Identity(name="anonymous", trusted=True)
"""Anyone on loopback, unless the configuration asks for credentials there too."""


class Registry(Protocol):
    """The authority. Every method commits before it returns; the outbox brings the change to the topic `registry`."""

    async def put_device(self, device: Device, expected_version: int | None = None) -> Device:
        """Create or replace; returns it with its new version. Raises `Stale` if the version is another by now."""
        ...

    async def device(self, name: str) -> Device | None: ...

    async def devices(self, after: str = "", limit: int = 1000) -> Sequence[Device]: ...

    async def put_key(self, key: ApiKey) -> ApiKey: ...

    async def keys(self) -> Sequence[ApiKey]: ...

    async def publish_rules(self, rules: bytes) -> int:
        """Make these selection rules (canonical JSON) the current ones; returns their version (the same if equal)."""
        ...

    def audit_trail(self) -> AsyncGenerator[Mapping[str, object], None]:
        """Every change ever made: when, what, by whom, from which version to which."""
        ...

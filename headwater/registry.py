"""The registry: who may send, who may ask. The words here; the tables in `storage.sqlite_registry`.

A change is made in tables with transactions and version columns, and goes to the topic `registry` through an outbox;
`Directory` is a process's own copy, built from that topic: a look-up costs a dict access, a revocation is seen at once.
"""

from collections.abc import AsyncGenerator, Sequence
from typing import Literal, NamedTuple, Protocol

import msgspec

from headwater.errors import Rejected
from headwater.ids import check_device

Role = Literal["ingest", "read", "admin"]
"""What an API key may do: send for any device; read; change the registry. `admin` includes the others."""


class Versioned(msgspec.Struct, tag_field="kind", kw_only=True, omit_defaults=True, frozen=True):
    """What every record has. `version` grows with each change; a removed one stays, marked so.

    `changed`: microseconds since 1970 UTC.
    """

    removed: bool = False
    version: int = 0
    changed: int = 0


class Device(Versioned, tag="device", omit_defaults=True, frozen=True):
    """A device that may send. `token` is the SHA-256 (hex) of its token, never the token.

    `speaks_for`: names of children (or `prefix*`) it may send for.
    """

    name: str
    token: str = ""
    model: str = ""
    speaks_for: tuple[str, ...] = ()
    disabled: bool = False


class ApiKey(Versioned, tag="key", omit_defaults=True, frozen=True):
    """A key for people and programs. `digest` is the SHA-256 (hex) of the key."""

    name: str
    digest: str
    roles: tuple[Role, ...]


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


class Certificate(NamedTuple):
    """A client certificate that a configured CA has signed and that is in force.

    `fingerprint`: SHA-256 of its DER form, hex. `cn`: its subject's common name, "" where it has not exactly one.
    `sans`: its other names, as "DNS:pump-7". `serial`: upper-case hex. `issuer`: as "commonName=…, …".
    """

    fingerprint: str
    cn: str
    sans: tuple[str, ...] = ()
    serial: str = ""
    issuer: str = ""


ANONYMOUS = Identity(name="anonymous", trusted=True)
"""Anyone on loopback, unless the configuration asks for credentials there too."""


class RulesChange(msgspec.Struct, tag_field="kind", tag="rules", frozen=True):
    """On topic `registry`, key `rules`: the selection rules in force, which also went to `messages` as a control."""

    version: int
    rules: msgspec.Raw


Record = Device | ApiKey
"""What the registry keeps, by kind and name."""

Change = Record | RulesChange
"""What an entry on topic `registry` says; a record's key is `KIND:NAME`.

The highest version of a key wins; any other entry has no effect.
"""

encode_change = msgspec.json.Encoder().encode
decode_change = msgspec.json.Decoder(Change).decode
decode_record = msgspec.json.Decoder(Record).decode


def kind_of(record: Record | type[Record]) -> str:
    """`device`, `key`, …: the tag of its type."""
    return str(record.__struct_config__.tag)


def key_of(change: Change) -> bytes:
    """The entry's key: what compaction keeps the newest of."""
    return b"rules" if isinstance(change, RulesChange) else f"{kind_of(change)}:{change.name}".encode()


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

    async def publish_rules(self, rules: bytes, *, actor: str = "headwater") -> int:
        """Make these selection rules (JSON) the current ones; returns their version (the same if equal)."""
        ...

    async def audit(self, before: int | None = None, limit: int = 1000) -> Sequence[AuditEntry]:
        """The newest changes first; those numbered below `before`."""
        ...

    def audit_trail(self) -> AsyncGenerator[AuditEntry, None]:
        """Every change ever made, oldest first."""
        ...


def check_name(name: str) -> str:
    """Return the name of a device or key, or raise `Rejected("bad_device")`."""
    if name == ANONYMOUS.name:
        raise Rejected("bad_device", f"{name!r} means whoever gives no credential")
    return check_device(name)


def check_speaks_for(children: Sequence[str]) -> tuple[str, ...]:
    """Names, or beginnings of names with a `*` behind them; sorted, each once. Raises `Rejected("bad_device")`."""
    for child in children:
        if child != "*":
            check_device(child.removesuffix("*"))
    return tuple(sorted(set(children)))

"""What the registry's part of the API takes and gives, as JSON.

In: what a person wants changed. Out: devices, keys and the audit trail; a token only in the answer that made it.
"""

from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field

from headwater.registry import ApiKey, Device, HeldCertificate, Role
from headwater.registry_contract import AuditEntry
from headwater.times import rfc3339

_NAME = r"^[A-Za-z0-9][A-Za-z0-9_.:@=-]{0,127}$"

# The patterns are for readers of the schema; names are checked by the core, which says what is wrong in plain words.
Name = Annotated[str, Field(max_length=1000, json_schema_extra={"pattern": _NAME}, examples=["pump-7"])]
Child = Annotated[
    str, Field(max_length=1000, json_schema_extra={"pattern": r"^(\*|[A-Za-z0-9][A-Za-z0-9_.:@=-]*\*?)$"})
]
Children = Annotated[
    list[Child],
    Field(max_length=1000, description="Devices that it may send for: names, or beginnings of names with a `*`."),
]
ModelName = Annotated[
    str, Field(max_length=128, description="The model it is checked by; empty: by the name's pattern.")
]


Names = Annotated[list[Name], Field(max_length=100, description="Names of groups.")]
Attributes = Annotated[
    dict[Annotated[str, Field(max_length=64)], Annotated[str, Field(max_length=256)]],
    Field(max_length=50, description="What people want to know of it: name → text.", examples=[{"site": "north"}]),
]
AssetName = Annotated[str, Field(max_length=128, description="What it is a part of.")]


class Taken(BaseModel):
    """What a request brings: a key that nobody knows is refused."""

    model_config = ConfigDict(extra="forbid")


class NewDevice(Taken):
    """A device that shall get a token."""

    name: Name
    model: ModelName = ""
    speaks_for: Children = []
    groups: Names = []
    speaks_for_groups: Names = []
    attributes: Attributes = {}
    asset: AssetName = ""


class DeviceChanges(Taken):
    """What to change of a device; what is left out stays as it is."""

    model: ModelName | None = None
    speaks_for: Children | None = None
    disabled: bool | None = None
    groups: Names | None = None
    speaks_for_groups: Names | None = None
    attributes: Attributes | None = None
    asset: AssetName | None = None


class NewKey(Taken):
    """An API key for people and programs."""

    name: Name
    roles: list[Role] = Field(
        min_length=1, max_length=3, description="`ingest`: send for any device; `read`: ask; `admin`: everything."
    )


class CertificateAnswer(BaseModel):
    """A certificate that a device may show."""

    fingerprint: str = Field(description="SHA-256 of its DER form, hex.")
    serial: str
    expires: str = Field(description="RFC 3339.")

    @classmethod
    def of(cls, held: HeldCertificate) -> Self:
        """As the registry keeps it."""
        return cls(fingerprint=held.fingerprint, serial=held.serial, expires=rfc3339(held.expires))


class NewCertificate(Taken):
    """A certificate that a device shall be known by, whoever signed it."""

    certificate: str = Field(max_length=16_384, description="PEM.")


class DeviceAnswer(BaseModel):
    """A device of the registry. `version` grows with each change: it is the ETag, for If-Match."""

    name: str
    model: str
    speaks_for: list[str]
    disabled: bool
    groups: list[str]
    speaks_for_groups: list[str]
    attributes: dict[str, str]
    asset: str
    certificates: list[CertificateAnswer]
    version: int
    changed: str = Field(description="When it was last changed: RFC 3339.")

    @classmethod
    def of(cls, device: Device, **more: str) -> Self:
        """`more`: fields of subclasses."""
        return cls(
            name=device.name,
            model=device.model,
            speaks_for=list(device.speaks_for),
            disabled=device.disabled,
            groups=list(device.groups),
            speaks_for_groups=list(device.speaks_for_groups),
            attributes=dict(device.attributes),
            asset=device.asset,
            certificates=[CertificateAnswer.of(held) for held in device.certificates],
            version=device.version,
            changed=rfc3339(device.changed),
            **more,
        )


class DeviceWithToken(DeviceAnswer):
    """A device with its new token, which is never shown again."""

    token: str


class DevicePage(BaseModel):
    """Devices by name. `next`: ask with `after` set to it for more; null: that was all."""

    devices: list[DeviceAnswer]
    next: str | None


class KeyAnswer(BaseModel):
    """An API key."""

    name: str
    roles: list[Role]
    version: int
    changed: str = Field(description="When it was last changed: RFC 3339.")

    @classmethod
    def of(cls, key: ApiKey, **more: str) -> Self:
        """`more`: fields of subclasses."""
        return cls(name=key.name, roles=list(key.roles), version=key.version, changed=rfc3339(key.changed), **more)


class KeyWithToken(KeyAnswer):
    """An API key with its token, which is never shown again."""

    token: str


class KeyList(BaseModel):
    """All API keys, by name."""

    keys: list[KeyAnswer]


class AuditAnswer(BaseModel):
    """One change: from version `before` (0: there was nothing) to `after`; `changes`: field → what it was and is."""

    number: int
    time: str = Field(description="RFC 3339.")
    actor: str
    kind: str
    name: str
    action: str
    before: int
    after: int
    changes: dict[str, tuple[object, object]]

    @classmethod
    def of(cls, entry: AuditEntry) -> Self:
        return cls(
            number=entry.number,
            time=rfc3339(entry.time),
            actor=entry.actor,
            kind=entry.kind,
            name=entry.name,
            action=entry.action,
            before=entry.before,
            after=entry.after,
            changes=entry.changes,
        )


class AuditPage(BaseModel):
    """Changes, newest first. `next`: ask with `before` set to it for older ones; null: that was all."""

    changes: list[AuditAnswer]
    next: int | None

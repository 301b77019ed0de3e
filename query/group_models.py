"""What the API takes and gives about groups, blocked addresses and assets, as JSON."""

from typing import Annotated, Self

from pydantic import BaseModel, Field

from headwater.registry import Block, Group
from headwater.times import rfc3339
from query.registry_models import Name, Taken

Filters = Annotated[
    list[Annotated[str, Field(max_length=1024)]],
    Field(
        max_length=100,
        description="Topic filters beyond a device's own topics. A level may be `{device}` or `{group}`.",
        examples=[["plant/{group}/{device}/#"]],
    ),
]
QuotaName = Annotated[str, Field(max_length=64, description="The class of quota, as configured; empty: `default`.")]


class GroupChanges(Taken):
    """What to change of a group; what is left out stays as it is."""

    publish: Filters | None = None
    subscribe: Filters | None = None
    quota: QuotaName | None = None


class NewGroup(Taken):
    """A group that devices can be put into."""

    name: Name
    publish: Filters = Field(default_factory=list)
    subscribe: Filters = Field(default_factory=list)
    quota: QuotaName = ""


class GroupAnswer(BaseModel):
    """A group: what the devices in it may do, and how much."""

    name: str
    publish: list[str]
    subscribe: list[str]
    quota: str
    version: int
    changed: str = Field(description="When it was last changed: RFC 3339.")

    @classmethod
    def of(cls, group: Group) -> Self:
        """As the registry keeps it."""
        return cls(
            name=group.name,
            publish=list(group.publish),
            subscribe=list(group.subscribe),
            quota=group.quota,
            version=group.version,
            changed=rfc3339(group.changed),
        )


class GroupPage(BaseModel):
    """Groups by name. `next`: ask with `after` set to it for more; null: that was all."""

    groups: list[GroupAnswer]
    next: str | None


class NewBlock(Taken):
    """An address or network that nobody may come from."""

    address: str = Field(max_length=64, examples=["192.0.2.0/24"], description="IPv4 or IPv6.")
    reason: str = Field(default="", max_length=256)
    seconds: float = Field(default=0, ge=0, le=3650 * 86_400, description="How long; 0: until it is removed.")


class BlockAnswer(BaseModel):
    """A blocked network."""

    address: str
    reason: str
    until: str | None = Field(description="RFC 3339; null: until it is removed.")
    version: int
    changed: str = Field(description="When it was last changed: RFC 3339.")

    @classmethod
    def of(cls, block: Block) -> Self:
        """As the registry keeps it."""
        return cls(
            address=block.name,
            reason=block.reason,
            until=rfc3339(block.until) if block.until else None,
            version=block.version,
            changed=rfc3339(block.changed),
        )


class BlockPage(BaseModel):
    """Blocked networks. `next`: ask with `after` set to it for more; null: that was all."""

    addresses: list[BlockAnswer]
    next: str | None


class AssetAnswer(BaseModel):
    """What devices are parts of."""

    name: str
    devices: list[str] = Field(description="By name; the first 1,000.")
    count: int = Field(description="How many devices it has.")


class AssetPage(BaseModel):
    """Assets by name. `next`: ask with `after` set to it for more; null: that was all."""

    items: list[AssetAnswer]
    next: str | None

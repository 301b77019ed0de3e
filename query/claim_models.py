"""What the API takes and gives about claims and the devices that add themselves by them, as JSON."""

from typing import Annotated, Self

from pydantic import BaseModel, Field

from headwater.registry import Claim
from headwater.times import rfc3339
from query.registry_models import Attributes, ModelName, Name, Names, Taken

_DAY = 86_400


class NewClaim(Taken):
    """A code by which devices add themselves. With `certificate`, they do so by that one as well, over TLS."""

    name: Name
    names: Annotated[
        str, Field(max_length=128, description="Names they may take: one, or the beginning of many with a `*`.")
    ] = "*"
    uses: int = Field(default=1, ge=1, le=1_000_000, description="How many devices may use it.")
    seconds: float = Field(default=30 * _DAY, gt=0, le=3650 * _DAY, description="How long it is good for.")
    model: ModelName = ""
    groups: Names = Field(default_factory=list)
    certificate: str = Field(default="", max_length=16_384, description="PEM.")


class ClaimAnswer(BaseModel):
    """A claim."""

    name: str
    names: str
    uses: int = Field(description="How many devices may still use it.")
    expires: str = Field(description="RFC 3339.")
    model: str
    groups: list[str]
    fingerprint: str = Field(description="Of its certificate, SHA-256 in hex; empty: it has none.")
    version: int
    changed: str = Field(description="When it was last changed or used: RFC 3339.")

    @classmethod
    def of(cls, claim: Claim, **more: str) -> Self:
        """`more`: fields of subclasses."""
        return cls(
            name=claim.name,
            names=claim.names,
            uses=claim.uses,
            expires=rfc3339(claim.expires),
            model=claim.model,
            groups=list(claim.groups),
            fingerprint=claim.fingerprint,
            version=claim.version,
            changed=rfc3339(claim.changed),
            **more,
        )


class ClaimWithCode(ClaimAnswer):
    """A claim with its code, which is never shown again."""

    code: str


class ClaimPage(BaseModel):
    """Claims by name. `next`: ask with `after` set to it for more; null: that was all."""

    claims: list[ClaimAnswer]
    next: str | None


class Provision(Taken):
    """A device that adds itself. `request`: a signing request (PEM) of its own key, for a certificate."""

    name: Name
    request: str = Field(default="", max_length=16_384)
    attributes: Attributes = Field(default_factory=dict)


class Provisioned(BaseModel):
    """What a device needs from now on; nothing of it is shown again."""

    name: str
    token: str
    certificate: str = Field(description="PEM; empty if none was asked for.")
    ca: str = Field(description="The certificate of who signed it, PEM; empty likewise.")

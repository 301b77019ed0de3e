"""Who may ask about a device, and speak for it: people by their roles, devices by what they are.

In: a request. Out: the `Identity`, or `Refused`.
"""

from typing import Annotated

from fastapi import Depends, Path, Request, Security
from fastapi.security import HTTPAuthorizationCredentials

from headwater.errors import Refused
from headwater.registry import Identity
from query.asking import identity_of
from query.auth import bearer

Named = Annotated[str, Path(max_length=128, description="The device's name.", examples=["pump-7"])]
_Header = Annotated[HTTPAuthorizationCredentials | None, Security(bearer)]


async def speaks(request: Request, device: Named, _: _Header) -> Identity:
    """The device itself, a gateway device that speaks for it, or the role `ingest`."""
    identity = identity_of(request)
    if not identity.may_send_for(device):
        raise Refused("not_authorized", f"{identity.name!r} does not speak for {device!r}")
    return identity


async def watches(request: Request, device: Named, _: _Header) -> Identity:
    """As `speaks`, or the role `read`."""
    identity = identity_of(request)
    if not identity.may("read") and not identity.may_send_for(device):
        raise Refused("not_authorized", f"{identity.name!r} may not ask about {device!r}")
    return identity


Speaks = Annotated[Identity, Depends(speaks)]
Watches = Annotated[Identity, Depends(watches)]

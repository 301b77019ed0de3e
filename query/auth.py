"""Who is asking the API, and whether they may.

In: a request with `Authorization: Bearer TOKEN`, or nothing on loopback. Out: an `Identity`, or `Refused`, which
`query.refusals` answers with 401 or 403. See `query.asking`; here it is what FastAPI's routes depend on.

Use: `async def route(who: Annotated[Identity, Depends(require("read"))])`.
"""

from collections.abc import Awaitable, Callable
from typing import Annotated

from fastapi import Request, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from headwater.registry import Identity, Role
from query.asking import check_scraping, in_role

bearer = HTTPBearer(
    auto_error=False, description="An API key (`headwater keys add NAME`). On loopback nothing is needed by default."
)


def require(role: Role) -> Callable[..., Awaitable[Identity]]:
    """A dependency that lets in who has the role, and gives the `Identity`."""

    async def check(request: Request, _: Annotated[HTTPAuthorizationCredentials | None, Security(bearer)]) -> Identity:
        return in_role(request, role)

    return check


async def may_scrape(request: Request, _: Annotated[HTTPAuthorizationCredentials | None, Security(bearer)]) -> None:
    """A dependency for what is counted: see `check_scraping`."""
    check_scraping(request)

"""Who is asking the API, and whether they may.

In: a request with `Authorization: Bearer TOKEN`, or nothing on loopback. Out: an `Identity`, or `Refused`, which
`query.problems` answers with 401 or 403. The door is `app.state.door`.

Use: `async def route(who: Annotated[Identity, Depends(require("read"))])`.
"""

from collections.abc import Awaitable, Callable
from ipaddress import ip_address
from typing import Annotated
from urllib.parse import urlsplit

from fastapi import Request, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from headwater.config import Http
from headwater.credentials import digest, same
from headwater.errors import Refused
from headwater.registry import Identity, Role
from ingest.contract import Door
from ingest.quotas import Quotas

bearer = HTTPBearer(
    auto_error=False, description="An API key (`headwater keys add NAME`). On loopback nothing is needed by default."
)


def identity_of(request: Request) -> Identity:
    """Who asks; raises `Refused`, also where they ask too often.

    A header that is not a usable bearer token is never taken for anonymous.
    """
    door: Door = request.app.state.door
    identity = door.identify("", _token(request), loopback=is_local(request))
    _count(request, identity)
    return identity


def _count(request: Request, identity: Identity) -> None:
    """Once a request, however often it is asked whose it is. `app.state.quotas`: the process's, where it has any."""
    quotas: Quotas | None = getattr(request.app.state, "quotas", None)
    if quotas is None or getattr(request.state, "counted", False):
        return
    request.state.counted = True
    if wait := quotas.request(identity):
        quotas.throttled("api")
        raise Refused("over_quota", f"{identity.name!r} asks more often than it may", retry_after=wait)


def require(role: Role) -> Callable[..., Awaitable[Identity]]:
    """A dependency that lets in who has the role, and gives the `Identity`."""

    async def check(request: Request, _: Annotated[HTTPAuthorizationCredentials | None, Security(bearer)]) -> Identity:
        identity = identity_of(request)
        if not identity.may(role):
            raise Refused("not_authorized", f"{identity.name!r} lacks the role {role!r} that this needs")
        return identity

    return check


_may_read = require("read")


async def may_scrape(
    request: Request, header: Annotated[HTTPAuthorizationCredentials | None, Security(bearer)]
) -> None:
    """A dependency for what is counted: the role `read`, or the key whose digest is `app.state.metrics_digest`.

    That key is configured rather than registered: it works while the log that brings the registry is away.
    """
    if header is None or not same(digest(header.credentials), request.app.state.metrics_digest):
        await _may_read(request, header)


def metrics_digest(config: Http) -> str:
    """What `may_scrape` compares with; "" (which nothing equals), where no key is configured."""
    key = config.metrics_key.get_secret_value()
    return digest(key) if key else ""


def is_local(request: Request) -> bool:
    """True for someone on this machine who speaks for themselves (asks `localhost` or a loopback address by name).

    Not so: what a proxy passes on, and what a web page of another site (or one whose name was rebound to 127.0.0.1)
    makes a browser on this machine send. Those would otherwise be trusted for where the browser runs.
    """
    headers = request.headers
    if request.client is None or not is_loopback(request.client.host):
        return False
    if "x-forwarded-for" in headers or "forwarded" in headers:
        return False
    host, origin = headers.get("host", ""), headers.get("origin")
    try:
        if origin is not None and urlsplit(origin).netloc != host:
            return False
        name = urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return False
    return name in {"", "localhost"} or is_loopback(name)


def is_loopback(host: str) -> bool:
    """True for 127.0.0.0/8 and ::1."""
    try:
        address = ip_address(host)
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return address.is_loopback or (mapped is not None and mapped.is_loopback)


def _token(request: Request) -> str:
    header = request.headers.get("authorization")
    if header is None:
        return ""
    scheme, _, token = header.partition(" ")
    token = token.strip()
    if scheme.lower() != "bearer" or not token:
        raise Refused("bad_credentials", "use `Authorization: Bearer TOKEN`")
    return token

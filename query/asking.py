"""Who is asking the API, as far as the request itself says.

In: a request with `Authorization: Bearer TOKEN`, or nothing on loopback. Out: an `Identity`, or `Refused`, which
`query.refusals` answers with 401 or 403. The door is `app.state.door`. `query.auth` has the same for FastAPI's routes.
"""

from ipaddress import ip_address
from urllib.parse import urlsplit

from starlette.requests import Request

from headwater.config import Http
from headwater.credentials import digest, same
from headwater.errors import Refused
from headwater.registry import Identity, Role
from ingest.contract import Door
from ingest.quotas import Quotas


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


def in_role(request: Request, role: Role) -> Identity:
    """Who asks, if they have the role; else raises `Refused`."""
    identity = identity_of(request)
    if not identity.may(role):
        raise Refused("not_authorized", f"{identity.name!r} lacks the role {role!r} that this needs")
    return identity


def check_scraping(request: Request) -> None:
    """Lets in the role `read`, or the key whose digest is `app.state.metrics_digest`; else raises `Refused`.

    That key is configured rather than registered: it works while the log that brings the registry is away.
    """
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    known: str = request.app.state.metrics_digest
    if scheme.lower() != "bearer" or not same(digest(token.strip()), known):
        in_role(request, "read")


def metrics_digest(config: Http) -> str:
    """What `check_scraping` compares with; "" (which nothing equals), where no key is configured."""
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

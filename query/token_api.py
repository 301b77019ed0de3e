"""Short-lived tokens over HTTP: what a server that has an API key hands to a browser.

In: `POST /api/v1/tokens` with an API key. Out: a token for an hour at most, for MQTT over WebSocket (as the password)
and HTTP (as the bearer token). It may never do more than the key, and ends with it.
"""

from secrets import token_hex
from typing import Annotated

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from fastapi import APIRouter, Request, Response, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import BaseModel, Field

from headwater.directory import Directory
from headwater.errors import Refused, Rejected, Stale
from headwater.grants import check_grants
from headwater.passes import LONGEST, Pass
from headwater.registry import Identity, Role, Signer, check_speaks_for
from headwater.registry_contract import Registry
from headwater.signatures import public_half, sign
from headwater.times import now, rfc3339
from query.asking import identity_of
from query.group_models import Filters
from query.problems import RESPONSES
from query.registry_base import Changing
from query.registry_models import Children, Taken

_DAY = 86_400_000_000
_key = HTTPBearer(auto_error=False, description="An API key (`headwater keys add NAME`).")


class NewToken(Taken):
    """What the token shall be good for; its key must be allowed to do it."""

    seconds: float = Field(default=900, gt=0, le=LONGEST)
    roles: list[Role] = Field(default_factory=list, max_length=3)
    devices: Children = Field(default_factory=list)
    publish: Filters = Field(default_factory=list)
    subscribe: Filters = Field(default_factory=list)


class TokenAnswer(BaseModel):
    """A token. It cannot be taken back by itself: remove the key, or wait."""

    token: str
    expires: str = Field(description="RFC 3339.")


def token_routes(registry: Registry, directory: Directory) -> APIRouter:
    """The route."""
    signing = _Signing(Changing(registry, directory))
    router = APIRouter(prefix="/api/v1", tags=["registry"], responses=RESPONSES)

    async def new_token(
        request: Request,
        asked: NewToken,
        response: Response,
        _: Annotated[HTTPAuthorizationCredentials | None, Security(_key)],
    ) -> TokenAnswer:
        who = identity_of(request)
        _check(who, asked)
        response.headers["Cache-Control"] = "no-store"
        signer, key = await signing.current()
        expires = now() + round(asked.seconds * 1e6)
        said = Pass(
            key=who.name,
            signer=signer,
            expires=expires,
            roles=tuple(sorted(set(asked.roles))),
            devices=check_speaks_for(asked.devices),
            publish=check_grants(asked.publish),
            subscribe=check_grants(asked.subscribe),
        )
        return TokenAnswer(token=sign(said, key), expires=rfc3339(expires))

    router.add_api_route("/tokens", new_token, methods=["POST"], status_code=201, summary="A short-lived token")
    return router


def _check(who: Identity, asked: NewToken) -> None:
    if who.trusted or who.device or who.until:
        raise Refused("not_authorized", "an API key makes short-lived tokens, and nobody else")
    if not (asked.roles or asked.devices or asked.publish or asked.subscribe):
        raise Rejected("bad_value", "say what it is good for: roles, devices, publish, subscribe")
    if sum(map(len, (*asked.devices, *asked.publish, *asked.subscribe))) > 4096:
        raise Rejected("too_large", "a token has room for 4096 characters of names and filters")
    needed: list[Role] = [*asked.roles]
    if asked.publish or asked.devices:
        needed.append("ingest")
    if asked.subscribe or asked.devices:
        needed.append("read")
    for role in needed:
        if not who.may(role):
            raise Refused("not_authorized", f"{who.name!r} lacks the role {role!r} that this needs")


class _Signing:
    """The key of this process: made when it is first needed, and each day anew."""

    def __init__(self, changing: Changing) -> None:
        self._changing = changing
        self._key = Ed25519PrivateKey.generate()
        self._name = ""
        self._good_until = 0

    async def current(self) -> tuple[str, Ed25519PrivateKey]:
        """Who signs now, as the registry knows it."""
        if now() >= self._good_until:
            self._key, self._name, self._good_until = await self._new()
        return self._name, self._key

    async def _new(self) -> tuple[Ed25519PrivateKey, str, int]:
        key, begun = Ed25519PrivateKey.generate(), now()
        registry = self._changing.registry
        # In the place of one that is over: names would grow without end otherwise.
        over = [one for one in await registry.page(Signer) if one.expires < begun]
        places = [(one.name, one.version) for one in over[:1]] + [(f"signer-{token_hex(8)}", 0)]
        for name, version in places:
            signer = Signer(name=name, public=public_half(key), expires=begun + _DAY + round(LONGEST * 1e6))
            try:
                await self._changing.seen(await registry.put(signer, version))
            except Stale:  # another process has taken this place
                continue
            return key, name, begun + _DAY
        raise Stale("no place for a signing key; try again")

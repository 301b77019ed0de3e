"""Claims, by which devices add themselves (`query.provision_api`): for administrators.

In: `/api/v1/registry/claims…`. Out: a claim's code, shown once.
"""

from collections.abc import Collection

from fastapi import APIRouter, Response

from headwater.authority import held_of
from headwater.credentials import digest, new_token
from headwater.directory import Directory
from headwater.errors import Rejected
from headwater.registry import Claim, check_name
from headwater.registry_contract import Registry
from headwater.times import now
from query.claim_models import ClaimAnswer, ClaimPage, ClaimWithCode, NewClaim
from query.problems import RESPONSES
from query.registry_base import Admin, After, Changing, Limit, Named, secret, tagged


def claim_routes(registry: Registry, directory: Directory, models: Collection[str] = ()) -> APIRouter:
    """Claims, for administrators."""
    routes = _Routes(Changing(registry, directory), models)
    router = APIRouter(prefix="/api/v1/registry", tags=["registry"], responses=RESPONSES)
    add = router.add_api_route
    add("/claims", routes.claims, methods=["GET"], summary="Claims by name")
    add("/claims", routes.add, methods=["POST"], status_code=201, summary="Add a claim; shows its code once")
    add("/claims/{name}", routes.claim, methods=["GET"], summary="One claim")
    add("/claims/{name}", routes.remove, methods=["DELETE"], status_code=204, summary="Remove a claim")
    return router


class _Routes:
    def __init__(self, changing: Changing, models: Collection[str]) -> None:
        self._changing = changing
        self._registry = changing.registry
        self._models = models

    async def claims(self, _: Admin, after: After = "", limit: Limit = 1000) -> ClaimPage:
        found = await self._registry.page(Claim, after, limit)
        return ClaimPage(
            claims=[ClaimAnswer.of(claim) for claim in found], next=found[-1].name if len(found) == limit else None
        )

    async def add(self, who: Admin, new: NewClaim, response: Response) -> ClaimWithCode:
        if new.model and self._models and new.model not in self._models:
            raise Rejected("bad_value", f"no model {new.model!r} is configured")
        code = new_token("claim")
        claim = Claim(
            name=new.name,
            digest=digest(code),
            names=new.names,
            uses=new.uses,
            expires=now() + round(new.seconds * 1e6),
            model=new.model,
            groups=tuple(map(check_name, new.groups)),
            fingerprint=held_of(new.certificate.encode()).fingerprint if new.certificate else "",
        )
        claim = await self._changing.seen(await self._registry.put(claim, 0, actor=who.name))
        secret(response, claim.version)
        return ClaimWithCode.of(claim, code=code)

    async def claim(self, _: Admin, name: Named, response: Response) -> ClaimAnswer:
        claim = await self._changing.known(Claim, name)
        tagged(response, claim.version)
        return ClaimAnswer.of(claim)

    async def remove(self, who: Admin, name: Named) -> None:
        claim = await self._changing.known(Claim, name)
        gone = Claim(name=name, digest="", removed=True, version=claim.version)
        await self._changing.replace(gone, None, who)

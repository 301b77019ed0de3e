"""Devices that add themselves: claims for administrators, and the one route that a claim's code or certificate opens.

In: `/api/v1/registry/claims…`, `POST /api/v1/provision`. Out: a code, shown once; a device's own token, and its
certificate where this process has an authority: `ingest.provisioning`, which MQTT goes by too.
"""

from collections.abc import Collection
from typing import Annotated

from fastapi import APIRouter, Request, Response, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from headwater.authority import held_of
from headwater.credentials import digest, new_token
from headwater.directory import Directory
from headwater.errors import Refused, Rejected
from headwater.registry import Claim, check_name
from headwater.registry_contract import Registry
from headwater.times import now
from ingest.provisioning import Asked, Provisioner
from ingest.quotas import Quotas
from query.claim_models import ClaimAnswer, ClaimPage, ClaimWithCode, NewClaim, Provision, Provisioned
from query.problems import RESPONSES
from query.registry_base import Admin, After, Changing, Limit, Named, secret, tagged

_code = HTTPBearer(auto_error=False, description="A claim's code (`headwater claims add NAME`).")


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


def provision_route(provisioner: Provisioner, directory: Directory) -> APIRouter:
    """The one route that a claim's code or certificate opens. `app.state.quotas`, if there, bounds attempts."""
    router = APIRouter(prefix="/api/v1", tags=["registry"], responses=RESPONSES)
    route = _Provisioning(provisioner, directory).provision
    router.add_api_route("/provision", route, methods=["POST"], status_code=201, summary="A device adds itself")
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


class _Provisioning:
    def __init__(self, provisioner: Provisioner, directory: Directory) -> None:
        self._provisioner = provisioner
        self._directory = directory

    async def provision(
        self,
        request: Request,
        asked: Provision,
        response: Response,
        header: Annotated[HTTPAuthorizationCredentials | None, Security(_code)],
    ) -> Provisioned:
        address = request.client.host if request.client is not None else ""
        quotas: Quotas | None = getattr(request.app.state, "quotas", None)
        if quotas is not None and (wait := quotas.provisioning(address)):
            quotas.throttled("api")
            raise Refused("over_quota", "too many come from this address by claims", retry_after=wait)
        certificate = getattr(request.state, "certificate", None)
        found = self._directory.claim_of(header.credentials if header is not None else "", certificate)
        if not found:
            raise Refused("bad_credentials", "give a claim's code as the bearer token: there is no such one")
        given = await self._provisioner.provision(found, Asked(asked.name, asked.request, asked.attributes))
        secret(response, given.device.version)
        return Provisioned(name=given.device.name, token=given.token, certificate=given.certificate, ca=given.ca)

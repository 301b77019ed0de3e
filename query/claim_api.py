"""Devices that add themselves: claims for administrators, and the one route that a claim's code or certificate opens.

In: `/api/v1/registry/claims…`, `POST /api/v1/provision`. Out: a code, shown once; a device's own token, and its
certificate where this process has an authority. A use is counted in the transaction that adds the device: of two that
come at once for the last one, one gets it.
"""

import asyncio
from collections.abc import Collection
from contextlib import suppress
from typing import Annotated

import msgspec
from fastapi import APIRouter, HTTPException, Request, Response, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from headwater.authority import Authority, Issued, held_of
from headwater.credentials import digest, new_token
from headwater.directory import Directory
from headwater.errors import Refused, Rejected, Stale
from headwater.registry import ApiKey, Claim, Device, check_name
from headwater.registry_contract import Registry
from headwater.times import now
from query.claim_models import ClaimAnswer, ClaimPage, ClaimWithCode, NewClaim, Provision, Provisioned
from query.problems import RESPONSES
from query.registry_base import Admin, After, Changing, Limit, Named, secret, tagged

_TRIES = 20
_code = HTTPBearer(auto_error=False, description="A claim's code (`headwater claims add NAME`).")


def claim_routes(
    registry: Registry, directory: Directory, models: Collection[str] = (), authority: Authority | None = None
) -> APIRouter:
    """The routes. `authority`: signs what devices ask for, if this process has one."""
    routes = _Routes(Changing(registry, directory), models)
    provisioning = _Provisioning(Changing(registry, directory), authority)
    router = APIRouter(prefix="/api/v1", tags=["registry"], responses=RESPONSES)
    add = router.add_api_route
    add("/registry/claims", routes.claims, methods=["GET"], summary="Claims by name")
    add("/registry/claims", routes.add, methods=["POST"], status_code=201, summary="Add a claim; shows its code once")
    add("/registry/claims/{name}", routes.claim, methods=["GET"], summary="One claim")
    add("/registry/claims/{name}", routes.remove, methods=["DELETE"], status_code=204, summary="Remove a claim")
    add("/provision", provisioning.provision, methods=["POST"], status_code=201, summary="A device adds itself")
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
    def __init__(self, changing: Changing, authority: Authority | None) -> None:
        self._changing = changing
        self._registry = changing.registry
        self._authority = authority
        self._turn = asyncio.Lock()  # those who come at once would only make each other try again

    async def provision(
        self,
        request: Request,
        asked: Provision,
        response: Response,
        header: Annotated[HTTPAuthorizationCredentials | None, Security(_code)],
    ) -> Provisioned:
        certificate = getattr(request.state, "certificate", None)
        found = self._changing.directory.claim_of(header.credentials if header is not None else "", certificate)
        if not found:
            raise Refused("bad_credentials", "give a claim's code as the bearer token: there is no such one")
        check_name(asked.name)
        issued = self._issue(asked)
        token = new_token("device")
        async with self._turn:
            device = await self._added(found, asked.name, token, issued)
        await self._changing.seen(device)
        secret(response, device.version)
        return Provisioned(
            name=device.name,
            token=token,
            certificate=issued.certificate.decode() if issued is not None else "",
            ca=self._authority.certificate.decode() if issued is not None and self._authority is not None else "",
        )

    def _issue(self, asked: Provision) -> Issued | None:
        if not asked.request:
            return None
        if self._authority is None:
            raise Rejected("bad_value", "nothing is signed here: `registry.ca` is not configured")
        return self._authority.requested(asked.request.encode(), asked.name)

    async def _added(self, name: str, device: str, token: str, issued: Issued | None) -> Device:
        for _ in range(_TRIES):
            claim = await self._registry.find(Claim, name)
            usable = _checked(claim, device)
            await self._check_free(device)
            wanted = Device(
                device,
                digest(token),
                usable.model,
                groups=usable.groups,
                certificates=(issued.held,) if issued is not None else (),
            )
            used = msgspec.structs.replace(usable, uses=usable.uses - 1)
            with suppress(Stale):  # another one has used it, or has come by the same name: look again
                _, added = await self._registry.put_all(
                    [(used, usable.version), (wanted, 0)], actor=f"claim {usable.name}"
                )
                assert isinstance(added, Device)  # noqa: S101 - for the type checker: it is `wanted`
                return added
        raise Stale("too many come at once; try again")

    async def _check_free(self, name: str) -> None:
        if await self._registry.find(Device, name) is not None or await self._registry.find(ApiKey, name) is not None:
            raise HTTPException(409, f"there is a {name!r} already: it keeps the credentials that it has")


def _checked(claim: Claim | None, device: str) -> Claim:
    if claim is None:
        raise Refused("bad_credentials", "there is no such claim any more")
    if claim.expires <= now():
        raise Refused("not_authorized", f"the claim {claim.name!r} has expired")
    if not claim.takes(device):
        raise Refused("not_authorized", f"the claim {claim.name!r} is for {claim.names!r}, not for {device!r}")
    if claim.uses < 1:
        raise Refused("not_authorized", f"the claim {claim.name!r} is used up")
    return claim

"""Devices that add themselves: the one route that a claim's code or certificate opens.

In: `POST /api/v1/provision`. Out: a device's own token, and its certificate where this process has an authority:
`ingest.provisioning`, which MQTT goes by too.
"""

from typing import Annotated

from fastapi import APIRouter, Request, Response, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from headwater.directory import Directory
from headwater.errors import Refused
from ingest.provisioning import Asked, Provisioner
from ingest.quotas import Quotas
from query.claim_models import Provision, Provisioned
from query.problems import RESPONSES
from query.registry_base import secret

_code = HTTPBearer(auto_error=False, description="A claim's code (`headwater claims add NAME`).")


def provision_route(provisioner: Provisioner, directory: Directory) -> APIRouter:
    """The one route that a claim's code or certificate opens. `app.state.quotas`, if there, bounds attempts."""
    router = APIRouter(prefix="/api/v1", tags=["registry"], responses=RESPONSES)
    route = _Provisioning(provisioner, directory).provision
    router.add_api_route("/provision", route, methods=["POST"], status_code=201, summary="A device adds itself")
    return router


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

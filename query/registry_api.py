"""The registry over HTTP, for administrators: devices and their tokens, API keys, the audit trail.

In: `/api/v1/registry/…`. Out: JSON (`registry_models`); a change is answered once it is committed and, for at most five
seconds' wait, in force in this process, so that the next request already meets it.
"""

from typing import Annotated

import msgspec
from fastapi import APIRouter, HTTPException, Path, Query, Response

from headwater.authority import held_of
from headwater.credentials import digest, new_token
from headwater.directory import Directory
from headwater.errors import Rejected
from headwater.registry import ApiKey, Device, check_name
from headwater.registry_contract import Registry
from headwater.times import now
from query.problems import RESPONSES
from query.registry_base import Admin, After, Changing, IfMatch, Limit, Named, secret, tagged
from query.registry_models import (
    AuditAnswer,
    AuditPage,
    DeviceAnswer,
    DeviceChanges,
    DevicePage,
    DeviceWithToken,
    KeyAnswer,
    KeyList,
    KeyWithToken,
    NewCertificate,
    NewDevice,
    NewKey,
)

Overlap = Annotated[float, Query(ge=0, le=30 * 86_400, description="Seconds that the old token is good for.")]
Fingerprint = Annotated[str, Path(pattern="^[0-9a-f]{64}$", description="SHA-256 of its DER form, hex.")]

InGroup = Annotated[str, Query(max_length=128, description="Only devices in this group; a page may then have fewer.")]
OfAsset = Annotated[str, Query(max_length=128, description="Only devices of this asset; likewise.")]

_CERTIFICATES = 10
_REVOKED = 100
"""Of a device, the newest: the older ones have ended by themselves, at the latest when their authority has."""


def registry_routes(registry: Registry, directory: Directory, models: tuple[str, ...] = ()) -> APIRouter:
    """The routes. `models`: the names of the configured models, if a device's model shall be one of them."""
    routes = _Routes(registry, directory, models)
    router = APIRouter(prefix="/api/v1/registry", tags=["registry"], responses=RESPONSES)
    add = router.add_api_route
    add("/devices", routes.devices, methods=["GET"], summary="Devices by name")
    add("/devices", routes.add_device, methods=["POST"], status_code=201, summary="Add a device; shows its token once")
    add("/devices/{name}", routes.device, methods=["GET"], summary="One device")
    add("/devices/{name}", routes.change_device, methods=["PATCH"], summary="Disable, enable, model, groups, …")
    add("/devices/{name}", routes.remove_device, methods=["DELETE"], status_code=204, summary="Remove a device")
    add("/devices/{name}/rotate", routes.rotate, methods=["POST"], summary="A new token; the old one ends at once")
    path = "/devices/{name}/certificates"
    add(path, routes.add_certificate, methods=["POST"], status_code=201, summary="Know it by one more certificate")
    path += "/{fingerprint}"
    add(path, routes.revoke_certificate, methods=["DELETE"], status_code=204, summary="Revoke a certificate")
    add("/keys", routes.keys, methods=["GET"], summary="API keys by name")
    add("/keys", routes.add_key, methods=["POST"], status_code=201, summary="Add an API key; shows it once")
    add("/keys/{name}", routes.remove_key, methods=["DELETE"], status_code=204, summary="Remove an API key")
    add("/audit", routes.audit, methods=["GET"], summary="Who changed what, newest first")
    return router


class _Routes:
    def __init__(self, registry: Registry, directory: Directory, models: tuple[str, ...]) -> None:
        self._registry = registry
        self._changing = Changing(registry, directory)
        self._models = models

    async def devices(
        self, _: Admin, after: After = "", limit: Limit = 1000, group: InGroup = "", asset: OfAsset = ""
    ) -> DevicePage:
        found = await self._registry.devices(after, limit)
        return DevicePage(
            devices=[
                DeviceAnswer.of(device)
                for device in found
                if (not group or group in device.groups) and (not asset or asset == device.asset)
            ],
            next=found[-1].name if len(found) == limit else None,
        )

    async def add_device(self, who: Admin, new: NewDevice, response: Response) -> DeviceWithToken:
        self._check_model(new.model)
        token = new_token("device")
        device = Device(
            new.name,
            digest(token),
            new.model,
            tuple(new.speaks_for),
            groups=tuple(new.groups),
            speaks_for_groups=tuple(new.speaks_for_groups),
            attributes=tuple(new.attributes.items()),
            asset=new.asset,
        )
        device = await self._changing.seen(await self._registry.put_device(device, 0, actor=who.name))
        secret(response, device.version)
        return DeviceWithToken.of(device, token=token)

    async def device(self, _: Admin, name: Named, response: Response) -> DeviceAnswer:
        device = await self._changing.known(Device, name)
        tagged(response, device.version)
        return DeviceAnswer.of(device)

    async def change_device(
        self, who: Admin, name: Named, wanted: DeviceChanges, response: Response, if_match: IfMatch = None
    ) -> DeviceAnswer:
        device = await self._changing.known(Device, name)
        if wanted.model is not None:
            self._check_model(wanted.model)
        told = {name: value for name, value in wanted.model_dump().items() if value is not None}
        if wanted.attributes is not None:
            told["attributes"] = tuple(wanted.attributes.items())
        device = msgspec.structs.replace(
            device, **{name: tuple(value) if isinstance(value, list) else value for name, value in told.items()}
        )
        device = await self._changing.replace(device, if_match, who)
        tagged(response, device.version)
        return DeviceAnswer.of(device)

    async def remove_device(self, who: Admin, name: Named, if_match: IfMatch = None) -> None:
        device = await self._changing.known(Device, name)
        lost = (*device.revoked, *(one.fingerprint for one in device.certificates))[-_REVOKED:]
        gone = Device(name, removed=True, version=device.version, revoked=lost)
        await self._changing.replace(gone, if_match, who)

    async def rotate(
        self, who: Admin, name: Named, response: Response, if_match: IfMatch = None, overlap: Overlap = 0
    ) -> DeviceWithToken:
        token = new_token("device")
        known = await self._changing.known(Device, name)
        until = now() + round(overlap * 1e6)
        previous = (known.token, until) if overlap and known.token else ("", 0)
        device = msgspec.structs.replace(known, token=digest(token), previous=previous[0], previous_until=previous[1])
        device = await self._changing.replace(device, if_match, who)
        secret(response, device.version)
        return DeviceWithToken.of(device, token=token)

    async def add_certificate(
        self, who: Admin, name: Named, new: NewCertificate, response: Response, if_match: IfMatch = None
    ) -> DeviceAnswer:
        held = held_of(new.certificate.encode())
        device = await self._changing.known(Device, name)
        if held.fingerprint in device.revoked:
            raise HTTPException(409, f"that certificate of {name!r} was revoked")
        if len(device.certificates) >= _CERTIFICATES:
            raise HTTPException(409, f"{name!r} has {_CERTIFICATES} certificates: revoke one")
        others = [one for one in device.certificates if one.fingerprint != held.fingerprint]
        device = msgspec.structs.replace(device, certificates=(*others, held))
        device = await self._changing.replace(device, if_match, who)
        tagged(response, device.version)
        return DeviceAnswer.of(device)

    async def revoke_certificate(
        self, who: Admin, name: Named, fingerprint: Fingerprint, if_match: IfMatch = None
    ) -> None:
        device = await self._changing.known(Device, name)
        left = tuple(one for one in device.certificates if one.fingerprint != fingerprint)
        revoked = (*(one for one in device.revoked if one != fingerprint), fingerprint)[-_REVOKED:]
        await self._changing.replace(msgspec.structs.replace(device, certificates=left, revoked=revoked), if_match, who)

    async def keys(self, _: Admin) -> KeyList:
        return KeyList(keys=[KeyAnswer.of(key) for key in await self._registry.keys()])

    async def add_key(self, who: Admin, new: NewKey, response: Response) -> KeyWithToken:
        token = new_token("key")
        key = ApiKey(check_name(new.name), digest(token), tuple(sorted(set(new.roles))))
        key = await self._changing.seen(await self._registry.put_key(key, 0, actor=who.name))
        secret(response, key.version)
        return KeyWithToken.of(key, token=token)

    async def remove_key(self, who: Admin, name: Named) -> None:
        key = await self._registry.key(name)
        if key is None:
            raise HTTPException(404, f"there is no API key {name!r}")
        gone = await self._registry.put_key(ApiKey(name, "", (), removed=True), key.version, actor=who.name)
        await self._changing.seen(gone)

    async def audit(
        self, _: Admin, before: Annotated[int | None, Query(ge=1, lt=2**63)] = None, limit: Limit = 100
    ) -> AuditPage:
        entries = await self._registry.audit(before, limit)
        return AuditPage(
            changes=[AuditAnswer.of(entry) for entry in entries],
            next=entries[-1].number if len(entries) == limit else None,
        )

    def _check_model(self, model: str) -> None:
        if model and self._models and model not in self._models:
            raise Rejected("bad_value", f"no model {model!r} is configured; there are: {', '.join(self._models)}")

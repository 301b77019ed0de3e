"""Many devices at once over HTTP: what a list from elsewhere says, once or again, is what the registry then has.

In: `POST /api/v1/registry/import`, a thousand devices at most. Out: what was added, changed, or refused and why; the
same list a second time changes nothing. Tokens that devices have stay theirs.
"""

from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress

import msgspec
from fastapi import APIRouter, Response
from pydantic import BaseModel, Field

from headwater.credentials import digest, new_token
from headwater.directory import Directory
from headwater.errors import Rejected, Stale
from headwater.registry import ApiKey, Device, HeldCertificate, Identity, checked
from headwater.registry_contract import Registry
from headwater.times import parse_at
from query.problems import RESPONSES
from query.registry_base import Admin, Changing
from query.registry_models import DeviceChanges, Name, Taken

MOST = 1000
_TRIES = 5


class ImportedCertificate(Taken):
    """A certificate that a device may show."""

    fingerprint: str = Field(pattern="^[0-9a-f]{64}$", description="SHA-256 of its DER form, hex.")
    serial: str = Field(default="", max_length=64)
    expires: str = Field(default="1970-01-01T00:00:00Z", max_length=40, description="RFC 3339.")


class ImportedDevice(DeviceChanges):
    """A device as it shall be; what is left out stays as it is, or is empty where the device is new."""

    name: Name
    certificates: list[ImportedCertificate] | None = Field(default=None, max_length=10)


class Import(Taken):
    """Devices as they shall be. `dry_run`: only say what would change. `tokens`: make one for each new device."""

    devices: list[ImportedDevice] = Field(min_length=1, max_length=MOST)
    dry_run: bool = False
    tokens: bool = False


class NotImported(BaseModel):
    """A device that was not taken: its index in the list, and why."""

    index: int
    reason: str
    detail: str


class Imported(BaseModel):
    """What an import has done, or would do."""

    added: int
    changed: int
    unchanged: int
    rejected: list[NotImported]
    tokens: dict[str, str] = Field(description="Name → token of the new devices, where asked for; never shown again.")


def import_routes(registry: Registry, directory: Directory, models: Collection[str] = ()) -> APIRouter:
    """The route. `models`: the names of the configured models, if a device's model shall be one of them."""
    importing = _Importing(Changing(registry, directory), models)
    router = APIRouter(prefix="/api/v1/registry", tags=["registry"], responses=RESPONSES)
    router.add_api_route("/import", importing.take, methods=["POST"], summary="Add or change many devices at once")
    return router


class _Importing:
    def __init__(self, changing: Changing, models: Collection[str]) -> None:
        self._changing = changing
        self._registry = changing.registry
        self._models = models

    async def take(self, who: Admin, asked: Import, response: Response) -> Imported:
        response.headers["Cache-Control"] = "no-store"
        for _ in range(_TRIES - 1):
            with suppress(Stale):  # someone else changed one of them between the look and the write: look again
                return await self._once(who, asked)
        return await self._once(who, asked)

    async def _once(self, who: Identity, asked: Import) -> Imported:
        names = [device.name for device in asked.devices]
        known = await self._registry.find_all(Device, names)
        keys = await self._registry.find_all(ApiKey, names)
        refused: list[NotImported] = []
        wanted: dict[str, Device] = {}
        for index, told in enumerate(asked.devices):
            try:
                wanted[told.name] = self._wanted(told, known, keys, wanted)
            except Rejected as error:
                refused.append(NotImported(index=index, reason=error.reason, detail=error.detail))
        tokens = {name: new_token("device") for name in wanted if name not in known} if asked.tokens else {}
        changes = [
            (msgspec.structs.replace(one, token=digest(tokens[one.name])) if one.name in tokens else one)
            for one in wanted.values()
            if one != known.get(one.name)
        ]
        if changes and not asked.dry_run:
            await self._write(changes, who)
        added = sum(one.name not in known for one in changes)
        return Imported(
            added=added,
            changed=len(changes) - added,
            unchanged=len(wanted) - len(changes),
            rejected=refused,
            tokens={} if asked.dry_run else tokens,
        )

    async def _write(self, changes: Sequence[Device], who: Identity) -> None:
        done = await self._registry.put_all([(one, one.version) for one in changes], actor=who.name)
        await self._changing.seen(done[-1])  # and so all before it: they go one behind the other

    def _wanted(
        self, told: ImportedDevice, known: Mapping[str, Device], keys: Collection[str], before: Collection[str]
    ) -> Device:
        if told.name in before:
            raise Rejected("bad_value", f"{told.name!r} stands twice in the list")
        if told.name in keys:
            raise Rejected("bad_device", f"an API key is called {told.name!r}")
        if told.model and self._models and told.model not in self._models:
            raise Rejected("bad_value", f"no model {told.model!r} is configured")
        return checked(_laid_over(known.get(told.name) or Device(name=told.name), told))


def _laid_over(device: Device, told: ImportedDevice) -> Device:
    changes: dict[str, object] = {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in told.model_dump(exclude={"name", "certificates", "attributes"}).items()
        if value is not None
    }
    if told.attributes is not None:
        changes["attributes"] = tuple(told.attributes.items())
    if told.certificates is not None:
        changes["certificates"] = tuple(
            HeldCertificate(one.fingerprint, one.serial, parse_at(one.expires)) for one in told.certificates
        )
    return msgspec.structs.replace(device, **changes)

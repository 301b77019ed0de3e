"""Devices that are forgotten, over HTTP, for administrators: see `consumers.erasing`.

In: `POST /api/v1/registry/devices/{name}/erase`. Out: the job, which goes on by itself; and how far all of them are.
"""

from typing import Self

from fastapi import APIRouter
from pydantic import BaseModel, Field

from consumers.erasing import AHEAD
from headwater.directory import Directory
from headwater.errors import Stale
from headwater.ids import check_device
from headwater.registry import Device, Erasure, Record
from headwater.registry_contract import Registry
from headwater.times import now, rfc3339
from query.problems import RESPONSES
from query.registry_base import Admin, After, Changing, Limit, Named

_REVOKED = 100
_TRIES = 5


class ErasureAnswer(BaseModel):
    """A device that is forgotten."""

    name: str
    before: str = Field(description="What was received before goes: RFC 3339.")
    passes: int = Field(description="How often it was looked for everywhere, and removed; the third is the last.")
    due: str | None = Field(description="When that is done next: RFC 3339; null: it is over.")

    @classmethod
    def of(cls, erasure: Erasure) -> Self:
        """As the registry has it."""
        due = rfc3339(erasure.due) if erasure.due else None
        return cls(name=erasure.name, before=rfc3339(erasure.before), passes=erasure.passes, due=due)


class ErasurePage(BaseModel):
    """Erasures by name. `next`: ask with `after` set to it for more; null: that was all."""

    erasures: list[ErasureAnswer]
    next: str | None


def erasure_routes(registry: Registry, directory: Directory) -> APIRouter:
    """The routes."""
    routes = _Routes(Changing(registry, directory))
    router = APIRouter(prefix="/api/v1/registry", tags=["registry"], responses=RESPONSES)
    add = router.add_api_route
    path = "/devices/{name}/erase"
    add(path, routes.erase, methods=["POST"], status_code=202, summary="Remove a device, and all that it ever said")
    add("/erasures", routes.erasures, methods=["GET"], summary="Devices that are forgotten, by name")
    add("/erasures/{name}", routes.erasure, methods=["GET"], summary="How far one is")
    return router


class _Routes:
    def __init__(self, changing: Changing) -> None:
        self._changing = changing
        self._registry = changing.registry

    async def erase(self, who: Admin, name: Named) -> ErasureAnswer:
        check_device(name)
        for _ in range(_TRIES):
            try:
                ordered = await self._order(name, who.name)
            except Stale:  # someone else has changed the device meanwhile
                continue
            return ErasureAnswer.of(await self._changing.seen(ordered))
        raise Stale(f"{name!r} is changed again and again: try later")

    async def erasures(self, _: Admin, after: After = "", limit: Limit = 1000) -> ErasurePage:
        found = await self._registry.page(Erasure, after, limit)
        return ErasurePage(
            erasures=[ErasureAnswer.of(one) for one in found], next=found[-1].name if len(found) == limit else None
        )

    async def erasure(self, _: Admin, name: Named) -> ErasureAnswer:
        return ErasureAnswer.of(await self._changing.known(Erasure, name))

    async def _order(self, name: str, actor: str) -> Erasure:
        """The job, in one transaction with the device's end, where the registry knows it."""
        known, before = await self._registry.find(Erasure, name), now() + AHEAD
        wanted = Erasure(name, before, due=before, version=known.version if known is not None else 0)
        records: list[tuple[Record, int | None]] = [(wanted, wanted.version)]
        device = await self._registry.find(Device, name)
        if device is not None:
            lost = (*device.revoked, *(one.fingerprint for one in device.certificates))[-_REVOKED:]
            records.append((Device(name, removed=True, version=device.version, revoked=lost), device.version))
        ordered = (await self._registry.put_all(records, actor=actor))[0]
        assert isinstance(ordered, Erasure)  # noqa: S101 - for the type checker: it is `wanted`
        return ordered

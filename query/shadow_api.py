"""Shadows over HTTP: what a device said it is, what it shall be, and how the two differ.

In: `/api/v1/devices/{device}/shadow`. Out: JSON (`command_models.ShadowAnswer`). A change is on the log before it is
answered; of two that name the same version one gets 409.
"""

from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Depends, Header, Query, Response

from headwater.errors import Rejected
from headwater.ids import check_device
from headwater.registry import Identity
from headwater.shadow import Shadow, ShadowChange, changed, read_change, removed
from headwater.times import rfc3339
from ingest.control import Control, Done
from ingest.shadow_writer import Make, Outcome, raised
from query.answering import TimedRoute
from query.auth import require
from query.command_models import ShadowAnswer, ShadowPatch
from query.device_rights import Named, Speaks, Watches
from query.problems import RESPONSES, Unanswerable
from query.replies import reply

Admin = Annotated[Identity, Depends(require("admin"))]
IfMatch = Annotated[str | None, Header(max_length=64, description='As `version`: the ETag it must still have, `"3"`.')]


def shadow_routes(control: Control) -> APIRouter:
    """The routes."""
    routes = _Routes(control)
    router = APIRouter(
        prefix="/api/v1/devices/{device}/shadow", tags=["shadow"], responses=RESPONSES, route_class=TimedRoute
    )
    add = router.add_api_route
    add("", routes.one, methods=["GET"], response_model=ShadowAnswer, summary="The shadow of a device")
    add("", routes.change, methods=["PATCH"], response_model=ShadowAnswer, summary="Change what it shall be, or is")
    add("", routes.remove, methods=["DELETE"], status_code=204, summary="Delete the shadow of a device")
    return router


class _Routes:
    def __init__(self, control: Control) -> None:
        self._control = control

    async def one(self, _: Watches, device: Named) -> Response:
        shadow = self._control.shadows.table.get(device)
        if not shadow.there:
            raise Unanswerable(404, "no_shadow", f"{device!r} has no shadow yet")
        return _answer(shadow)

    async def change(self, _: Speaks, device: Named, patch: ShadowPatch, if_match: IfMatch = None) -> Response:
        check_device(device)
        change = _change_of(patch)
        expected = patch.version if if_match is None else _version(if_match)
        return _answer(await self._make(device, lambda known, at: changed(known, change, at), expected))

    async def remove(
        self,
        _: Admin,
        device: Named,
        version: Annotated[int | None, Query(ge=1, description="Only if it still has this one.")] = None,
    ) -> None:
        if self._control.shadows.table.get(device).there:
            await self._make(device, removed, version)

    async def _make(self, device: str, make: Make, expected: int | None) -> Shadow:
        done, found = Done(), list[Outcome]()
        self._control.shadows.change(device, make, expected, done.receipt, found.append)
        await done.wait()
        return raised(found[0])


def _change_of(patch: ShadowPatch) -> ShadowChange:
    """Through the same checks as over MQTT; null and nothing differ."""
    return read_change(msgspec.json.encode(patch.model_dump(exclude_unset=True)))


def _version(etag: str) -> int:
    try:
        return int(etag.strip().removeprefix("W/").strip('"'))
    except ValueError:
        raise Rejected("bad_value", f'If-Match is the ETag of an answer, like "3", not {etag[:40]!r}') from None


def _answer(shadow: Shadow) -> Response:
    told: dict[str, Any] = shadow.document() | {"changed": rfc3339(shadow.changed)}
    told.pop("token", None)
    answer = reply(told)
    answer.headers["ETag"] = f'"{shadow.version}"'
    return answer

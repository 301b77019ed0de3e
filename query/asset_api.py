"""Assets: what devices are parts of, as their records in the registry say.

In: `/api/v1/assets`. Out: names, and the devices of each, from this process's copy of the registry.
"""

from typing import Annotated

from fastapi import APIRouter, Depends, HTTPException

from headwater.directory import Directory
from headwater.registry import Identity
from query.auth import require
from query.group_models import AssetAnswer, AssetPage
from query.problems import RESPONSES
from query.registry_base import After, Limit, Named

Reader = Annotated[Identity, Depends(require("read"))]
_DEVICES = 1000


def asset_routes(directory: Directory) -> APIRouter:
    """The routes."""
    router = APIRouter(prefix="/api/v1", tags=["devices"], responses=RESPONSES)

    async def assets(_: Reader, after: After = "", limit: Limit = 1000) -> AssetPage:
        names = sorted(name for name in directory.assets if name > after)[: limit + 1]
        items = [_answer(name, directory.assets[name]) for name in names[:limit]]
        return AssetPage(items=items, next=names[limit - 1] if len(names) > limit else None)

    async def asset(_: Reader, name: Named) -> AssetAnswer:
        if name not in directory.assets:
            raise HTTPException(404, f"no device has the asset {name!r}")
        return _answer(name, directory.assets[name])

    router.add_api_route("/assets", assets, methods=["GET"], summary="Assets by name, with their devices")
    router.add_api_route("/assets/{name:path}", asset, methods=["GET"], summary="One asset")
    return router


def _answer(name: str, devices: set[str]) -> AssetAnswer:
    return AssetAnswer(name=name, devices=sorted(devices)[:_DEVICES], count=len(devices))

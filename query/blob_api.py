"""The API about large payloads: reading one, and URLs that read one without a credential.

In: `/api/v1/blobs/{hash}`, `/api/v1/blobs/{hash}/link`. Out: bytes as they came, always as a download, whatever type
the sender gave: a page that a device sent must not run as one of ours. On the stack a link leads to the bucket itself.
"""

import hmac
import time
from hashlib import sha256
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, Field

from headwater.config import Blobs
from headwater.errors import Refused
from headwater.registry import Identity
from query.asking import identity_of
from query.auth import require
from query.problems import RESPONSES, Unanswerable
from storage.blobs import BlobStore, NoBlob

_HEADERS = {
    "content-disposition": "attachment",
    "x-content-type-options": "nosniff",
    "cache-control": "private, max-age=31536000, immutable",
}
_LONGEST = 7 * 86_400


class Link(BaseModel):
    """A URL that needs no credential."""

    url: str = Field(description="Where to read it: absolute, or a path of this API.")
    expires: int = Field(description="Until when, seconds since 1970.")


def blob_routes(store: BlobStore, config: Blobs) -> APIRouter:
    """The routes."""
    routes = _Routes(store, config)
    router = APIRouter(prefix="/api/v1", tags=["blobs"], responses=RESPONSES)
    get = router.add_api_route
    binary = {200: {"content": {"application/octet-stream": {}}, "description": "The payload, as it came."}}
    get(
        "/blobs/{name}",
        routes.read,
        responses={**RESPONSES, **binary},
        response_class=StreamingResponse,
        summary="A large payload",
    )
    get("/blobs/{name}/link", routes.link, response_model=Link, summary="A URL to it that needs no credential")
    return router


class _Routes:
    def __init__(self, store: BlobStore, config: Blobs) -> None:
        self._store = store
        self._config = config

    async def read(
        self,
        name: str,
        request: Request,
        expires: Annotated[int | None, Query(ge=0, le=2**40, description="Of a link.")] = None,
        signature: Annotated[str, Query(max_length=64, description="Of a link.")] = "",
    ) -> StreamingResponse:
        if signature:
            await self._check(name, expires or 0, signature)
        elif not (who := identity_of(request)).may("read"):
            raise Refused("not_authorized", f"{who.name!r} lacks the role 'read' that this needs")
        try:
            found = await self._store.open(name)
        except NoBlob as error:
            raise Unanswerable(404, "not_found", str(error)) from None
        headers = _HEADERS | {"content-length": str(found.size), "etag": f'"{name}"'}
        return StreamingResponse(found.pieces, headers=headers, media_type="application/octet-stream")

    async def link(
        self,
        name: str,
        _: Annotated[Identity, Depends(require("read"))],
        seconds: Annotated[float | None, Query(gt=0, le=_LONGEST, description="How long it works.")] = None,
    ) -> Link:
        lasting = self._config.link if seconds is None else seconds
        expires = int(time.time() + lasting)
        try:
            url = await self._store.link(name, lasting)
        except NoBlob as error:
            raise Unanswerable(404, "not_found", str(error)) from None
        if not url:
            url = f"/api/v1/blobs/{name}?expires={expires}&signature={await self._sign(name, expires)}"
        return Link(url=url, expires=expires)

    async def _check(self, name: str, expires: int, signature: str) -> None:
        right = await self._sign(name, expires)
        if not hmac.compare_digest(right.encode(), signature.encode()) or expires < time.time():
            raise Refused("not_authorized", "this link is not valid, or no longer: ask for a new one")

    async def _sign(self, name: str, expires: int) -> str:
        return hmac.new(await self._store.secret(), f"{name} {expires}".encode(), sha256).hexdigest()

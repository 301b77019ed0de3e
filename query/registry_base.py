"""What all routes that change the registry share: who may, If-Match, and an answer that comes when the change holds.

In: records as they shall be. Out: records with their new versions, in force in this process, or after five seconds'
wait at most; 404, 409, 412 as `HTTPException`.
"""

from typing import Annotated

from fastapi import Depends, Header, HTTPException, Path, Query, Response

from headwater.directory import Directory
from headwater.errors import Stale
from headwater.registry import Identity, R, kind_of
from headwater.registry_contract import Registry
from headwater.saying import get_logger
from query.auth import require

Admin = Annotated[Identity, Depends(require("admin"))]
Named = Annotated[str, Path(max_length=128)]
After = Annotated[str, Query(max_length=128, description="Those whose names come after this one.")]
Limit = Annotated[int, Query(ge=1, le=10_000)]
IfMatch = Annotated[str | None, Header(max_length=64, description='Change it only if it still has this ETag: `"3"`.')]

_CALLED = {
    "device": "device",
    "group": "group",
    "claim": "claim",
    "key": "API key",
    "block": "block",
    "decoder": "decoder",
    "signer": "signer",
    "erasure": "erasure of",
}


class Changing:
    """The authority, and this process's copy, which has a change before its answer goes out."""

    def __init__(self, registry: Registry, directory: Directory) -> None:
        self.registry = registry
        self.directory = directory

    async def known(self, kind: type[R], name: str) -> R:
        """The record, or 404."""
        record = await self.registry.find(kind, name)
        if record is None:
            raise HTTPException(404, f"there is no {_CALLED[kind_of(kind)]} {name!r} in the registry")
        return record

    async def replace(self, record: R, if_match: str | None, who: Identity) -> R:
        """Put it in the place of the version that it was made of, which the request may name: 412, or 409 if not."""
        expected = version_in(if_match)
        if expected is not None and expected != record.version:
            raise HTTPException(412, f"{record.name!r} has version {record.version} by now, not {expected}")
        try:
            after = await self.registry.put(record, record.version, actor=who.name)
        except Stale as error:
            if expected is None:
                raise
            raise HTTPException(412, str(error)) from None
        return await self.seen(after)

    async def seen(self, record: R) -> R:
        """Wait until it is in force here."""
        if not await self.directory.applied(record):
            get_logger().warning("a change of the registry is not in force here yet", name=record.name)
        return record


def version_in(if_match: str | None) -> int | None:
    """The version that If-Match names, None where any will do."""
    if if_match is None or if_match.strip() == "*":
        return None
    text = if_match.strip().removeprefix("W/").strip('"')
    if not text.isascii() or not text.isdigit():
        raise HTTPException(412, f'If-Match {if_match!r} is no ETag of ours: they look like "3"')
    return int(text)


def tagged(response: Response, version: int) -> None:
    """With an ETag."""
    response.headers["ETag"] = f'"{version}"'


def secret(response: Response, version: int) -> None:
    """With an ETag, and kept by nobody on the way."""
    tagged(response, version)
    response.headers["Cache-Control"] = "no-store"

"""The page at `/`, the reader of the API's schema at `/docs`, and their files. Nothing comes from elsewhere.

In: GET and HEAD for known names. Out: files held in memory, with headers that let the browser run only these.
"""

from hashlib import blake2b
from importlib.resources import files
from typing import NamedTuple

from fastapi import APIRouter, Request, Response

from query.problems import Unanswerable

_TYPES = {
    "html": "text/html; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "svg": "image/svg+xml",
}
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self';"
    " base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_HEADERS = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-cache",
}


class _File(NamedTuple):
    body: bytes
    media_type: str
    etag: str


def page_routes() -> APIRouter:
    """The routes; the files are read now."""
    known = {found.name: _read(found.name, found.read_bytes()) for found in (files("query") / "static").iterdir()}
    router = APIRouter(include_in_schema=False)

    def answer(name: str, request: Request) -> Response:
        file = known.get(name)
        if file is None:
            raise Unanswerable(404, "not_found", "there is no such file")
        headers = _HEADERS | {"ETag": file.etag}
        if request.headers.get("if-none-match") == file.etag:
            return Response(status_code=304, headers=headers)
        return Response(file.body, media_type=file.media_type, headers=headers)

    async def index(request: Request) -> Response:
        return answer("index.html", request)

    async def docs(request: Request) -> Response:
        return answer("docs.html", request)

    async def static(name: str, request: Request) -> Response:
        return answer(name, request)

    for path, route in (("/", index), ("/docs", docs), ("/static/{name}", static)):
        router.add_api_route(path, route, methods=["GET", "HEAD"])
    return router


def _read(name: str, body: bytes) -> _File:
    etag = f'"{blake2b(body, digest_size=8).hexdigest()}"'
    return _File(body, _TYPES[name.rpartition(".")[2]], etag)

"""What a gateway answers beside ingest, without what it takes to answer most of it until somebody asks.

In: an ASGI request. Out: `/healthz`, `/readyz` and `/metrics`, which are asked of every gateway all the time, at once;
all else by the app of `query.gateway_api`. FastAPI and its routes are 10 MB of each gateway. They are loaded by a
thread when the first such request comes, which waits for half a second; devices go on meanwhile.
"""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from starlette.datastructures import State
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from headwater.errors import HeadwaterError
from query.process import Process
from query.refusals import problem, refusal

Load = Callable[[], ASGIApp]
_API, _SCHEMA = "/api/", "/openapi.json"


class GatewayApp:
    """`state`: of both apps, see `state_of`. `load` makes the one of all other routes; a thread calls it, once."""

    def __init__(self, process: Process, state: State, load: Load) -> None:
        self.state = state
        self._load = load
        self._own: dict[str, Callable[[Request], Coroutine[Any, Any, Response]]] = {
            "/healthz": process.healthz,
            "/readyz": process.readyz,
            "/metrics": process.scraped,
        }
        self._loading: asyncio.Task[ASGIApp] | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        if scope["type"] == "lifespan":
            await _live(receive, send)
            return
        path: str = scope["path"]
        own = self._own.get(path) if scope["method"] == "GET" else None
        if own is None:
            app = await self._loaded() if self._may_be_there(path) else problem(404, "not_found", "Not Found")
            await app(scope, receive, send)
            return
        try:
            response = await self.state.answering.bounded(own(Request({**scope, "app": self})))
        except HeadwaterError as error:
            response = refusal(error)
        except Exception as error:
            await refusal(error)(scope, receive, send)
            raise  # the server's log has it
        await response(scope, receive, send)

    def _may_be_there(self, path: str) -> bool:
        """False for what the internet asks everyone for: nothing is loaded for that."""
        return path.startswith(_API) or path == _SCHEMA or path.rstrip("/") in self._own

    async def _loaded(self) -> ASGIApp:
        if self._loading is None or (self._loading.done() and self._loading.exception() is not None):
            self._loading = asyncio.create_task(asyncio.to_thread(self._load), name="gateway api")
        return await asyncio.shield(self._loading)  # whoever hangs up does not end it for the others


async def _live(receive: Receive, send: Send) -> None:
    """Begin and end with the server: there is nothing to do."""
    for event in ("startup", "shutdown"):
        await receive()
        await send({"type": f"lifespan.{event}.complete"})

"""The API about records of all devices: what was selected, what was rejected and why.

In: `/api/v1/candidates`, `/api/v1/rejected`. Out: JSON (`answers`).
"""

from typing import Annotated

from fastapi import APIRouter, Query, Response

from headwater.config import Query as QueryConfig
from headwater.errors import Reason
from ingest.again import RETRIED
from query import answer_models, answers
from query.answering import Cursor, From, Limit, Reader, TimedRoute, To, page, rows_at_most, span
from query.device_api import Order
from query.history import Ask, History
from query.problems import RESPONSES, Unanswerable

_MOST_REJECTED = 1_000
_MOST_BYTES = 16 * 2**20

Shown = Annotated[int, Query(alias="bytes", ge=0, le=2**17, description="Bytes of each payload that are shown.")]


def record_routes(config: QueryConfig, history: History) -> APIRouter:
    """The routes."""
    routes = _Routes(config, history)
    router = APIRouter(prefix="/api/v1", tags=["records"], responses=RESPONSES, route_class=TimedRoute)
    get = router.add_api_route
    get("/candidates", routes.candidates, response_model=answer_models.CandidatePage, summary="What was selected")
    get(
        "/rejected",
        routes.rejected,
        response_model=answer_models.RejectedPage,
        summary="What was rejected, newest first",
    )
    return router


class _Routes:
    def __init__(self, config: QueryConfig, history: History) -> None:
        self._config = config
        self._history = history

    async def candidates(
        self,
        _: Reader,
        start: From = "",
        end: To = "",
        limit: Limit = None,
        order: Order = "desc",
        cursor: Cursor = "",
    ) -> Response:
        ask = Ask(rows_at_most(limit, self._config), span(start, end), order == "desc", cursor)
        found = await self._history.candidates(None, ask)
        return await page(found.rows, answers.candidate, next=found.next)

    async def rejected(
        self,
        _: Reader,
        reason: Annotated[Reason | None, Query(description="Only for this reason.")] = None,
        device: Annotated[str | None, Query(max_length=128, description="Only of this device.")] = None,
        start: From = "",
        end: To = "",
        limit: Limit = None,
        shown: Shown = 1024,
    ) -> Response:
        rows = min(rows_at_most(limit, self._config), _MOST_REJECTED)
        if rows * shown > _MOST_BYTES:
            raise Unanswerable(400, "too_large", f"`limit` times `bytes` may be {_MOST_BYTES} at most")
        found = await self._history.rejected(Ask(rows, span(start, end)), reason=reason, device=device)
        sent = {row.detail for row in found.rows if row.stage == RETRIED}
        waiting = [row for row in found.rows if row.stage != RETRIED and row.id not in sent]
        return await page(waiting, lambda row: answers.rejected(row, shown))

"""The API that finds: candidates by word, field, place and time; devices near a place; reports.

In: `/api/v1/search`, `/api/v1/near`, `/api/v1/reports/minute|hour|day|rows`. Out: JSON (`answers`).
"""

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Response

from headwater.config import Query as QueryConfig
from headwater.message import Position
from headwater.places import distance
from query import answer_models, answers
from query.answering import Cursor, From, Limit, Reader, TimedRoute, To, page, rows_at_most, span
from query.cursor import Cursors
from query.device_api import Order
from query.finding import Finding, sought
from query.history import Ask
from query.problems import RESPONSES, Unanswerable
from storage.contract import Circle, LiveReader, Period, ReportReader

_FURTHEST = 20_037_600.0
"""Metres: half way round."""

Question = Annotated[
    str,
    Query(
        max_length=2048,
        description='Words that must all be there; `word*` begins so; `field:value`, `field:"a b"`.',
        examples=["pump state:off"],
    ),
]
Latitude = Annotated[float, Query(ge=-90, le=90, description="Degrees, WGS 84.", examples=[48.137])]
Longitude = Annotated[float, Query(ge=-180, le=180, description="Degrees, WGS 84.", examples=[11.575])]
Radius = Annotated[float, Query(gt=0, le=_FURTHEST, description="Metres, by the great circle.", examples=[500])]
OnlyDevice = Annotated[str | None, Query(max_length=128, description="Only of this device.")]


def _circle(lat: Latitude | None = None, lon: Longitude | None = None, radius: Radius | None = None) -> Circle | None:
    if lat is None and lon is None and radius is None:
        return None
    if lat is None or lon is None or radius is None:
        raise Unanswerable(400, "bad_place", "a place needs all three: `lat`, `lon`, `radius`")
    return Circle(lat, lon, radius)


Within = Annotated[Circle | None, Depends(_circle)]


def search_routes(
    config: QueryConfig, finding: Finding, live: LiveReader, reports: ReportReader, log_id: str
) -> APIRouter:
    """The routes."""
    routes = _Routes(config, finding, live, reports, log_id)
    router = APIRouter(prefix="/api/v1", tags=["search"], responses=RESPONSES, route_class=TimedRoute)
    get = router.add_api_route
    get(
        "/search",
        routes.search,
        response_model=answer_models.CandidatePage,
        summary="Candidates by word, field, place and time",
    )
    get("/near", routes.near, response_model=answer_models.NearPage, summary="Devices near a place, nearest first")
    get("/reports/rows", routes.rows, response_model=answer_models.RowPage, summary="The messages of the last day")
    get(
        "/reports/{period}",
        routes.rollups,
        response_model=answer_models.RollupPage,
        summary="Count, sum, minimum, maximum and last value of each field a minute, hour or day",
    )
    return router


class _Routes:
    def __init__(
        self, config: QueryConfig, finding: Finding, live: LiveReader, reports: ReportReader, log_id: str
    ) -> None:
        self._config = config
        self._finding = finding
        self._live = live
        self._reports = reports
        self._of_rollups = Cursors("reports", tuple[int, str, str], log_id)
        self._of_rows = Cursors("rows", tuple[int, int, str, str], log_id)

    async def search(
        self,
        _: Reader,
        q: Question,
        within: Within,
        start: From = "",
        end: To = "",
        limit: Limit = None,
        order: Order = "desc",
        cursor: Cursor = "",
    ) -> Response:
        ask = Ask(rows_at_most(limit, self._config), span(start, end), order == "desc", cursor)
        found = await self._finding.search(sought(q, within), ask)
        return await page(found.rows, answers.candidate, next=found.next)

    async def near(self, _: Reader, lat: Latitude, lon: Longitude, radius: Radius, limit: Limit = None) -> Response:
        found = await self._live.near(Circle(lat, lon, radius), rows_at_most(limit, self._config))

        def away(position: Position | None) -> float:
            return 0.0 if position is None else distance(lat, lon, position.lat, position.lon)

        return await page(found, lambda one: {"distance": away(one.position), **answers.latest(one, {})})

    async def rollups(
        self,
        _: Reader,
        period: Period,
        device: OnlyDevice = None,
        field: Annotated[str | None, Query(max_length=256, description="Only of this field.")] = None,
        start: From = "",
        end: To = "",
        limit: Limit = None,
        cursor: Cursor = "",
    ) -> Response:
        most, within = rows_at_most(limit, self._config), span(start, end)
        after = self._of_rollups.read(period, cursor) if cursor else None
        found, _ledger = await self._reports.rollups(period, device, field, within, most + 1, after=after)
        last = found[most - 1] if len(found) > most else None
        more = None if last is None else self._of_rollups.write(period, (last.start, last.device, last.field))
        return await page(found[:most], answers.rollup, next=more)

    async def rows(
        self,
        _: Reader,
        device: OnlyDevice = None,
        start: From = "",
        end: To = "",
        limit: Limit = None,
        cursor: Cursor = "",
    ) -> Response:
        most, within = rows_at_most(limit, self._config), span(start, end)
        after = self._of_rows.read("asc", cursor) if cursor else None
        found, _ledger = await self._reports.rows(device, within, most + 1, after=after)
        last = found[most - 1] if len(found) > most else None
        more = None if last is None else self._of_rows.write("asc", (last.time, last.received, last.id, last.device))
        return await page(found[:most], answers.row, next=more)

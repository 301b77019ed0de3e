"""The API about devices: who there is, their newest values, what they said, what of it was selected.

In: `/api/v1/devices…`. Out: JSON (`answers`). A message that was acknowledged before the question is in the answer.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query, Response

from headwater.config import Config
from ingest.models import Models
from query import answer_models, answers
from query.answering import Cursor, From, Limit, Reader, TimedRoute, To, page, rows_at_most, span
from query.history import Ask, History
from query.latest import Latest
from query.problems import RESPONSES, Unanswerable
from query.replies import reply
from storage.contract import LiveDevice, LiveReader

Named = Annotated[str, Path(max_length=128, description="The device's name.", examples=["7"])]
FieldName = Annotated[
    str | None, Query(max_length=256, description="Only messages that have this field, and of their values only it.")
]
Order = Annotated[Literal["desc", "asc"], Query(description="`desc`: newest first.")]


def device_routes(config: Config, models: Models, live: LiveReader, latest: Latest, history: History) -> APIRouter:
    """The routes. `models` says which model a device has."""
    routes = _Routes(config, models, live, latest, history)
    router = APIRouter(prefix="/api/v1/devices", tags=["devices"], responses=RESPONSES, route_class=TimedRoute)
    get = router.add_api_route
    get(
        "", routes.devices, response_model=answer_models.DevicePage, summary="Devices by name, with their newest values"
    )
    get("/{device}", routes.device, response_model=answer_models.DeviceAnswer, summary="What is known about a device")
    get("/{device}/latest", routes.newest, response_model=answer_models.LatestAnswer, summary="Its newest values")
    get("/{device}/history", routes.said, response_model=answer_models.HistoryPage, summary="Its messages")
    get(
        "/{device}/candidates", routes.selected, response_model=answer_models.CandidatePage, summary="What was selected"
    )
    return router


class _Routes:
    def __init__(self, config: Config, models: Models, live: LiveReader, latest: Latest, history: History) -> None:
        self._config = config
        self._models = models
        self._live = live
        self._latest = latest
        self._history = history
        self._units = {
            name: {field: is_.unit for field, is_ in model.fields.items() if is_.unit}
            for name, model in config.models.items()
        }

    async def devices(
        self,
        _: Reader,
        prefix: Annotated[str, Query(max_length=128, description="Only names that begin so.")] = "",
        after: Annotated[str, Query(max_length=128, description="Only names behind this one.")] = "",
        limit: Limit = None,
    ) -> Response:
        rows = rows_at_most(limit, self._config.query)
        found = await self._live.devices(after, rows, prefix)
        return await page(found, self._newest, next=found[-1].device if len(found) == rows else None)

    async def device(self, _: Reader, device: Named) -> Response:
        return reply(self._about(await self._known(device)))

    async def newest(self, _: Reader, device: Named) -> Response:
        return reply(self._newest(await self._known(device)))

    async def said(
        self,
        _: Reader,
        device: Named,
        field: FieldName = None,
        start: From = "",
        end: To = "",
        limit: Limit = None,
        order: Order = "desc",
        cursor: Cursor = "",
    ) -> Response:
        ask = Ask(rows_at_most(limit, self._config.query), span(start, end), order == "desc", cursor)
        found = await self._history.messages(device, ask, field)
        if not found.rows:
            await self._known(device)
        return await page(found.rows, lambda row: answers.history(row, field), next=found.next)

    async def selected(
        self,
        _: Reader,
        device: Named,
        start: From = "",
        end: To = "",
        limit: Limit = None,
        order: Order = "desc",
        cursor: Cursor = "",
    ) -> Response:
        ask = Ask(rows_at_most(limit, self._config.query), span(start, end), order == "desc", cursor)
        found = await self._history.candidates(device, ask)
        if not found.rows:
            await self._known(device)
        return await page(found.rows, answers.candidate, next=found.next)

    async def _known(self, name: str) -> LiveDevice:
        device = await self._latest.device(name)
        if device is None:
            raise Unanswerable(404, "unknown_device", f"no message of a device {name!r} has come yet")
        return device

    def _newest(self, device: LiveDevice) -> Mapping[str, Any]:
        return answers.latest(device, self._units.get(self._models.name_for(device.device), {}))

    def _about(self, device: LiveDevice) -> Mapping[str, Any]:
        name = self._models.name_for(device.device)
        model = self._config.models.get(name)
        return answers.device(device, name, {} if model is None else model.fields)

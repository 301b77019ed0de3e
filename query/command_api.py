"""Commands to devices over HTTP: people and programs give them, devices without MQTT fetch and answer them.

In: `/api/v1/devices/{device}/commands…`. Out: JSON (`command_models`). A command is on the log before it is answered
with 201: nothing that dies loses it. A device uses its own token, and has its own commands and its children's.
"""

from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Depends, Path, Query, Request, Response

from headwater.command import Answered, Command, State, check_answer, check_command_id, make
from headwater.config import Config
from headwater.ids import check_device, fresh
from headwater.registry import Identity
from headwater.times import rfc3339
from ingest.control import Control, Done
from query.answering import TimedRoute, page
from query.auth import require
from query.command_models import CommandAnswer, CommandPage, NewCommand
from query.device_rights import Named, Speaks, Watches
from query.problems import RESPONSES, Unanswerable
from query.replies import reply

Admin = Annotated[Identity, Depends(require("admin"))]
CommandId = Annotated[str, Path(max_length=64, description="The command's id.", examples=["5d0c8b1f2e3a4c6d"])]

_JSON_BODY: dict[str, Any] = {
    "requestBody": {"required": False, "content": {"application/json": {"schema": {}, "example": {"ok": True}}}}
}
_LONGEST_WAIT = 20.0


def command_routes(config: Config, control: Control) -> APIRouter:
    """The routes."""
    routes = _Routes(config, control)
    router = APIRouter(
        prefix="/api/v1/devices/{device}/commands", tags=["commands"], responses=RESPONSES, route_class=TimedRoute
    )
    add = router.add_api_route
    add(
        "",
        routes.order,
        methods=["POST"],
        status_code=201,
        response_model=CommandAnswer,
        summary="Command a device",
        responses={200: {"model": CommandAnswer, "description": "There is this command already."}},
    )
    add("", routes.all, methods=["GET"], response_model=CommandPage, summary="Commands of a device")
    add("/{ident}", routes.one, methods=["GET"], response_model=CommandAnswer, summary="One command, and its answer")
    add(
        "/{ident}/reply",
        routes.answer,
        methods=["POST"],
        response_model=CommandAnswer,
        openapi_extra=_JSON_BODY,
        summary="Answer a command, as its device",
    )
    return router


class _Routes:
    def __init__(self, config: Config, control: Control) -> None:
        self._control = control
        self._seconds = config.commands.expires

    async def order(self, who: Admin, device: Named, new: NewCommand) -> Response:
        check_device(device)
        ident = fresh() if new.id is None else check_command_id(new.id)
        seconds = self._seconds if new.expires is None else new.expires
        ordered = make(new.name, new.arguments, seconds, who.name, self._control.wall())
        done = Done()
        known = self._control.order(device, ident, ordered, done.receipt)
        await done.wait()
        answer = reply(self._told(self._command(device, ident)))
        answer.status_code = 201 if known is None else 200
        answer.headers["Location"] = f"/api/v1/devices/{device}/commands/{ident}"
        return answer

    async def all(
        self,
        _: Watches,
        device: Named,
        state: Annotated[list[State] | None, Query(description="Only those in this state. Can be repeated.")] = None,
    ) -> Response:
        now = self._control.wall()
        found = [one for one in self._control.commands.of(device) if state is None or one.state(now) in state]
        return await page(found, self._told)

    async def one(
        self,
        _: Watches,
        device: Named,
        ident: CommandId,
        wait: Annotated[
            float, Query(ge=0, le=_LONGEST_WAIT, description="Seconds to wait until it is answered or expires.")
        ] = 0,
    ) -> Response:
        command = self._command(device, ident)
        if wait:
            await self._control.ended(command, wait)
        return reply(self._told(command))

    async def answer(self, _: Speaks, device: Named, ident: CommandId, request: Request) -> Response:
        command = self._command(device, ident)
        answered = Answered(self._control.wall(), check_answer(await request.body()))
        if not command.answered and answered.at >= command.ordered.expires:
            raise Unanswerable(409, "expired", f"the command {ident!r} has expired")
        done = Done()
        self._control.answer(device, ident, answered, done.receipt)
        await done.wait()
        return reply(self._told(command))

    def _command(self, device: str, ident: str) -> Command:
        command = self._control.commands.get(device, ident)
        if command is None:
            raise Unanswerable(404, "unknown_command", f"{device!r} has no command {ident!r}")
        return command

    def _told(self, command: Command) -> dict[str, Any]:
        told: dict[str, Any] = {
            "id": command.id,
            "device": command.device,
            "name": command.ordered.name,
            "arguments": command.ordered.arguments,
            "state": command.state(self._control.wall()),
            "by": command.ordered.by,
            "created": rfc3339(command.ordered.at),
            "expires": rfc3339(command.ordered.expires),
        }
        for name in ("sent", "acknowledged", "answered"):
            at: int = getattr(command, name)
            told[name] = rfc3339(at) if at else None
        told["answer"] = msgspec.Raw(bytes(command.answer))
        return told

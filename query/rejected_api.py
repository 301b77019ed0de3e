"""The API about what was rejected: grouped by where it came from and why, and sent on once something reads it.

In: `/api/v1/rejected/groups`, `/try`, `/retry`. Out: JSON.
"""

from base64 import b64encode
from collections.abc import Sequence
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, HTTPException, Query
from pydantic import BaseModel, Field

from headwater.errors import Reason
from headwater.message import Message
from headwater.times import rfc3339
from query import answers
from query.answering import From, Reader, To, span
from query.problems import RESPONSES
from query.registry_base import Admin
from query.registry_models import Taken
from query.rejected import Choice, Group, Waiting

_SHOWN = 2048
Shape = Annotated[str, Query(max_length=1024, description="Only of topics of this shape: `tele/+/SENSOR`.")]
Why = Annotated[Reason | None, Query(description="Only for this reason.")]
Of = Annotated[str, Query(max_length=128, description="Only of this device.")]
Id = Annotated[str, Query(max_length=128, description="Only this record.")]


class GroupAnswer(BaseModel):
    """Records of one cause that came the same way."""

    reason: str
    shape: str = Field(description="The topics, levels with digits as `+`; empty: by HTTP, without a topic.")
    decoder: str = Field(description="The decoder that was asked for by name.")
    count: int
    first: str
    last: str
    topics: list[str] = Field(description="Up to 20 of them.")
    detail: str = Field(description="What was said about the newest.")
    sample: dict[str, Any] | None = Field(description="The newest record.")
    readable_by: str = Field(description="The decoder that reads the newest by now; empty: none does.")
    mapping: str = Field(description="A mapping to edit and add, where one could be drafted.")


class Groups(BaseModel):
    """The largest group first."""

    groups: list[GroupAnswer]


class Tried(BaseModel):
    """What a record would become now."""

    id: str
    decoder: str
    reason: str = ""
    detail: str = ""
    messages: list[dict[str, Any]]


class Wanted(Taken):
    """What to send on; nothing said: everything that decodes now."""

    reason: Reason | None = None
    shape: str = Field(default="", max_length=1024)
    device: str = Field(default="", max_length=128)
    id: str = Field(default="", max_length=128)
    start: str = Field(default="", alias="from", max_length=64)
    end: str = Field(default="", alias="to", max_length=64)
    most: int = Field(default=10_000, ge=1, le=10_000, description="Records in one request.")


class RetryAnswer(BaseModel):
    """What was sent on. `left`: more wait than `most`; ask again."""

    sent: int = Field(description="Records that were sent on, as `messages` messages.")
    messages: int
    still: dict[str, int] = Field(description="Reason → records that wait on.")
    left: bool


def rejected_routes(waiting: Waiting) -> APIRouter:
    """The routes."""
    routes = _Routes(waiting)
    router = APIRouter(prefix="/api/v1/rejected", tags=["records"], responses=RESPONSES)
    add = router.add_api_route
    add("/groups", routes.groups, methods=["GET"], summary="What was rejected and waits, by shape of topic and cause")
    add("/try", routes.attempt, methods=["GET"], summary="What the newest of them would become now")
    add("/retry", routes.retry, methods=["POST"], summary="Send on what decodes now, with its own time, once")
    return router


class _Routes:
    def __init__(self, waiting: Waiting) -> None:
        self._waiting = waiting

    async def groups(
        self, _: Reader, reason: Why = None, shape: Shape = "", device: Of = "", start: From = "", end: To = ""
    ) -> Groups:
        found = await self._waiting.groups(Choice(span(start, end), reason or "", shape, device))
        return Groups(groups=[_answer(group) for group in found])

    async def attempt(
        self,
        _: Reader,
        reason: Why = None,
        shape: Shape = "",
        device: Of = "",
        one: Annotated[Id, Query(alias="id")] = "",
    ) -> Tried:
        found = await self._waiting.look(Choice(span("", ""), reason or "", shape, device, one))
        if found is None:
            raise HTTPException(404, "no such record waits")
        record, made = found
        told = made.reason
        return Tried(
            id=record.id,
            decoder=made.decoder,
            reason=told.reason if told else "",
            detail=told.detail if told else "",
            messages=_messages(made.messages),
        )

    async def retry(self, _: Admin, wanted: Wanted) -> RetryAnswer:
        choice = Choice(span(wanted.start, wanted.end), wanted.reason or "", wanted.shape, wanted.device, wanted.id)
        done = await self._waiting.retry(choice, wanted.most)
        return RetryAnswer(sent=done.sent, messages=done.messages, still=dict(done.still), left=done.left)


def _answer(group: Group) -> GroupAnswer:
    return GroupAnswer(
        reason=group.reason,
        shape=group.shape,
        decoder=group.decoder,
        count=group.count,
        first=rfc3339(group.first),
        last=rfc3339(group.last),
        topics=sorted(group.topics),
        detail=group.sample.detail if group.sample else "",
        sample=answers.rejected(group.sample, _SHOWN) if group.sample else None,
        readable_by=group.readable,
        mapping=group.mapping,
    )


def _messages(messages: Sequence[Message]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for message in messages:
        made = msgspec.to_builtins(message, builtin_types=(bytes,))
        raw = made.pop("raw", None)
        found.append(made if raw is None else made | {"raw": b64encode(raw).decode()})
    return found

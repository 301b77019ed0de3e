"""How every question to the API is answered: in time, not too many at once, as JSON of one kind.

In: a route's work. Out: its answer; 504 where it takes longer than `query.time`, 503 where too many ask at once.
"""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Annotated, Any, TypeVar

import msgspec
from fastapi import Depends, Query, Request, Response
from fastapi.routing import APIRoute

from headwater.config import Query as QueryConfig
from headwater.errors import Rejected
from headwater.registry import Identity
from headwater.times import parse_at
from query.auth import require
from query.refusals import Unanswerable
from query.replies import Answering, json_response
from storage.contract import Span

R = TypeVar("R")

_IN_A_THREAD = 500
"""Rows from which on an answer is written beside the event loop, which has devices to serve."""

Reader = Annotated[Identity, Depends(require("read"))]
From = Annotated[
    str,
    Query(alias="from", max_length=64, description="From this time on: RFC 3339, or milliseconds since 1970 UTC."),
]
To = Annotated[str, Query(alias="to", max_length=64, description="Up to this time, without it.")]
Limit = Annotated[int | None, Query(ge=1, description="Rows at most; `query.rows` unless given.")]
Cursor = Annotated[str, Query(max_length=1024, description="`next` of the page before, with the same `order`.")]


class TimedRoute(APIRoute):
    """A route whose work is bounded by `app.state.answering`."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The route's handler within its bounds."""
        work = super().get_route_handler()

        async def handler(request: Request) -> Response:
            answering: Answering = request.app.state.answering
            return await answering.bounded(work(request))

        return handler


def rows_at_most(limit: int | None, config: QueryConfig) -> int:
    """The rows to answer with; raises `Unanswerable` if they are too many."""
    if limit is None:
        return min(config.rows, config.most_rows)
    if limit > config.most_rows:
        raise Unanswerable(400, "too_many_rows", f"`limit` is {config.most_rows} at most: go on with `next`")
    return limit


async def page(rows: Sequence[R], item: Callable[[R], object], **more: object) -> Response:
    """`{"items": […]}` and what else there is to say."""

    def written() -> bytes:
        return msgspec.json.encode({"items": [item(row) for row in rows], **more})

    body = written() if len(rows) < _IN_A_THREAD else await asyncio.to_thread(written)
    return json_response(body)


def span(start: str, end: str) -> Span:
    """The interval that `from` and `to` name; raises `Unanswerable`."""
    found = Span(_time("from", start), _time("to", end))
    if found.start is not None and found.end is not None and found.start > found.end:
        raise Unanswerable(400, "bad_time", "`from` is later than `to`")
    return found


def _time(name: str, text: str) -> int | None:
    if not text:
        return None
    # A plus sign that was not escaped in the URL arrives as a blank.
    value = float(text) if _is_number(text) else text.replace(" ", "+") if "T" in text else text
    try:
        return parse_at(value)
    except Rejected:
        detail = f"`{name}` is neither RFC 3339 nor milliseconds since 1970 UTC: {text[:40]!r}"
        raise Unanswerable(400, "bad_time", detail) from None


def _is_number(text: str) -> bool:
    digits = text.removeprefix("-").replace(".", "", 1)
    return digits.isascii() and digits.isdigit()

"""How every question is answered: in time, not too many at once, as JSON of one kind.

In: work, or an answer. Out: a response; 504 where it takes longer than `query.time`, 503 where too many ask at once.
"""

import asyncio
from collections.abc import Coroutine
from typing import Any

import msgspec
from starlette.responses import Response

from query.refusals import Unanswerable

MOST_QUESTIONS = 200
"""Questions that are answered at the same time."""
_HEADERS = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}


class Answering:
    """Counts and times the questions of one app. `seconds`: how long one may take."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.under_way = 0

    async def bounded(self, work: Coroutine[Any, Any, Response]) -> Response:
        """What the work answers; raises `Unanswerable`."""
        if self.under_way >= MOST_QUESTIONS:
            work.close()
            raise Unanswerable(503, "too_many_questions", "too many questions are being answered: ask again")
        self.under_way += 1
        try:
            async with asyncio.timeout(self.seconds):
                return await work
        except TimeoutError:
            detail = f"no answer within {self.seconds:g} s: ask for less"
            raise Unanswerable(504, "timeout", detail) from None
        finally:
            self.under_way -= 1


def reply(answer: object) -> Response:
    """The answer as JSON."""
    return json_response(msgspec.json.encode(answer))


def json_response(body: bytes) -> Response:
    """An answer that is JSON already."""
    return Response(body, media_type="application/json", headers=_HEADERS)

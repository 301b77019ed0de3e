"""Every error of the API as JSON: `{"error": code, "detail": text}`, with the status and headers that say what to do.

In: an exception from a route. Out: a response. `answer_errors(app)` installs it once; `RESPONSES` documents it.
"""

from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

from headwater.errors import Refused, Rejected, Stale, Unavailable
from query.refusals import Unanswerable, problem, refusal


class Problem(BaseModel):
    """Why there is no answer."""

    error: str = Field(description="A code, for programs: it does not change.", examples=["not_found"])
    detail: str = Field(description="What to do about it, for people.")


RESPONSES: dict[int | str, dict[str, Any]] = {
    "4XX": {"model": Problem, "description": "The request cannot be answered as it is."},
    "5XX": {"model": Problem, "description": "Not now: ask again after `Retry-After` seconds."},
}
"""For `FastAPI(responses=…)` and routers: it also replaces the framework's own description of 422."""


def answer_errors(app: FastAPI) -> None:
    """Answer every exception of the app's routes in this shape."""
    for ours in (Unanswerable, Refused, Rejected, Stale, Unavailable):
        app.add_exception_handler(ours, _refusal)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(Exception, _refusal)


async def _refusal(_: Request, error: Exception) -> JSONResponse:
    return refusal(error)


async def _invalid(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)  # noqa: S101 - what this handler is registered for
    found = [f"{'.'.join(str(part) for part in item['loc'])}: {item['msg']}" for item in error.errors()[:10]]
    return problem(422, "invalid", "; ".join(found))


async def _http(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)  # noqa: S101 - what this handler is registered for
    try:
        code = HTTPStatus(error.status_code).phrase.lower().replace(" ", "_").replace("-", "_")
    except ValueError:
        code = "error"
    return problem(error.status_code, code, str(error.detail), error.headers)

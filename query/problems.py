"""Every error of the API as JSON: `{"error": code, "detail": text}`, with the status and headers that say what to do.

In: an exception from a route. Out: a response. `answer_errors(app)` installs it once; `RESPONSES` documents it.
"""

import math
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

from headwater.errors import HeadwaterError, Refused, RefusedReason, Rejected, Stale, Unavailable

_REFUSED: dict[RefusedReason, int] = {
    "no_credentials": 401,
    "bad_credentials": 401,
    "not_authorized": 403,
    "disabled": 403,
    "over_quota": 429,
}


class Unanswerable(HeadwaterError):
    """A question that has no answer as it is: the status, a code for programs, and what to do about it."""

    def __init__(self, status: int, error: str, detail: str) -> None:
        super().__init__(f"{error}: {detail}")
        self.status = status
        self.error = error
        self.detail = detail


class Problem(BaseModel):
    """Why there is no answer."""

    error: str = Field(description="A code, for programs: it does not change.", examples=["not_found"])
    detail: str = Field(description="What to do about it, for people.")


RESPONSES: dict[int | str, dict[str, Any]] = {
    "4XX": {"model": Problem, "description": "The request cannot be answered as it is."},
    "5XX": {"model": Problem, "description": "Not now: ask again after `Retry-After` seconds."},
}
"""For `FastAPI(responses=…)` and routers: it also replaces the framework's own description of 422."""


def problem(status: int, error: str, detail: str, headers: Mapping[str, str] | None = None) -> JSONResponse:
    """The one shape of every error."""
    return JSONResponse({"error": error, "detail": detail}, status, headers)


def answer_errors(app: FastAPI) -> None:
    """Answer every exception of the app's routes in this shape."""
    app.add_exception_handler(Unanswerable, _unanswerable)
    app.add_exception_handler(Refused, _refused)
    app.add_exception_handler(Rejected, _rejected)
    app.add_exception_handler(Stale, _stale)
    app.add_exception_handler(Unavailable, _unavailable)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(Exception, _unexpected)


async def _unanswerable(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, Unanswerable)  # noqa: S101 - what this handler is registered for
    return problem(error.status, error.error, error.detail, {"Retry-After": "1"} if error.status >= 500 else None)


async def _refused(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, Refused)  # noqa: S101 - what this handler is registered for
    status = _REFUSED[error.reason]
    headers = {
        401: {"WWW-Authenticate": 'Bearer realm="headwater"'},
        429: {"Retry-After": str(math.ceil(error.retry_after or 1))},
    }
    return problem(status, error.reason, error.detail, headers.get(status))


async def _rejected(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, Rejected)  # noqa: S101 - what this handler is registered for
    return problem(400, error.reason, error.detail)


async def _stale(_: Request, error: Exception) -> JSONResponse:
    return problem(409, "conflict", str(error) or "someone else changed it at the same time: read it again")


async def _unavailable(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, Unavailable)  # noqa: S101 - what this handler is registered for
    return problem(503, "unavailable", str(error), {"Retry-After": str(math.ceil(error.retry_after or 1))})


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


async def _unexpected(_: Request, __: Exception) -> JSONResponse:
    return problem(500, "internal", "this is a fault of the server; its log says more")

"""What the API says instead of an answer: `{"error": code, "detail": text}`, a status, headers that say what to do.

In: an error. Out: a response. Without FastAPI, which a gateway loads when it needs it: `query.problems` has the rest.
"""

import math
from collections.abc import Mapping

from starlette.responses import JSONResponse

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


def problem(status: int, error: str, detail: str, headers: Mapping[str, str] | None = None) -> JSONResponse:
    """The one shape of every error."""
    return JSONResponse({"error": error, "detail": detail}, status, headers)


def refusal(error: Exception) -> JSONResponse:
    """The answer to an error of ours; to any other, that it is a fault of the server."""
    match error:
        case Unanswerable():
            headers = {"Retry-After": "1"} if error.status >= 500 else None
            return problem(error.status, error.error, error.detail, headers)
        case Refused():
            return _refused(error)
        case Rejected():
            return problem(400, error.reason, error.detail)
        case Stale():
            return problem(409, "conflict", str(error) or "someone else changed it at the same time: read it again")
        case Unavailable():
            return problem(503, "unavailable", str(error), {"Retry-After": _seconds(error.retry_after)})
        case _:
            return problem(500, "internal", "this is a fault of the server; its log says more")


def _refused(error: Refused) -> JSONResponse:
    status = _REFUSED[error.reason]
    headers = {401: {"WWW-Authenticate": 'Bearer realm="headwater"'}, 429: {"Retry-After": _seconds(error.retry_after)}}
    return problem(status, error.reason, error.detail, headers.get(status))


def _seconds(wait: float | None) -> str:
    return str(math.ceil(wait or 1))

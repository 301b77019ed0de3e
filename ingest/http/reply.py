"""What the ingest route answers, as bytes ready to be written: outcomes of receipts, and refusals of whole requests.

An outcome: 202 `{"accepted": n, "rejected": [{"index": i, "reason": "code", "detail": "…"}]}`, or 400 with the same
body if nothing was valid (403 if all of it was `not_authorized`, 413 if all of it was `too_large`). Duplicates count as
accepted. At most 1,000 rejections are listed; if there are more, `rejected_total` counts them.
A refusal: `{"error": code, "detail": text}`. 401 names the scheme; 429 and 503 say when to try again.
"""

from email.utils import formatdate
from http import HTTPStatus
from itertools import count
from typing import Literal, NamedTuple

import msgspec

from headwater.errors import HeadwaterError, RefusedReason
from ingest.contract import Receipt

LISTED = 1000
"""The most rejections that a reply lists."""

Code = (
    RefusedReason
    | Literal[
        "bad_request",
        "bad_encoding",
        "bad_id",
        "empty",
        "method_not_allowed",
        "too_slow",
        "too_large",
        "too_many",
        "head_too_large",
        "unsupported_encoding",
        "busy",
        "unavailable",
        "stopping",
        "internal",
    ]
)
"""Why a request as a whole was not taken. A closed set; `RefusedReason` has those that are about who sends."""


class Refusal(NamedTuple):
    """The answer to a request that is not taken: `header` is one more header line, with its CRLF.

    `bodiless`: without its body, as the request was HEAD.
    """

    status: int
    code: Code
    detail: str
    header: bytes = b""
    bodiless: bool = False


class BadRequest(HeadwaterError):
    """A request is not taken; answer with `refusal`."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.detail)
        self.refusal = refusal


_REFUSED: dict[RefusedReason, int] = {
    "no_credentials": 401,
    "bad_credentials": 401,
    "not_authorized": 403,
    "disabled": 403,
    "over_quota": 429,
}
_UNANIMOUS = {"not_authorized": 403, "too_large": 413}
_STATUS_LINES = {status.value: f"HTTP/1.1 {status.value} {status.phrase}".encode() for status in HTTPStatus}
_CLOSE = b"connection: close\r\n"
_ONE = b'{"accepted":1,"rejected":[]}'

_turn = count()


class _Rejected(msgspec.Struct):
    index: int
    reason: str
    detail: str


class _Outcome(msgspec.Struct, omit_defaults=True):
    accepted: int
    rejected: list[_Rejected]
    rejected_total: int | None = None


class _Problem(msgspec.Struct):
    error: str
    detail: str


_encode = msgspec.json.Encoder().encode


def refused(reason: RefusedReason, detail: str) -> Refusal:
    """For who the sender is: 401, 403 or 429."""
    status = _REFUSED[reason]
    header = {401: b'www-authenticate: Bearer realm="headwater"\r\n', 429: retry_after(1)}
    return Refusal(status, reason, detail, header.get(status, b""))


def retry_after(seconds: int) -> bytes:
    """A Retry-After line between `seconds` and twice that, so that those who are sent away do not come back at once."""
    return b"retry-after: %d\r\n" % (seconds + next(_turn) % (seconds + 1))


def busy() -> Refusal:
    """Too much waits for the log."""
    return Refusal(503, "busy", "more is arriving than can be logged now: send again later", retry_after(1))


def unavailable(detail: str = "the log did not take all of it in time: send all of it again") -> Refusal:
    """Something that it takes is away: the log, mostly."""
    return Refusal(503, "unavailable", detail, retry_after(2))


def stopping() -> Refusal:
    """The server takes nothing more."""
    return Refusal(503, "stopping", "the server is stopping: send again later", retry_after(5))


class Replies:
    """Turns outcomes and refusals into bytes. `renew` it each second: the common answer is made then, with the date."""

    def __init__(self, now: float) -> None:
        self.renew(now)

    def renew(self, now: float) -> None:
        """Take the date (Unix seconds) for all answers from now on."""
        self.date = formatdate(now, usegmt=True).encode()
        self._common = b"\r\ndate: " + self.date + b"\r\ncontent-type: application/json\r\n"
        self.one = self._whole(202, _ONE)

    def outcome(self, receipt: Receipt, *, close: bool = False) -> bytes:
        """The answer to a settled receipt."""
        if receipt.failed:
            return self.refusal(unavailable(), close=close)
        rejections = receipt.rejections
        if not rejections:
            if receipt.accepted == 1 and not close:
                return self.one
            return self._whole(202, b'{"accepted":%d,"rejected":[]}' % receipt.accepted, _CLOSE if close else b"")
        listed = [_Rejected(index, reason, detail) for index, reason, detail in rejections[:LISTED]]
        total = len(rejections) if len(rejections) > LISTED else None
        body = _encode(_Outcome(receipt.accepted, listed, total))
        return self._whole(_status(receipt), body, _CLOSE if close else b"")

    def refusal(self, refusal: Refusal, *, close: bool = False) -> bytes:
        """The answer to a request that is not taken."""
        body = _encode(_Problem(refusal.code, refusal.detail))
        whole = self._whole(refusal.status, body, refusal.header + (_CLOSE if close else b""))
        return whole[: -len(body)] if refusal.bodiless else whole

    def _whole(self, status: int, body: bytes, header: bytes = b"") -> bytes:
        return b"%b%bcontent-length: %d\r\n%b\r\n%b" % (_STATUS_LINES[status], self._common, len(body), header, body)


def _status(receipt: Receipt) -> int:
    if receipt.accepted or not receipt.rejections:
        return 202
    reasons = {rejection.reason for rejection in receipt.rejections}
    return _UNANIMOUS.get(reasons.pop(), 400) if len(reasons) == 1 else 400

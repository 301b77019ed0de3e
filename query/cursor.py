"""Cursors: where a page of an answer ended, so that the next one goes on there, whatever came in between.

In: the order key of the last item. Out: text for URLs, opaque to those who carry it; it names the log it belongs to.
"""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Generic, TypeVar, cast

import msgspec

from query.problems import Unanswerable

K = TypeVar("K")


_BEYOND = 2**63
"""Numbers that no store has: they are 64 bits at most."""


class Cursors(Generic[K]):
    """Cursors of one kind of answer. `kind` tells them from others; `key` is the type of its order key."""

    def __init__(self, kind: str, key: type[K], log_id: str) -> None:
        self._names = (kind, log_id)
        self._decode = msgspec.json.Decoder(tuple[str, str, str, key]).decode

    def write(self, order: str, after: K) -> str:
        """The cursor behind this key, in this order (`asc`, `desc`)."""
        return urlsafe_b64encode(msgspec.json.encode((*self._names, order, after))).decode().rstrip("=")

    def read(self, order: str, cursor: str) -> K:
        """The key; raises `Unanswerable` for a cursor of another kind, order or log, and for anything else."""
        try:
            padded = cursor.encode("ascii") + b"=" * (-len(cursor) % 4)
            kind, log_id, its_order, after = self._decode(urlsafe_b64decode(padded))
            _check_numbers(after)
        except (ValueError, msgspec.DecodeError):
            raise Unanswerable(
                400, "bad_cursor", "this is no cursor: use `next` of the page before, as it is"
            ) from None
        if (kind, log_id) != self._names:
            raise Unanswerable(400, "bad_cursor", "this cursor belongs to another answer or another log")
        if its_order != order:
            raise Unanswerable(400, "bad_cursor", f"this cursor goes on in the order {its_order!r}")
        return after


def _check_numbers(key: object) -> None:
    """Raises `ValueError` for a key that nobody was given."""
    for part in cast("tuple[object, ...]", key):
        if isinstance(part, int) and not -_BEYOND <= part < _BEYOND:
            raise ValueError("beyond 64 bits")

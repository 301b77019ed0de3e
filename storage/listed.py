"""What a place that keeps files says of one, wherever it is."""

from typing import NamedTuple


class Listed(NamedTuple):
    """A file: bytes, and when it was written, in seconds since 1970."""

    path: str
    size: int
    modified: float

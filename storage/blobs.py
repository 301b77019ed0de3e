"""Large payloads: what a place for them promises.

In: bytes, piece by piece. Out: an object named by the SHA-256 of its content, there whole or not at all; the same
content twice is one object. An upload that nobody finished can never be read, and is removed later.
"""

import re
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from typing import NamedTuple, Protocol

from headwater.errors import HeadwaterError

FOLDER = "blobs"
INCOMING = f"{FOLDER}/incoming"
_HASH = re.compile(r"[0-9a-f]{64}")


class NoBlob(HeadwaterError):
    """There is no object of that name."""


class Stored(NamedTuple):
    """A durable object: SHA-256 (hex) of its content, and its size in bytes."""

    hash: str
    size: int


class Upload(Protocol):
    """One on its way. Left behind without `finish`, nothing of it can be read."""

    async def write(self, piece: bytes) -> None:
        """Take a piece; returns when it may be followed by the next. Raises `Unavailable`."""
        ...

    async def finish(self) -> Stored:
        """Returned = durable under its name. Raises `Unavailable`."""
        ...


class Opened(NamedTuple):
    """An object to be read."""

    size: int
    pieces: AsyncIterator[bytes]


class BlobStore(Protocol):
    """A place for them. Every call is bounded in time."""

    def upload(self) -> AbstractAsyncContextManager[Upload]:
        """Begin one. Raises `Unavailable`."""
        ...

    async def open(self, name: str) -> Opened:
        """Read one; raises `NoBlob`, `Unavailable`."""
        ...

    async def link(self, name: str, seconds: float) -> str:
        """A URL that works for so long without a credential; "" where only this program's API can give it."""
        ...

    async def secret(self) -> bytes:
        """What this program's own signed URLs are signed with; the same in every process. Raises `Unavailable`."""
        ...

    async def remove(self, name: str) -> None:
        """There is no object of that name any more. Raises `NoBlob` if it is no name, `Unavailable`."""
        ...

    async def sweep(self, age: float) -> int:
        """Remove uploads that were begun so many seconds ago and never finished; how many. Raises `Unavailable`."""
        ...


def path_of(name: str) -> str:
    """Where an object of that name is, relative to the data folder or bucket; raises `NoBlob` if it is no name."""
    if _HASH.fullmatch(name) is None:
        raise NoBlob("a blob's name is the SHA-256 of its content: 64 hex digits")
    return f"{FOLDER}/sha256/{name[:2]}/{name}"

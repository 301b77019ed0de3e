"""Server-sent events: how they are written, and a response that lets go of a client that has gone or does not read.

In: chunks of bytes as they come. Out: an open answer, until its client leaves, reads nothing for a while, or `ended`.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import suppress

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from headwater.errors import HeadwaterError

SEND_SECONDS = 30.0
"""A client that takes nothing for so long is let go."""
_END_SECONDS = 1.0

_HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}


_BREAKS = tuple((mark.encode(), b"\\u%04x" % ord(mark)) for mark in "\u0085\u2028\u2029")
"""What some clients take for a line's end, though server-sent events know only CR and LF; as JSON escapes."""


def event(name: str, data: bytes, ident: str = "") -> bytes:
    """One event. `data` is JSON, so it has no CR or LF."""
    for mark, escaped in _BREAKS:
        if mark in data:
            data = data.replace(mark, escaped)
    head = f"event: {name}\n" + (f"id: {ident}\n" if ident else "")
    return head.encode() + b"data: " + data + b"\n\n"


class EventStream(Response):
    """Answers with chunks until they end, or `ended` is set. `closed` is called once, at the end."""

    media_type = "text/event-stream"
    charset = "utf-8"

    def __init__(self, chunks: AsyncGenerator[bytes, None], ended: asyncio.Event, closed: Callable[[], None]) -> None:
        super().__init__(headers=_HEADERS)
        del self.headers["content-length"]
        self._chunks = chunks
        self._ended = ended
        self._closed = closed

    async def __call__(self, _: Scope, receive: Receive, send: Send) -> None:
        """Send until one of the ends named above."""
        try:
            await self._serve(receive, send)
        finally:
            self._closed()

    async def _serve(self, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        sending = asyncio.create_task(self._send(send))
        ends = {sending, asyncio.create_task(_gone(receive)), asyncio.create_task(_set(self._ended))}
        try:
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in ends:
                task.cancel()
            await asyncio.wait(ends)
            await self._chunks.aclose()
        error = None if sending.cancelled() else sending.exception()
        if error is not None and not isinstance(error, TimeoutError | HeadwaterError):
            raise error
        with suppress(TimeoutError):
            async with asyncio.timeout(_END_SECONDS):
                await send({"type": "http.response.body", "body": b""})

    async def _send(self, send: Send) -> None:
        async for chunk in self._chunks:
            async with asyncio.timeout(SEND_SECONDS):
                await send({"type": "http.response.body", "body": chunk, "more_body": True})


async def _set(event: asyncio.Event) -> None:
    await event.wait()


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass

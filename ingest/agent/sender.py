"""From the agent's buffer to Headwater: compressed batches, again until they are acknowledged, then forgotten.

In: the oldest lines. Out: `POST /ingest`, NDJSON and gzip. What is sent again has the ids it had: it counts once. Lines
that are not valid are acknowledged with their reasons, and in quarantine there. A credential that is refused keeps all
lines until it is mended.
"""

import asyncio
import gzip
import json
import random
import sqlite3
import ssl
from contextlib import suppress
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from itertools import takewhile
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from headwater.errors import ConfigError, Unavailable
from headwater.saying import get_logger
from ingest.agent.buffer import Buffer, Waiting
from ingest.decoders.passed_on import MARK, NAME

log = get_logger()

_LINES = 1000
_SIZE = 512 * 2**10
_TIME = 30.0
_PAUSE, _PAUSE_MOST = 0.2, 30.0


class Server(NamedTuple):
    """Where, and as whom: a token, or the certificate in `context`."""

    url: str
    token: str
    context: ssl.SSLContext | None


class Sender:
    """Raises `ConfigError` for a URL that is none."""

    def __init__(self, server: Server, buffer: Buffer) -> None:
        parts = urlsplit(server.url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ConfigError(f"{server.url!r} is not an address like https://headwater.example:8443")
        self._server = server
        self._buffer = buffer
        self._host, self._port = parts.hostname, parts.port
        self._path = f"{parts.path.rstrip('/')}/ingest"
        self._https = parts.scheme == "https"
        self._connection: HTTPConnection | None = None
        self._most = _LINES

    async def run(self, stop: asyncio.Event, ended: asyncio.Event) -> None:
        """Until told to stop; or, once the sources have `ended`, until nothing waits."""
        pause, said = _PAUSE, ""
        while not stop.is_set():
            over = ended.is_set()
            try:
                lines = await asyncio.to_thread(self._buffer.oldest, self._most, _SIZE)
                if lines:
                    await asyncio.to_thread(self._pass_on, lines)
            except Unavailable as error:
                if str(error) != said:
                    log.warning("the agent keeps what it has until it is taken", error=str(error))
                said = str(error)
                await _rest(stop, max(error.retry_after or 0, pause * random.uniform(0.5, 1.0)))  # noqa: S311
                pause = min(2 * pause, _PAUSE_MOST)
                continue
            pause, said = _PAUSE, ""
            if not lines:
                if over:
                    return
                await _rest(stop, _PAUSE)

    def _pass_on(self, lines: list[Waiting]) -> None:
        foreign = lines[0].line.startswith(MARK)
        lines = list(takewhile(lambda one: one.line.startswith(MARK) == foreign, lines))
        rejected = self._send(lines)
        if rejected is None:
            return
        try:
            self._buffer.done(lines, rejected)
        except sqlite3.OperationalError as error:  # sent again, with the same ids
            raise Unavailable(f"the agent's buffer can't be written: {error}") from error

    def _send(self, lines: list[Waiting]) -> int | None:
        """How many were not valid; None if the next batch has to be smaller. Raises `Unavailable`."""
        body = gzip.compress(b"\n".join(one.line for one in lines), 6, mtime=0)
        headers = {"Content-Type": "application/x-ndjson", "Content-Encoding": "gzip"}
        if self._server.token:
            headers["Authorization"] = f"Bearer {self._server.token}"
        if self._connection is None:
            self._connection = self._connect()
        try:
            path = f"{self._path}?decoder={NAME}" if lines[0].line.startswith(MARK) else self._path
            self._connection.request("POST", path, body, headers)
            reply = self._connection.getresponse()
            data, status, after = reply.read(2**24), reply.status, reply.headers.get("Retry-After", "")
        except (OSError, HTTPException) as error:
            self._drop()
            raise Unavailable(f"{self._server.url}: {error or type(error).__name__}") from error
        if reply.will_close:
            self._drop()
        answer = _answer(data)
        if status == 202 or (status in {400, 403, 413} and "accepted" in answer):
            self._most = _LINES
            return int(answer.get("rejected_total", len(answer.get("rejected", ()))))
        if status == 413:
            if len(lines) == 1:
                return 1
            self._most = max(1, len(lines) // 2)
            return None
        detail = f"{self._server.url}: {status} {answer.get('error', '')} {answer.get('detail', '')}".strip()
        raise Unavailable(detail, retry_after=float(after) if after.isdigit() else None)

    def _connect(self) -> HTTPConnection:
        if self._https:
            return HTTPSConnection(self._host, self._port, timeout=_TIME, context=self._server.context)
        return HTTPConnection(self._host, self._port, timeout=_TIME)

    def _drop(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def _answer(data: bytes) -> dict[str, Any]:
    try:
        found = json.loads(data)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


async def _rest(stop: asyncio.Event, seconds: float) -> None:
    with suppress(TimeoutError):
        await asyncio.wait_for(stop.wait(), seconds)

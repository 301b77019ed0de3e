"""How the commands speak to a running Headwater: its HTTP API, over the standard library's client.

In: method, path, query, body. Out: `Answer`, or lines of a stream; `ClickException` with one line that says what to do.
Every command that asks gets `--url` and `--token` from `@asks`, and the `Client` as its argument `client`.
"""

import json
import socket
from collections.abc import Callable, Iterator, Mapping
from functools import wraps
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from typing import Any, Concatenate, NamedTuple, TypeVar
from urllib.parse import quote, urlencode, urlsplit

import click

DEFAULT_URL = "http://127.0.0.1:8080"
_LONGEST_ANSWER = 64 * 2**20

R = TypeVar("R")
Query = Mapping[str, str | int | None]


class Answer(NamedTuple):
    """A successful answer: `body` is what its JSON says, None where it has none. Header names are lower-case."""

    status: int
    headers: Mapping[str, str]
    body: Any


class ApiError(click.ClickException):
    """The API said no. `code` is its error code, `status` the HTTP status, `body` the answer where it was JSON."""

    def __init__(self, status: int, code: str, detail: str, body: Any = None) -> None:
        hint = "; give a token with --token or HEADWATER_TOKEN" if status == 401 else ""
        super().__init__(f"{detail or code}{hint}" if status != 500 else f"{code}: {detail}")
        self.status = status
        self.code = code
        self.body = body


class Client:
    """One connection a call, so that a command never meets one that was closed meanwhile. Seconds in `timeout`."""

    def __init__(self, url: str = DEFAULT_URL, token: str = "", timeout: float = 30) -> None:
        parts = urlsplit(url if "//" in url else f"http://{url}")
        try:
            port = parts.port
        except ValueError:
            port = -1
        if parts.scheme not in {"http", "https"} or not parts.hostname or port == -1:
            raise click.ClickException(f"{url!r} is not an address like {DEFAULT_URL}")
        self.url = f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/')}"
        self._base = parts.path.rstrip("/")
        self._host, self._port, self._https = parts.hostname, port, parts.scheme == "https"
        self.token = token
        self._timeout = timeout

    def call(
        self,
        method: str,
        path: str,
        *,
        query: Query | None = None,
        body: object = None,
        match: int | None = None,
        content_type: str = "application/json",
    ) -> Answer:
        """Ask once; `body` goes as JSON (bytes as they are), `match` as If-Match. Raises `ApiError`."""
        connection = self._connection()
        try:
            response = self._ask(connection, method, path, query, body, match, content_type)
            data = self._read(response)
        finally:
            connection.close()
        headers = {name.lower(): value for name, value in response.getheaders()}
        if response.status >= 300:
            raise _api_error(response.status, data)
        return Answer(response.status, headers, _decoded(data) if data else None)

    def lines(self, path: str, *, query: Query | None = None) -> Iterator[str]:
        """Lines of a stream (server-sent events, NDJSON) as they come, without their ends, until it ends."""
        connection = self._connection()
        try:
            response = self._ask(connection, "GET", path, query, None, None, "")
            if response.status >= 300:
                raise _api_error(response.status, self._read(response))
            if connection.sock is not None:
                connection.sock.settimeout(None)  # a quiet stream is not a broken one
            while line := self._guarded(response.readline):
                yield line.decode("utf-8", "replace").rstrip("\r\n")
        finally:
            connection.close()

    def _connection(self) -> HTTPConnection:
        kind = HTTPSConnection if self._https else HTTPConnection
        return kind(self._host, self._port, timeout=self._timeout)

    def _ask(
        self,
        connection: HTTPConnection,
        method: str,
        path: str,
        query: Query | None,
        body: object,
        match: int | None,
        content_type: str,
    ) -> HTTPResponse:
        headers = {"Accept": "application/json, text/event-stream"}
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        if match is not None:
            headers["If-Match"] = f'"{match}"'
        data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        if data is not None:
            headers["Content-Type"] = content_type
        asked = {name: value for name, value in (query or {}).items() if value is not None}
        target = f"{self._base}{path}" + (f"?{urlencode(asked)}" if asked else "")

        def ask() -> HTTPResponse:
            connection.request(method, target, data, headers)
            return connection.getresponse()

        return self._guarded(ask)

    def _read(self, response: HTTPResponse) -> bytes:
        data = self._guarded(lambda: response.read(_LONGEST_ANSWER + 1))
        if len(data) > _LONGEST_ANSWER:
            raise click.ClickException(f"the answer is over {_LONGEST_ANSWER >> 20} MiB: ask for less with a limit")
        return data

    def _guarded(self, work: Callable[[], R]) -> R:
        try:
            return work()
        except (ConnectionRefusedError, socket.gaierror):
            raise click.ClickException(f"nothing answers at {self.url}; is `headwater up` running?") from None
        except TimeoutError:
            raise click.ClickException(f"{self.url} did not answer within {self._timeout:g} s") from None
        except (OSError, HTTPException) as error:
            raise click.ClickException(f"{self.url}: {error or type(error).__name__}") from None


def asks(command: Callable[Concatenate[Client, ...], R]) -> Callable[..., R]:
    """Add `--url` and `--token` to a command, and call it with a `Client` first."""

    @click.option("--url", envvar="HEADWATER_URL", default=DEFAULT_URL, show_default=True, help="Where Headwater runs.")
    @click.option(
        "--token", envvar="HEADWATER_TOKEN", default="", help="An API key; HEADWATER_TOKEN keeps it out of `ps`."
    )
    @wraps(command)
    def asking(url: str, token: str, **kwargs: Any) -> R:
        return command(Client(url, token), **kwargs)

    return asking


def segment(name: str) -> str:
    """A name as one segment of a path, its slashes and marks escaped."""
    return quote(name, safe="")


def _decoded(data: bytes) -> Any:
    try:
        return json.loads(data)
    except ValueError:
        raise click.ClickException("the answer is not JSON: is this a Headwater?") from None


def _api_error(status: int, data: bytes) -> ApiError:
    try:
        body = json.loads(data)
    except ValueError:
        return ApiError(status, f"status {status}", data[:200].decode("utf-8", "replace"))
    if isinstance(body, dict) and "error" in body:
        return ApiError(status, str(body["error"]), str(body.get("detail", "")), body)
    return ApiError(status, f"status {status}", data[:200].decode("utf-8", "replace"), body)

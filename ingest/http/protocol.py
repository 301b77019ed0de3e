"""A connection's requests: bytes → ingest requests, which are answered here, and all others, which are uvicorn's.

In: what uvicorn's parser says. Out: `Intake.accept` with the payloads of a request; ASGI cycles, begun by uvicorn's own
code. An ingest request that is refused by its head is answered when its body is over (and was thrown away), or at once
if the body is too large or waits for 100 Continue. Limits: head, body, and bytes on the wire for both.
"""

from typing import Any, NoReturn

import httptools
import uvicorn
from uvicorn.server import ServerState

from headwater.registry import ANONYMOUS, Identity
from headwater.saying import get_logger
from ingest.contract import Source
from ingest.http.connection import LINE, LINE_PAUSE, TURNS, Connection, Exchange
from ingest.http.head import Head, Route, read_blob_head, read_head
from ingest.http.reply import BadRequest, Refusal, busy, stopping
from ingest.http.request import inflate, payloads, source_of, too_large
from ingest.http.service import Service
from ingest.http.upgrade import without_upgrade
from ingest.http.websocket import Opening, opening

HEAD_SIZE = 64 * 2**10
"""The largest head in bytes, and what one read brings on top of it."""

PROGRESS = 64 * 2**10
"""So many bytes of a large payload have to come in `http.body_time`."""

_MALFORMED = Refusal(400, "bad_request", "this is not HTTP/1.1")
_LONG_HEAD = Refusal(431, "head_too_large", f"a request's head has at most {HEAD_SIZE:,} bytes")
_INTERNAL = Refusal(500, "internal", "this is a fault of the server; its log says more")

log = get_logger()


class _Enough(Exception):
    """Nothing more is read from this connection."""


class IngestProtocol(Connection):
    """uvicorn's protocol, with the ingest route in it."""

    def __init__(
        self, service: Service, config: uvicorn.Config, server_state: ServerState, app_state: dict[str, Any]
    ) -> None:
        super().__init__(service, config, server_state, app_state)
        self._in_head = False
        self._wire = -1  # bytes of the request but for the first read, in which others may stand; -1: not one read yet
        self._length = 0  # bytes of its body so far, kept or not
        self._offer: bytes | None = None  # it offers to upgrade: its head without that, empty if there can be none
        self._opening: Opening | Refusal | None = None  # it offers to become a WebSocket
        self._head: Head | None = None
        self._most = service.body_size  # bytes that its body may have
        self._progress = -1  # bytes of a large payload after which its sender gets time again; -1: it is none
        self._keep = True
        self._refusal: Refusal | None = None
        self._body: bytes | bytearray = b""
        self._counted = 0  # bytes of the body that stand in `Service.unfinished`
        self._identity: Identity = ANONYMOUS
        self._known: tuple[bytes, bool, int] | None = None  # authorization, direct, rights that gave `_identity`
        self._route: Route | None = None
        self._source = Source("http")

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._forget_body()

    def data_received(self, data: bytes) -> None:
        """Parse, and answer what can be answered."""
        if self._deaf:
            self._since = self._service.clock
            return
        if self._receiving or not self._take_known(data):
            self._parse(data)
        if self._line:
            self._flush()
        elif self._continue:
            self._settle()

    def _take_known(self, data: bytes) -> bool:
        """True if this was a whole request, and its head one that was read before, byte for byte."""
        end = data.find(b"\r\n\r\n") + 4
        head = self._service.heads.get(data[:end])
        if head is None or len(data) - end != head.length:
            return False
        self._take(Exchange(self, close=False), head, data[end:])
        return True

    def _parse(self, data: bytes) -> None:
        fresh = not self._receiving
        rest: bytes | memoryview = data
        while rest:
            rest = self._feed(rest)
        if self._receiving:
            self._measure(len(data))
        elif fresh and self._head is not None and not self._deaf:
            self._learn(data, self._head)

    def _learn(self, data: bytes, head: Head) -> None:
        """Remember the head, if this read was one whole request and nothing in the head is for this request alone."""
        if head.length and not head.key and self._refusal is None and not self.expect_100_continue:
            end = data.find(b"\r\n\r\n") + 4
            if data.startswith(b"POST ") and len(data) - end == head.length:
                self._service.remember(data[:end], head)

    def _feed(self, data: bytes | memoryview) -> bytes | memoryview:
        """Give it to the parser; returns what stands behind a head that offers to upgrade."""
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as offer:
            return self._decline(memoryview(data)[offer.args[0] :])
        except httptools.HttpParserError as error:
            if not self._deaf:
                self._cut(self._what_broke(error))
        return b""

    def _decline(self, rest: memoryview) -> bytes | memoryview:
        """Read the head again without the offer; `rest` is then its body, and more."""
        head, self._offer = self._offer, None
        asked, self._opening = self._opening, None
        if asked is not None:
            self._open(asked, rest)
            return b""
        self.parser = httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
        if not head:
            self._cut(_MALFORMED)
        elif not self._feed(head) and not self._deaf:
            return rest
        return b""

    def _open(self, asked: Opening | Refusal, rest: memoryview) -> None:
        """Open a WebSocket, and leave the connection to whoever speaks over it; or answer why not, and close."""
        speaker, refusal = self._service.speaker, asked
        if isinstance(asked, Opening):
            refusal = stopping() if self._service.stopping else None
            if self._line:
                refusal = _MALFORMED  # nobody can know that it will be opened before it is
        if isinstance(refusal, Refusal) or speaker is None or not isinstance(asked, Opening):
            self._cut(refusal if isinstance(refusal, Refusal) else _MALFORMED)
            return
        line = speaker(asked.origin, tls=self.scheme == "https")
        transport = self.transport
        self._hand_over()
        transport.write(asked.answer)
        transport.set_protocol(line)
        line.connection_made(transport)
        if rest and not transport.is_closing():
            line.data_received(bytes(rest))

    def _what_broke(self, error: httptools.HttpParserError) -> Refusal:
        cause = error.__context__
        if not isinstance(error, httptools.HttpParserCallbackError) or isinstance(cause, httptools.HttpParserError):
            return _MALFORMED
        log.error("a request could not be handled", peer=self._peer, exc_info=cause)
        return _INTERNAL

    # the parser's words

    def on_message_begin(self) -> None:
        self.url = b""
        self.headers = []
        self.expect_100_continue = False
        self._since = self._service.clock
        self._receiving = self._in_head = True
        self._wire = -1
        self._length = 0
        self._most = self._service.body_size
        self._progress = -1
        self._head = self._turn = self._refusal = None
        if len(self._line) >= LINE:
            self._hang_up()
            raise _Enough

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._in_head:  # what comes later are trailers, which nobody here wants
            name = name.lower()
            if name == b"expect" and value.lower() == b"100-continue":
                self.expect_100_continue = True
            self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        method = self.parser.get_method()
        if self.parser.should_upgrade():
            version = self.parser.get_http_version()
            if self._service.speaker is not None:
                self._opening = opening(method, self.url, version, self.headers)
            self._offer = b"" if method == b"CONNECT" else without_upgrade(method, self.url, version, self.headers)
            return
        self._head = head = read_head(method, self.url, self.headers)
        if head is None:
            self._begin_turn()
        else:
            self._begin(head)
        self._in_head = False

    def on_body(self, body: bytes) -> None:
        self._length += len(body)
        if self._length > self._most:
            self._end(too_large(self._most))
        if self._head is None:
            if 0 <= self._progress <= self._length:
                self._progress = self._length + PROGRESS
                self._since = self._service.clock
            super().on_body(body)
        elif self._refusal is None:
            if not self._body:
                self._body = body
            else:
                if isinstance(self._body, bytes):
                    self._body = bytearray(self._body)
                self._body += body

    def on_message_complete(self) -> None:
        if self._offer is not None:
            return
        self._receiving = self._continue = False
        head = self._head
        if head is None:
            super().on_message_complete()
            return
        body = self._body if isinstance(self._body, bytes) else bytes(self._body)
        self._forget_body()
        exchange = Exchange(self, close=not self._keep or self._last)
        if self._refusal is not None:
            exchange.answer = self._service.replies.refusal(self._refusal, close=exchange.close)
        self._take(exchange, head, body)
        if exchange.close:
            self._deaf = True
            raise _Enough

    # requests

    def _begin_turn(self) -> None:
        """Let uvicorn make a cycle of the head that was read; `_start_asgi_task` gets it."""
        large = read_blob_head(self.url, self.headers)
        identity = None if large is None else self._welcome(large)
        length = next((value for name, value in self.headers if name == b"content-length"), b"0")
        if int(length) > self._most:
            self._end(too_large(self._most))
        if self._turns >= TURNS:
            self._hang_up()
            raise _Enough
        url, headers, expects = self.url, self.headers, self.expect_100_continue
        super().on_message_begin()
        self.url, self.expect_100_continue = url, expects
        self.headers.extend(headers)
        super().on_headers_complete()
        if identity is not None:
            self.scope.setdefault("state", {})["identity"] = identity
        if self._certificate is not None:
            self.scope.setdefault("state", {})["certificate"] = self._certificate
        while self.pipeline:  # where uvicorn puts cycles that must wait
            self._start_asgi_task(*self.pipeline.pop())

    def _welcome(self, head: Head) -> Identity:
        """Who sends a large payload: known before any of it is read. Raises `_Enough`."""
        self._most = self._service.blob_size
        self._progress = PROGRESS
        try:
            identity = self._identify(head)
            refusal = self._not_now()
        except BadRequest as error:
            self._end(error.refusal)
        if refusal is not None:
            self._end(refusal)
        return identity

    def _begin(self, head: Head) -> None:
        """Decide what is known by the head alone."""
        is_1_0 = self.parser.get_http_version() == "1.0" if head.connection or self.expect_100_continue else False
        self._keep = self.parser.should_keep_alive() and not is_1_0
        self._refusal = refusal = head.refusal or self._unwelcome(head)
        expects = self.expect_100_continue and not is_1_0
        if refusal is not None and (expects or refusal.status == 413):
            self._end(refusal)
        self._continue = expects

    def _take(self, exchange: Exchange, head: Head, body: bytes) -> None:
        """The request is here: in line with it, and on to the intake unless it must wait or has its answer."""
        if self._turns and exchange.answer is None:
            exchange.held = head, body
        elif exchange.answer is None:
            self._accept(exchange, head, body)
        self._line.append(exchange)
        if self._turns or len(self._line) >= LINE_PAUSE:
            self._pause()

    def _unwelcome(self, head: Head) -> Refusal | None:
        if head.length is not None and head.length > self._service.body_size:
            return too_large(self._service.body_size)
        try:
            self._identify(head)
        except BadRequest as error:
            return error.refusal
        return self._not_now()

    def _not_now(self) -> Refusal | None:
        if self._service.stopping:
            return stopping()
        return busy() if self._service.intake.full else None

    def _identify(self, head: Head) -> Identity:
        """Who sends this: known from the request before, mostly. Raises `BadRequest`."""
        found_by = head.authorization, head.direct, self._service.rights
        if self._known != found_by:
            self._identity = self._service.identify(
                head, self._certificate, loopback=self._loopback, address=self._peer
            )
            self._known = found_by
        return self._identity

    def _accept(self, exchange: Exchange, head: Head, body: bytes) -> None:
        try:
            refusal = self._not_now()
            if refusal is not None:
                raise BadRequest(refusal)  # noqa: TRY301 - one way out
            identity = self._identify(head)
            if head.gzip:
                body = inflate(body, self._service.body_size)
            found = payloads(body, head.route)
            self._service.check_quota(identity, self._peer, len(found), len(body))
        except BadRequest as error:
            exchange.answer = self._service.replies.refusal(error.refusal, close=exchange.close)
            return
        route = head.route
        if route is not self._route or route.query:
            self._route = route
            self._source = source_of(route, self._peer, body)
        self._service.intake.accept(identity, self._source, found, exchange, head.key)

    # limits

    def _measure(self, size: int) -> None:
        """A read of `size` bytes is over and the request is not: hold it to its limits."""
        service = self._service
        self._wire = self._wire + size if self._wire >= 0 else 0
        if self._wire > HEAD_SIZE + (0 if self._in_head else 2 * self._most):
            self._cut(_LONG_HEAD if self._in_head else too_large(self._most))
            return
        service.unfinished += len(self._body) - self._counted
        self._counted = len(self._body)
        if self._counted and service.unfinished > service.unfinished_size:
            self._cut(busy())

    def _end(self, refusal: Refusal) -> NoReturn:
        self._cut(refusal)
        raise _Enough

    def _cut(self, refusal: Refusal) -> None:
        super()._cut(refusal)
        self._forget_body()

    def _forget_body(self) -> None:
        self._body = b""
        self._service.unfinished -= self._counted
        self._counted = 0

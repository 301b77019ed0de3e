"""A connection's answers: in the order of the requests, whoever makes them, within limits of time and number.

In: requests from `protocol`, settled receipts from the intake, finished cycles from uvicorn. Out: one write a flush.
All requests that are not yet answered stand in line. An ingest request enters it when it has been accepted or refused,
or (`held`) when its body is there and an ASGI request stands before it: a POST does not overtake. An ASGI request
enters with its head, and its app starts when it is first.

Whoever breaks a limit is answered behind all answers before it, then the connection ends: the sending side at once, the
receiving side when the peer has stopped sending, as a reset would take the answer from under its nose.
"""

import asyncio
from collections import deque
from typing import Any

import uvicorn
from uvicorn._types import ASGI3Application
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from headwater.registry import Certificate
from ingest.certificates import certificate_of
from ingest.contract import Receipt
from ingest.http.head import Head, is_loopback
from ingest.http.reply import Refusal
from ingest.http.service import Service

LINE = 4096
"""The most requests in line; from a full line on nothing more is read, and the connection ends with it."""
LINE_PAUSE = 128
"""With so many in line, reading pauses until half of them are answered."""
TURNS = 64
"""The most ASGI requests in line."""
LINGER = 2.0
"""Seconds of quiet after which a connection that was answered early is closed."""

_SLOW = Refusal(408, "too_slow", "the request took too long to arrive")
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class Exchange(Receipt, eq=False):
    """An ingest request in line: its receipt, or its answer where that is known without one.

    `held`: head and body, not accepted yet. `close`: the connection ends with this answer.
    """

    close: bool = False
    answer: bytes | None = None
    held: tuple[Head, bytes] | None = None


class Turn:
    """An ASGI request in line."""

    __slots__ = ("app", "cycle", "started")

    def __init__(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        self.cycle = cycle
        self.app = app
        self.started = False

    def vanish(self) -> None:
        """Tell the app that nobody waits for its answer."""
        self.cycle.disconnected = True
        self.cycle.message_event.set()


class Connection(HttpToolsProtocol):
    """Also the `Owner` of its receipts. uvicorn's keep-alive timer is not used: `tick` does it for all connections."""

    def __init__(
        self, service: Service, config: uvicorn.Config, server_state: ServerState, app_state: dict[str, Any]
    ) -> None:
        super().__init__(config, server_state, app_state, asyncio.get_running_loop())
        self._service = service
        self._peer = ""
        self._loopback = False
        self._certificate: Certificate | None = None
        self._line: deque[Exchange | Turn] = deque()
        self._turns = 0  # how many in line are ASGI requests
        self._since = service.clock  # the latest event that a limit of time counts from
        self._deaf = False  # what still comes is thrown away
        self._unread = False  # and something does: linger
        self._lingers_until = 0.0
        self._last = False  # close as soon as all that has come is answered
        self._paused = False  # reading, because of the line or of a peer that does not read
        self._receiving = False
        self._turn: Turn | None = None  # the request being received, if it is an ASGI request
        self._continue = False  # the request being received waits for 100 Continue

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take the connection, or close it at once if there are too many."""
        if len(self.connections) >= self._service.connections:
            self._deaf = True
            self.transport = transport
            transport.abort()
            return
        super().connection_made(transport)
        self._service.open.inc()
        self._certificate = certificate_of(transport)
        self._since = self._service.clock
        if self.client is not None:
            self._peer = self.client[0]  # without its port: what comes from one address is of one source
            self._loopback = is_loopback(self._peer)
            self.shut_out()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget it all; receipts still under way are settled for nobody."""
        if self in self.connections:
            self._service.open.dec()
        for waiting in self._line:
            if isinstance(waiting, Turn):
                waiting.vanish()
        self._line.clear()
        self._turns = 0
        self._deaf = True
        super().connection_lost(exc)

    def _hand_over(self) -> None:
        """The transport is another's from now on."""
        self._service.open.dec()
        self.connections.discard(self)
        self._receiving = False
        self._deaf = True

    def eof_received(self) -> bool:  # type: ignore[override]
        """The peer sends nothing more: stay for ingest answers it waits for. True: keep the transport open."""
        self._last = bool(self._line) and not self._turns and not self._receiving
        return self._last

    def pause_writing(self) -> None:
        """The peer does not read its answers: take nothing more from it."""
        super().pause_writing()
        self._since = self._service.clock
        self._pause()

    def resume_writing(self) -> None:
        super().resume_writing()
        self._resume()

    def release(self) -> None:
        """Some receipts are settled: answer those that are next."""
        self._flush()

    # the line

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        """A cycle of an ASGI request, new from uvicorn: in line with it. It starts when it is first."""
        self._turn = Turn(cycle, app)
        self._line.append(self._turn)
        self._turns += 1
        if len(self._line) > 1:
            self._pause()

    def on_response_complete(self) -> None:
        """The first in line is answered by its app: on to those behind it."""
        self.server_state.total_requests += 1
        if self._line:
            self._line.popleft()
            self._turns -= 1
        if self.transport.is_closing():
            return
        self._since = self._service.clock
        if not self.flow.write_paused:
            self._paused = False
            self.flow.resume_reading()
        for waiting in list(self._line):
            if isinstance(waiting, Turn):
                break
            if waiting.held is not None:
                self._accept(waiting, *waiting.held)
                waiting.held = None
        self._flush()

    def _accept(self, exchange: Exchange, head: Head, body: bytes) -> None:
        """Hand a request to the intake, or set its answer."""
        raise NotImplementedError

    def _flush(self) -> None:
        """Write all answers that are next, in one piece; start the ASGI request that is next."""
        line = self._line
        if not line or self.transport.is_closing():
            return
        out: list[bytes] = []
        ends = False
        while line and not ends:
            first = line[0]
            if isinstance(first, Turn):
                self._start(first)
                break
            answer = first.answer
            if answer is None:
                if first.waiting or first.held is not None:
                    break
                answer = self._outcome(first)
            out.append(answer)
            ends = first.close
            line.popleft()
        if out:
            self.transport.write(out[0] if len(out) == 1 else b"".join(out))
            self._since = self._service.clock
        if ends:
            self._leave()
        elif not line:
            self._settle()
        if self._paused and len(line) < LINE_PAUSE // 2:
            self._resume()

    def _start(self, turn: Turn) -> None:
        if not turn.started:
            turn.started = True
            if self._last and len(self._line) == 1:
                turn.cycle.keep_alive = False
            super()._start_asgi_task(turn.cycle, turn.app)

    def _outcome(self, exchange: Exchange) -> bytes:
        close = exchange.close or (self._last and len(self._line) == 1)
        replies = self._service.replies
        if exchange.accepted == 1 and exchange.rejections is None and not exchange.failed and not close:
            return replies.one
        return replies.outcome(exchange, close=close)

    def _settle(self) -> None:
        """Everything is answered: the request being received is next."""
        if self._last and not self._receiving:
            self.transport.close()
        elif self._continue and self._receiving:
            self.transport.write(_CONTINUE)
        self._continue = False

    def _pause(self) -> None:
        if not self._paused and not self.transport.is_closing():
            self._paused = True
            self.flow.pause_reading()

    def _resume(self) -> None:
        if self._paused and not self.flow.write_paused and not self.transport.is_closing():
            self._paused = False
            self.flow.resume_reading()

    # limits and endings

    def tick(self, now: float) -> None:
        """Several times a second: hold the connection to its limits of time."""
        service = self._service
        quiet = now - self._since
        if self._lingers_until:
            if quiet > LINGER or now > self._lingers_until:
                self.transport.abort()
        elif self.transport.is_closing() or self.flow.write_paused:
            if quiet > service.idle:
                self.transport.abort()
        elif self._receiving:
            if self.flow.read_paused:
                self._since = now
            elif quiet > service.body_time:
                self._cut(_SLOW)
                self._flush()
        elif not self._line and quiet > service.idle:
            self.transport.close()

    def shutdown(self) -> None:
        """The server stops: close, or do so once all that has come is answered."""
        self._last = True
        if not self._line and not self._receiving:
            self.transport.close()
        for waiting in self._line:
            if isinstance(waiting, Turn):
                waiting.cycle.keep_alive = False

    def shut_out(self) -> None:
        """Close without a word, if its address is blocked."""
        if self._service.shut_out(self._peer):
            self.transport.abort()

    def end_stream(self) -> None:
        """The server stops, and an answer that has begun may never end: end it."""
        first = self._line[0] if self._line else None
        if isinstance(first, Turn) and first.cycle.response_started:
            first.vanish()
            self.transport.close()

    def _cut(self, refusal: Refusal) -> None:
        """Answer what is being received with this, after all answers before it, and read nothing more."""
        if self._receiving and self._turn is not None and not self._drop(self._turn):
            return
        exchange = Exchange(self, close=True)
        exchange.answer = self._service.replies.refusal(refusal, close=True)
        self._line.append(exchange)
        self._receiving = False
        self._deaf = self._unread = True

    def _drop(self, turn: Turn) -> bool:
        """Take an ASGI request away from its app. False if the app has begun to answer: then the connection ends."""
        self._deaf = True
        if turn.cycle.response_started:
            self._receiving = False
            self.transport.close()
            return False
        self._line.remove(turn)
        self._turns -= 1
        turn.vanish()
        return True

    def _hang_up(self) -> None:
        """Read nothing more; the connection ends with the last that is in line."""
        self._receiving = False
        self._deaf = self._unread = True
        last = self._line[-1]
        if isinstance(last, Turn):
            last.cycle.keep_alive = False
        else:
            last.close = True

    def _leave(self) -> None:
        """The last answer is written."""
        self._line.clear()
        if self._unread:
            self._lingers_until = self._service.clock + self._service.body_time
            if self.transport.can_write_eof():  # TLS cannot: what it has written is there when it closes
                self.transport.write_eof()
            self.flow.resume_reading()
        else:
            self.transport.close()

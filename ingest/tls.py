"""Listeners with TLS: from sockets and files to connections that are encrypted, and a file that changes is read again.

In: a section of the configuration, sockets to listen on, a protocol for each connection. Out: `connection_made` with a
transport like any other, once the handshake is done; who did not complete one is closed and counted. Until then a
connection costs a small object and counts as open: `room` says whether there may be more.
"""

import asyncio
import ssl
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from socket import socket

from headwater.config_tls import Tls
from headwater.errors import ConfigError
from headwater.metrics import Metrics
from headwater.saying import get_logger

LOOK = 2.0
"""Seconds between two looks at whether a file has changed."""

SHUTDOWN = 2.0
"""Seconds that a peer has to close its side."""

_BACKLOG = 2048
_PORTION = 100
"""Connections accepted in a turn."""
_REST = 1.0
"""Seconds until the next look, where none can be accepted."""
_CLIENT = {"none": ssl.CERT_NONE, "optional": ssl.CERT_OPTIONAL, "required": ssl.CERT_REQUIRED}
_MINIMUM = {"TLSv1.2": ssl.TLSVersion.TLSv1_2, "TLSv1.3": ssl.TLSVersion.TLSv1_3}

log = get_logger()

Marks = tuple[tuple[int, int, int], ...]


class Contexts:
    """What handshakes go by. `current` changes when a file does; a file that cannot be used changes nothing."""

    def __init__(self, tls: Tls, section: str) -> None:
        """Read the files; raises `ConfigError`. `section`: where `tls` stands, for the error."""
        self._tls = tls
        self._section = section
        self._files = [Path(name) for name in (tls.certificate, tls.key, tls.client_ca) if name]
        try:
            self._marks = self._seen = self._look()
            self.current = _context(tls)
        except (OSError, ValueError) as error:
            raise ConfigError(f"{section}: {_said(error)}") from None

    def renew(self) -> bool:
        """Look at the files, and read them again if they have changed. True: `current` is new."""
        try:
            marks = self._look()
            if marks == self._marks:
                return False
            context = _context(self._tls)
        except (OSError, ValueError) as error:
            self._keep(error)
            return False
        self._marks = self._seen = marks
        self.current = context
        log.info("certificates have been read again", setting=self._section)
        return True

    def _keep(self, error: Exception) -> None:
        """Said once a change: a certificate is often there a moment before its key."""
        marks: Marks = ()
        with suppress(OSError):
            marks = self._look()
        if marks != self._seen:
            self._seen = marks
            log.warning("changed certificates cannot be used yet; the old ones serve", setting=self._section, error=_said(error))  # fmt: skip # noqa: E501

    def _look(self) -> Marks:
        states = [path.stat() for path in self._files]
        return tuple((state.st_mtime_ns, state.st_ino, state.st_size) for state in states)


def _context(tls: Tls) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = _MINIMUM[tls.minimum]
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION | ssl.OP_CIPHER_SERVER_PREFERENCE
    context.load_cert_chain(tls.certificate, tls.key, password=_no_password)
    if tls.client != "none":
        context.load_verify_locations(tls.client_ca)
        context.verify_mode = _CLIENT[tls.client]
        # A session that is resumed is not verified again: its certificate may have expired since, or its CA be gone.
        context.options |= ssl.OP_NO_TICKET
        context.num_tickets = 0
    return context


def _no_password() -> str:
    """OpenSSL would ask at the terminal otherwise."""
    raise ValueError("the private key is encrypted: give it without a password, readable for this program alone")


def _said(error: Exception) -> str:
    if isinstance(error, ssl.SSLError):
        return f"certificate, key or CA cannot be used: {error.reason or error}"
    if isinstance(error, OSError) and error.filename:
        return f"{error.filename}: {error.strerror}"
    return str(error)


class TlsListener:
    """Accepts, does the handshake, and hands over. `transport`: the metrics' word for what is spoken inside."""

    def __init__(
        self, tls: Tls, section: str, protocol: Callable[[], asyncio.Protocol], room: Callable[[int], bool],
        metrics: Metrics, transport: str, blocked: Callable[[str], bool],
    ) -> None:  # fmt: skip
        """Read the certificates; raises `ConfigError`. `room`: may one more come beside so many in handshake.

        `blocked`: nobody may come from this address: it gets no handshake.
        """
        self.contexts = Contexts(tls, section)
        self._protocol = protocol
        self._room = room
        self._blocked = blocked
        self._refused = metrics.blocked.labels(transport)
        self._time = tls.handshake_time
        self._failed = metrics.tls_failed
        self._transport = transport
        self._section = section
        self._sockets: list[socket] = []
        self._handshakes: set[asyncio.Task[None]] = set()
        self._timer: asyncio.TimerHandle | None = None

    def start(self, sockets: Iterable[socket]) -> None:
        """Listen on them; they are closed by `close`."""
        loop = asyncio.get_running_loop()
        for bound in sockets:
            bound.listen(_BACKLOG)
            self._sockets.append(bound)
            loop.add_reader(bound, self._accept, bound)
        self._timer = loop.call_later(LOOK, self._tick)

    def close(self) -> None:
        """Listen no more, and end handshakes under way."""
        if self._timer is not None:
            self._timer.cancel()
        for bound in self._sockets:
            asyncio.get_running_loop().remove_reader(bound)
            bound.close()
        self._sockets.clear()
        for handshake in list(self._handshakes):
            handshake.cancel()

    def _accept(self, bound: socket) -> None:
        for _ in range(_PORTION):
            try:
                arrived, address = bound.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:  # no more file descriptors, mostly: the rest waits in the kernel
                self._rest(bound, error)
                return
            if self._blocked(str(address[0]).partition("%")[0]):
                arrived.close()
                self._refused.inc()
                continue
            arrived.setblocking(False)  # noqa: FBT003 - positional only
            self._begin(arrived)

    def _rest(self, bound: socket, error: OSError) -> None:
        loop = asyncio.get_running_loop()
        log.warning("no connection can be accepted now", setting=self._section, error=error.strerror)
        loop.remove_reader(bound)
        loop.call_later(_REST, self._again, bound)

    def _again(self, bound: socket) -> None:
        if bound in self._sockets:
            asyncio.get_running_loop().add_reader(bound, self._accept, bound)

    def _begin(self, arrived: socket) -> None:
        """Begin the handshake, or close where there are too many."""
        if not self._room(len(self._handshakes)):
            arrived.close()
            self._fail("full")
            return
        task = asyncio.get_running_loop().create_task(self._secure(arrived))
        self._handshakes.add(task)
        task.add_done_callback(self._handshakes.discard)

    async def _secure(self, arrived: socket) -> None:
        """The handshake; at its end `connection_made` is called by it."""
        try:
            await asyncio.get_running_loop().connect_accepted_socket(
                self._protocol, arrived, ssl=self.contexts.current,
                ssl_handshake_timeout=self._time, ssl_shutdown_timeout=SHUTDOWN,
            )  # fmt: skip
        except ssl.SSLCertVerificationError:
            self._fail("certificate")
        except ssl.SSLError:
            self._fail("handshake")
        except OSError:  # gone, or out of time
            self._fail("gone")

    def _fail(self, reason: str) -> None:
        self._failed.labels(self._transport, reason).inc()

    def _tick(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(LOOK, self._tick)
        self.contexts.renew()

"""The transport of one connection: what is read, what is written, and that both stay bounded.

In: packets to write, and word that the socket shall not be read for a while. Out: writes, as few as possible; a peer
that does not read is found here. TLS and WebSocket bring transports of the same kind as TCP.
"""

import asyncio
from collections.abc import Callable
from ipaddress import IPv6Address, ip_address
from typing import cast

from headwater.registry import Certificate
from ingest.certificates import certificate_of
from ingest.mqtt.router import Router

PRESSURE, QUOTA = 1, 2
"""Why a socket is not read: what came has not found its place yet, or was more than its sender may send."""


class Stream:
    """Everything is a no-op once the transport is lost or `mute` is set."""

    __slots__ = (
        "_limit", "_outgoing", "_outgoing_size", "_router", "_slow", "_transport", "blocked", "host", "loopback",
        "mute", "paused", "peer",
    )  # fmt: skip

    def __init__(self, transport: asyncio.Transport, limit: int, router: Router, slow: Callable[[], None]) -> None:
        """Take a transport. `limit`: bytes that may wait for the peer; beyond, `slow` is called."""
        self._transport: asyncio.Transport | None = transport
        self._limit = limit
        self._router = router
        self._slow = slow
        self._outgoing: list[bytes] = []
        self._outgoing_size = 0
        self.peer, loopback = _peer_of(transport)
        self.host = self.peer.rpartition(":")[0].strip("[]").partition("%")[0]
        self.loopback = loopback and bool(transport.get_extra_info("direct", True))  # noqa: FBT003 - positional only
        self.blocked = False  # the peer does not read
        self.paused = 0  # why we do not read: `PRESSURE`, `QUOTA`, or both
        self.mute = False  # the last word is written
        transport.set_write_buffer_limits(high=limit // 4)

    def certificate(self) -> Certificate | None:
        """What the client has shown in its TLS handshake."""
        return None if self._transport is None else certificate_of(self._transport)

    def lost(self) -> None:
        """There is no transport any more."""
        self._transport = None

    @property
    def open(self) -> bool:
        """There is a transport, and nobody has closed it."""
        return self._transport is not None and not self._transport.is_closing()

    def write(self, data: bytes) -> None:
        """Write now."""
        transport = self._transport
        if transport is None or self.mute:
            return
        transport.write(data)
        if self.blocked and transport.get_write_buffer_size() > self._limit:
            self._slow()

    def send(self, data: bytes) -> None:
        """Write with everything else that goes out in this turn of the event loop."""
        if self._transport is None or self.mute:
            return
        if not self._outgoing:
            self._router.flush_later(self)
        self._outgoing.append(data)
        self._outgoing_size += len(data)
        if self._outgoing_size > self._limit // 4:
            self.flush()

    def flush(self) -> None:
        """Write what `send` was given."""
        if self._outgoing:
            data = b"".join(self._outgoing)
            self._outgoing = []
            self._outgoing_size = 0
            self.write(data)

    def pause(self, why: int = PRESSURE) -> None:
        """Stop reading the socket."""
        if self._transport is not None and not self._transport.is_closing():
            if not self.paused:
                self._transport.pause_reading()
            self.paused |= why

    def resume(self, why: int = PRESSURE) -> None:
        """Read it again, if nothing else is against it."""
        if self.paused & why and self._transport is not None and not self._transport.is_closing():
            self.paused &= ~why
            if not self.paused:
                self._transport.resume_reading()

    def close(self) -> None:
        """Write what is to be written, then close."""
        self.flush()
        self.mute = True
        if self._transport is not None:
            self._transport.close()

    def linger(self, last_word: bytes = b"") -> bool:
        """Close our side, and read on, so that the peer reads the last word; False if everything is closed by now.

        Closed at once with bytes unread, the kernel would send a reset, and the last word might be lost.
        """
        self.flush()
        if last_word:
            self.write(last_word)
        self.mute = True
        transport = self._transport
        if transport is None or transport.is_closing():
            return False
        if not transport.can_write_eof():
            transport.close()
            return False
        self.resume(PRESSURE | QUOTA)
        try:
            transport.write_eof()
        except OSError:  # the peer has reset it, and nobody has told us yet
            transport.abort()
        return True

    def abort(self) -> None:
        """Close without a word."""
        self.mute = True
        if self._transport is not None:
            self._transport.abort()


def _peer_of(transport: asyncio.Transport) -> tuple[str, bool]:
    """HOST:PORT of the other side, and whether that is this machine."""
    name = transport.get_extra_info("peername")
    if not isinstance(name, tuple) or len(cast("tuple[object, ...]", name)) < 2:
        return "", False
    host, port = str(name[0]), int(name[1])
    try:
        address = ip_address(host.partition("%")[0])
    except ValueError:
        return f"{host}:{port}", False
    if isinstance(address, IPv6Address):
        return f"[{host}]:{port}", (address.ipv4_mapped or address).is_loopback
    return f"{host}:{port}", address.is_loopback

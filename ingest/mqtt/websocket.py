"""MQTT over a WebSocket that has been opened: a transport for `Connection` that writes frames, and reads them.

In: the transport under it (TCP or TLS). Out: the MQTT bytes of its frames for a `Connection`, which sees a transport
like any other: closing its sending side sends a close frame. Pings are answered; a peer that does not read gets none.
"""

import asyncio
from collections.abc import Iterable
from typing import Any, cast

from ingest.mqtt.connection import Connection
from ingest.mqtt.frames import BadFrame, CloseCode, FrameReader, Opcode, frame


class WebSocketTransport(asyncio.Transport):
    """`direct` and `own`: see `ingest.contract.Origin`."""

    def __init__(self, below: asyncio.Transport, *, direct: bool, own: bool) -> None:
        super().__init__()
        self._below = below
        self._direct = direct
        self._own = own
        self._said_goodbye = False

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """As of the transport below; a page of another web site shows no certificate, its browser does."""
        if name == "direct":
            return self._direct
        if name in {"ssl_object", "peercert"} and not self._own:
            return default
        return self._below.get_extra_info(name, default)

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if not self._said_goodbye:
            self._below.write(frame(Opcode.BINARY, bytes(data)))

    def writelines(self, list_of_data: Iterable[bytes | bytearray | memoryview]) -> None:
        self.write(b"".join(list_of_data))

    def answer(self, ping: bytes) -> None:
        """Pong. While the peer does not read, none is kept for it: it may be sending pings and nothing else."""
        if not self._said_goodbye and not self._below.is_closing() and not self._below.get_write_buffer_size():
            self._below.write(frame(Opcode.PONG, ping))

    def goodbye(self, code: CloseCode) -> None:
        """Send a close frame, once."""
        if not self._said_goodbye and not self._below.is_closing():
            self._below.write(frame(Opcode.CLOSE, code.to_bytes(2, "big")))
        self._said_goodbye = True

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        """Nothing more is sent; what the peer sends is read until it closes."""
        self.goodbye(CloseCode.NORMAL)

    def close(self) -> None:
        self.goodbye(CloseCode.NORMAL)
        self._below.close()

    def abort(self) -> None:
        self._said_goodbye = True
        self._below.abort()

    def is_closing(self) -> bool:
        return self._below.is_closing()

    def pause_reading(self) -> None:
        self._below.pause_reading()

    def resume_reading(self) -> None:
        self._below.resume_reading()

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        self._below.set_write_buffer_limits(high, low)

    def get_write_buffer_size(self) -> int:
        return self._below.get_write_buffer_size()


class WebSocketLine(asyncio.Protocol):
    """Between a transport and a `Connection`."""

    def __init__(self, connection: Connection, *, direct: bool, own: bool) -> None:
        self._connection = connection
        self._direct = direct
        self._own = own
        self._reader = FrameReader()
        self._transport: WebSocketTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        below = cast("asyncio.Transport", transport)  # a listener for streams makes no other
        self._transport = WebSocketTransport(below, direct=self._direct, own=self._own)
        self._connection.connection_made(self._transport)

    def data_received(self, data: bytes) -> None:
        transport, reader = self._transport, self._reader
        if transport is None or reader.closed:
            return
        try:
            found = reader.feed(data)
        except BadFrame as error:
            transport.goodbye(error.code)
            transport.close()
            return
        if found:
            self._connection.data_received(found)
        if reader.pings:
            transport.answer(reader.pings[-1])
            reader.pings.clear()
        if reader.closed:
            transport.goodbye(reader.close_code)
            transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._connection.connection_lost(exc)

    def pause_writing(self) -> None:
        self._connection.pause_writing()

    def resume_writing(self) -> None:
        self._connection.resume_writing()

"""WebSocket frames, as a server reads and writes them. Source: RFC 6455, section 5; OASIS MQTT 5.0, section 6.

In: bytes, cut anywhere. Out: the MQTT bytes in them, as they come: a frame is not waited for, so nothing is kept but
one header or one control frame, whatever lengths a client announces; and pings and the close for whoever answers them.
"""

from enum import IntEnum

from headwater.errors import HeadwaterError

CONTROL_SIZE = 125
_SHORT, _LONG = 126, 127


class CloseCode(IntEnum):
    """Why a WebSocket is closed."""

    NORMAL = 1000
    GOING_AWAY = 1001
    PROTOCOL_ERROR = 1002
    UNSUPPORTED_DATA = 1003
    INVALID_DATA = 1007


class Opcode(IntEnum):
    """The kinds of frames there are; from CLOSE on they are control frames."""

    CONTINUATION = 0
    TEXT = 1
    BINARY = 2
    CLOSE = 8
    PING = 9
    PONG = 10


_OPCODES = frozenset(Opcode)


class BadFrame(HeadwaterError):
    """What came is not a WebSocket, or not one that carries MQTT: close with `code`."""

    def __init__(self, code: CloseCode, detail: str) -> None:
        super().__init__(detail)
        self.code = code


def frame(opcode: Opcode, payload: bytes = b"") -> bytes:
    """One whole frame; a server's are not masked."""
    size = len(payload)
    if size < _SHORT:
        return bytes((0x80 | opcode, size)) + payload
    if size < 1 << 16:
        return bytes((0x80 | opcode, _SHORT)) + size.to_bytes(2, "big") + payload
    return bytes((0x80 | opcode, _LONG)) + size.to_bytes(8, "big") + payload


class FrameReader:
    """Reads what a client sends. `closed`: a close frame has come, with `close_code`; what is behind it is not read."""

    __slots__ = ("_control", "_fragmented", "_left", "_mask", "_opcode", "_rest", "close_code", "closed", "pings")

    def __init__(self) -> None:
        self._rest = b""  # of a header that is not complete
        self._opcode = Opcode.BINARY
        self._left = 0  # bytes of the frame's payload to come
        self._mask = b"\0\0\0\0"
        self._fragmented = False  # more frames of this message come
        self._control = b""
        self.closed = False
        self.close_code = CloseCode.NORMAL
        self.pings: list[bytes] = []

    def feed(self, data: bytes) -> bytes:
        """The MQTT bytes that `data` brings. New pings stand in `pings`, for the caller to take. Raises `BadFrame`."""
        if self._rest:
            data = self._rest + data
            self._rest = b""
        parts: list[bytes] = []
        at, end = 0, len(data)
        while at < end and not self.closed:
            if not self._left:
                start = self._header(data, at, end)
                if not start:
                    self._rest = data[at:]
                    break
                at = start
            taken = min(self._left, end - at)
            payload = self._unmasked(data[at : at + taken])
            at += taken
            self._left -= taken
            if self._opcode < Opcode.CLOSE:
                parts.append(payload)
            else:
                self._control += payload
                if not self._left:
                    self._controlled()
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def _header(self, data: bytes, at: int, end: int) -> int:
        """Read a frame's header; returns where its payload begins, 0 if the header is not complete."""
        if end - at < 2:
            return 0
        first, second = data[at], data[at + 1]
        self._check(first, second)
        size, start = second & 0x7F, at + 2
        if size >= _SHORT:
            width = 2 if size == _SHORT else 8
            start += width
            if start > end:
                return 0
            size = int.from_bytes(data[start - width : start], "big")
            if size < (_SHORT if width == 2 else 1 << 16) or size >> 63:
                raise BadFrame(CloseCode.PROTOCOL_ERROR, "a length has more bytes than it needs, or too many")
        if start + 4 > end:
            return 0
        self._mask = data[start : start + 4]
        self._left = size
        self._opcode = Opcode(first & 0x0F)
        self._control = b""
        if self._opcode < Opcode.CLOSE:
            self._fragmented = not first & 0x80
        return start + 4

    def _check(self, first: int, second: int) -> None:
        opcode = first & 0x0F
        if first & 0x70:
            raise BadFrame(CloseCode.PROTOCOL_ERROR, "a reserved bit is set: no extension was agreed on")
        if opcode not in _OPCODES:
            raise BadFrame(CloseCode.PROTOCOL_ERROR, f"there is no opcode {opcode}")
        if not second & 0x80:
            raise BadFrame(CloseCode.PROTOCOL_ERROR, "a client's frames are masked")
        if opcode == Opcode.TEXT:
            raise BadFrame(CloseCode.UNSUPPORTED_DATA, "MQTT comes in binary frames")
        if opcode >= Opcode.CLOSE and (not first & 0x80 or second & 0x7F > CONTROL_SIZE):
            raise BadFrame(CloseCode.PROTOCOL_ERROR, "a control frame is whole, and has 125 bytes at most")
        if opcode < Opcode.CLOSE and (opcode == Opcode.CONTINUATION) is not self._fragmented:
            raise BadFrame(CloseCode.PROTOCOL_ERROR, "a fragment without a beginning, or a beginning inside a message")

    def _unmasked(self, data: bytes) -> bytes:
        size, mask = len(data), self._mask
        key = (mask * (size // 4 + 1))[:size]
        self._mask = mask[size & 3 :] + mask[: size & 3]
        return (int.from_bytes(data, "little") ^ int.from_bytes(key, "little")).to_bytes(size, "little")

    def _controlled(self) -> None:
        """A control frame is complete."""
        payload = self._control
        if self._opcode == Opcode.PING:
            self.pings.append(payload)
        elif self._opcode == Opcode.CLOSE:
            self.closed = True
            self.close_code = _close_code(payload)


def _close_code(payload: bytes) -> CloseCode:
    """What to answer to a close frame."""
    if not payload:
        return CloseCode.NORMAL
    code = int.from_bytes(payload[:2], "big")
    if len(payload) == 1 or not (1000 <= code <= 1014 or 3000 <= code <= 4999) or code in {1004, 1005, 1006}:
        return CloseCode.PROTOCOL_ERROR
    try:
        payload[2:].decode()
    except UnicodeDecodeError:
        return CloseCode.INVALID_DATA
    return CloseCode.NORMAL

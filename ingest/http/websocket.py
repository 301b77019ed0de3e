"""The opening handshake of a WebSocket: a request's head → the answer that opens it, or why it is not opened. Pure.

In: method, target, HTTP version, header lines (names in lower case). Out: an `Opening`, `Refusal`, or None where no
WebSocket is asked for. Source: RFC 6455, section 4; OASIS MQTT 5.0, section 6.
"""

import asyncio
from base64 import b64encode
from binascii import Error, a2b_base64
from collections.abc import Sequence
from hashlib import sha1
from typing import NamedTuple, Protocol

from ingest.contract import Origin
from ingest.http.head import is_direct
from ingest.http.reply import Refusal

PATH = b"/mqtt"
SUBPROTOCOL = b"mqtt"

_SEED = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_ONCE = {b"host", b"sec-websocket-key", b"sec-websocket-version", b"origin"}


class Speaker(Protocol):
    """Makes what speaks over a WebSocket that has been opened. `tls`: through the listener with TLS."""

    def __call__(self, origin: Origin, *, tls: bool) -> asyncio.Protocol: ...


class Opening(NamedTuple):
    """`answer`: what opens it."""

    answer: bytes
    origin: Origin


def opening(
    method: bytes, target: bytes, version: str, headers: Sequence[tuple[bytes, bytes]]
) -> Opening | Refusal | None:
    """Look at a request with an Upgrade header."""
    if target.partition(b"?")[0] != PATH:
        return None
    values: dict[bytes, bytes] = {}
    twice = False
    for name, value in headers:
        twice = twice or (name in _ONCE and name in values)
        values[name] = values[name] + b", " + value if name in values else value
    if b"websocket" not in _tokens(values, b"upgrade"):
        return None
    if method != b"GET" or version != "1.1" or twice or b"host" not in values:
        return _no("a WebSocket is opened by GET with HTTP/1.1, a Host, and each header once")
    return _opening(values)


def _opening(values: dict[bytes, bytes]) -> Opening | Refusal:
    if values.get(b"sec-websocket-version") != b"13":
        detail = "the WebSocket version spoken here is 13"
        return Refusal(426, "bad_request", detail, b"upgrade: websocket\r\nsec-websocket-version: 13\r\n")
    key = values.get(b"sec-websocket-key", b"")
    if not _is_key(key):
        return _no("Sec-WebSocket-Key is 16 bytes in base64")
    if SUBPROTOCOL not in _tokens(values, b"sec-websocket-protocol", lower=False):
        return _no("what is spoken here is the subprotocol mqtt: offer it in Sec-WebSocket-Protocol")
    proof = b64encode(sha1(key + _SEED, usedforsecurity=False).digest())
    answer = (
        b"HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: Upgrade\r\n"
        b"sec-websocket-accept: " + proof + b"\r\nsec-websocket-protocol: " + SUBPROTOCOL + b"\r\n\r\n"
    )
    return Opening(answer, Origin(is_direct(values), _is_own(values)))


def _is_own(values: dict[bytes, bytes]) -> bool:
    origin = values.get(b"origin")
    return origin is None or origin.partition(b"://")[2] == values[b"host"]


def _is_key(key: bytes) -> bool:
    try:
        return len(a2b_base64(key, strict_mode=True)) == 16
    except Error:
        return False


def _tokens(values: dict[bytes, bytes], name: bytes, *, lower: bool = True) -> list[bytes]:
    value = values.get(name, b"")
    return [token.strip() for token in (value.lower() if lower else value).split(b",")]


def _no(detail: str) -> Refusal:
    return Refusal(400, "bad_request", detail)

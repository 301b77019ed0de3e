"""A request's body → the payloads in it. Pure.

One JSON object, an array of them, or NDJSON: one object a line. NDJSON is known by its content type, or by its content:
a first line that is an object by itself, with more behind it. Each payload keeps the bytes it came as, without the
white space around it; blank lines are none (an index counts lines with content). What cannot be split is one payload:
the intake says what is wrong with it.
With a decoder other than the native one, the body is one payload as it is, unless its content type is NDJSON; without
a body, the query is.
"""

import re
import zlib

import msgspec

from ingest.contract import Source
from ingest.http.head import Route
from ingest.http.reply import BadRequest, Refusal

MOST_PAYLOADS = 10_000
"""The most messages in one body."""
MOST_VALUES = 1_000_000
"""The most commas in an array: splitting it takes up to 72 bytes of memory for each."""
MOST_MEMBERS = 64
"""The most gzip members in one body; each is a stream of its own."""

MOST_TOKENS = 200_000
"""The most strings, commas and brackets of a broken array that is split in spite of that."""

_GZIP = 31  # zlib's word for: gzip's header and checksum, a window of 32 KiB
_MAGIC = b"\x1f\x8b"

_TOKENS = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"|[\[\]{},"]', re.DOTALL)
_OPENING = {b"[", b"{"}
_CLOSING = {b"]", b"}"}

_elements = msgspec.json.Decoder(list[msgspec.Raw]).decode
_value = msgspec.json.Decoder(msgspec.Raw).decode


def payloads(body: bytes, route: Route) -> list[bytes]:
    """The payloads in a body; raises `BadRequest`: `empty`, `too_many`."""
    if route.lines:
        found = _lines(body)
    elif not route.native:
        found = [body or route.query.encode("latin-1")]
    else:
        found = _by_content(body.strip())
    if not found:
        raise BadRequest(Refusal(400, "empty", "there is no message in the body"))
    if len(found) > MOST_PAYLOADS:
        raise BadRequest(_too_many(f"{len(found):,} messages"))
    return found


def _by_content(body: bytes) -> list[bytes]:
    if body[:1] == b"[":
        return _array(body)
    if body[:1] == b"{" and _looks_like_lines(body):
        return _lines(body)
    return [body] if body else []


def _array(body: bytes) -> list[bytes]:
    if len(body) > MOST_VALUES and body.count(b",") > MOST_VALUES:
        raise BadRequest(_too_many(f"more than {MOST_VALUES:,} values"))
    try:
        return [bytes(element) for element in _elements(body)]
    except (msgspec.DecodeError, RecursionError):
        return _split(body)


def _split(body: bytes) -> list[bytes]:
    """The elements of an array that something in one of them spoils, found by quotes and brackets alone.

    Python's own encoder writes NaN, which is no JSON: one such reading should not hold up all others for ever.
    """
    parts: list[bytes] = []
    depth = start = 0
    for count, token in enumerate(_TOKENS.finditer(body)):
        mark = token[0]
        if count > MOST_TOKENS or mark == b'"':
            break
        if mark in _OPENING:
            depth += 1
            start = start or token.end()
        elif mark in _CLOSING:
            depth -= 1
        if (mark == b"," and depth == 1) or depth == 0:
            parts.append(body[start : token.start()].strip())
            start = token.end()
        if depth == 0:
            return parts if start == len(body) and all(parts) else [body]
    return [body]


def _looks_like_lines(body: bytes) -> bool:
    """True if the first line is an object by itself and more follows."""
    end = body.find(b"\n")
    if end < 0:
        return False
    line = body[:end].rstrip()
    if line[-1:] != b"}" or not body[end:].strip():
        return False
    try:
        _value(line)
    except (msgspec.DecodeError, RecursionError):
        return False
    return True


def _lines(body: bytes) -> list[bytes]:
    if body.count(b"\n") > 4 * MOST_PAYLOADS:
        raise BadRequest(_too_many(f"more than {4 * MOST_PAYLOADS:,} lines"))
    return list(filter(None, map(bytes.strip, body.split(b"\n"))))


def source_of(route: Route, peer: str, body: bytes) -> Source:
    """Where a request's payloads come from. A query that is the payload itself is not told twice."""
    query = route.query if body else ""
    return Source("http", route.topic, route.device, route.decoder, route.content_type, peer, query)


def inflate(body: bytes, most: int) -> bytes:
    """The content of a gzip body (RFC 1952, one or more members); never makes more than `most` + 1 bytes of it.

    Raises `BadRequest`: 413 if there is more, 400 if it is broken or cut off.
    """
    parts: list[bytes] = []
    size = 0
    for _ in range(MOST_MEMBERS):
        stream = zlib.decompressobj(_GZIP)
        try:
            part = stream.decompress(body, most + 1 - size)
        except zlib.error as error:
            raise BadRequest(Refusal(400, "bad_encoding", f"the gzip body is broken: {error}")) from None
        parts.append(part)
        size += len(part)
        if size > most:
            raise BadRequest(too_large(most))
        if not stream.eof:
            raise BadRequest(Refusal(400, "bad_encoding", "the gzip body is cut off"))
        body = stream.unused_data
        if not body.startswith(_MAGIC):
            break
    if body.strip(b"\x00"):  # zeros after the end are padding
        raise BadRequest(Refusal(400, "bad_encoding", "the gzip body has something else behind its end"))
    return parts[0] if len(parts) == 1 else b"".join(parts)


def too_large(most: int) -> Refusal:
    """The answer to a body of more than `most` bytes."""
    return Refusal(413, "too_large", f"a body has at most {most:,} bytes, also when unpacked")


def _too_many(what: str) -> Refusal:
    return Refusal(413, "too_many", f"{what} in one body; at most {MOST_PAYLOADS:,} messages: send them in parts")

"""A request's head → what the ingest route must know of it, or None if the request is for another route. Pure.

In: method, target, header lines (names in lower case). Out: a `Head`; what is wrong with it stands in `refusal`.
Routes: `POST /ingest` and `POST /ingest/{device}`, either with `?decoder=NAME`, or `?topic=TOPIC` as
if it had come by MQTT. Other parameters are the decoder's (`query`): a request without a body is its query, also a GET.
`X-Limit-U` and `X-Limit-D`, by which OwnTracks's apps say whose phone it is, are `u=` and `d=` of that query.
A content type that is one format's own (`application/senml+json`) chooses its decoder where nothing else does.
`/ingest/{device}/blob` is another route (`ingest.blobs`).
"""

from collections.abc import Sequence
from functools import lru_cache
from ipaddress import ip_address
from typing import NamedTuple
from urllib.parse import parse_qs, unquote, urlencode, urlsplit

import msgspec

from headwater.errors import Rejected
from headwater.ids import check_id
from ingest.http.reply import BadRequest, Code, Refusal

PATH = b"/ingest"
BLOB = b"/blob"
"""How the path of a large payload ends."""

_LINES = {"application/x-ndjson", "application/ndjson", "application/jsonl", "application/x-jsonlines"}
_NATIVE = {"", "native", "flat"}
_FORMATS = {
    **{f"application/{kind}+{form}": "senml" for kind in ("senml", "sensml") for form in ("json", "cbor", "xml")},
    **dict.fromkeys(
        ("application/cbor", "application/msgpack", "application/x-msgpack", "application/vnd.msgpack"),
        "telegraf_binary",
    ),
}
"""The decoder of a content type that says which format it is."""

_OF_INTEREST = {
    b"authorization",
    b"connection",
    b"content-encoding",
    b"content-length",
    b"content-type",
    b"forwarded",
    b"host",
    b"idempotency-key",
    b"origin",
    b"sec-fetch-site",
    b"transfer-encoding",
    b"x-forwarded-for",
    b"x-limit-d",
    b"x-limit-u",
}
_KEPT = 512  # the longest target and content type that are remembered
_QUERY = 4096
_PARAMETERS = 100
_NAME = 256  # what is longer is no valid name, and neither are its first letters
_OWN = {b"none", b"same-origin"}
"""What a browser says of what its user or a page of ours asked for."""
_LISTS = {b"connection", b"content-encoding", b"forwarded", b"x-forwarded-for"}


class Route(NamedTuple):
    """Where a payload is for: the same object for the same target and content type.

    `lines`: the content type says NDJSON. `native`: no other decoder is asked for. `query`: where one is, what stands
    behind the question mark.
    """

    device: str
    decoder: str
    content_type: str
    lines: bool
    native: bool
    query: str = ""
    topic: str = ""


class Head(msgspec.Struct):
    """`direct`: nothing in it speaks of a proxy or of another web site, so the peer speaks for itself.

    `authorization`: the header as it came, or empty. `length`: what Content-Length says, None without one.
    `connection`: there is a Connection header. `key`: the Idempotency-Key, or "".
    """

    route: Route
    authorization: bytes
    length: int | None
    connection: bool
    direct: bool
    key: str = ""
    gzip: bool = False
    refusal: Refusal | None = None


def read_head(method: bytes, target: bytes, headers: Sequence[tuple[bytes, bytes]]) -> Head | None:
    """The head of an ingest request, or None if it is for another route."""
    if PATH not in target:
        return None
    values: dict[bytes, bytes] = {}
    twice = b""
    for name, value in headers:
        if name in _OF_INTEREST:
            if name in values:
                if name not in _LISTS:
                    twice = name
                value = values[name] + b", " + value  # noqa: PLW2901 - lines of one name are one list
            values[name] = value
    get = values.get
    kind = get(b"content-type", b"")
    route = (_cached_route if len(target) + len(kind) <= _KEPT else _route)(target, kind)
    if route is None:
        return None
    if not route.native and (b"x-limit-u" in values or b"x-limit-d" in values):
        route = _with_limits(route, get(b"x-limit-u", b""), get(b"x-limit-d", b""))
    length = get(b"content-length")
    size = None if length is None else int(length)
    head = Head(route, get(b"authorization", b""), size, b"connection" in values, is_direct(values))
    try:
        _check(head, method, values, twice)
    except BadRequest as error:
        head.refusal = error.refusal
    return head


def read_blob_head(target: bytes, headers: Sequence[tuple[bytes, bytes]]) -> Head | None:
    """What must be known of a large payload's sender, or None if the request is for another route."""
    path = target.partition(b"?")[0]
    if not path.startswith(PATH + b"/") or not path.endswith(BLOB):
        return None
    values = {name: value for name, value in headers if name in _OF_INTEREST}
    length = values.get(b"content-length")
    route = Route("", "", "", lines=False, native=True)
    authorization, size = values.get(b"authorization", b""), None if length is None else int(length)
    return Head(route, authorization, size, b"connection" in values, is_direct(values))


def _check(head: Head, method: bytes, values: dict[bytes, bytes], twice: bytes) -> None:
    """Fill in what can be wrong; raises `BadRequest`."""
    if method != b"POST" and not (method == b"GET" and head.route.query):
        detail = "the ingest route takes POST, and GET with ?decoder=NAME where a decoder reads the query"
        raise BadRequest(Refusal(405, "method_not_allowed", detail, b"allow: POST\r\n", method == b"HEAD"))
    if twice:
        raise _bad("bad_request", f"the header {twice.decode('latin-1')} is there more than once")
    if values.get(b"transfer-encoding", b"chunked").lower() != b"chunked":
        raise BadRequest(Refusal(501, "unsupported_encoding", "the transfer coding is not known here: use chunked"))
    encoding = values.get(b"content-encoding", b"").strip().lower()
    head.gzip = encoding in {b"gzip", b"x-gzip"}
    if not head.gzip and encoding not in {b"", b"identity"}:
        detail = "the content coding is not known here: use gzip, or none"
        raise BadRequest(Refusal(415, "unsupported_encoding", detail, b"accept-encoding: gzip\r\n"))
    key = values.get(b"idempotency-key")
    if key is not None:
        head.key = _key(key)


def _key(value: bytes) -> str:
    try:
        return check_id(value.decode())
    except Rejected as error:
        raise _bad("bad_id", f"Idempotency-Key: {error.detail}") from None
    except UnicodeDecodeError:
        raise _bad("bad_id", "Idempotency-Key: not UTF-8") from None


def _bad(code: Code, detail: str) -> BadRequest:
    return BadRequest(Refusal(400, code, detail))


def _route(target: bytes, content_type: bytes) -> Route | None:
    """The route of a target in origin form (`/ingest?…`) or absolute form (`http://host/ingest`)."""
    if not target.startswith(b"/"):
        host, _, path = target.partition(b"://")[2].partition(b"/")
        target = b"/" + path if host else b""
    path, _, query = target.partition(b"?")
    if path != PATH and not path.startswith(PATH + b"/"):
        return None
    if path.endswith(BLOB):
        return None
    asked = query.decode("latin-1")
    decoder, topic = _named(asked, "decoder"), _named(asked, "topic")
    media = content_type.partition(b";")[0].strip().lower().decode("latin-1")
    device = unquote(path[len(PATH) + 1 :].decode("latin-1"))
    if not decoder and not topic:
        decoder = _FORMATS.get(media, "")
    native = decoder in _NATIVE and not topic
    return Route(
        device[:_NAME], decoder[:_NAME], media[:_NAME], media in _LINES, native, "" if native else asked[:_QUERY], topic
    )


_cached_route = lru_cache(maxsize=4096)(_route)


@lru_cache(maxsize=4096)
def _with_limits(route: Route, user: bytes, device: bytes) -> Route:
    """The route with these in its query, unless that says so itself."""
    given = parse_qs(route.query) if route.query.count("&") < _PARAMETERS else {}
    added = {name: value[:_NAME] for name, value in (("u", user), ("d", device)) if value and name not in given}
    query = "&".join(part for part in (route.query, urlencode(added)) if part)
    return route._replace(query=query) if len(query) <= _QUERY else route


def _named(query: str, name: str) -> str:
    if name not in query:
        return ""
    try:
        return parse_qs(query, max_num_fields=_PARAMETERS).get(name, [""])[-1]
    except ValueError:
        return ""


def is_direct(values: dict[bytes, bytes]) -> bool:
    """False for what a proxy passes on, and for what a web page of another site makes a browser on this machine send.

    The same rule as the API's: a name other than localhost may be one rebound to 127.0.0.1. And a GET sends messages
    here: a picture that a page has fetched comes without Origin, and browsers say whose it is by Sec-Fetch-Site (W3C
    Fetch Metadata).
    """
    if b"forwarded" in values or b"x-forwarded-for" in values or values.get(b"sec-fetch-site", b"none") not in _OWN:
        return False
    host = values.get(b"host", b"")
    origin = values.get(b"origin")
    if origin is not None and origin.partition(b"://")[2] != host:
        return False
    return len(host) <= _NAME and _is_local_name(host)


@lru_cache(maxsize=256)
def _is_local_name(host: bytes) -> bool:
    try:
        name = urlsplit(b"//" + host).hostname or b""
    except ValueError:
        return False
    return name in {b"", b"localhost"} or is_loopback(name.decode("latin-1"))


def is_loopback(address: str) -> bool:
    """True for 127.0.0.0/8 and ::1, also where IPv6 carries IPv4."""
    try:
        found = ip_address(address)
    except ValueError:
        return False
    mapped = getattr(found, "ipv4_mapped", None)
    return found.is_loopback or (mapped is not None and mapped.is_loopback)

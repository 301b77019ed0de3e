"""Large payloads: `POST /ingest/{device}/blob`, in front of the app that answers everything but ingest.

In: an ASGI request whose sender `ingest.http.protocol` has identified. Out: an object in the place for them, named by
its SHA-256, and then a message that refers to it; 202 when both are durable. No more is in memory than a few pieces:
the socket is read as fast as the place takes it. Content put and not logged is harmless: a retry refers to it.
"""

import asyncio
import json
import math
from collections.abc import Awaitable, Callable, MutableMapping
from functools import partial
from typing import Any, NamedTuple
from urllib.parse import parse_qs

from headwater.config import Blobs
from headwater.errors import Rejected, Unavailable
from headwater.failpoints import passing
from headwater.ids import check_device, check_id, hashed
from headwater.registry import Identity
from headwater.times import parse_at
from ingest.contract import BLOB, Intake, Receipt, Source
from ingest.http.reply import BadRequest, Refusal, busy, retry_after, unavailable
from ingest.http.request import too_large
from ingest.quotas import Quotas
from storage.blobs import BlobStore, Stored

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

_PIECE = 2**18
_TYPE_LENGTH = 128


class _Said(NamedTuple):
    """What the head says: `id` "" and `at` None where it does not."""

    device: str
    id: str
    at: int | str | None
    type: str


class _Gone(Exception):
    """The sender has hung up."""


class _Settled:
    """The `Owner` of one receipt."""

    def __init__(self) -> None:
        self._event = asyncio.Event()
        self.receipt = Receipt(self)

    def release(self) -> None:
        """See `Owner`."""
        if not self.receipt.waiting:
            self._event.set()

    async def wait(self) -> Receipt:
        """The receipt, when nothing waits any more."""
        if self.receipt.waiting:
            await self._event.wait()
        return self.receipt


class BlobDoor:
    """An ASGI app: large payloads itself, all else by `app`."""

    def __init__(self, app: App, store: BlobStore, intake: Intake, config: Blobs, quotas: Quotas) -> None:
        self._app = app
        self._store = store
        self._intake = intake
        self._config = config
        self._quotas = quotas
        self._uploads = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        identity = scope.get("state", {}).get("identity") if scope["type"] == "http" else None
        if not isinstance(identity, Identity):
            await self._app(scope, receive, send)
            return
        try:
            answer = await self._take(scope, identity, receive)
        except BadRequest as error:
            refusal = error.refusal
            await _answer(send, refusal.status, {"error": refusal.code, "detail": refusal.detail}, refusal.header)
        except _Gone:
            pass
        else:
            await _answer(send, 202, answer)

    async def _take(self, scope: Scope, identity: Identity, receive: Receive) -> dict[str, Any]:
        said = _read(scope)
        if not identity.may_send_for(said.device):
            detail = f"{identity.name or 'this sender'} may not send for {said.device}"
            raise BadRequest(Refusal(403, "not_authorized", detail))
        if self._uploads >= self._config.uploads:
            raise BadRequest(busy())
        self._check_quota(identity)
        self._uploads += 1
        client: tuple[str, int] | None = scope.get("client")
        try:
            stored = await self._store_all(
                receive, partial(self._quotas.blob_came, identity, client[0] if client else "")
            )
        except Unavailable as error:
            raise BadRequest(Refusal(503, "unavailable", f"{error}: send it again", retry_after(2))) from None
        finally:
            self._uploads -= 1
        passing("blobs.named")
        return await self._log(identity, said, stored)

    def _check_quota(self, identity: Identity) -> None:
        if wait := self._quotas.blob(identity):
            self._quotas.throttled("blob")
            detail = f"{identity.name!r} has sent more large payloads than it may; again in {wait:.1f} s"
            raise BadRequest(Refusal(429, "over_quota", detail, retry_after(math.ceil(wait))))

    async def _store_all(self, receive: Receive, came: Callable[[int], None]) -> Stored:
        """`came` is told how much did, also where it was not all."""
        size = 0
        try:
            async with self._store.upload() as upload:
                more = True
                piece = bytearray()
                while more:
                    event = await receive()
                    if event["type"] == "http.disconnect":
                        raise _Gone
                    body: bytes = event.get("body", b"")
                    more = event.get("more_body", False)
                    size += len(body)
                    if size > self._config.size:
                        raise BadRequest(too_large(self._config.size))
                    piece += body
                    if len(piece) >= _PIECE or (piece and not more):
                        await upload.write(bytes(piece))
                        piece.clear()
                if not size:
                    raise BadRequest(Refusal(400, "empty", "there is nothing in the body"))
                return await upload.finish()
        finally:
            came(size)

    async def _log(self, identity: Identity, said: _Said, stored: Stored) -> dict[str, Any]:
        """The message that refers to it; the answer when it is durable."""
        url = f"/api/v1/blobs/{stored.hash}"
        ident = said.id or (stored.hash if said.at is None else hashed(stored.hash.encode(), str(said.at).encode()))
        message: dict[str, Any] = {"device": said.device, "id": ident, "kind": BLOB}
        if said.at is not None:
            message["at"] = said.at
        message["fields"] = {"size": stored.size, "hash": stored.hash, "type": said.type, "url": url}
        settled = _Settled()
        source = Source(BLOB, "", said.device, "native")
        self._intake.accept(identity, source, [json.dumps(message).encode()], settled.receipt)
        receipt = await settled.wait()
        if receipt.failed:
            raise BadRequest(unavailable())
        for rejection in receipt.rejections or ():
            raise BadRequest(Refusal(400, "bad_request", f"{rejection.reason}: {rejection.detail}"))
        return {"accepted": 1, "rejected": [], "id": ident, "hash": stored.hash, "size": stored.size, "url": url}


def _read(scope: Scope) -> _Said:
    """What path, query and headers say; raises `BadRequest`."""
    if scope["method"] != "POST":
        raise BadRequest(Refusal(405, "method_not_allowed", "a large payload comes with POST", b"allow: POST\r\n"))
    headers = {name: value.decode("latin-1") for name, value in scope["headers"]}
    if headers.get(b"content-encoding", "identity") != "identity":
        raise BadRequest(Refusal(415, "unsupported_encoding", "a large payload is kept as it comes: send it as it is"))
    kind = headers.get(b"content-type", "application/octet-stream").strip()
    if len(kind) > _TYPE_LENGTH or not kind.isprintable():
        raise BadRequest(Refusal(400, "bad_request", f"Content-Type has at most {_TYPE_LENGTH} printable characters"))
    try:
        device = check_device(scope["path"].removeprefix("/ingest/").removesuffix("/blob"))
        own = headers.get(b"idempotency-key") or headers.get(b"x-message-id") or ""
        return _Said(device, check_id(own) if own else "", _at(scope["query_string"]), kind)
    except Rejected as error:
        code = "bad_id" if error.reason == "bad_id" else "bad_request"
        raise BadRequest(Refusal(400, code, f"{error.reason}: {error.detail}")) from None


def _at(query: bytes) -> int | str | None:
    """`?at=`: milliseconds since 1970, or RFC 3339; raises `Rejected` if it is neither."""
    try:
        given = parse_qs(query.decode("latin-1"), max_num_fields=100).get("at", [""])[-1]
    except ValueError:
        return None
    if not given:
        return None
    if given.isascii() and given.isdigit() and len(given) < 16:
        return int(given)
    parse_at(given)
    return given


async def _answer(send: Send, status: int, body: dict[str, Any], header: bytes = b"") -> None:
    data = json.dumps(body).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(data))]
    name, colon, value = header.strip().partition(b":")
    if colon:
        headers.append((name, value.strip()))
    if status != 202:
        headers.append((b"connection", b"close"))  # the rest of the body need not be read
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": data})

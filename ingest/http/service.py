"""What all connections of one server share: limits, intake, door, ready-made answers, and a clock that ticks."""

import math
import time
from typing import Final

from headwater.config import Config
from headwater.errors import Refused, Unavailable
from headwater.metrics import Metrics
from headwater.registry import Certificate, Identity
from ingest.contract import Door, Intake
from ingest.http.head import Head
from ingest.http.reply import BadRequest, Refusal, Replies, refused, retry_after, unavailable
from ingest.http.websocket import Speaker
from ingest.quotas import Quotas

HEADS = 8192
HEAD_LENGTH = 1024
"""How many heads are remembered, and the longest in bytes."""
VOUCHED = 10
"""Seconds after which the door is asked again who someone is: it may have become unable to tell."""


class Service:
    """`clock`: the server's clock at the latest tick, so that nobody asks it for every request.

    `rights` grows whenever a credential or right changes, and now and then: identities found before that must be found
    again.
    `unfinished`: bytes of bodies that have come in part, over all connections. `heads`: what was read of heads that
    may come again byte for byte, as a sender's mostly do. `speaker`: who speaks over WebSockets, if anyone.
    """

    def __init__(
        self, config: Config, intake: Intake, door: Door, metrics: Metrics, speaker: Speaker | None = None,
        quotas: Quotas | None = None,
    ) -> None:  # fmt: skip
        self.speaker = speaker
        self._quotas = quotas or Quotas(config.quotas, time.monotonic)
        self._throttled = metrics.throttled.labels("http")
        self._blocked = metrics.blocked.labels("http")
        self.certified: Final = config.http.tls.identity
        self.intake = intake
        self.body_size = config.http.body_size
        self.blob_size = config.blobs.size
        self.body_time = config.http.body_time
        self.idle = config.http.idle
        self.connections = config.http.connections
        self.unfinished_size = max(config.ingest.waiting_size, config.http.body_size)
        self.replies = Replies(time.time())
        self.clock = 0.0
        self._second = 0
        self.rights = 0
        self.unfinished = 0
        self.heads: dict[bytes, Head] = {}
        self.stopping = False
        self.open = metrics.connections.labels("http")
        self._refused = metrics.refused
        self._door = door
        self.unwatch = door.watch(self._changed)

    def tick(self, clock: float, now: float) -> bool:
        """Take the time, and Unix time; call it at least every second. True: there is a new date."""
        self.clock = clock
        if int(now) == self._second:
            return False
        self._second = int(now)
        self.replies.renew(now)
        if self._second % VOUCHED == 0:
            self.rights += 1
        return True

    def remember(self, text: bytes, head: Head) -> None:
        """Keep a head; with too many of them, begin anew."""
        if len(text) <= HEAD_LENGTH:
            if len(self.heads) >= HEADS:
                self.heads.clear()
            self.heads[text] = head

    def shut_out(self, address: str) -> bool:
        """True if nobody may come from there; it is counted."""
        if not self._door.blocked(address):
            return False
        self._blocked.inc()
        return True

    def check_quota(self, identity: Identity, address: str, messages: int, size: int) -> None:
        """Count a request, or raise `BadRequest` where its sender has to wait."""
        wait = self._quotas.wait(identity, address, messages, size)
        if wait:
            self._throttled.inc()
            detail = f"{identity.name!r} has sent more than it may; again in {wait:.1f} s"
            raise BadRequest(Refusal(429, "over_quota", detail, retry_after(math.ceil(wait))))

    def identify(self, head: Head, certificate: Certificate | None, *, loopback: bool, address: str = "") -> Identity:
        """Who sends this: a token says so, else the certificate of the connection. Raises `BadRequest`.

        A header that is not a usable bearer token is never taken for nobody.
        """
        token = ""
        try:
            if head.authorization:
                token = _token(head.authorization)
            elif certificate is not None and self.certified != "none":
                return self._door.identify_certificate(certificate, self.certified)
            return self._door.identify("", token, loopback=loopback and head.direct)
        except Unavailable as error:
            raise BadRequest(unavailable(str(error))) from None
        except Refused as error:
            self._refused.labels("http", error.reason).inc()
            self._quotas.refused(address)
            raise BadRequest(refused(error.reason, error.detail)) from None

    def _changed(self, _: str) -> None:
        self.rights += 1


def _token(header: bytes) -> str:
    scheme, _, token = header.decode("latin-1").partition(" ")
    token = token.strip()
    if scheme.lower() != "bearer" or not token:
        raise Refused("bad_credentials", "use `Authorization: Bearer TOKEN`")
    return token

"""What the ways in (HTTP, MQTT) and the intake say to each other. Every way in ends in `Intake.accept`.

accept() is synchronous on purpose: it decodes, validates and queues before it returns, so messages of one connection
keep their order whatever is awaited elsewhere. When everything a receipt waits for is durable, its owner is told.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, NamedTuple, Protocol

import msgspec

from headwater.errors import Reason, Rejected
from headwater.message import Message
from headwater.registry import Certificate, Identity

BLOB = "blob"
"""The transport of messages that refer to a large payload; its own is the only one that makes them."""


class Source(msgspec.Struct, frozen=True):
    """Where a payload came in; the same object for all payloads of a connection and topic.

    `device`: named by the topic or path, "" if only the payload can say; a decoder of a foreign format finds there the
    device that has logged in. `decoder`: the one asked for by name, or that of the topic (`ingest.decoders.catalogue`),
    or "": then a topic means that there is none, and no topic that the payload decides. `query`: what an HTTP request
    for another decoder says behind the question mark.
    """

    transport: str
    topic: str = ""
    device: str = ""
    decoder: str = ""
    content_type: str = ""
    peer: str = ""
    query: str = ""


class Rejection(NamedTuple):
    """One message of a receipt that was not valid: `at` its index among the payloads, and why."""

    at: int
    reason: Reason
    detail: str


class Origin(NamedTuple):
    """Who opens a WebSocket. `direct`: nothing speaks of a proxy or another web site. `own`: no other site's page."""

    direct: bool
    own: bool


class Owner(Protocol):
    """Whoever waits for receipts: a connection or a request."""

    def release(self) -> None:
        """Some of your receipts are settled (`waiting == 0`). Called once a flush, not once a receipt; never raises."""
        ...


class Receipt(msgspec.Struct, eq=False):
    """One acknowledgement to come: for a PUBLISH, or for an HTTP request with many messages.

    Settled when `waiting` is 0; then `failed` says that the log did not take all of it (send nothing but "again").
    `tag` is the owner's: a packet id, for example.
    """

    owner: Owner
    tag: int = 0
    waiting: int = 0
    accepted: int = 0
    failed: bool = False
    rejections: list[Rejection] | None = None


class Door(Protocol):
    """Who may come in. Answers from memory: no I/O, no waiting. `headwater.directory` implements it."""

    def identify(self, name: str, secret: str, *, loopback: bool) -> Identity:
        """Who this is; raises `Refused`, or `Unavailable` (503) if what is known of tokens is too old to go by.

        MQTT: `name` = user name, `secret` = password. HTTP: `name` "" and `secret` the bearer token, which alone
        says whose it is (a device's or an API key). Neither given on loopback: `ANONYMOUS`, where that is allowed.
        """
        ...

    def identify_certificate(self, certificate: Certificate, by: Literal["registry", "cn", "san"]) -> Identity:
        """Who shows this certificate; raises as `identify`. Its holder has proved that it has the key.

        `by`: "registry": the registry says whose it is. "cn", "san": it is the device that its common name, or its one
        DNS name, is, unless the registry has disabled or removed that.
        """
        ...

    def claimed(self, code: str, certificate: Certificate | None) -> Identity | None:
        """Whoever shows a claim's code as its secret, or no secret and a claim's certificate; None for everyone else.

        Another identity each time; it may be provisioned and do nothing else. Raises `Refused` where the claim has
        expired or is used up; `Unavailable` as `identify`.
        """
        ...

    def blocked(self, address: str) -> bool:
        """True if nobody may come from this IP address now."""
        ...

    def watch(self, changed: Callable[[str], None]) -> Callable[[], None]:
        """Call `changed(identity name)` whenever a credential or right changes; the result stops that.

        Also with the name of a network (it has a slash) when that was blocked, or let in again.
        """
        ...


class Intake(Protocol):
    """The one door behind all doors: identity → decode → validate → append → release."""

    @property
    def full(self) -> bool:
        """Too much waits for the log: stop reading (MQTT), answer 503 (HTTP)."""
        ...

    def when_relieved(self, callback: Callable[[], None]) -> None:
        """Call back once, soon after `full` has become false."""
        ...

    def accept(
        self, identity: Identity, source: Source, payloads: Sequence[bytes], receipt: Receipt, key: str = ""
    ) -> None:
        """Take payloads (each one message, or what a decoder makes many of) under one receipt.

        `key`: the request's Idempotency-Key. Never raises for bad input: that is in `receipt.rejections`. The receipt
        may be settled on return (all were duplicates, or `failed` at once); then `release` is not called for it.
        """
        ...

    def source(self, topic: str, peer: str = "", transport: str = "mqtt") -> Source:
        """Where all that comes on this topic from this peer comes from; keep it. `decoder` "": there is none for it."""
        ...

    async def drain(self, seconds: float) -> None:
        """Wait until nothing waits for the log, at most so long. For stopping."""
        ...


class Uplink(NamedTuple):
    """What a maker's codec made of a radio payload: named values, nested as it likes, and what it warns of."""

    data: Mapping[str, Any]
    warnings: Sequence[str] = ()


class Codec(Protocol):
    """A maker's own decoder of radio payloads (`decodeUplink`)."""

    def __call__(self, data: bytes, port: int, received: int = -1) -> Uplink:
        """`data`: the payload as it was before encryption; `port`: LoRaWAN's fPort; `received`: microseconds UTC.

        Raises `Rejected`. Without `received`, it was now.
        """
        ...


class Context(Protocol):
    """What a decoder may know beside the payload. Nearly all leave it alone; what it remembers may be gone at any time.

    Only formats that cannot be read otherwise use it: names given once and numbers afterwards (Sparkplug B), bytes
    that only the maker's codec understands (LoRaWAN).
    """

    def recall(self, key: str) -> object:
        """What was remembered of this, or None."""
        ...

    def remember(self, key: str, value: object) -> None:
        """Keep it in the memory of this process: bounded, the longest unused goes first."""
        ...

    def learn(self, device: str, key: str, value: object, at: int) -> None:
        """Keep what a device says once, and what it says later cannot be read without, for all gateways and restarts.

        `recall` gives it back. `value`: anything that JSON can say, and comes back as that (lists for tuples); not to
        be changed afterwards. `at`: when it was received, microseconds UTC. `device`: whose erasure takes it along.
        """
        ...

    def below(self, key: str) -> Sequence[str]:
        """What follows `key/` in the keys that were learned, of those with one level more."""
        ...

    @property
    def alone(self) -> bool:
        """No other gateway is there, which might read a part of what the same sender says (by a bridge)."""
        ...

    def ask(self, topic: str, payload: bytes) -> None:
        """Have this published to whoever has subscribed to the topic; the same topic at most once in a while."""
        ...

    def codec(self, *names: str) -> Codec | None:
        """The first codec of these names, which may be blank."""
        ...


class _Nothing:
    def recall(self, key: str) -> object:
        del key

    def remember(self, key: str, value: object) -> None:
        pass

    def learn(self, device: str, key: str, value: object, at: int) -> None:
        pass

    def below(self, key: str) -> Sequence[str]:
        del key
        return ()

    @property
    def alone(self) -> bool:
        return True

    def ask(self, topic: str, payload: bytes) -> None:
        pass

    def codec(self, *names: str) -> Codec | None:
        del names


NOTHING_KNOWN: Context = _Nothing()
"""For decoding a payload by itself."""


class Payload(NamedTuple):
    """What a decoder gets: the bytes and what is known from outside of them. `received`: microseconds UTC.

    `model`: the registry's model of the source's device, or "".
    """

    data: bytes
    source: Source
    received: int
    context: Context = NOTHING_KNOWN
    model: str = ""


Decoder = Callable[[Payload], Sequence[Message | Rejected]]
"""Payload → messages, and what of it is none. Pure: no I/O, no clock, no state but `context`. Raises `Rejected`.

It sets `device` and what the payload says (`id` "" unless the device gives its own; `received` and `time` both to
`payload.received`); the intake fills in id, time, flag, via, decoder and raw (in the first message of a payload).
Nothing at all stands for a payload that says nothing, such as the empty one that deletes a retained message.
"""

"""The records on the log: message, candidate, rejected message, control entry; and how they are written.

In: decoded values from `ingest`, selection results from `consumers`. Out: JSON bytes on the log (docs/log-format.md).
Times are integer microseconds since 1970-01-01 UTC.
"""

from collections.abc import Callable
from typing import Literal, TypeVar

import msgspec

T = TypeVar("T")

FORMAT_VERSION = 1

Number = bool | int | float
TimeFlag = Literal["", "none", "past", "future"]
"""Why `time` is not the device's clock: it gave none, or one too far in the past or the future. Empty: it is."""


class Position(msgspec.Struct, omit_defaults=True, gc=False, frozen=True):
    """WGS 84 degrees; altitude and accuracy in metres."""

    lat: float
    lon: float
    alt: float | None = None
    accuracy: float | None = None


class Heard(msgspec.Struct, omit_defaults=True, gc=False, frozen=True):
    """A gateway that heard the device: received signal strength in dBm, signal-to-noise ratio in dB."""

    gateway: str
    rssi: float | None = None
    snr: float | None = None


class Message(msgspec.Struct, omit_defaults=True, gc=False):
    """What a device said once.

    (device, id) names it for ever. `time` orders: the device's clock `at` where that is believable, else `received`.
    `via` is the authenticated sender where that is not the device itself. `raw` holds the original bytes where a
    decoder other than the native ones made this of them.
    """

    device: str
    id: str
    received: int
    time: int
    at: int | None = None
    seq: int | None = None
    flag: TimeFlag = ""
    via: str = ""
    kind: str = "telemetry"
    fields: dict[str, Number] = {}
    texts: dict[str, str] = {}
    position: Position | None = None
    heard_by: list[Heard] = []
    decoder: str = "native"
    raw: bytes | None = None
    v: int = FORMAT_VERSION


class Origin(msgspec.Struct, array_like=True, gc=False, frozen=True, order=True):
    """Where a candidate comes from: partition and offset on `messages`, and its number among that entry's outputs."""

    partition: int
    offset: int
    n: int


class Candidate(msgspec.Struct, omit_defaults=True, gc=False):
    """A record worth keeping hot, with the rule and rule version that chose it, and why.

    `id` = hash(device, message id or window, rule): the same however often it is emitted. `kind` "message" carries
    the message; "silent" says that the device has sent nothing since `time`, and carries its last message.
    """

    id: str
    device: str
    time: int
    rule: str
    rule_version: int
    reasons: list[str]
    origin: Origin
    message: Message
    kind: Literal["message", "silent"] = "message"
    revision: int = 0
    v: int = FORMAT_VERSION


class RejectedMessage(msgspec.Struct, omit_defaults=True, gc=False):
    """What was not valid: quarantine keeps at most 128 KiB of it (`payload`), its whole size and its SHA-256 (hex).

    `stage` "ingest", or the name of the store that refused it; then `origin` says where on the log it is; or "retried":
    the record whose id is `detail` was sent on. An id with `#` and a number at its end: that message of the payload.
    """

    id: str
    received: int
    reason: str
    detail: str
    via: str = ""
    device: str = ""
    transport: str = ""
    topic: str = ""
    peer: str = ""
    decoder: str = ""
    size: int = 0
    sha256: str = ""
    payload: bytes = b""
    stage: str = "ingest"
    origin: Origin | None = None
    v: int = FORMAT_VERSION


class Clock(msgspec.Struct, tag_field="control", tag="clock", gc=False):
    """An entry on an idle partition of `messages`: it is `time` now, and nothing came."""

    time: int


class Rules(msgspec.Struct, tag_field="control", tag="rules", gc=False):
    """From this entry on, selection follows `rules` (JSON), version `version`."""

    version: int
    rules: msgspec.Raw


Control = Clock | Rules
Body = Message | Candidate | RejectedMessage

UNREADABLE: tuple[type[Exception], ...] = (ValueError, RecursionError)
"""What decoders of JSON raise for bytes that are no such record: msgspec's own errors and those of text that is not
UTF-8, which msgspec lets through, are the first; nesting without end is the second."""

encode = msgspec.json.Encoder().encode
"""Any record → its bytes on the log."""

decode_message = msgspec.json.Decoder(Message).decode
decode_candidate = msgspec.json.Decoder(Candidate).decode
decode_rejected = msgspec.json.Decoder(RejectedMessage).decode
decode_control = msgspec.json.Decoder(Control).decode
"""Entries on `messages` whose key is empty are controls; all others are messages."""


def read(decode: Callable[[bytes], T], value: bytes | None) -> T | None:
    """The record that an entry of the log holds; None if nobody can read it: writers have put it in quarantine."""
    try:
        return decode(value or b"")
    except UNREADABLE:
        return None

"""A command to a device: what it says, and how far it has come.

In: what happened to it, each event under a key of its own on the compacted topic `commands`. Out: its state. An event
is never taken back and the state is the furthest that any of them reached, so the order in which gateways write them
does not matter: a late "sent" changes nothing about "answered".
"""

import re
from typing import Literal

import msgspec

from headwater.errors import Rejected
from headwater.ids import check_device
from headwater.message import UNREADABLE
from headwater.times import now as clock

State = Literal["queued", "sent", "acknowledged", "expired", "answered"]
"""In the order in which it grows. An answer given in time may be seen after that time: it is the further one."""

STATES: tuple[State, ...] = ("queued", "sent", "acknowledged", "expired", "answered")
SIZE = 8 * 2**10
"""Bytes of the arguments, and of an answer, at most."""
LONGEST = 30 * 86_400
"""Seconds that a command may wait at most."""

_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_NAME = re.compile(r"[A-Za-z0-9_.:/-]{1,64}")
_NOTHING = msgspec.Raw(b"null")


class Ordered(msgspec.Struct, tag_field="event", tag="ordered", omit_defaults=True, frozen=True):
    """That it is to be done: the event that makes a command. Times: microseconds since 1970 UTC. `by`: who asked."""

    name: str
    at: int
    expires: int
    arguments: msgspec.Raw = _NOTHING
    by: str = ""


class Sent(msgspec.Struct, tag_field="event", tag="sent", frozen=True):
    """It was put on a connection of the device."""

    at: int


class Acknowledged(msgspec.Struct, tag_field="event", tag="acknowledged", frozen=True):
    """The device has it: its PUBACK, or its PUBCOMP, came."""

    at: int


class Answered(msgspec.Struct, tag_field="event", tag="answered", frozen=True):
    """What the device said, JSON."""

    at: int
    answer: msgspec.Raw = _NOTHING


Event = Ordered | Sent | Acknowledged | Answered

encode_event = msgspec.json.Encoder().encode
decode_event = msgspec.json.Decoder(Event).decode


class Command:
    """One command as far as it is known. `number`: those that were made later have a higher one.

    `held`: this process has seen that the device has it; it may not be on the log yet.
    """

    __slots__ = ("acknowledged", "answer", "answered", "device", "held", "id", "number", "ordered", "sent")

    def __init__(self, device: str, ident: str, ordered: Ordered, number: int = 0) -> None:
        self.device = device
        self.id = ident
        self.ordered = ordered
        self.number = number
        self.sent = self.acknowledged = self.answered = 0
        self.answer = _NOTHING
        self.held = False

    @property
    def topic(self) -> str:
        """Where the device hears it."""
        return topic_of(self.device, self.id)

    @property
    def size(self) -> int:
        """Bytes that it has, about."""
        return 500 + len(bytes(self.ordered.arguments)) + len(bytes(self.answer))

    def take(self, event: Sent | Acknowledged | Answered) -> None:
        """Note what happened; the first of a kind counts, and an answer only if it was given in time."""
        match event:
            case Sent(at):
                self.sent = self.sent or at
            case Acknowledged(at):
                self.acknowledged = self.acknowledged or at
            case Answered(at, answer):
                if at < self.ordered.expires:
                    self.answered, self.answer = at, answer

    def state(self, now: int) -> State:
        """How far it is."""
        if self.answered:
            return "answered"
        if now >= self.ordered.expires:
            return "expired"
        if self.acknowledged:
            return "acknowledged"
        return "sent" if self.sent else "queued"

    def open(self, now: int) -> bool:
        """It may still be answered."""
        return not self.answered and now < self.ordered.expires

    def due(self, now: int) -> bool:
        """The device does not have it, as far as is known, and is to get it."""
        return self.open(now) and not self.acknowledged and not self.held

    def over(self, now: int, keep: int) -> bool:
        """It ended longer ago than `keep` microseconds."""
        ended = self.answered or self.ordered.expires
        return ended + keep <= now

    def payload(self) -> bytes:
        """What the device gets."""
        told = {
            "id": self.id,
            "name": self.ordered.name,
            "arguments": self.ordered.arguments,
            "expires": self.ordered.expires // 1000,
        }
        return msgspec.json.encode(told)


def topic_of(device: str, ident: str) -> str:
    """Where a device hears a command."""
    return f"devices/{device}/commands/{ident}"


def reply_topic_of(device: str, ident: str) -> str:
    """Where it answers."""
    return f"devices/{device}/commands/{ident}/reply"


def make(name: str, arguments: object, seconds: float, by: str, at: int | None = None) -> Ordered:
    """The event that makes a command, which expires in so many seconds. Raises `Rejected`."""
    if _NAME.fullmatch(name) is None:
        raise Rejected("bad_value", f"{name[:80]!r} is no name of a command: 1 to 64 letters, digits or _ . : / -")
    if not 0 < seconds <= LONGEST:
        raise Rejected("bad_value", f"a command expires within {LONGEST // 86_400} days")
    data = msgspec.json.encode(arguments)
    if len(data) > SIZE:
        raise Rejected("too_large", f"arguments have {SIZE} bytes at most, these have {len(data)}")
    at = clock() if at is None else at
    return Ordered(name, at, at + round(seconds * 1e6), msgspec.Raw(data), by)


def check_answer(data: bytes) -> msgspec.Raw:
    """An answer as it is kept: JSON; nothing at all is null. Raises `Rejected`."""
    if len(data) > SIZE:
        raise Rejected("too_large", f"an answer has {SIZE} bytes at most, this one has {len(data)}")
    try:
        return msgspec.Raw(msgspec.json.encode(msgspec.json.decode(data or b"null")))
    except UNREADABLE as error:
        raise Rejected("bad_json", f"an answer is JSON: {error}") from None


def check_command_id(ident: str) -> str:
    """Return it, or raise `Rejected("bad_id")`."""
    if _ID.fullmatch(ident) is None:
        raise Rejected("bad_id", f"{ident[:80]!r} is no id of a command: 1 to 64 letters, digits or _ -")
    return ident


def key_of(device: str, ident: str, event: Event | type[Event]) -> bytes:
    """The entry's key on topic `commands`."""
    return f"{device}/{ident}/{event.__struct_config__.tag}".encode()


def named_by(key: bytes) -> tuple[str, str, str]:
    """Device, id, event. Raises `Rejected`."""
    device, _, rest = key.decode("utf-8", "replace").partition("/")
    ident, _, event = rest.partition("/")
    return check_device(device), check_command_id(ident), event

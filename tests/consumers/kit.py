"""What the tests of the consumers say in short: entries of `messages`, rules, and how to run a selection over them."""

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from consumers.rules import rules_of
from consumers.selection import Selection
from headwater.config import Selection as Settings
from headwater.config_models import FieldModel, Model, Select
from headwater.log import MESSAGES, Entry
from headwater.message import Candidate, Clock, Message, Number, Position, Rules, encode

SECOND = 1_000_000
START = 1_763_700_000 * SECOND

Body = Message | Clock | Rules


def message(
    number: int,
    fields: Mapping[str, Number] | None = None,
    *,
    device: str = "pump-7",
    time: float | None = None,
    received: float | None = None,
    texts: Mapping[str, str] | None = None,
    position: Position | None = None,
    own_id: str | None = None,
) -> Message:
    """The message with this number; times are seconds after START, and both are `number` unless given."""
    at = START + round((number if time is None else time) * SECOND)
    came = at if received is None else START + round(received * SECOND)
    return Message(
        device=device,
        id=f"{number:016x}" if own_id is None else own_id,
        received=came,
        time=at,
        at=at,
        fields=dict(fields or {}),
        texts=dict(texts or {}),
        position=position,
    )


def clock(seconds: float) -> Clock:
    return Clock(START + round(seconds * SECOND))


def rules(
    select: Select | None = None,
    fields: Mapping[str, FieldModel] | None = None,
    *,
    version: int = 1,
    settings: Settings | None = None,
) -> Rules:
    """One model for all devices."""
    model = Model(select=select or Select(), fields=dict(fields or {}))
    return Rules(version, msgspec.Raw(rules_of({"default": model}, settings)))


def entry(offset: int, body: Body, partition: int = 0) -> Entry:
    key = body.device.encode() if isinstance(body, Message) else b""
    return Entry(MESSAGES, partition, offset, START, key, encode(body))


def entries(bodies: Iterable[Body]) -> list[Entry]:
    return [entry(offset, body) for offset, body in enumerate(bodies)]


def select(bodies: Iterable[Body]) -> list[Candidate]:
    """The candidates of these entries, from the beginning of a partition."""
    return Selection(0).apply(entries(bodies))


def ids(candidates: Sequence[Candidate]) -> list[str]:
    """The ids of the messages that were selected."""
    return [candidate.message.id for candidate in candidates]


def chosen(candidates: Sequence[Candidate]) -> list[int]:
    """The numbers of the messages that were selected, silences left out."""
    return [int(candidate.message.id, 16) for candidate in candidates if candidate.kind == "message"]

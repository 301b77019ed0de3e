"""Names that a field cannot have do not cost a message: they are shortened, and stay apart."""

import pytest

from headwater.config import Ingest
from headwater.message import Message
from ingest.bounds import Bounds
from ingest.contract import Payload, Source
from ingest.decoders.draft import NAME, Draft


def made(names: list[str], kind: str = "telemetry") -> Message:
    draft = Draft(Payload(b"", Source("mqtt"), 5), "d", kind)
    for name in names:
        draft.put(name, 1)
    draft.note(names[0], "why")
    return draft.message()


@pytest.mark.parametrize("kind", ["telemetry", "command"])
def test_long_and_odd_names_are_changed_and_the_message_keeps_to_the_bounds(kind: str) -> None:
    names = ["x" * 300, "x" * 300 + "y", "x" * NAME, "a\nb", "a\tb", "", "plain", "Ω/température"]
    message = made(names, kind)
    Bounds(Ingest()).check_foreign(message)
    assert len(message.fields) == len(names)
    assert sum("plain" in name for name in message.fields) == 1


def test_good_names_are_kept_as_they_are() -> None:
    names = ["x" * NAME, "Line 1/Motor.rpm", "Ω"]
    assert list(made(names).fields) == names
    assert list(made(names).fields) == names

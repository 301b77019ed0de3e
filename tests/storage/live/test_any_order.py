"""Live state: any order of arrival and any cut into batches give the same state."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given, settings
from hypothesis import strategies as st

from headwater.message import Message, Position
from storage.contract import LiveDevice, Record
from storage.sqlite_live import open_live
from tests.storage.live.kit import T, records

# Few times, devices and names, so that ties in each part of (time, received, id) are common.
MESSAGES_DRAWN = st.lists(
    st.builds(
        Message,
        device=st.sampled_from(["d-1", "d-2"]),
        id=st.just(""),
        received=st.integers(T, T + 3),
        time=st.integers(T, T + 3),
        via=st.sampled_from(["", "g"]),
        fields=st.dictionaries(st.sampled_from("abc"), st.sampled_from([0, 1, 1.0, True]), max_size=2),
        texts=st.dictionaries(st.sampled_from("bc"), st.sampled_from(["", "x"]), max_size=1),
        position=st.none() | st.builds(Position, lat=st.sampled_from([0.0, 1.5]), lon=st.just(2.0)),
    ),
    max_size=12,
)


async def _state(path: Path, cuts: Sequence[Sequence[Record]]) -> Sequence[LiveDevice]:
    async with open_live(path, "log-1") as live:
        for cut in cuts:
            await live.write(cut)
        return await live.devices("", 100)


def _expected(messages: Sequence[Message]) -> dict[str, dict[str, object]]:
    """The newest value of each field, found the slow way."""
    values: dict[str, dict[str, object]] = {}
    for message in sorted(messages, key=lambda message: (message.time, message.received, message.id)):
        values.setdefault(message.device, {}).update({**message.fields, **message.texts})
    return values


@settings(max_examples=60, deadline=None)
@given(messages=MESSAGES_DRAWN, data=st.data())
def test_any_order_and_any_cut_gives_the_same_state(messages: list[Message], data: st.DataObject) -> None:
    for number, message in enumerate(messages):
        message.id = f"{number:x}"
        for name in message.texts:
            message.fields.pop(name, None)
    order = data.draw(st.permutations(messages))
    whole = records(order)
    marks = sorted(data.draw(st.sets(st.integers(0, len(whole)))))
    cuts = [whole[start:end] for start, end in zip([0, *marks], [*marks, len(whole)], strict=True)]
    again = data.draw(st.integers(0, len(whole)))
    with TemporaryDirectory() as folder:
        straight = asyncio.run(_state(Path(folder) / "straight", [records(messages)]))
        shuffled = asyncio.run(_state(Path(folder) / "shuffled", [*cuts, whole[:again]]))
    assert shuffled == straight
    assert {
        found.device: {name: (type(held.value), held.value) for name, held in found.values.items()}
        for found in shuffled
    } == {
        device: {name: (type(value), value) for name, value in values.items()}
        for device, values in _expected(messages).items()
    }

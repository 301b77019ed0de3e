"""Messages that matter to live state, and the embedded store as a `Place`."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path

from headwater.log import MESSAGES
from headwater.message import Heard, Message, Number, Position
from storage.contract import LiveDevice, Record
from storage.redis_store import RedisLive
from storage.sqlite_live import SqliteLive, open_live
from tests.storage.sqlite_kit import held

T = 1_763_700_000_000_000


def say(
    time: int = 0,
    values: Mapping[str, Number | str] | None = None,
    *,
    device: str = "pump-7",
    received: int | None = None,
    ident: str = "a",
    position: Position | None = None,
    heard_by: Sequence[Heard] = (),
) -> Message:
    values = values or {}
    return Message(
        device=device,
        id=ident,
        received=T + (time if received is None else received),
        time=T + time,
        fields={name: value for name, value in values.items() if not isinstance(value, str)},
        texts={name: value for name, value in values.items() if isinstance(value, str)},
        position=position,
        heard_by=list(heard_by),
    )


def records(messages: Sequence[Message], start: int = 0, partition: int = 0) -> list[Record]:
    return [Record(MESSAGES, partition, at, at, message) for at, message in enumerate(messages, start)]


async def read(live: SqliteLive | RedisLive, device: str = "pump-7") -> LiveDevice:
    found = await live.device(device)
    assert found is not None
    return found


class LivePlace:
    """One file; what is there, as (device → seen, messages, position, field → (time, value))."""

    topics = (MESSAGES,)

    def __init__(self, folder: Path) -> None:
        self._path = folder / "live.sqlite"

    def open(self, log_id: str = "log-1") -> AbstractAsyncContextManager[SqliteLive]:
        return open_live(self._path, log_id)

    async def read_back(self) -> object:
        async with self.open() as live:
            return {
                found.device: (
                    found.seen,
                    found.entries,
                    found.position,
                    {name: (held.time, held.value) for name, held in found.values.items()},
                )
                for found in await live.devices("", 1000)
            }

    def expected(self, written: Sequence[Record]) -> object:
        said: dict[str, list[Message]] = {}
        for record in written:
            assert isinstance(record.body, Message)
            said.setdefault(record.body.device, []).append(record.body)
        return {device: self._newest(messages) for device, messages in said.items()}

    def _newest(self, messages: list[Message]) -> object:
        values: dict[str, tuple[int, Number | str]] = {}
        position: Position | None = None
        for one in sorted(messages, key=lambda message: (message.time, message.received, message.id)):
            values |= {name: (one.time, value) for name, value in {**one.fields, **one.texts}.items()}
            position = one.position or position
        return max(one.received for one in messages), len(messages), position, values

    def taken_away(self) -> AbstractAsyncContextManager[None]:
        return held(self._path)

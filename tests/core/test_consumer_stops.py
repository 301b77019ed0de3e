"""A consumer that stops lets its workers finish what they have in hand: the lake is closed after them."""

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from consumers.worker_state import WorkerState
from headwater.app import consumer
from headwater.config import Config
from headwater.log import MESSAGES
from storage.contract import Store


class LastWord:
    """A worker that asks its store for something after it was told to stop, as a write in parts does."""

    def __init__(self, store: Store) -> None:
        self.state = WorkerState("lake", MESSAGES, "lake.messages")
        self.begun = asyncio.Event()
        self.said: Mapping[int, int] | None = None
        self._store = store

    async def run(self, stop: asyncio.Event) -> None:
        self.begun.set()
        await stop.wait()
        for _ in range(20):
            await asyncio.sleep(0.01)
            self.said = await self._store.ledger(MESSAGES)


async def test_what_is_in_hand_is_written_before_the_lake_is_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    workers: list[LastWord] = []
    working = asyncio.Event()

    def writers_of(_role: str, store: Store, *_: object) -> Sequence[LastWord]:
        workers.append(LastWord(store))
        working.set()
        return workers[-1:]

    @asynccontextmanager
    async def telling(*_: object) -> AsyncGenerator[None, None]:
        yield

    monkeypatch.setattr(consumer, "writers_of", writers_of)
    monkeypatch.setattr(consumer, "telling", telling)
    async with asyncio.timeout(30), consumer.consuming(Config(data=tmp_path), ["lake"]):
        await working.wait()
        await workers[0].begun.wait()
    assert [one.said for one in workers] == [{}], "one worker, which failed nowhere"

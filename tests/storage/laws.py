"""The laws of every `Store`: what is written is there once, whatever was cut, repeated, raced, killed or taken away.

In: a `Place`, made by a subclass of `StoreLaws`, where one store keeps its data. Out: the tests, inherited.
"""

import asyncio
import random
from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Protocol, cast

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from headwater.errors import Stale, Unavailable
from storage.contract import Erasable, Record, Store
from tests.storage.factory import DEVICES, candidate, cut, highest, message, records, rejected


class Place(Protocol):
    """Where one store keeps its data, empty at first. Everything here may be called several times."""

    @property
    def topics(self) -> Sequence[str]:
        """What the store reads."""
        ...

    def open(self, log_id: str = "log-1") -> AbstractAsyncContextManager[Store]:
        """Open the store there; opened twice, the two are rivals."""
        ...

    async def read_back(self) -> object:
        """All that a user can see there, comparable by `==`."""
        ...

    def expected(self, written: Sequence[Record]) -> object:
        """What `read_back` must give when exactly these records were written, said without the store's code."""
        ...

    def taken_away(self) -> AbstractAsyncContextManager[None]:
        """Within it no write can succeed; afterwards the data is there again."""
        ...


def some_records(topics: Sequence[str], count: int = 40, start: int = 0) -> list[Record]:
    """Records of all the topics, those of each from offset `start` on, well mixed over devices and partitions."""
    made: list[Record] = []
    numbers = range(start, start + count)
    if "messages" in topics:
        made += records([message(n, DEVICES[n % len(DEVICES)]) for n in numbers], start)
    if "candidates" in topics:
        made += records([candidate(n, DEVICES[n % len(DEVICES)]) for n in numbers], start)
    if "rejected" in topics:
        made += records([rejected(n, device=DEVICES[n % len(DEVICES)]) for n in numbers], start)
    return made


def on(topic: str, written: Sequence[Record]) -> list[Record]:
    return [record for record in written if record.topic == topic]


async def check_ledgers(store: Store, topics: Sequence[str], written: Sequence[Record]) -> None:
    for topic in topics:
        assert await store.ledger(topic) == highest(on(topic, written)), topic


def _device(record: Record) -> str:
    return str(getattr(record.body, "device"))  # noqa: B009 - of each kind of body that has one


def _received(written: Sequence[Record]) -> int:
    """The earliest."""
    return min(int(getattr(getattr(record.body, "message", record.body), "received")) for record in written)  # noqa: B009


class StoreLaws(ABC):
    """Inherit it in a test class, and say where."""

    @abstractmethod
    def place(self, folder: Path) -> Place: ...

    async def test_a_new_store_has_applied_nothing(self, tmp_path: Path) -> None:
        place = self.place(tmp_path)
        async with place.open() as store:
            await check_ledgers(store, place.topics, [])
            await store.write([])
            await check_ledgers(store, place.topics, [])
            await store.ping()
        assert await place.read_back() == place.expected([])

    # One law, tried on each store: that is what subclasses are for.
    @settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.differing_executors])
    @given(data=st.data())
    async def test_batches_cut_otherwise_and_written_again_change_nothing(self, data: st.DataObject) -> None:
        with TemporaryDirectory() as folder:
            place = self.place(Path(folder))
            written = some_records(place.topics, count=12)
            async with place.open() as store:
                for batch in data.draw(cut(written)):
                    await store.write(batch)
                await check_ledgers(store, place.topics, written)
                for batch in data.draw(cut(written)):
                    await store.write(batch)
                await check_ledgers(store, place.topics, written)
            assert await place.read_back() == place.expected(written)

    async def test_a_replay_that_overlaps_adds_only_what_is_new(self, tmp_path: Path) -> None:
        place = self.place(tmp_path)
        written = some_records(place.topics)
        async with place.open() as store:
            for start in range(0, len(written), 10):
                await store.write(written[max(0, start - 15) : start + 10])
            await check_ledgers(store, place.topics, written)
        assert await place.read_back() == place.expected(written)

    async def test_what_stands_twice_on_the_topic_is_there_once(self, tmp_path: Path) -> None:
        place = self.place(tmp_path)
        bodies = [record.body for record in some_records(place.topics, count=8)]
        written = records([*bodies, *bodies[3:], *bodies[:5]])
        async with place.open() as store:
            for start in range(0, len(written), 7):
                await store.write(written[start : start + 7])
        assert await place.read_back() == place.expected(written)

    async def test_an_erased_device_was_never_there_and_what_comes_later_stands(self, tmp_path: Path) -> None:
        place = self.place(tmp_path)
        written = some_records(place.topics)
        gone = DEVICES[0]
        others = [record for record in written if _device(record) != gone]
        later = some_records(place.topics, 8, 200)
        async with place.open() as store:
            await store.write(written)
            eraser = cast("Erasable", store)
            assert await eraser.erase(gone, _received(later)) > 0
            assert await eraser.erase(gone, _received(later)) == 0
            await check_ledgers(store, place.topics, written)
            await store.write(written)  # again, as after a crash: the ledger has it
        assert await place.read_back() == place.expected(others)
        async with place.open() as store:
            await store.write(later)
            assert await cast("Erasable", store).erase(gone, _received(later)) == 0
        assert await place.read_back() == place.expected([*others, *later])

    async def test_what_was_received_later_than_said_is_not_erased(self, tmp_path: Path) -> None:
        place = self.place(tmp_path)
        early, late = some_records(place.topics, 20), some_records(place.topics, 20, 200)
        gone = DEVICES[0]
        async with place.open() as store:
            await store.write([*early, *late])
            before = await place.read_back()
            assert await cast("Erasable", store).erase(gone, _received(early)) == 0
            assert await place.read_back() == before
            await cast("Erasable", store).erase(gone, _received(late))
            if store.name in {"live", "reports"}:  # which say more of a device than its messages: see their own tests
                return
        assert await place.read_back() == place.expected([one for one in early if _device(one) != gone] + late)

    async def test_it_survives_a_restart(self, tmp_path: Path) -> None:
        place = self.place(tmp_path)
        written = some_records(place.topics)
        for start in range(0, len(written), 30):
            async with place.open() as store:
                await check_ledgers(store, place.topics, written[:start])
                await store.write(written[start : start + 30])
        assert await place.read_back() == place.expected(written)

    async def test_a_stale_owner_that_wakes_up_does_no_harm(self, tmp_path: Path) -> None:
        place = self.place(tmp_path)
        written = some_records(place.topics, count=10)
        rest = some_records(place.topics, count=10, start=10)
        async with place.open() as stale, place.open() as owner:
            await stale.write(written[:5])
            await owner.write(written)
            try:
                await stale.write(written[5:])
                await stale.write([*written, *rest])
            except Stale:
                await owner.write(rest)
            await owner.write(rest)
            await check_ledgers(owner, place.topics, [*written, *rest])
        assert await place.read_back() == place.expected([*written, *rest])

    async def test_rivals_that_write_the_same_at_once_write_it_once(self, tmp_path: Path) -> None:
        place = self.place(tmp_path)
        written = some_records(place.topics)
        chance = random.Random(7)
        async with place.open() as one, place.open() as other:

            async def rival(store: Store) -> None:
                start = 0
                while start < len(written):
                    size = chance.randint(5, 25)
                    try:
                        await store.write(written[max(0, start - 5) : start + size])
                    except Stale:
                        return
                    except Unavailable:
                        continue
                    start += size

            await asyncio.wait_for(asyncio.gather(rival(one), rival(other)), 60)
            await check_ledgers(one, place.topics, written)
        assert await place.read_back() == place.expected(written)

    async def test_taken_away_it_says_so_and_goes_on_when_it_is_back(self, tmp_path: Path) -> None:
        place = self.place(tmp_path)
        written = some_records(place.topics)
        async with place.open() as store:
            await store.write(written[:20])
            async with place.taken_away():
                with pytest.raises(Unavailable):
                    await store.write(written[20:])
                with pytest.raises(Unavailable):
                    await store.ping()
            await store.ping()
            await store.write(written[20:])
            await check_ledgers(store, place.topics, written)
        assert await place.read_back() == place.expected(written)

    async def test_another_log_has_a_ledger_of_its_own(self, tmp_path: Path) -> None:
        place = self.place(tmp_path)
        first = some_records(place.topics, count=5)
        async with place.open("log-1") as store:
            await store.write(first)
        async with place.open("log-2") as store:
            await check_ledgers(store, place.topics, [])
            await store.write(some_records(place.topics, count=3))
        async with place.open("log-1") as store:
            await check_ledgers(store, place.topics, first)

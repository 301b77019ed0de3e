"""Documents: each candidate once, its highest revision, given back exactly, by device, time and page."""

import asyncio
from itertools import permutations
from typing import Any

import pytest

from headwater.errors import PartialWrite
from headwater.log import CANDIDATES
from headwater.message import Heard, Position
from storage.contract import Span
from tests.storage.documents.kit import Open, all_ids, at, everything, soon
from tests.storage.factory import DAY, T, candidate, message, records
from tests.storage.laws import check_ledgers


async def test_a_candidate_comes_back_exactly_as_it_was(place: Open) -> None:
    said = message(
        7,
        at=T + 123_456,
        seq=2**64 - 1,
        flag="past",
        via="gateway-1",
        fields={
            "a.b": 1,
            "$set": 2.0,
            "%2E": True,
            "nul\0": -(2**63),
            "big": -(10**33) - 1,
            "ä": -0.0,
            "__proto__": 5e-324,
        },
        texts={"$where": "1", "a.b.": "\0", "%": "%25"},
        position=Position(90, -180, alt=None, accuracy=3.5),
        heard_by=[Heard("g", -70, None), Heard("h")],
        decoder="tasmota",
        raw=b"\x00\xff",
        v=2,
    )
    one = candidate(7, time=T + 999_999, message=said, kind="silent", revision=3, v=2, rule="", reasons=[])
    async with place() as store:
        await store.write(records([one]))
        (found,) = await everything(store)
    assert found == one
    assert {name: type(value) for name, value in found.message.fields.items()} == {
        name: type(value) for name, value in said.fields.items()
    }


async def test_the_highest_revision_stays_in_whatever_order_they_come(place: Open) -> None:
    async with place() as store:
        for number, order in enumerate(permutations(range(3))):
            written = [
                at(10 * number + place, candidate(number, "7", revision=revision, reasons=[f"revision {revision}"]))
                for place, revision in enumerate(order)
            ]
            if number % 2:
                await store.write(written)
            else:
                for record in written:
                    await store.write([record])
        assert [(found.revision, found.reasons) for found in await everything(store)] == [(2, ["revision 2"])] * 6


async def test_rivals_with_other_revisions_leave_the_highest(place: Open) -> None:
    async with place("log-1") as one, place("log-2") as other:
        for round_ in range(5):
            lower, higher = (
                [at(10 * round_ + n, candidate(10 * round_ + n, "7", revision=revision)) for n in range(10)]
                for revision in (round_, round_ + 1)
            )
            await soon(asyncio.gather(one.write(lower), other.write(higher[::-1])))
        assert [found.revision for found in await everything(one)] == [1 + n // 10 for n in range(50)]


async def test_what_another_log_replays_is_there_once(place: Open) -> None:
    written = records([candidate(n) for n in range(30)])
    async with place("log-1") as store:
        await store.write(written)
        before = await everything(store)
    async with place("log-2") as store:
        await store.write(written)
        assert await everything(store) == before
        assert len(await all_ids(store)) == 30


async def test_the_same_id_of_two_devices_is_two_candidates(place: Open) -> None:
    async with place() as store:
        await store.write(records([candidate(0, device, id="00ff") for device in ("pump-7", "tank:1")]))
        assert sorted(found.device for found in await everything(store)) == ["pump-7", "tank:1"]
        assert await all_ids(store) == ["00ff", "00ff"]


async def test_what_can_never_be_stored_is_named_and_all_else_is_durable(place: Open) -> None:
    bodies = [candidate(n, "7") for n in range(6)]
    bodies[1] = candidate(1, "7", time=2**63)
    bodies[4] = candidate(4, "7", message=message(4, "7", texts={"x": "\ud800"}))
    written = records(bodies)
    async with place() as store:
        with pytest.raises(PartialWrite) as refusal:
            await store.write(written)
        assert refusal.value.reasons.keys() == {1, 4}
        assert await everything(store) == [bodies[n] for n in (0, 2, 3, 5)]
    async with place() as store:
        assert await store.ledger(CANDIDATES) == {}, (
            "a crash now must bring the batch again: nobody has quarantined yet"
        )
        await store.write([written[n] for n in (0, 2, 3, 5)])
        assert len(await all_ids(store)) == 4
        await check_ledgers(store, (CANDIDATES,), written)


async def test_what_has_expired_is_not_shown_before_nor_after_it_is_deleted(
    place: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("storage.mongo_store._CHUNK", 4)
    monkeypatch.setattr("storage.sqlite_documents._CHUNK", 4)
    old = [candidate(n, "7", time=T + n) for n in range(10)]
    new = [candidate(n, "7", time=T + DAY) for n in range(10, 15)]
    written = records([*old, *new])
    async with place() as store:
        await store.write(written)
        assert await store.maintain() == 0
        assert len(await everything(store)) == 15

    def later() -> int:
        return T + 4 * DAY + 5

    async with place(clock=later) as store:
        assert await everything(store) == [*old[5:], *sorted(new, key=lambda found: found.id)], "the edge is still in"
        assert len(await all_ids(store)) == 10
        assert await store.maintain() == 5
        assert await store.maintain() == 0
        assert len(await everything(store)) == 10
    async with place("log-2", clock=later) as store:
        await store.write(written)
        assert len(await everything(store)) == 10
        await check_ledgers(store, (CANDIDATES,), written)
    async with place() as store:
        assert len(await everything(store)) == 10, "a late replay has brought nothing back"


async def test_candidates_are_read_by_device_time_and_page(place: Open) -> None:
    ids = ["b", "a", "B", "aa", "0"]
    bodies = [candidate(n, "7", id=ident, time=T + n // 3) for n, ident in enumerate(ids)]
    bodies.append(candidate(9, "pump-7", id="x", time=T + 1))
    async with place() as store:
        await store.write(records(bodies))

        async def ask(device: str | None, span: Span, limit: int = 10, **more: Any) -> list[str]:
            found, ledger = await store.candidates(device, span, limit, **more)
            assert ledger == await store.ledger(CANDIDATES)
            return [one.id for one in found]

        forth = ["B", "a", "b", "0", "aa", "x"]
        assert await ask(None, Span(), newest_first=False) == forth
        assert await ask(None, Span()) == forth[::-1]
        assert await ask("7", Span()) == ["aa", "0", "b", "a", "B"]
        assert await ask("nobody", Span()) == []
        assert await ask("7", Span(T + 1)) == ["aa", "0"]
        assert await ask("7", Span(None, T + 1)) == ["b", "a", "B"]
        assert await ask("7", Span(T + 1, T + 1)) == []
        assert await ask(None, Span(), 0) == []
        assert await ask(None, Span(), 2, after=(T, "a"), newest_first=False) == ["b", "0"]
        assert await ask(None, Span(), 2, after=(T + 1, "0")) == ["b", "a"]
        assert await ask(None, Span(None, T + 1), after=(T + 1, "0")) == ["b", "a", "B"]

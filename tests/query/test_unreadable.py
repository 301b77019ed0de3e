"""An entry that nobody can read, which is in quarantine, spoils no answer: the others on its partition are there."""

import pytest

from headwater.log import CANDIDATES, MESSAGES, REJECTED, NewEntry, partition_for
from tests.query.conftest import Api
from tests.query.fakes import PARTITIONS
from tests.query.test_stream import listening
from tests.storage.factory import candidate, message, rejected

DEVICE = "pump-7"
POISON = [b"", b"{", b'{"device":"\xff"}', b'{"message":{"x":' + b"[" * 100_000]


async def spoil(api: Api, poison: bytes) -> None:
    where = partition_for(DEVICE.encode(), PARTITIONS)
    for topic in (MESSAGES, CANDIDATES, REJECTED):
        await api.log.append(topic, [NewEntry(where, DEVICE.encode(), poison)])


@pytest.mark.parametrize("poison", POISON)
async def test_what_stands_around_it_is_answered(api: Api, poison: bytes) -> None:
    await api.say(message(0))
    await spoil(api, poison)
    await api.say(message(1))
    api.log.put(CANDIDATES, candidate(1, DEVICE))
    api.log.put(REJECTED, rejected(1, device=DEVICE))
    await api.log.grown()
    assert len((await api.get(f"/api/v1/devices/{DEVICE}/history"))["items"]) == 2
    assert (await api.get(f"/api/v1/devices/{DEVICE}/latest"))["seen"]
    assert len((await api.get(f"/api/v1/devices/{DEVICE}/candidates"))["items"]) == 1
    assert len((await api.get(f"/api/v1/search?q=device:{DEVICE}"))["items"]) == 1
    assert len((await api.get("/api/v1/rejected"))["items"]) == 1
    await api.tail.trim()


@pytest.mark.parametrize("poison", POISON)
async def test_the_live_stream_goes_on(api: Api, url: str, poison: bytes) -> None:
    async with listening(url) as events:
        await spoil(api, poison)
        await api.say(message(1))
        assert (await events.next()).data["seq"] == 1

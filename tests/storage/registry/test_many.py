"""Many records at once: all of them or none, in numbers that a fleet has, in a file and on MariaDB."""

import asyncio

import msgspec
import pytest

from headwater.errors import Stale
from headwater.registry import Claim, Device, Group
from storage.registry_in_tables import TablesRegistry
from tests.storage.registry.kit import audited
from tests.taking import within


async def test_all_of_them_are_changed_or_none(registry: TablesRegistry):
    await registry.put_device(Device("b"))
    with pytest.raises(Stale):
        await registry.put_all([(Device("a"), 0), (Device("b", model="pump"), 0)])
    assert await registry.device("a") is None
    assert len(await audited(registry)) == 1
    done = await registry.put_all([(Device("a"), 0), (Device("b", model="pump"), 1), (Group(name="g"), None)])
    assert [one.version for one in done] == [1, 2, 1]
    assert len(await registry.pending(10)) == 4


async def test_of_many_that_use_a_claim_at_once_as_many_get_it_as_it_says(registry: TablesRegistry):
    await registry.put(Claim(name="line-3", digest="d", uses=1))

    async def use(name: str) -> bool:
        claim = await registry.find(Claim, "line-3")
        assert claim is not None
        if not claim.uses:
            return False
        used = msgspec.structs.replace(claim, uses=claim.uses - 1)
        try:
            await registry.put_all([(used, claim.version), (Device(name), 0)])
        except Stale:
            return False
        return True

    assert sum(await asyncio.gather(*(use(f"pump-{n}") for n in range(8)))) == 1
    assert len(await registry.devices()) == 1


async def test_thousands_are_written_and_found_in_seconds(registry: TablesRegistry):
    names = [f"pump-{n:04}" for n in range(1000)]
    with within(20):
        await registry.put_all([(Device(name, asset="oven"), 0) for name in names])
        await registry.put_device(Device("pump-0007", removed=True))
        found = await registry.find_all(Device, [*names, "nobody"])
    assert set(found) == set(names) - {"pump-0007"}
    assert await registry.find_all(Device, []) == {}

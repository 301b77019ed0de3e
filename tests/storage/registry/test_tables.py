"""The registry: every change has a version and an author, and only who knows the version changes it."""

import asyncio

import msgspec
import pytest

from headwater.credentials import digest
from headwater.errors import Rejected, Stale
from headwater.registry import ApiKey, Device, RulesChange
from headwater.registry_contract import Registry
from storage.registry_in_tables import TablesRegistry
from tests.storage.registry.kit import RULES, audited
from tests.storage.registry_home import Home


async def test_it_is_a_registry(registry: TablesRegistry):
    kept: Registry = registry
    assert await kept.devices() == []
    assert await kept.keys() == []
    assert await kept.device("pump-7") is None
    assert await kept.key("ops") is None


async def test_what_was_put_is_there_after_it_was_closed(home: Home):
    async with home.open(77) as registry:
        device = await registry.put_device(Device("gw", "d", "gateway", ("tag-*", "b", "b"), disabled=True))
        key = await registry.put_key(ApiKey("ops", "e", ("admin", "read")))
    assert device == Device("gw", "d", "gateway", ("b", "tag-*"), disabled=True, version=1, changed=77)
    assert key == ApiKey("ops", "e", ("admin", "read"), version=1, changed=77)
    async with home.open() as registry:
        assert await registry.device("gw") == device
        assert await registry.devices() == [device]
        assert await registry.key("ops") == key
        assert await registry.keys() == [key]


async def test_devices_come_by_name_page_by_page_without_the_removed_ones(registry: TablesRegistry):
    for name in ("b", "a", "d", "c", "e"):
        await registry.put_device(Device(name))
    await registry.put_device(Device("c", removed=True))
    assert [device.name for device in await registry.devices(limit=2)] == ["a", "b"]
    assert [device.name for device in await registry.devices("b", 2)] == ["d", "e"]
    assert await registry.devices("e") == []
    assert await registry.device("c") is None


async def test_each_change_has_the_next_version_and_what_changes_nothing_has_none(registry: TablesRegistry):
    one = await registry.put_device(Device("pump-7"))
    two = await registry.put_device(msgspec.structs.replace(one, model="pump"))
    assert (one.version, two.version) == (1, 2)
    assert await registry.put_device(msgspec.structs.replace(two, version=0, changed=0)) == two
    assert await registry.put_device(Device("nobody", removed=True)) == Device("nobody", removed=True)
    assert len(await audited(registry)) == 2


async def test_a_change_of_another_version_than_expected_is_stale(registry: TablesRegistry):
    with pytest.raises(Stale):
        await registry.put_device(Device("pump-7"), 1)
    await registry.put_device(Device("pump-7"), 0)
    with pytest.raises(Stale):
        await registry.put_device(Device("pump-7", model="pump"), 0)
    await registry.put_device(Device("pump-7", model="pump"), 1)
    with pytest.raises(Stale):
        await registry.put_device(Device("pump-7"), 1)
    await registry.put_key(ApiKey("ops", "d", ()), 0)
    with pytest.raises(Stale):
        await registry.put_key(ApiKey("ops", "e", ()), 0)
    assert (await registry.device("pump-7") or Device("")).model == "pump"


async def test_of_many_who_change_the_same_version_one_wins(registry: TablesRegistry):
    await registry.put_device(Device("pump-7"))
    tries = [registry.put_device(Device("pump-7", model=f"m{n}"), 1) for n in range(20)]
    results = await asyncio.gather(*tries, return_exceptions=True)
    assert sum(isinstance(result, Device) for result in results) == 1
    assert sum(isinstance(result, Stale) for result in results) == 19


async def test_a_removed_name_can_come_back_and_counts_on(registry: TablesRegistry):
    await registry.put_device(Device("pump-7", "old"), 0)
    await registry.put_device(Device("pump-7", removed=True), 1)
    assert (await registry.put_device(Device("pump-7", "new"), 0)).version == 3


async def test_a_device_and_a_key_cannot_have_the_same_name(registry: TablesRegistry):
    await registry.put_device(Device("a"))
    await registry.put_key(ApiKey("b", "d", ()))
    with pytest.raises(Stale, match="a device is called 'a'"):
        await registry.put_key(ApiKey("a", "d", ()))
    with pytest.raises(Stale, match="an API key is called 'b'"):
        await registry.put_device(Device("b"))
    await registry.put_device(Device("a", removed=True))
    assert (await registry.put_key(ApiKey("a", "d", ()))).version == 1


@pytest.mark.parametrize("name", ["", "a/b", "+", "#", "devices/+/x", ".a", "a b", "a" * 129, "ä", "a\n", "anonymous"])
async def test_names_with_wildcards_or_slashes_are_refused(registry: TablesRegistry, name: str):
    with pytest.raises(Rejected):
        await registry.put_device(Device(name))
    with pytest.raises(Rejected):
        await registry.put_key(ApiKey(name, "d", ()))
    if name:
        with pytest.raises(Rejected):
            await registry.put_device(Device("gw", speaks_for=(f"{name}/",)))
    assert await audited(registry) == []


async def test_the_audit_trail_says_who_changed_what_and_no_secret(registry: TablesRegistry):
    await registry.put_device(Device("p", digest("t1")), actor="ada")
    await registry.put_device(Device("p", digest("t2")), actor="ada")
    await registry.put_device(Device("p", digest("t2"), "pump"), actor="bob")
    await registry.put_device(Device("p", digest("t2"), "pump", disabled=True), actor="bob")
    await registry.put_device(Device("p", digest("t2"), "pump"), actor="bob")
    await registry.put_device(Device("p", removed=True), actor="ada")
    await registry.put_key(ApiKey("ops", digest("t3"), ("read",)), actor="ada")
    await registry.publish_rules(RULES)
    assert await audited(registry) == [
        ("ada", "device", "p", "add", 0, 1),
        ("ada", "device", "p", "rotate", 1, 2),
        ("bob", "device", "p", "change", 2, 3),
        ("bob", "device", "p", "disable", 3, 4),
        ("bob", "device", "p", "enable", 4, 5),
        ("ada", "device", "p", "remove", 5, 6),
        ("ada", "key", "ops", "add", 0, 1),
        ("headwater", "rules", "rules", "add", 0, 1),
    ]
    newest = await registry.audit(limit=6)
    assert [entry.number for entry in newest] == [8, 7, 6, 5, 4, 3]
    assert newest[-1].changes == {"model": ("", "pump")}
    assert [entry.number for entry in await registry.audit(before=3)] == [2, 1]
    written = msgspec.json.encode([entry async for entry in registry.audit_trail()]).decode()
    assert not any(digest(token) in written for token in ("t1", "t2", "t3"))


async def test_rules_get_a_new_version_only_if_they_differ(registry: TablesRegistry):
    assert await registry.publish_rules(b'{"a": {"every": 5, "change": 0.5}}') == 1
    assert await registry.publish_rules(b'{"a":{"change":0.5,"every":5}}') == 1
    assert await registry.publish_rules(b"{}") == 2
    assert await registry.publish_rules(b'{"a":{"change":0.5,"every":5}}') == 3
    assert await registry.rules() == RulesChange(3, msgspec.Raw(b'{"a":{"change":0.5,"every":5}}'))
    with pytest.raises(Rejected):
        await registry.publish_rules(b"{")

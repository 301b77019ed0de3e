"""The registry: every change reaches the log, in order and once, whether or not the log takes it at first."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress

import msgspec
import pytest

from headwater import failpoints
from headwater.directory import Directory
from headwater.errors import Unavailable
from headwater.log import REGISTRY, Log
from headwater.message import Rules
from headwater.registry import (
    ApiKey,
    Device,
    RulesChange,
)
from headwater.saying import capture_logs
from storage.outbox import drain_outbox, run_outbox
from storage.registry_in_tables import TablesRegistry
from storage.registry_tables import Outgoing
from tests.core.registry_kit import PARTITIONS, controls, sent
from tests.storage.registry.kit import RULES, Refusing


async def test_rules_go_as_a_control_to_every_partition_of_messages(registry: TablesRegistry, log: Log):
    await registry.publish_rules(RULES)
    assert await drain_outbox(registry, log) == 1
    for partition in range(PARTITIONS):
        (control,) = await controls(log, partition)
        assert isinstance(control, Rules)
        assert (control.version, bytes(control.rules)) == (1, RULES)
    assert await sent(log) == [RulesChange(1, msgspec.Raw(RULES))]


async def test_every_change_reaches_the_log_in_order_and_once(registry: TablesRegistry, log: Log):
    one = await registry.put_device(Device("pump-7"))
    two = await registry.put_device(Device("pump-7", model="pump"))
    key = await registry.put_key(ApiKey("ops", "d", ("read",)))
    assert await drain_outbox(registry, log) == 3
    assert await drain_outbox(registry, log) == 0
    assert await sent(log) == [one, two, key]
    entries = [entry async for batch in log.read(REGISTRY, 0, 0) for entry in batch]
    assert [entry.key for entry in entries] == [b"device:pump-7", b"device:pump-7", b"key:ops"]


async def test_more_changes_than_a_batch_all_go(registry: TablesRegistry, log: Log):
    for n in range(30):
        await registry.put_device(Device(f"d{n}"))
    first = len(await registry.pending(10))
    assert (first, await drain_outbox(registry, log)) == (10, 30)
    assert len(await sent(log)) == 30


async def test_the_pump_wakes_at_once_and_ends_when_it_is_told(registry: TablesRegistry, log: Log):
    directory = Directory(check_every=3600)
    stop = asyncio.Event()
    await registry.put_device(Device("before"))
    async with directory.following(log):
        pump = asyncio.create_task(run_outbox(registry, log, stop))
        assert await directory.applied(Device("before", version=1), seconds=2)
        for n in range(20):
            assert await directory.applied(await registry.put_device(Device(f"d{n}")), seconds=2)
        stop.set()
        await asyncio.wait_for(pump, 2)


async def test_a_pump_with_nothing_to_do_does_nothing(
    registry: TablesRegistry, log: Log, monkeypatch: pytest.MonkeyPatch
):
    looks: list[int] = []
    pending = registry.pending

    async def counted(limit: int) -> Sequence[Outgoing]:
        looks.append(limit)
        return await pending(limit)

    monkeypatch.setattr(registry, "pending", counted)
    stop = asyncio.Event()
    pump = asyncio.create_task(run_outbox(registry, log, stop))
    await registry.put_device(Device("a"))
    async with asyncio.timeout(20):
        while len(looks) < 2:
            await asyncio.sleep(0.01)
    await asyncio.sleep(0.1)
    assert len(looks) < 6
    stop.set()
    await pump


@pytest.mark.parametrize("call", ["raises", "last fails", "late"])
async def test_what_the_log_did_not_take_for_certain_is_sent_again(registry: TablesRegistry, log: Log, call: str):
    refusing: Log = Refusing(log, [call])  # type: ignore[assignment]
    await registry.publish_rules(RULES)
    await registry.put_device(Device("a"))
    last = await registry.put_device(Device("b"))
    with pytest.raises(Unavailable):
        await drain_outbox(registry, refusing)
    assert len(await registry.pending(10)) == 3
    assert await drain_outbox(registry, refusing) == 3
    assert last in await sent(log)
    assert all([await controls(log, partition) for partition in range(PARTITIONS)])


async def test_the_pump_goes_on_after_the_log_was_away_and_says_so_once(registry: TablesRegistry, log: Log):
    directory = Directory(check_every=3600)
    refusing: Log = Refusing(log, ["raises", "raises", "last fails"])  # type: ignore[assignment]
    async with directory.following(log):
        with capture_logs() as said:
            pump = asyncio.create_task(run_outbox(registry, refusing))
            assert await directory.applied(await registry.put_device(Device("a")))
            pump.cancel()
            with suppress(asyncio.CancelledError):
                await pump
    assert [line["level"] for line in said] == ["warning"]


async def test_the_failpoint_lies_between_the_commit_and_the_append(registry: TablesRegistry, log: Log):
    failpoints.arm("registry.changed=fail")
    try:
        assert await drain_outbox(registry, log) == 0
        await registry.put_device(Device("pump-7"))
        with pytest.raises(Unavailable):
            await drain_outbox(registry, log)
    finally:
        failpoints.arm("")
    assert await registry.device("pump-7") is not None
    assert await sent(log) == []
    await drain_outbox(registry, log)
    assert len(await sent(log)) == 1

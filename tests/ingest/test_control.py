"""Commands and shadows over a log that two processes share: nothing acknowledged is lost, rivals agree."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import msgspec
import pytest

from headwater.command import Acknowledged, Answered, Command, Sent, check_answer, make
from headwater.config import Config
from headwater.errors import Refused, Rejected, Stale, Unavailable
from headwater.metrics import Metrics
from headwater.shadow import Shadow, ShadowChange, changed, read_change, removed
from ingest.contract import Receipt
from ingest.control import Control, Done, open_control
from ingest.shadow_writer import Outcome, raised
from tests.ingest.mqtt.kit import Clock
from tests.ingest.mqtt.log_kit import MemoryLog

LIMIT = 5.0
DEFAULT = Config()
FEW = Config.model_validate({"commands": {"device": 2, "count": 4, "shadows": 1}})


@asynccontextmanager
async def process(log: MemoryLog, clock: Clock, config: Config = DEFAULT) -> AsyncGenerator[Control]:
    async with open_control(log, config, Metrics(), sweeping=False, clock=clock, wall=clock.wall) as control:
        yield control


@asynccontextmanager
async def two(config: Config = DEFAULT) -> AsyncGenerator[tuple[Control, Control, MemoryLog, Clock]]:
    log, clock = MemoryLog(), Clock()
    async with AsyncExitStack() as stack:
        first = await stack.enter_async_context(process(log, clock, config))
        second = await stack.enter_async_context(process(log, clock, config))
        yield first, second, log, clock


async def order(control: Control, ident: str = "c", arguments: object = None, device: str = "d") -> Command:
    done = Done()
    control.order(device, ident, make("reboot", arguments, 60, "me", control.wall()), done.receipt)
    await asyncio.wait_for(done.wait(), LIMIT)
    command = control.commands.get(device, ident)
    assert command is not None
    return command


async def until(control: Control, device: str, ident: str, state: str) -> None:
    async with asyncio.timeout(LIMIT):
        while (command := control.commands.get(device, ident)) is None or command.state(control.wall()) != state:
            await asyncio.sleep(0.001)


async def change(control: Control, expected: int | None = None, **given: Any) -> Shadow:
    return raised(await outcome(control, read_change(msgspec.json.encode(given)), expected))


async def outcome(control: Control, wanted: ShadowChange, expected: int | None = None) -> Outcome:
    done, found = Done(), list[Outcome]()
    control.shadows.change("d", lambda known, at: changed(known, wanted, at), expected, done.receipt, found.append)
    if done.receipt.waiting:
        await asyncio.wait_for(done.settled.wait(), LIMIT)
    return found[0]


async def test_a_command_is_known_to_every_process_and_to_those_that_start_later() -> None:
    async with two() as (first, second, log, clock):
        assert (await order(first, arguments={"delay": 5})).state(clock.wall()) == "queued"
        await until(second, "d", "c", "queued")
        second.note("d", "c", Sent(1), Receipt(second))
        second.note("d", "c", Acknowledged(2), Receipt(second))
        await until(first, "d", "c", "acknowledged")
        first.answer("d", "c", Answered(clock.wall(), check_answer(b"[1]")), Receipt(first))
        await until(second, "d", "c", "answered")
        async with process(log, clock) as third:
            command = third.commands.get("d", "c")
            assert command is not None
            assert (command.state(clock.wall()), bytes(command.answer)) == ("answered", b"[1]")


async def test_a_command_that_the_log_did_not_take_is_an_error() -> None:
    async with two() as (first, _, log, _):
        log.failing = True
        with pytest.raises(Unavailable):
            await order(first)
        assert first.commands.count == 0


async def test_the_same_command_again_is_the_same_and_another_one_by_its_id_is_refused() -> None:
    async with two() as (first, _, log, _):
        await order(first, arguments=[1])
        written = len(log.entries["commands"])
        await order(first, arguments=[1])
        assert len(log.entries["commands"]) == written
        with pytest.raises(Stale):
            await order(first, arguments=[2])


async def test_there_are_only_so_many_that_wait_for_a_device_and_in_all() -> None:
    async with two(FEW) as (first, _, _, clock):
        for ident in "ab":
            await order(first, ident)
        with pytest.raises(Refused, match="has not answered"):
            await order(first, "c")
        clock.now += 61
        for ident in "cd":
            await order(first, ident)
        with pytest.raises(Refused, match="no room"):
            await order(first, "e", device="other")


async def test_an_answer_needs_its_command_and_comes_in_time_and_once() -> None:
    async with two() as (first, _, log, clock):
        with pytest.raises(Rejected, match="no command"):
            first.answer("d", "c", Answered(clock.wall()), Receipt(first))
        await order(first)
        for _ in range(2):
            first.answer("d", "c", Answered(clock.wall()), Receipt(first))
            await until(first, "d", "c", "answered")
        assert len(log.entries["commands"]) == 2
        await order(first, "late")
        clock.now += 60
        with pytest.raises(Rejected, match="expired"):
            first.answer("d", "late", Answered(clock.wall()), Receipt(first))


async def test_whoever_waits_for_an_answer_hears_of_it_wherever_it_came() -> None:
    async with two() as (first, second, _, clock):
        command = await order(first)
        await until(second, "d", "c", "queued")
        waiting = asyncio.create_task(first.ended(command, LIMIT))
        await asyncio.sleep(0)
        second.answer("d", "c", Answered(clock.wall()), Receipt(second))
        await asyncio.wait_for(waiting, LIMIT)
        assert command.state(clock.wall()) == "answered"


async def test_what_is_over_is_forgotten_everywhere_and_leaves_nothing() -> None:
    async with two() as (first, second, log, clock):
        await order(first)
        first.note("d", "c", Sent(1), Receipt(first))
        await until(second, "d", "c", "sent")
        await change(first, reported={"a": 1})
        await change(first, reported={"a": 2})
        clock.now += 100_000
        async with asyncio.timeout(LIMIT):
            while first.commands.count or second.commands.count:
                first.sweep()
                await asyncio.sleep(0.01)
        newest = {entry.key: entry.value for entry in log.entries["commands"]}
        assert set(newest.values()) == {None}
        kept = [entry.key for entry in log.entries["shadows"] if entry.value is not None]
        gone = {entry.key for entry in log.entries["shadows"] if entry.value is None}
        assert gone == {kept[0]}


async def test_it_is_forgotten_though_there_is_always_something_to_write() -> None:
    async with two() as (first, _, log, clock):
        for number in range(3):
            await change(first, reported={"a": number})
        log.gate.clear()
        first.order("d", "c", make("reboot", None, 60, "me", clock.wall()), Receipt(first))
        assert first.pressure.count == 1
        assert first.sweep() is False
        log.gate.set()
        async with asyncio.timeout(LIMIT):
            while list(first.shadows.table.forgettable(clock.wall(), 10**9)):
                await asyncio.sleep(0.001)


async def test_changes_of_a_shadow_from_two_processes_are_all_in_it() -> None:
    async with two() as (first, second, _, _):
        made = await asyncio.gather(
            *(
                change(process, reported={f"{name}{at}": at})
                for at in range(20)
                for name, process in zip("ab", (first, second), strict=True)
            )
        )
        assert sorted(shadow.version for shadow in made) == list(range(1, 41))
        async with asyncio.timeout(LIMIT):
            while first.shadows.table.get("d") != second.shadows.table.get("d"):
                await asyncio.sleep(0.001)
        assert len(first.shadows.table.get("d").reported) == 40


async def test_of_two_that_name_the_same_version_one_is_told_that_it_lost() -> None:
    async with two() as (first, second, _, _):
        await change(first, 0, desired={"a": 1})
        async with asyncio.timeout(LIMIT):
            while second.shadows.table.get("d").version != 1:
                await asyncio.sleep(0.001)
        wanted = read_change(b'{"desired":{"a":2}}')
        found = await asyncio.gather(*(outcome(process, wanted, 1) for process in (first, second)))
        assert sorted(type(one).__name__ for one in found) == ["Shadow", "Stale"]
        with pytest.raises(Stale, match="version 2"):
            await change(first, 0, desired={})


async def test_a_change_that_is_not_valid_or_finds_no_room_does_not_hold_those_behind_it() -> None:
    async with two(FEW) as (first, _, log, _):
        found = await asyncio.gather(
            change(first, desired={"a": "x" * 9000}), change(first, desired={"a": 1}), return_exceptions=True
        )
        assert isinstance(found[0], Rejected)
        assert isinstance(found[1], Shadow)
        done, found = Done(), list[Outcome]()
        first.shadows.change("e", removed, None, done.receipt, found.append)
        assert isinstance(found[0], Refused)
        log.failing = True
        with pytest.raises(Unavailable):
            await change(first, desired={"a": 2})
        log.failing = False
        assert (await change(first, desired={"a": 3})).version == 2

"""The registry on MariaDB among several processes, and with a server that dies, hangs, or comes back empty."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import suppress

import pytest

from headwater.credentials import digest
from headwater.directory import Directory
from headwater.errors import LogError, Refused, Stale, Unavailable
from headwater.log import REGISTRY, Log, NewEntry
from headwater.registry import Device
from storage.mysql_registry import MySqlRegistry
from storage.outbox import drain_outbox, run_outbox, settle
from tests.core.registry_kit import sent
from tests.services.proxy import proxied
from tests.services.server import Server
from tests.storage.registry_home import MariaHome


@pytest.fixture
def home(mariadb_server: Server) -> MariaHome:
    return MariaHome(mariadb_server.port)


@pytest.fixture
async def one(home: MariaHome) -> AsyncGenerator[MySqlRegistry, None]:
    async with home.open() as registry:
        yield registry


@pytest.fixture
async def two(home: MariaHome) -> AsyncGenerator[MySqlRegistry, None]:
    async with home.open() as registry:
        yield registry


class Slow:
    """A log whose next append waits to be let through."""

    def __init__(self, log: Log, *, fails: bool = False) -> None:
        self._log = log
        self._fails = fails
        self.reached = asyncio.Event()
        self.go = asyncio.Event()

    def __getattr__(self, name: str) -> object:
        return getattr(self._log, name)

    async def append(self, topic: str, entries: Sequence[NewEntry]) -> Sequence[int | LogError]:
        self.reached.set()
        await self.go.wait()
        offsets = await self._log.append(topic, entries)
        return [LogError("late")] * len(entries) if self._fails else offsets


async def versions(log: Log) -> list[int]:
    return [change.version for change in await sent(log) if isinstance(change, Device)]


async def test_of_processes_that_expect_the_same_version_one_wins(home: MariaHome):
    async with home.open() as one, home.open() as two:
        await one.put_device(Device("pump"))
        for version in range(1, 11):
            tries = [r.put_device(Device("pump", model=f"{n}{version}"), version) for n, r in enumerate((one, two))]
            results = await asyncio.gather(*tries, return_exceptions=True)
            assert sorted(type(result).__name__ for result in results) == ["Device", "Stale"]
        assert [entry.after async for entry in two.audit_trail()] == list(range(1, 12))


async def test_processes_that_open_it_at_once_make_it_once(home: MariaHome):
    async def opened(n: int) -> None:
        async with home.open() as registry:
            await registry.put_device(Device(f"d{n}"))
            with pytest.raises(Stale):
                await registry.put_device(Device(f"d{n}"), 0)

    await asyncio.gather(*map(opened, range(4)))
    async with home.open() as registry:
        assert len(await registry.devices()) == 4


async def test_names_are_compared_bytewise(one: MySqlRegistry):
    await one.put_device(Device("Pump"))
    await one.put_device(Device("pump"), 0)
    assert await one.device("PUMP") is None
    assert await one.device("pump ") is None
    assert [device.name for device in await one.devices()] == ["Pump", "pump"]


async def test_pumps_of_two_processes_lose_and_reorder_nothing(one: MySqlRegistry, two: MySqlRegistry, log: Log):
    stop = asyncio.Event()
    pumps = [asyncio.create_task(run_outbox(registry, log, stop)) for registry in (one, two)]
    directory = Directory(check_every=3600)
    async with directory.following(log):
        last = await one.put_device(Device("pump"))
        for n in range(29):
            last = await (two, one)[n % 2].put_device(Device("pump", model=f"m{n}"))
        assert await directory.applied(last, seconds=10)
        stop.set()
        await asyncio.wait_for(asyncio.gather(*pumps), 10)
    assert await versions(log) == list(range(1, 31))
    assert await one.pending(1) == []


async def test_a_change_of_a_process_without_a_pump_is_noticed_by_another(
    one: MySqlRegistry, two: MySqlRegistry, log: Log
):
    stop = asyncio.Event()
    pump = asyncio.create_task(run_outbox(one, log, stop))
    directory = Directory(check_every=3600)
    async with directory.following(log):
        assert await directory.applied(await two.put_device(Device("pump")), seconds=10)
    stop.set()
    await asyncio.wait_for(pump, 10)


async def test_while_one_sends_another_neither_sends_nor_waits(one: MySqlRegistry, two: MySqlRegistry, log: Log):
    slow = Slow(log)
    await one.put_device(Device("pump"))
    sending = asyncio.create_task(drain_outbox(one, slow))  # type: ignore[arg-type]
    await asyncio.wait_for(slow.reached.wait(), 10)
    assert await drain_outbox(two, log) == 0
    assert (await two.put_device(Device("pump", model="m"))).version == 2
    slow.go.set()
    assert await asyncio.wait_for(sending, 10) == 2
    assert await versions(log) == [1, 2]


@pytest.mark.parametrize("fails", [False, True])
async def test_a_pump_that_wakes_after_its_turn_does_not_leave_an_old_change_behind_a_newer_one(
    home: MariaHome, log: Log, fails: bool
):
    """On a compacted topic the last one of a key is what remains: here a revocation would be undone."""
    slow = Slow(log, fails=fails)
    async with home.through(home.config.port, time=1).open() as one, home.open() as two:
        await one.put_device(Device("pump", digest("t")))
        sending = asyncio.create_task(drain_outbox(one, slow))  # type: ignore[arg-type]
        await asyncio.wait_for(slow.reached.wait(), 10)
        revoked = await two.put_device(Device("pump", digest("t"), disabled=True))
        async with asyncio.timeout(10):
            while not await drain_outbox(two, log):
                await asyncio.sleep(0.05)
        slow.go.set()
        with suppress(Unavailable):
            await asyncio.wait_for(sending, 10)
        await drain_outbox(one, log)
        assert (await sent(log))[-1] == revoked
        assert await two.pending(1) == []


async def test_a_server_killed_amid_changes_has_each_confirmed_one_and_goes_on(
    home: MariaHome, mariadb_server: Server, log: Log
):
    async with home.open() as registry:
        confirmed: list[Device] = []
        some = asyncio.Event()

        async def change() -> None:
            for n in range(100_000):
                confirmed.append(await registry.put_device(Device(f"d{n}")))
                if n == 20:
                    some.set()

        changing = asyncio.create_task(change())
        await asyncio.wait_for(some.wait(), 20)
        await asyncio.to_thread(mariadb_server.kill)
        try:
            with pytest.raises(Unavailable):
                await asyncio.wait_for(changing, 20)
            with pytest.raises(Unavailable):
                await registry.device("d0")
        finally:
            await asyncio.to_thread(mariadb_server.start)
        there = {device.name: device async for device in _all(registry)}
        assert all(there[device.name] == device for device in confirmed)
        assert len(there) - len(confirmed) in {0, 1}
        await drain_outbox(registry, log)
        assert set(there.values()) == set(await sent(log))


async def _all(registry: MySqlRegistry) -> AsyncGenerator[Device, None]:
    for device in await registry.devices(limit=100_000):
        yield device


async def test_a_server_that_hangs_or_refuses_is_unavailable_and_comes_back(home: MariaHome):
    async with proxied(home.config.port) as proxy, home.through(proxy.port, time=1).open() as registry:
        await registry.put_device(Device("pump"), 0)
        for take_away in (proxy.hang, proxy.refuse):
            await take_away()
            async with asyncio.timeout(10):
                with pytest.raises(Unavailable):
                    await registry.device("pump")
                with pytest.raises(Unavailable):
                    await registry.put_device(Device("other"))
            await proxy.serve()
            assert await registry.device("pump") is not None
    with pytest.raises(Unavailable):
        async with home.through(proxy.port, time=1).open():
            pass


async def test_tables_that_come_back_empty_are_refused_until_the_pump_has_taken_them_back(home: MariaHome, log: Log):
    async with home.open() as registry:
        revoked = await registry.put_device(Device("pump", digest("t")))
        revoked = await registry.put_device(Device("pump", digest("t"), disabled=True))
        await settle(registry, log)
        await home.lost()
        with pytest.raises(Unavailable, match="came back empty"):
            await registry.put_device(Device("pump", digest("t")))
        with pytest.raises(Unavailable, match="came back empty"):
            await registry.device("pump")
        assert await registry.emptied()
        stop = asyncio.Event()
        pump = asyncio.create_task(run_outbox(registry, log, stop))
        async with asyncio.timeout(10):
            while await registry.emptied():
                await asyncio.sleep(0.02)
        stop.set()
        await asyncio.wait_for(pump, 10)
        assert await registry.device("pump") == revoked
        directory = Directory()
        async with directory.following(log):
            with pytest.raises(Refused, match="disabled"):
                directory.identify("pump", "t", loopback=False)
        assert (await log.ends(REGISTRY))[0][1] == 2

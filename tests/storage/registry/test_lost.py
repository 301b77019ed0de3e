"""The registry killed, lost, or put back: it and the log say the same again, and nothing is lost."""

import asyncio
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from headwater.credentials import digest
from headwater.directory import Directory
from headwater.errors import Refused, Unavailable
from headwater.log import Log
from headwater.message import Rules
from headwater.registry import (
    ApiKey,
    Device,
    key_of,
)
from storage.outbox import settle
from storage.registry_in_tables import TablesRegistry
from tests.core.registry_kit import PARTITIONS, a_log, a_registry, controls, sent
from tests.storage.registry.kit import RULES, audited
from tests.storage.registry_home import Home, lost

ROOT = Path(__file__).parents[3]


_CHILD = """
import asyncio, sys
from pathlib import Path
from headwater.registry import Device
from storage.outbox import drain_outbox
from tests.core.registry_kit import a_log
from tests.storage.registry_home import home_from

async def main():
    folder = Path(sys.argv[1])
    async with a_log(folder) as log, home_from(sys.argv[2:]).open() as registry:
        for n in range(3):
            await registry.put_device(Device("pump-7", model=f"m{n}"))
            await registry.publish_rules(b'{"n":%d}' % n)
            await drain_outbox(registry, log)
    print("not killed")

asyncio.run(main())
"""


@pytest.mark.process
@pytest.mark.parametrize("where", ["registry.changed=kill", "registry.changed=kill@2", "log.transaction=kill@2"])
async def test_killed_between_the_tables_and_the_log_nothing_is_lost(tmp_path: Path, home: Home, where: str):
    child = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-c", _CHILD, str(tmp_path), *home.arguments],
        env={"HEADWATER_FAILPOINTS": where, "PYTHONPATH": str(ROOT)},
        cwd=ROOT,
        capture_output=True,
        check=False,
        timeout=60,
    )
    assert child.returncode == -9, child.stderr.decode()
    async with a_log(tmp_path) as log, home.open() as registry:
        committed = await registry.device("pump-7")
        rules = await registry.rules()
        assert committed is not None
        assert rules is not None
        await settle(registry, log)
        changes = await sent(log)
        assert committed in changes
        assert rules in changes
        for partition in range(PARTITIONS):
            newest = (await controls(log, partition))[-1]
            assert isinstance(newest, Rules)
            assert newest.version == rules.version


async def test_a_new_log_gets_everything(tmp_path: Path, home: Home):
    async with home.open() as registry:
        async with a_log(tmp_path) as log:
            await registry.put_device(Device("a", digest("t")))
            await registry.put_device(Device("b"))
            await registry.put_device(Device("b", removed=True))
            await registry.put_key(ApiKey("ops", "d", ("read",)))
            await registry.publish_rules(RULES)
            await settle(registry, log)
        lost(tmp_path / "log.sqlite")
        async with a_log(tmp_path) as log:
            await registry.put_device(Device("c"))
            await settle(registry, log)
            assert sorted((key_of(change), change.version) for change in await sent(log)) == [
                (b"device:a", 1),
                (b"device:b", 2),
                (b"device:c", 1),
                (b"key:ops", 1),
                (b"rules", 1),
            ]
            assert len(await controls(log, 0)) == 1
            directory = Directory()
            async with directory.following(log):
                assert directory.identify("a", "t", loopback=False).device == "a"


async def test_settling_again_sends_nothing(registry: TablesRegistry, log: Log):
    await registry.put_device(Device("a"))
    await registry.publish_rules(RULES)
    await settle(registry, log)
    before = await sent(log)
    await settle(registry, log)
    assert await sent(log) == before
    assert len(await controls(log, 0)) == 1


async def test_a_registry_that_was_removed_is_taken_back_from_the_log(tmp_path: Path, home: Home):
    async with a_log(tmp_path) as log:
        async with home.open() as registry:
            device = await registry.put_device(Device("a", digest("t"), speaks_for=("b",)))
            key = await registry.put_key(ApiKey("ops", "d", ("read",)))
            await registry.put_device(Device("gone"))
            await registry.put_device(Device("gone", removed=True))
            await registry.publish_rules(b"{}")
            await registry.publish_rules(RULES)
            await settle(registry, log)
        await home.lost()
        async with home.open() as registry:
            await settle(registry, log)
            assert await registry.devices() == [device]
            assert await registry.keys() == [key]
            assert await registry.publish_rules(RULES) == 2
            assert (await registry.put_device(Device("gone"), 0)).version == 3
            assert ("headwater", "device", "a", "restore", 0, 1) in await audited(registry)


async def test_a_registry_put_back_from_an_older_copy_does_not_stay_behind(tmp_path: Path):
    """Or else a revocation would have a version that every directory takes for old news."""
    copy = tmp_path / "copy"
    async with a_log(tmp_path) as log:
        async with a_registry(tmp_path) as registry:
            await registry.put_device(Device("a", digest("t")))
            await settle(registry, log)
        copy.write_bytes((tmp_path / "registry.sqlite").read_bytes())
        async with a_registry(tmp_path) as registry:
            await registry.put_device(Device("a", digest("t"), model="pump"))
            await settle(registry, log)
        lost(tmp_path / "registry.sqlite")
        copy.rename(tmp_path / "registry.sqlite")
        async with a_registry(tmp_path) as registry:
            await registry.put_device(
                Device("a", digest("t"), disabled=True)
            )  # version 2 too, and not what the log has
            await settle(registry, log)
            directory = Directory()
            async with directory.following(log):
                with pytest.raises(Refused, match="disabled"):
                    directory.identify("a", "t", loopback=False)


async def test_a_file_that_is_no_registry_is_reported(tmp_path: Path):
    (tmp_path / "registry.sqlite").write_bytes(b"something else" * 1000)
    with pytest.raises((Unavailable, sqlite3.DatabaseError)):
        async with a_registry(tmp_path):
            pass

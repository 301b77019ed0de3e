"""The registry: after any changes, deaths and losses the tables, the topic and a directory say the same."""

import asyncio
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from headwater.credentials import digest
from headwater.errors import LogError
from headwater.log import Log
from headwater.message import Rules
from headwater.registry import (
    ApiKey,
    Change,
    Device,
    encode_change,
    key_of,
)
from storage.outbox import drain_outbox, settle
from storage.registry_in_tables import TablesRegistry
from tests.core.registry_kit import PARTITIONS, a_log, controls, sent
from tests.services.server import Server
from tests.storage.registry.kit import Refusing
from tests.storage.registry_home import FileHome, Home, MariaHome, lost

_steps = st.lists(
    st.sampled_from(["add", "rotate", "disable", "remove", "key", "rules", "drain", "half", "restart", "new log"]),
    min_size=1,
    max_size=12,
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(_steps)
def test_whatever_happens_the_directory_says_what_the_tables_say(
    tmp_path_factory: pytest.TempPathFactory, steps: list[str]
):
    folder = tmp_path_factory.mktemp("registry")
    asyncio.run(_live(folder, FileHome(folder), steps))


@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(_steps)
def test_whatever_happens_it_says_so_on_mariadb_too(
    tmp_path_factory: pytest.TempPathFactory, mariadb_server: Server, steps: list[str]
):
    asyncio.run(_live(tmp_path_factory.mktemp("registry"), MariaHome(mariadb_server.port), steps))


async def _live(folder: Path, home: Home, steps: list[str]) -> None:
    """Changes, deaths and losses in this order; then the tables, the topic and a directory are compared."""
    number = 0
    async with home.open() as registry:
        while True:
            async with a_log(folder) as log:
                await settle(registry, log)
                while steps:
                    number += 1
                    step = steps.pop(0)
                    if step in {"restart", "new log"}:
                        break
                    await _step(registry, log, step, number)
                else:
                    await settle(registry, log)
                    await _agree(registry, log)
                    return
            if step == "new log":
                lost(folder / "log.sqlite")


async def _step(registry: TablesRegistry, log: Log, step: str, number: int) -> None:
    token = digest(f"t{number}")
    match step:
        case "add" | "rotate":
            await registry.put_device(Device("a", token))
        case "disable":
            await registry.put_device(Device("a", token, disabled=True))
        case "remove":
            await registry.put_device(Device("a", removed=True))
        case "key":
            await registry.put_key(ApiKey("k", token, ("read",)))
        case "rules":
            await registry.publish_rules(b'{"n":%d}' % number)
        case "half":  # on the log, and still in the outbox: killed between the two
            refusing: Log = Refusing(log, ["late"])  # type: ignore[assignment]
            with suppress(LogError):
                await drain_outbox(registry, refusing)
        case _:
            await drain_outbox(registry, log)


async def _agree(registry: TablesRegistry, log: Log) -> None:
    newest: dict[bytes, Change] = {}
    for change in sorted(await sent(log), key=lambda change: change.version):
        newest[key_of(change)] = change
    device, key, rules = await registry.device("a"), await registry.key("k"), await registry.rules()
    tables: list[Change] = [record for record in (device, key) if record is not None]
    tables += [rules] if rules else []
    there = [change for change in newest.values() if not (isinstance(change, Device) and change.removed)]
    assert sorted(map(encode_change, there)) == sorted(map(encode_change, tables))
    assert await registry.pending(1) == []
    if rules:
        last = (await controls(log, PARTITIONS - 1))[-1]
        assert isinstance(last, Rules)
        assert last.version == rules.version

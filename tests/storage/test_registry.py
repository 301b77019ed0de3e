"""The registry: every change has a version, an author and a way to the log that survives whatever dies in between."""

import asyncio
import sqlite3
import subprocess
import sys
from collections.abc import AsyncGenerator, Sequence
from contextlib import suppress
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from headwater import failpoints
from headwater.credentials import digest
from headwater.directory import Directory
from headwater.errors import LogError, Refused, Rejected, Stale, Unavailable
from headwater.log import REGISTRY, Log, NewEntry
from headwater.message import Rules
from headwater.registry import (
    ApiKey,
    Change,
    Device,
    Registry,
    RulesChange,
    encode_change,
    key_of,
)
from storage.outbox import drain_outbox, run_outbox, settle
from storage.registry_in_tables import TablesRegistry
from storage.registry_tables import Outgoing
from tests.core.registry_kit import PARTITIONS, a_log, a_registry, controls, sent
from tests.services.server import Server
from tests.storage.registry_home import FileHome, Home, MariaHome, lost

ROOT = Path(__file__).parents[2]
RULES = b'{"pump":{"change":0.5}}'


@pytest.fixture(params=["sqlite", "mariadb"])
def home(tmp_path: Path, request: pytest.FixtureRequest) -> Home:
    return FileHome(tmp_path) if request.param == "sqlite" else MariaHome(_server(request).port)


def _server(request: pytest.FixtureRequest) -> Server:
    server: Server = request.getfixturevalue("mariadb_server")
    return server


@pytest.fixture
async def registry(home: Home) -> AsyncGenerator[TablesRegistry, None]:
    async with home.open() as registry:
        yield registry


@pytest.fixture
async def log(tmp_path: Path) -> AsyncGenerator[Log, None]:
    async with a_log(tmp_path) as log:
        yield log


async def audited(registry: TablesRegistry) -> list[tuple[str, str, str, str, int, int]]:
    return [(e.actor, e.kind, e.name, e.action, e.before, e.after) async for e in registry.audit_trail()]


# Tables and versions


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


# Selection rules


async def test_rules_get_a_new_version_only_if_they_differ(registry: TablesRegistry):
    assert await registry.publish_rules(b'{"a": {"every": 5, "change": 0.5}}') == 1
    assert await registry.publish_rules(b'{"a":{"change":0.5,"every":5}}') == 1
    assert await registry.publish_rules(b"{}") == 2
    assert await registry.publish_rules(b'{"a":{"change":0.5,"every":5}}') == 3
    assert await registry.rules() == RulesChange(3, msgspec.Raw(b'{"a":{"change":0.5,"every":5}}'))
    with pytest.raises(Rejected):
        await registry.publish_rules(b"{")


async def test_rules_go_as_a_control_to_every_partition_of_messages(registry: TablesRegistry, log: Log):
    await registry.publish_rules(RULES)
    assert await drain_outbox(registry, log) == 1
    for partition in range(PARTITIONS):
        (control,) = await controls(log, partition)
        assert isinstance(control, Rules)
        assert (control.version, bytes(control.rules)) == (1, RULES)
    assert await sent(log) == [RulesChange(1, msgspec.Raw(RULES))]


# The outbox


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
    await asyncio.sleep(0.1)
    assert 1 < len(looks) < 6
    stop.set()
    await pump


class Refusing:
    """A log that does not take it: the call fails, or some of its entries do."""

    def __init__(self, log: Log, calls: Sequence[str]) -> None:
        self._log = log
        self._calls = list(calls)

    def __getattr__(self, name: str) -> object:
        return getattr(self._log, name)

    async def append(self, topic: str, entries: Sequence[NewEntry]) -> Sequence[int | LogError]:
        match self._calls.pop(0) if self._calls else "works":
            case "raises":
                raise Unavailable("away")
            case "last fails":
                taken = await self._log.append(topic, entries[:-1]) if entries[:-1] else []
                return [*taken, LogError("late")]
            case "late":
                await self._log.append(topic, entries)
                return [LogError("late")] * len(entries)
            case _:
                return await self._log.append(topic, entries)


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
    assert [line["log_level"] for line in said] == ["warning"]


# Killed, lost, put back

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


async def test_a_file_that_is_no_registry_is_reported(tmp_path: Path):
    (tmp_path / "registry.sqlite").write_bytes(b"something else" * 1000)
    with pytest.raises((Unavailable, sqlite3.DatabaseError)):
        async with a_registry(tmp_path):
            pass

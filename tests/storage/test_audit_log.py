"""The audit log has every change of the registry once: whoever writes it, and whatever is killed, lost or put back."""

import asyncio
import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest

from headwater import failpoints
from headwater.errors import Unavailable
from headwater.metrics import Metrics
from headwater.registry import Device
from headwater.registry_contract import AuditEntry
from storage import audit_log
from storage.audit_log import AuditLog
from storage.log_files import AUDIT, LogFiles
from storage.log_place import LogPlace, log_place
from storage.registry_in_tables import TablesRegistry
from storage.s3_objects import S3Objects
from tests.services.proxy import proxied
from tests.services.server import Server
from tests.storage.log_kit import Failing, bucket, contents, local, paths
from tests.storage.registry_home import FileHome, Home, MariaHome
from tests.storage.s3_kit import at_port, s3_of


@pytest.fixture(params=["folder and file", "bucket and MariaDB"])
def where(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[LogFiles, Home]:
    if request.param == "folder and file":
        return local(tmp_path), FileHome(tmp_path)
    minio: Server = request.getfixturevalue("minio_server")
    maria: Server = request.getfixturevalue("mariadb_server")
    return bucket(minio), MariaHome(maria.port)


async def change(registry: TablesRegistry, *names: str) -> None:
    for name in names:
        await registry.put_device(Device(name), actor="anna")


def names(files: LogFiles) -> list[str]:
    return [line["name"] for line in contents(files, AUDIT)]


def a_log(place: LogPlace, registry: TablesRegistry) -> AuditLog:
    return AuditLog(place, registry, Metrics())


async def test_each_change_is_there_with_who_made_it(where: tuple[LogFiles, Home]):
    files, home = where
    async with home.open(1_763_726_400_000_000) as registry, log_place(files) as place:
        log = a_log(place, registry)
        await log.catch_up()
        assert paths(files, AUDIT) == []
        await change(registry, "a", "b")
        await registry.put_device(Device("a", model="pump"), actor="ben")
        await log.catch_up()
        await log.catch_up()
        await change(registry, "c")
        await log.catch_up()
    found = contents(files, AUDIT)
    assert [(line["number"], line["name"], line["action"], line["actor"]) for line in found] == [
        (1, "a", "add", "anna"), (2, "b", "add", "anna"), (3, "a", "change", "ben"), (4, "c", "add", "anna"),
    ]  # fmt: skip
    assert found[2]["changes"] == {"model": ["", "pump"]}
    assert [path.rpartition("/")[2][:12] for path in paths(files, AUDIT)] == ["000000000001", "000000000004"]
    assert {path.split("/")[2] for path in paths(files, AUDIT)} == {"date=2025-11-21"}


async def test_several_processes_write_each_change_once(where: tuple[LogFiles, Home], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(audit_log, "_PAGE", 3)
    files, home = where
    async with home.open() as one, home.open() as two, log_place(files) as a, log_place(files) as b:
        logs = [a_log(a, one), a_log(b, two), a_log(a, two)]
        for turn in range(5):
            await change(one, *(f"{turn}-{n}" for n in range(4)))
            await asyncio.gather(*(log.catch_up() for log in logs), change(two, f"{turn}-x"))
        await asyncio.gather(*(log.catch_up() for log in logs))
        wanted = [entry.name async for entry in one.audit_trail()]
    assert names(files) == wanted
    assert len(wanted) == 25


async def test_one_that_looked_before_the_others_wrote_goes_on_behind_them(
    where: tuple[LogFiles, Home], monkeypatch: pytest.MonkeyPatch
):
    files, home = where
    async with home.open() as registry, log_place(files) as place:
        early, brief = a_log(place, registry), a_log(place, registry)
        await asyncio.gather(early.catch_up(), brief.catch_up())
        await change(registry, "a")
        await a_log(place, registry).catch_up()
        await change(registry, "b", "c")
        await early.catch_up()  # wants all three where there is one
        await change(registry, "d")
        monkeypatch.setattr(audit_log, "_PAGE", 1)
        await brief.catch_up()  # wants one where there are two
        await early.catch_up()
    assert names(files) == ["a", "b", "c", "d"]


async def test_one_that_starts_anew_goes_on_where_the_last_one_ended(where: tuple[LogFiles, Home]):
    files, home = where
    async with log_place(files) as place:
        for name in ("a", "b", "c"):
            async with home.open() as registry:
                await change(registry, name)
                await a_log(place, registry).catch_up()
    assert names(files) == ["a", "b", "c"]


@pytest.mark.parametrize("failpoint", ["audit.writing", "audit.written"])
async def test_ended_before_or_behind_a_file_each_change_is_there_once(where: tuple[LogFiles, Home], failpoint: str):
    files, home = where
    async with home.open() as registry, log_place(files) as place:
        await change(registry, "a")
        failpoints.arm(f"{failpoint}=fail")
        try:
            with pytest.raises(Unavailable, match=failpoint):
                await a_log(place, registry).catch_up()
        finally:
            failpoints.arm("")
        await change(registry, "b")
        await a_log(place, registry).catch_up()
    assert names(files) == ["a", "b"]


async def test_a_write_that_fails_or_is_not_answered_is_tried_again(tmp_path: Path):
    files = Failing(local(tmp_path))
    async with FileHome(tmp_path).open() as registry, log_place(files) as place:
        stop, log = asyncio.Event(), a_log(place, registry)
        await change(registry, "a", "b")
        files.before, files.after = 1, 1
        running = asyncio.create_task(log.run(0.01, stop))
        async with asyncio.timeout(20):
            while files.after:
                await asyncio.sleep(0.01)
            await change(registry, "c")
            while len(names(files)) < 3:
                await asyncio.sleep(0.01)
        stop.set()
        async with asyncio.timeout(10):
            await running
    assert names(files) == ["a", "b", "c"]


@pytest.mark.parametrize("mode", ["refuse", "hang"])
async def test_a_bucket_that_is_away_and_back_has_what_was_changed_meanwhile(
    minio_server: Server, tmp_path: Path, mode: str
):
    config = s3_of(minio_server)
    async with (
        FileHome(tmp_path).open() as registry,
        proxied(minio_server.port) as proxy,
        log_place(S3Objects(at_port(config, proxy.port, 1))) as place,
    ):
        stop = asyncio.Event()
        running = asyncio.create_task(a_log(place, registry).run(0.05, stop))
        await change(registry, "a")
        async with asyncio.timeout(30):
            while names(S3Objects(config)) != ["a"]:
                await asyncio.sleep(0.05)
            await (proxy.refuse() if mode == "refuse" else proxy.hang())
            await change(registry, "b", "c")
            await asyncio.sleep(1.5)  # for at least one try
            assert names(S3Objects(config)) == ["a"]
            await proxy.serve()
            while len(names(S3Objects(config))) < 3:
                await asyncio.sleep(0.05)
            stop.set()
            await running
    assert names(S3Objects(config)) == ["a", "b", "c"]


class Kept:
    """The trail of whatever registry there is, as a process sees it that lives through a restore of the database."""

    registry: TablesRegistry

    async def audit_from(self, number: int, limit: int) -> Sequence[AuditEntry]:
        return await self.registry.audit_from(number, limit)


@pytest.mark.parametrize("anew", [True, False])
async def test_a_registry_put_back_from_a_copy_loses_nothing_of_what_was_logged_and_doubles_nothing(
    tmp_path: Path, *, anew: bool
):
    files, home, kept = local(tmp_path), FileHome(tmp_path), Kept()
    copy = tmp_path / "copy.sqlite"
    async with log_place(files) as place:
        log = AuditLog(place, kept, Metrics())
        async with home.open() as registry:
            await change(registry, "a", "b")
        shutil.copy(home.path, copy)
        async with home.open() as kept.registry:
            await change(kept.registry, "lost")
            await log.catch_up()
        await home.lost()
        shutil.copy(copy, home.path)
        async with home.open() as kept.registry:
            await change(kept.registry, "c")  # with the number that the lost one had
            again = AuditLog(place, kept, Metrics()) if anew else log
            await again.catch_up()
            await change(kept.registry, "d")
            await again.catch_up()
            await AuditLog(place, kept, Metrics()).catch_up()
    assert sorted(names(files)) == ["a", "b", "c", "d", "lost"]


async def test_a_new_registry_is_logged_beside_the_old_one(where: tuple[LogFiles, Home]):
    files, home = where
    async with log_place(files) as place:
        async with home.open() as registry:
            await change(registry, "a", "b")
            await a_log(place, registry).catch_up()
        await home.lost()
        async with home.open() as registry:
            await change(registry, "c")
            await a_log(place, registry).catch_up()
            await a_log(place, registry).catch_up()
    assert sorted(names(files)) == ["a", "b", "c"]


async def test_a_place_that_came_back_empty_has_all_of_it_again(
    where: tuple[LogFiles, Home], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(audit_log, "_LOOK_AGAIN", 0.0)
    files, home = where
    async with home.open() as registry, log_place(files) as place:
        log = a_log(place, registry)
        await change(registry, "a", "b")
        await log.catch_up()
        for folder in files.folders(AUDIT):
            files.drop(folder)
        await log.catch_up()
    assert names(files) == ["a", "b"]

"""What the program said before it was killed, and who changed what, is in the lake's place: a folder, and a real bucket."""

import json
import time
import urllib.request
from collections.abc import Callable, Generator
from contextlib import suppress
from http.client import HTTPException
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from headwater.config_stack import S3
from storage.log_files import AUDIT, SERVICE, LogFiles
from storage.s3_objects import S3Objects
from tests.services.server import Server
from tests.storage.log_kit import contents, local, paths
from tests.system.program import Program, free_port
from tests.system.stack import Stack

SOON = {"HEADWATER_LOGGING__FLUSH_EVERY": "100ms"}


def within(seconds: float, what: Callable[[], object]) -> None:
    """Until it is true."""
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def post(url: str, body: object) -> None:
    request = urllib.request.Request(url, json.dumps(body).encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=30) as reply:
        assert reply.status < 300


def add(url: str, *names: str) -> None:
    for name in names:
        post(f"{url}/api/v1/registry/devices", {"name": name})


def added(files: LogFiles) -> list[str]:
    return [line["name"] for line in contents(files, AUDIT) if line["kind"] == "device"]


def spoken_of(files: LogFiles, word: str) -> list[dict[str, Any]]:
    return [line for line in contents(files, SERVICE) if word in str(line)]


@pytest.mark.process
@pytest.mark.parametrize("place", ["audit.writing", "audit.written"])
def test_killed_around_a_write_of_the_audit_log_it_has_each_change_once(tmp_path: Path, place: str):
    program = Program(tmp_path / "data", SOON)
    program.start(f"{place}=kill@2")  # the first time: the rules
    with suppress(OSError, HTTPException):  # it may be gone before it answers
        add(program.url, "pump-1")
    assert program.wait_exit(60) == -9
    files = local(program.data)
    program.start()
    within(30, lambda: added(files) == ["pump-1"])
    add(program.url, "pump-2")
    within(30, lambda: len(added(files)) > 1)
    program.kill()
    assert added(files) == ["pump-1", "pump-2"]
    numbers = [line["number"] for line in contents(files, AUDIT)]
    assert numbers == sorted(set(numbers)), "and nothing else is there twice"


@pytest.mark.process
def test_what_was_said_before_a_kill_is_there_but_for_the_last_moments(tmp_path: Path):
    program = Program(tmp_path / "data", SOON)
    program.start("writer.written=fail")  # a worker says that its store is away
    post(f"{program.url}/ingest", {"device": "pump", "fields": {"n": 1}})
    files = local(program.data)
    within(30, lambda: spoken_of(files, "failpoint"))
    program.kill()
    assert {line["level"] for line in spoken_of(files, "failpoint")} == {"warning"}


@pytest.fixture
def half(
    tmp_path: Path, kafka_server: Server, mariadb_server: Server, minio_server: Server
) -> Generator[Stack, None, None]:
    """An installation of which only Kafka, MariaDB and MinIO are there."""
    nobody = free_port()
    servers = {"kafka": kafka_server, "mariadb": mariadb_server, "minio": minio_server}
    servers |= dict.fromkeys(("redis", "mongo", "elastic"), minio_server)  # put right by these:
    away = {
        "HEADWATER_REDIS__URL": f"redis://someone:hunter2@127.0.0.1:{nobody}/0",
        "HEADWATER_MONGODB__URL": f"mongodb://127.0.0.1:{nobody}/",
        "HEADWATER_ELASTICSEARCH__URLS": f'["http://127.0.0.1:{nobody}"]',
    }
    made = Stack(tmp_path, servers, {**SOON, **away})
    yield made
    made.close()


def bucket_of(stack: Stack) -> S3Objects:
    said = stack.settings
    return S3Objects(
        S3(
            endpoint=said["HEADWATER_S3__ENDPOINT"],
            bucket=said["HEADWATER_S3__BUCKET"],
            access_key=SecretStr(said["HEADWATER_S3__ACCESS_KEY"]),
            secret_key=SecretStr(said["HEADWATER_S3__SECRET_KEY"]),
        )
    )


def speakers(bucket: S3Objects) -> set[str]:
    """Whose files of the service log are there."""
    return {path.rpartition("-")[0] for path in paths(bucket, SERVICE)}


@pytest.mark.process
def test_two_apis_write_into_one_bucket_and_when_one_is_killed_each_change_is_there_once(half: Stack, tmp_path: Path):
    bucket, port = bucket_of(half), free_port()
    one = half.api()
    two = half.part("api", "--http", f"127.0.0.1:{port}", "--data", str(tmp_path / "two"))
    one.wait_ready()
    two.wait_ready()
    add(f"http://127.0.0.1:{half.asking}", "a", "b", "c")
    add(f"http://127.0.0.1:{port}", "d")
    within(30, lambda: len(speakers(bucket)) == 2)
    one.kill()
    add(f"http://127.0.0.1:{port}", "e", "f")
    within(30, lambda: len(added(bucket)) == 6)
    assert added(bucket) == ["a", "b", "c", "d", "e", "f"]
    numbers = [line["number"] for line in contents(bucket, AUDIT)]
    assert numbers == list(range(1, len(numbers) + 1))
    within(30, lambda: spoken_of(bucket, "waits for what is away"))
    assert not spoken_of(bucket, "hunter2")
    assert len(speakers(bucket)) == 2, "files of each process's own"

"""Large payloads by HTTP: durable before they are acknowledged, one message for one retry, bounded, and read again."""

import http.client
import json
import socket
import time
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import pytest

from tests.system.program import Program

PICTURE = b"\xff\xd8" + bytes(range(256)) * 2048  # 512 KiB


class Answer(NamedTuple):
    status: int
    headers: dict[str, str]
    data: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.data)


def ask(
    program: Program, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None
) -> Answer:
    connection = http.client.HTTPConnection("127.0.0.1", program.http, timeout=20)
    try:
        connection.request(method, path, body, headers or {})
        reply = connection.getresponse()
        return Answer(reply.status, {k.lower(): v for k, v in reply.getheaders()}, reply.read())
    finally:
        connection.close()


def messages(program: Program, device: str, count: int) -> list[dict[str, Any]]:
    """The device's history, when so many are there."""
    deadline = time.monotonic() + 10
    while True:
        found = ask(program, "GET", f"/api/v1/devices/{device}/history")
        if found.status == 200 and len(found.json["items"]) >= count:
            return list(found.json["items"])
        assert time.monotonic() < deadline, found
        time.sleep(0.05)


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    settings = {"HEADWATER_BLOBS__SIZE": "1MiB", "HEADWATER_HTTP__BODY_TIME": "2s"}
    running = Program(tmp_path_factory.mktemp("blobs") / "data", settings)
    running.start()
    yield running
    assert running.stop() == 0, running.output.read_text()[-4000:]


def test_it_is_kept_whole_and_a_message_refers_to_it(program: Program) -> None:
    headers = {"Content-Type": "image/jpeg", "X-Message-Id": "shot-1"}
    answer = ask(program, "POST", "/ingest/cam-1/blob?at=2026-11-21T07:40:00Z", PICTURE, headers)
    assert answer.status == 202, answer
    name = sha256(PICTURE).hexdigest()
    assert answer.json["hash"] == name
    assert answer.json["id"] == "shot-1"
    (message,) = messages(program, "cam-1", 1)
    assert message["fields"]["size"] == len(PICTURE)
    assert message["texts"] == {"hash": name, "type": "image/jpeg", "url": f"/api/v1/blobs/{name}"}
    read = ask(program, "GET", message["texts"]["url"])
    assert read.data == PICTURE
    assert read.headers["content-disposition"] == "attachment"
    assert read.headers["x-content-type-options"] == "nosniff"


def test_a_retry_is_one_message_and_one_object(program: Program) -> None:
    answers = [ask(program, "POST", "/ingest/cam-2/blob", PICTURE) for _ in range(2)]
    assert [answer.status for answer in answers] == [202, 202]
    assert answers[0].json["id"] == answers[1].json["id"]
    ask(program, "POST", "/ingest/cam-2", b'{"fields":{"end":1}}')
    assert len(messages(program, "cam-2", 2)) == 2


def test_the_same_picture_at_another_time_is_another_message(program: Program) -> None:
    ids = {
        ask(program, "POST", f"/ingest/cam-3/blob?at={at}", PICTURE).json["id"] for at in (1763700000000, 1763700001000)
    }
    assert len(ids) == 2


def test_what_is_too_large_is_refused_and_nothing_of_it_stays(program: Program) -> None:
    assert ask(program, "POST", "/ingest/cam-4/blob", b"x" * (2**20 + 1)).status == 413
    with socket.create_connection(("127.0.0.1", program.http), timeout=10) as peer:
        peer.sendall(b"POST /ingest/cam-4/blob HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n")
        try:
            for _ in range(40):
                peer.sendall(b"10000\r\n" + bytes(65_536) + b"\r\n")
        except OSError:
            pass
        assert b" 413 " in peer.recv(4096)
    incoming = program.data / "blobs" / "incoming"
    deadline = time.monotonic() + 5
    while list(incoming.iterdir()):
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.parametrize(
    ("path", "body", "headers", "status"),
    [
        ("/ingest/+/blob", b"x", {}, 400),
        ("/ingest/a%2Fb/blob", b"x", {}, 400),
        ("/ingest/cam/blob", b"", {}, 400),
        ("/ingest/cam/blob?at=yesterday", b"x", {}, 400),
        ("/ingest/cam/blob", b"x", {"X-Message-Id": "x" * 65}, 400),
        ("/ingest/cam/blob", b"x", {"Content-Encoding": "gzip"}, 415),
        ("/ingest/cam/blob", b"x", {"Authorization": "Bearer wrong"}, 401),
    ],
)
def test_what_cannot_be_taken_is_refused(
    program: Program, path: str, body: bytes, headers: dict[str, str], status: int
) -> None:
    assert ask(program, "POST", path, body, headers).status == status


def test_only_for_devices_that_the_sender_may_speak_for(program: Program) -> None:
    token = next(word for word in program.run("devices", "add", "cam-5").split() if len(word) > 30)
    mine = {"Authorization": f"Bearer {token}"}
    assert ask(program, "POST", "/ingest/cam-5/blob", b"mine", mine).status == 202
    refused = ask(program, "POST", "/ingest/cam-6/blob", b"not mine", mine)
    assert (refused.status, refused.json["error"]) == (403, "not_authorized")


def test_a_trickle_is_cut_off(program: Program) -> None:
    with socket.create_connection(("127.0.0.1", program.http), timeout=15) as peer:
        peer.sendall(b"POST /ingest/cam-7/blob HTTP/1.1\r\nHost: localhost\r\nContent-Length: 70000\r\n\r\nx")
        assert b" 408 " in peer.recv(4096)


def test_a_link_reads_without_a_credential_and_not_for_ever(program: Program) -> None:
    name = ask(program, "POST", "/ingest/cam-8/blob", b"clip").json["hash"]
    link = ask(program, "GET", f"/api/v1/blobs/{name}/link?seconds=60").json["url"]
    elsewhere = {"X-Forwarded-For": "192.0.2.1"}  # not on loopback
    assert ask(program, "GET", f"/api/v1/blobs/{name}", headers=elsewhere).status == 401
    assert ask(program, "GET", link, headers=elsewhere).data == b"clip"
    query = urlsplit(link).query
    expires = int(query.partition("&")[0].partition("=")[2])
    forged = link.replace(str(expires), str(expires + 1))
    assert ask(program, "GET", forged, headers=elsewhere).status == 403
    brief = ask(program, "GET", f"/api/v1/blobs/{name}/link?seconds=0.001").json["url"]
    time.sleep(1.1)
    assert ask(program, "GET", brief, headers=elsewhere).status == 403


def test_a_name_that_is_none_is_not_found(program: Program) -> None:
    for name in ("..%2f..%2fconfig.yaml", "0" * 63, "0" * 64, ".signing-key"):
        assert ask(program, "GET", f"/api/v1/blobs/{name}").status == 404, name


@pytest.mark.parametrize("failpoint", ["blobs.unnamed", "blobs.named"])
def test_killed_between_any_two_steps_nothing_is_half_there_and_a_retry_is_one(tmp_path: Path, failpoint: str) -> None:
    program = Program(tmp_path / "data")
    program.start(failpoints=f"{failpoint}=kill")
    with pytest.raises((OSError, http.client.HTTPException)):
        ask(program, "POST", "/ingest/cam-1/blob", PICTURE)
    assert program.wait_exit(10) == -9
    named = [path for path in (program.data / "blobs" / "sha256").rglob("*") if path.is_file()]
    assert [sha256(path.read_bytes()).hexdigest() for path in named] == [path.name for path in named]
    program.start()
    try:
        assert ask(program, "POST", "/ingest/cam-1/blob", PICTURE).status == 202
        assert ask(program, "POST", "/ingest/cam-1/blob", PICTURE).status == 202
        ask(program, "POST", "/ingest/cam-1", b'{"fields":{"end":1}}')
        assert len(messages(program, "cam-1", 2)) == 2
    finally:
        program.kill()


def test_a_device_that_has_sent_too_much_is_told_when_to_come_again(tmp_path: Path) -> None:
    program = Program(tmp_path / "data", {"HEADWATER_QUOTAS__DEFAULT__BLOB_SIZE": "256KiB"})
    program.start()
    try:
        token = next(word for word in program.run("devices", "add", "cam-1").split() if len(word) > 30)
        mine = {"Authorization": f"Bearer {token}"}
        assert ask(program, "POST", "/ingest/cam-1/blob", PICTURE, mine).status == 202
        late = ask(program, "POST", "/ingest/cam-1/blob?at=1763700000000", b"more", mine)
        assert (late.status, late.json["error"]) == (429, "over_quota")
        wait = int(late.headers["retry-after"])
        assert 1 <= wait <= 2
        assert ask(program, "POST", "/ingest/cam-2/blob", b"others go on").status == 202
        time.sleep(wait)
        assert ask(program, "POST", "/ingest/cam-1/blob?at=1763700000000", b"more", mine).status == 202
    finally:
        program.kill()

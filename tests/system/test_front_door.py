"""A new user's first steps, and every kind of bad input, against the running program with clients no one here wrote."""

import gzip
import json
import shutil
import socket
import subprocess
import time
from typing import Any

import pytest

from tests.system.program import Program

pytestmark = pytest.mark.process


def command(name: str, *arguments: str, stdin: bytes | None = None) -> subprocess.CompletedProcess[bytes]:
    assert shutil.which(name), f"{name} is needed: scripts/test installs it on Debian"
    return subprocess.run([name, *arguments], input=stdin, capture_output=True, timeout=60, check=False)


def post(program: Program, body: bytes, *headers: str, path: str = "/ingest") -> tuple[int, Any]:
    options = [part for header in headers for part in ("-H", header)]
    done = command(
        "curl", "-s", "-w", "\n%{http_code}", *options, "--data-binary", "@-", program.url + path, stdin=body
    )
    text, _, status = done.stdout.decode().rpartition("\n")
    return int(status), json.loads(text) if text else None


def publish(program: Program, topic: str, payload: str, *options: str) -> subprocess.CompletedProcess[bytes]:
    return command(
        "mosquitto_pub", "-h", "127.0.0.1", "-p", str(program.mqtt), "-q", "1", "-t", topic, "-m", payload, *options
    )


def value(program: Program, device: str, field: str) -> Any:
    return program.get(f"/api/v1/devices/{device}/latest")["fields"][field]["value"]


def still_works(program: Program) -> None:
    number = time.time_ns() % 10**9
    assert post(program, json.dumps({"device": "witness", "fields": {"number": number}}).encode())[0] == 202
    assert value(program, "witness", "number") == number


def test_a_message_sent_with_curl_is_there_at_once(program: Program):
    body = '{"client_id":1,"device_id":7,"voltage":647,"temperature":110,"sequence":400}'
    done = command("curl", "-s", "-d", body, f"{program.url}/ingest")
    assert json.loads(done.stdout) == {"accepted": 1, "rejected": []}
    latest = program.get("/api/v1/devices/7/latest")
    assert latest["fields"]["voltage"]["value"] == 647
    assert latest["fields"]["temperature"]["value"] == 110
    assert latest["texts"]["client_id"]["value"] == "1"


@pytest.mark.parametrize("version", ["mqttv311", "mqttv5"])
def test_a_message_sent_with_mosquitto_pub_is_there_at_once(program: Program, version: str):
    at = int(time.time() * 1000)
    payload = json.dumps({"at": at, "fields": {"temperature": 21.5}})
    done = publish(program, f"devices/pump-{version}/telemetry", payload, "-V", version)
    assert done.returncode == 0, done.stderr
    assert value(program, f"pump-{version}", "temperature") == 21.5
    (item,) = program.get(f"/api/v1/devices/pump-{version}/history")["items"]
    assert item["flag"] == ""


def test_tail_shows_messages_arriving(program: Program):
    started = subprocess.Popen(
        ["headwater", "tail", "--count", "1", "--device", "seen", "--url", program.url], stdout=subprocess.PIPE
    )
    deadline = time.monotonic() + 20
    while started.poll() is None and time.monotonic() < deadline:
        program.run("send", "seen", "temperature=3.5")
        time.sleep(0.2)
    out, _ = started.communicate(timeout=10)
    assert b"seen" in out
    assert b"temperature=3.5" in out


REJECTED: list[tuple[str, bytes, str]] = [
    ("broken JSON", b'{"device": "x", "fields": {"a": 1', "bad_json"),
    ("not JSON", b"temperature 21", "bad_json"),
    ("NaN", b'{"device": "x", "fields": {"a": NaN}}', "bad_json"),
    ("infinity", b'{"device": "x", "fields": {"a": 1e999}}', "number_too_large"),
    ("invalid UTF-8", b'{"device": "x", "fields": {"a": "\xff"}}', "bad_encoding"),
    ("a wrong type", b'{"device": "x", "fields": [1, 2]}', "bad_shape"),
    ("an object for a value", b'{"device": "x", "fields": {"a": {"b": 1}}}', "bad_shape"),
    ("no device", b'{"fields": {"a": 1}}', "missing_device"),
    ("a wildcard device", b'{"device": "a/+/b", "fields": {"a": 1}}', "bad_device"),
    ("a path for a device", b'{"device": "../../etc/passwd", "fields": {"a": 1}}', "bad_device"),
    ("nothing in it", b'{"device": "x", "fields": {}}', "no_fields"),
    ("a time that is none", b'{"device": "x", "at": "yesterday", "fields": {"a": 1}}', "bad_time"),
    ("a place that is none", b'{"device": "x", "position": {"lat": 91, "lon": 0}}', "bad_position"),
    ("an integer no one can keep", b'{"device": "x", "fields": {"a": 123456789012345678901}}', "number_too_large"),
    ("ten thousand levels", b'{"device":"x","fields":' + b'{"a":' * 10_000 + b"1" + b"}" * 10_001, "too_deep"),
]


@pytest.mark.parametrize(("what", "body", "reason"), REJECTED, ids=[item[0] for item in REJECTED])
def test_bad_messages_are_rejected_with_their_reason_and_the_next_good_one_works(
    program: Program, what: str, body: bytes, reason: str
):
    status, answer = post(program, body)
    assert status == 400, what
    assert answer["accepted"] == 0
    assert answer["rejected"][0]["index"] == 0
    assert answer["rejected"][0]["reason"] == reason
    assert answer["rejected"][0]["detail"]
    still_works(program)


def test_the_good_ones_of_a_batch_are_taken_and_the_bad_ones_named_by_index(program: Program):
    lines = b'{"device":"batch","fields":{"n":1}}\n{"device":"batch"}\nnonsense\n{"device":"batch","fields":{"n":4}}\n'
    status, answer = post(program, lines, "Content-Type: application/x-ndjson")
    assert status == 202
    assert answer["accepted"] == 2
    assert [(item["index"], item["reason"]) for item in answer["rejected"]] == [(1, "no_fields"), (2, "bad_json")]
    assert value(program, "batch", "n") == 4


def test_what_was_rejected_can_be_looked_up_with_its_bytes(program: Program):
    post(program, b'{"device": "quarantined", "fields": {"a": tru}}')
    items = program.get("/api/v1/rejected?limit=1000")["items"]
    found = [item for item in items if "tru}" in str(item["payload"])]
    assert found[0]["reason"] == "bad_json"
    assert found[0]["detail"]


@pytest.mark.parametrize(("at", "flag"), [(0, "past"), ("1970-01-01T00:00:00Z", "past"), (4_102_444_800_000, "future")])
def test_a_clock_that_cannot_be_is_kept_but_not_believed(program: Program, at: int | str, flag: str):
    device = f"clock-{flag}-{str(at)[:4]}"
    assert post(program, json.dumps({"device": device, "at": at, "fields": {"a": 1}}).encode())[0] == 202
    (item,) = program.get(f"/api/v1/devices/{device}/history")["items"]
    assert item["flag"] == flag
    assert item["time"] == item["received"]
    assert item["at"] is not None
    assert post(program, json.dumps({"device": device, "fields": {"a": 2}}).encode())[0] == 202
    assert value(program, device, "a") == 2


def test_a_body_of_ten_megabytes_is_refused(program: Program):
    status, answer = post(program, b'{"device":"x","fields":{"a":"' + b"x" * 10_000_000 + b'"}}')
    assert status == 413
    assert answer["error"]
    still_works(program)


def test_a_gzip_bomb_is_refused_and_good_gzip_taken(program: Program):
    bomb = gzip.compress(b'{"device":"x","fields":{"a":"' + b"x" * 50_000_000 + b'"}}')
    assert post(program, bomb, "Content-Encoding: gzip")[0] == 413
    good = gzip.compress(b'{"device":"zipped","fields":{"a":5}}')
    assert post(program, good, "Content-Encoding: gzip")[0] == 202
    assert value(program, "zipped", "a") == 5


def test_a_retry_with_the_same_id_is_one_message(program: Program):
    body = json.dumps({"device": "retrying", "id": "order-4711", "fields": {"a": 1}}).encode()
    for _ in range(3):
        assert post(program, body) == (202, {"accepted": 1, "rejected": []})
    assert [item["id"] for item in program.get("/api/v1/devices/retrying/history")["items"]] == ["order-4711"]
    keyed = b'{"device": "keyed", "fields": {"a": 1}}'
    for _ in range(3):
        assert post(program, keyed, "Idempotency-Key: once")[0] == 202
    assert [item["id"] for item in program.get("/api/v1/devices/keyed/history")["items"]] == ["once"]


def raw_mqtt(program: Program, data: bytes) -> bytes:
    """Everything the other end says until it closes (or says nothing for three seconds)."""
    with socket.create_connection(("127.0.0.1", program.mqtt), timeout=3) as peer:
        peer.sendall(data)
        said = b""
        try:
            while part := peer.recv(4096):
                said += part
        except TimeoutError:
            said += b"(open)"
        except ConnectionResetError:
            pass
        return said


CONNECT = b"\x10\x10\x00\x04MQTT\x04\x02\x00\x3c\x00\x04test"


@pytest.mark.parametrize(
    ("what", "data", "answer"),
    [
        ("a wrong protocol level", b"\x10\x10\x00\x04MQTT\x09\x02\x00\x3c\x00\x04test", b"\x20"),
        ("a wrong protocol name", b"\x10\x10\x00\x04MQXX\x04\x02\x00\x3c\x00\x04test", b""),
        ("no CONNECT first", b"\xc0\x00", b""),
        ("a length that never ends", CONNECT + b"\x32\xff\xff\xff\xff\xff", b"\x20\x02\x00\x00"),
        ("a packet larger than allowed", CONNECT + b"\x32\xff\xff\xff\x7f", b"\x20\x02\x00\x00"),
        ("a reserved packet type", CONNECT + b"\x00\x00", b"\x20\x02\x00\x00"),
        ("a topic longer than its packet", CONNECT + b"\x32\x04\xff\xff\x00\x01", b"\x20\x02\x00\x00"),
        ("a wildcard in a topic", CONNECT + b"\x32\x08\x00\x03a/+\x00\x01{}"[:10], b"\x20\x02\x00\x00"),
        ("HTTP on the MQTT port", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b""),
    ],
)
def test_malformed_mqtt_ends_the_connection_and_nothing_else(program: Program, what: str, data: bytes, answer: bytes):
    said = raw_mqtt(program, data)
    assert said.startswith(answer), what
    assert not said.endswith(b"(open)"), what
    still_works(program)


def test_a_truncated_packet_is_waited_for_and_a_good_client_is_not_disturbed(program: Program):
    with socket.create_connection(("127.0.0.1", program.mqtt), timeout=5) as peer:
        peer.sendall(CONNECT + b"\x32\x40\x00")
        assert peer.recv(4) == b"\x20\x02\x00\x00"
        still_works(program)


def test_mqtt_5_is_told_why_a_message_was_rejected(program: Program):
    done = publish(program, "devices/told/telemetry", '{"fields": {"a": [1]}}', "-V", "mqttv5", "-d")
    said = (done.stdout + done.stderr).decode()
    assert "PUBACK" in said
    assert "0x99" in said or "RC:153" in said or "Payload format invalid" in said, said


def test_a_client_that_does_not_read_is_cut_and_others_go_on(program: Program):
    subscribe = b"\x82" + bytes([2 + 2 + 15 + 1]) + b"\x00\x01\x00\x0fdevices/flood/#\x00"
    with socket.create_connection(("127.0.0.1", program.mqtt), timeout=5) as peer:
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        peer.sendall(CONNECT + subscribe)
        assert peer.recv(4) == b"\x20\x02\x00\x00"
        line = json.dumps({"device": "flood", "fields": {"a": 1}, "kind": "k" * 60})
        for _ in range(10):
            status, _answer = post(program, "\n".join([line] * 2000).encode(), "Content-Type: application/x-ndjson")
            assert status == 202
        still_works(program)


def test_counters_add_up(program: Program):
    deadline = time.monotonic() + 20
    while True:
        flow = program.get("/api/v1/flow")
        settled = flow["accepted"] + flow["rejected"] + flow["duplicate"] + flow.get("failed", 0)
        # clock entries come all the time, so a few entries of the log are always waiting
        if flow["received"] == settled and all(store["waiting"] <= 8 for store in flow["stores"].values()):
            break
        assert time.monotonic() < deadline, flow
        time.sleep(0.2)
    assert flow["rejected"] >= len(REJECTED)
    assert flow["duplicate"] >= 4


def test_headwater_audit_finds_nothing_missing(program: Program):
    assert "nothing missing, nothing extra" in program.run("audit")

"""A bridge to a real mosquitto: nothing that the broker was told is safe is lost, whoever is killed; each message once."""

import json
import subprocess
import time
import urllib.error
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.system.mosquitto import mosquitto
from tests.system.program import Program
from tests.system.senders import MqttSender, Sent

DEVICES = ("pump-1", "pump-2", "pump-3")


def made(count: int, first: int = 0) -> list[Sent]:
    return [
        {"device": device, "id": f"{device}-{n}", "fields": {"n": n}}
        for n in range(first, first + count)
        for device in DEVICES
    ]


def bridged(folder: Path, name: str, **settings: Any) -> Program:
    home = folder / name
    home.mkdir()
    bridge = {"client_id": f"headwater-{name}", "retry_first": "100ms", "retry_most": "300ms", **settings}
    (home / "config.yaml").write_text(json.dumps({"bridges": {"plant": bridge}}))
    program = Program(home / "data")
    program.start()
    return program


def known(program: Program) -> Counter[str]:
    """How often each id is in the devices' histories."""
    found: Counter[str] = Counter()
    for device in DEVICES:
        path = cursor = f"/api/v1/devices/{device}/history?limit=5000"
        while cursor:
            try:
                answer = program.get(path)
            except urllib.error.HTTPError as error:
                if error.code != 404:  # that: nobody has heard of it yet
                    raise
                break
            found.update(item["id"] for item in answer["items"])
            cursor = answer.get("next")
            path = f"/api/v1/devices/{device}/history?limit=5000&cursor={cursor}"
    return found


def all_there(program: Program, ids: set[str], seconds: float = 20) -> Counter[str]:
    deadline = time.monotonic() + seconds
    while not ids <= (found := known(program)).keys():
        assert time.monotonic() < deadline, f"{len(ids - found.keys())} of {len(ids)} are missing"
        time.sleep(0.2)
    return found


def connected(program: Program, seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while b'"a bridge reads"' not in program.output.read_bytes().rpartition(b" ready: ")[2]:
        assert time.monotonic() < deadline, program.output.read_text()[-2000:]
        time.sleep(0.02)


@pytest.mark.parametrize("version", ["5", "3.1.1"])
def test_killed_under_load_it_has_acknowledged_nothing_that_it_did_not_log(tmp_path: Path, version: str) -> None:
    with mosquitto(tmp_path / "broker") as broker:
        program = bridged(tmp_path, "one", port=broker.port, version=version)
        try:
            connected(program)
            messages = made(400)
            sender = MqttSender(messages, broker.port, "plant")
            sender.start()
            for part in (0.2, 0.5):
                while len(sender.acknowledged) < part * len(messages):
                    assert sender.error is None, sender.error
                    time.sleep(0.01)
                program.kill()
                program.start()
            sender.join(60)
            assert sender.error is None, sender.error
            found = all_there(program, {message["id"] for message in messages})
            assert set(found.values()) == {1}
        finally:
            program.kill()


def test_a_broker_that_is_killed_is_found_again_and_what_it_sends_twice_counts_once(tmp_path: Path) -> None:
    with mosquitto(tmp_path / "broker") as broker:
        program = bridged(tmp_path, "one", port=broker.port)
        try:
            connected(program)
            messages = made(250)
            sender = MqttSender(messages, broker.port, "plant")
            sender.start()
            while len(sender.acknowledged) < 400:
                time.sleep(0.01)
            broker.kill()
            broker.start()
            sender.join(60)
            time.sleep(0.5)
            again = MqttSender(messages, broker.port, "plant")  # what the killed broker has forgotten, and all else
            again.start()
            again.join(60)
            found = all_there(program, {message["id"] for message in messages})
            assert set(found.values()) == {1}
            assert program.exited() is None
        finally:
            program.kill()


def test_two_gateways_share_and_one_takes_over(tmp_path: Path) -> None:
    with mosquitto(tmp_path / "broker") as broker:
        programs = [bridged(tmp_path, name, port=broker.port, session="1s") for name in ("one", "two")]
        try:
            for program in programs:
                connected(program)
            first = made(300)
            sender = MqttSender(first, broker.port, "plant")
            sender.start()
            sender.join(60)
            ids = {message["id"] for message in first}
            deadline = time.monotonic() + 20
            while (one := known(programs[0]).keys()) | (two := known(programs[1]).keys()) != ids:
                assert time.monotonic() < deadline
                time.sleep(0.2)
            assert one
            assert two
            assert not one & two
            assert programs[1].stop() == 0  # it says goodbye: the broker forgets it after a second
            time.sleep(2.5)
            second = made(100, first=300)
            sender = MqttSender(second, broker.port, "plant")
            sender.start()
            sender.join(60)
            all_there(programs[0], {message["id"] for message in second})
        finally:
            for program in programs:
                program.kill()


def test_topics_are_mapped_and_what_is_not_valid_holds_nothing_up(tmp_path: Path) -> None:
    with mosquitto(tmp_path / "broker") as broker:
        mapped = {"plant/+/{device}/state": "devices/{device}/telemetry"}
        program = bridged(tmp_path, "one", port=broker.port, topics=mapped, devices=["pump-*"], in_flight=5)
        try:
            connected(program)
            for n in range(20):
                ours = b'{"id":"pump-1-%d","fields":{"n":%d}}' % (n, n)
                publish(broker.port, "plant/hall/pump-1/state", b"not json", ours)
                publish(broker.port, "elsewhere", b'{"fields":{"n":1}}')
                publish(broker.port, "plant/hall/secret-1/state", b'{"fields":{"n":1}}')
            all_there(program, {f"pump-1-{n}" for n in range(20)})
            reasons = Counter(item["reason"] for item in program.get("/api/v1/rejected?limit=100")["items"])
            assert reasons == {"bad_json": 20, "no_decoder": 20, "not_authorized": 20}
        finally:
            program.kill()


def publish(port: int, topic: str, *payloads: bytes) -> None:
    """By mosquitto_pub, a payload a line, QoS 1."""
    command = ["mosquitto_pub", "-h", "127.0.0.1", "-p", str(port), "-q", "1", "-t", topic, "-l"]
    subprocess.run(command, input=b"\n".join(payloads) + b"\n", timeout=20, check=True)

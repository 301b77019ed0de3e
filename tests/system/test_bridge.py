"""A bridge to a real mosquitto: nothing that the broker was told is safe is lost, whoever is killed; each message once."""

import json
import subprocess
import time
import urllib.error
import urllib.request
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
    (home / "config.yaml").write_text(json.dumps({"mqtt": {"broker": True}, "bridges": {"plant": bridge}}))
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


def connected(program: Program, seconds: float = 20, said: bytes = b"a bridge reads", reads: int = 1) -> None:
    deadline = time.monotonic() + seconds
    while program.output.read_bytes().rpartition(b" ready: ")[2].count(said) < reads:
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


def test_what_is_told_to_devices_behind_the_broker_reaches_them_also_if_it_was_away(tmp_path: Path) -> None:
    with mosquitto(tmp_path / "broker", "autosave_on_changes true\nautosave_interval 1") as broker:
        program = bridged(
            tmp_path, "one", port=broker.port, filters=["devices/#"], back=["valves/#", "devices/+/commands/#"]
        )
        try:
            connected(program)
            connected(program, said=b"a bridge hands back")
            topic = "valves/pump-1/open"
            first = [f"first-{n}".encode() for n in range(50)]
            second = [f"second-{n}".encode() for n in range(50)]
            command = ["mosquitto_sub", "-h", "127.0.0.1", "-p", str(broker.port), "-q", "1", "-c", "-i", "pump-1"]
            subprocess.run([*command, "-t", topic, "-E"], timeout=20, check=True)  # its session is there
            publish(program.mqtt, topic, *first)
            assert hear(command, topic, first) == set(first)
            broker.kill()
            publish(program.mqtt, topic, *second)
            broker.start()
            assert hear(command, topic, second) >= set(second)
            connected(program, reads=2)
            subprocess.run([*command, "-t", "devices/pump-1/commands/+", "-E"], timeout=20, check=True)
            ordered = {"name": "open", "arguments": {"share": 0.5}}
            order = urllib.request.Request(
                f"{program.url}/api/v1/devices/pump-1/commands",
                json.dumps(ordered).encode(),
                {"Content-Type": "application/json"},
            )
            urllib.request.urlopen(order, timeout=20).close()
            told = subprocess.run(
                [*command, "-t", "devices/pump-1/commands/+", "-C", "1", "-W", "15"],
                capture_output=True, timeout=20, check=True,
            )  # fmt: skip
            assert json.loads(told.stdout)["name"] == "open"
            assert program.get("/api/v1/rejected")["items"] == []  # what it handed back does not come in again
        finally:
            program.kill()


def hear(command: list[str], topic: str, wanted: list[bytes]) -> set[bytes]:
    """What mosquitto_sub hears until it has all of that."""
    heard: set[bytes] = set()
    deadline = time.monotonic() + 30
    while not heard >= set(wanted) and time.monotonic() < deadline:
        left = str(len(set(wanted) - heard))
        done = subprocess.run(
            [*command, "-t", topic, "-C", left, "-W", "5"], capture_output=True, timeout=20, check=False
        )
        heard.update(done.stdout.split())
    return heard


def publish(port: int, topic: str, *payloads: bytes) -> None:
    """By mosquitto_pub, a payload a line, QoS 1."""
    command = ["mosquitto_pub", "-h", "127.0.0.1", "-p", str(port), "-q", "1", "-t", topic, "-l"]
    subprocess.run(command, input=b"\n".join(payloads) + b"\n", timeout=20, check=True)

"""The agent: whatever is killed, and however long the line is down, each line is there once, in order."""

import json
import os
import signal
import subprocess
import time
import urllib.error
from collections.abc import Callable, Generator, Sequence
from pathlib import Path

import pytest

from tests.system.mosquitto import mosquitto
from tests.system.program import HEADWATER, Program
from tests.system.senders import MqttSender

DEVICE = "meter-1"


class Agent:
    """One buffer, over any number of lives."""

    def __init__(self, folder: Path, url: str, *options: str) -> None:
        self._buffer = folder / "agent.sqlite"
        self._options = ["--buffer", str(self._buffer), "--url", url, *options]
        self._said = folder / "agent.out"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, stdin: int | None = subprocess.DEVNULL) -> None:
        with self._said.open("ab") as said:
            command = [str(HEADWATER), "agent", *self._options]
            self.process = subprocess.Popen(command, stdin=stdin, stdout=said, stderr=said, env=self._environment())

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait(10)

    def stop(self) -> int:
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(20)

    def status(self) -> str:
        command = [str(HEADWATER), "agent", "--status", "--buffer", str(self._buffer)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=20, env=self._environment(), check=False)
        return done.stdout + done.stderr

    def wait_until(self, told: Callable[[str], bool], seconds: float = 30) -> str:
        deadline = time.monotonic() + seconds
        while not told(said := self.status()):
            assert time.monotonic() < deadline, said + self._said.read_text()
        return said

    def wait_said(self, word: str, seconds: float = 30) -> None:
        """Until its log has it."""
        deadline = time.monotonic() + seconds
        while word not in (said := self._said.read_text()):
            assert time.monotonic() < deadline, said
            time.sleep(0.05)

    def _environment(self) -> dict[str, str]:
        return {**os.environ, "HEADWATER_LOGGING__FORMAT": "json"}


def lines(first: int, last: int) -> bytes:
    each = ({"device": DEVICE, "fields": {"n": n}} for n in range(first, last))
    return b"".join(json.dumps(one).encode() + b"\n" for one in each)


def values(program: Program, device: str = DEVICE) -> list[float]:
    try:
        answer = program.get(f"/api/v1/devices/{device}/history?limit=10000&order=asc")
    except urllib.error.HTTPError as error:
        if error.code != 404:  # that: nobody has heard of it yet
            raise
        return []
    return [item["fields"]["n"] for item in answer["items"]]


def sent(count: int) -> Callable[[str], bool]:
    return lambda said: said.startswith("0 waiting") and f"{count} sent" in said


@pytest.fixture
def program(tmp_path: Path) -> Generator[Program]:
    made = Program(tmp_path / "data")
    yield made
    made.kill()


def test_a_pipe_is_sent_to_its_end(tmp_path: Path, program: Program) -> None:
    program.start()
    agent = Agent(tmp_path, program.url, "--stdin")
    agent.start(subprocess.PIPE)
    assert agent.process is not None
    agent.process.communicate(lines(0, 2500) + b"not json\n", timeout=60)
    assert agent.process.returncode == 0
    assert "2500 sent, 1 rejected" in agent.status()
    assert values(program) == list(range(2500))


def test_line_down_agent_and_server_killed_each_line_of_a_rotated_file_is_there_once(
    tmp_path: Path, program: Program
) -> None:
    file = tmp_path / "readings.ndjson"
    agent = Agent(tmp_path, program.url, "--file", str(file))
    try:
        file.write_bytes(lines(0, 1000) + b'{"device":"met')
        agent.start()  # the line is down
        agent.wait_until(lambda said: said.startswith("1000 waiting"))
        agent.kill()
        with file.open("ab") as half:
            half.write(b'er-1","fields":{"n":1000}}\n' + lines(1001, 1500))
        file.rename(tmp_path / "readings.ndjson.1")  # while it is not running
        file.write_bytes(lines(1500, 3000))
        agent.start()
        agent.wait_until(lambda said: "3000 buffered" in said)
        program.start(failpoints="ingest.appended=kill@2")  # it has logged a batch, and cannot say so any more
        assert program.wait_exit(30) == -9
        agent.kill()
        program.start()
        agent.start()
        agent.wait_until(sent(3000))
        file.rename(tmp_path / "readings.ndjson.2")  # while it is running
        file.write_bytes(lines(3000, 3100))
        agent.wait_until(sent(3100))
        file.write_bytes(b"")  # cut to nothing
        time.sleep(0.6)
        with file.open("ab") as more:
            more.write(lines(3100, 3200))
        agent.wait_until(sent(3200))
        assert agent.stop() == 0
        assert values(program) == list(range(3200))
    finally:
        agent.kill()


def test_killed_under_load_it_has_acknowledged_nothing_to_its_broker_that_it_did_not_keep(
    tmp_path: Path, program: Program
) -> None:
    program.start()
    with mosquitto(tmp_path / "broker") as broker:
        agent = Agent(tmp_path, program.url, "--mqtt", f"127.0.0.1:{broker.port}")
        try:
            agent.start()
            deadline = time.monotonic() + 20
            while "headwater-agent-" not in broker.said():
                assert time.monotonic() < deadline
                time.sleep(0.02)
            messages = [{"device": DEVICE, "id": f"m-{n}", "fields": {"n": n}} for n in range(800)]
            sender = MqttSender(messages, broker.port, "meter")
            sender.start()
            for part in (0.2, 0.6):
                while len(sender.acknowledged) < part * len(messages):
                    assert sender.error is None, sender.error
                    time.sleep(0.01)
                agent.kill()
                agent.start()
            sender.join(60)
            deadline = time.monotonic() + 30
            while len(found := values(program)) < len(messages):
                assert time.monotonic() < deadline, len(found)
                time.sleep(0.2)
            agent.wait_until(lambda said: said.startswith("0 waiting"))
            assert sorted(values(program)) == list(range(800))
        finally:
            agent.kill()


@pytest.mark.parametrize(("full", "kept"), [("wait", range(10)), ("drop-oldest", range(90, 100))])
def test_a_full_buffer_waits_or_forgets_its_oldest(
    tmp_path: Path, program: Program, full: str, kept: Sequence[int]
) -> None:
    agent = Agent(tmp_path, program.url, "--stdin", "--buffer-size", "4KiB", "--full", full)
    try:
        agent.start(subprocess.PIPE)
        assert agent.process is not None
        assert agent.process.stdin is not None
        for n in range(100):
            agent.process.stdin.write(lines(n, n + 1))
            agent.process.stdin.flush()
            time.sleep(0.01)
        if full == "drop-oldest":
            agent.wait_until(lambda said: "100 buffered" in said)
        else:
            agent.wait_until(lambda said: "waiting" in said and not said.startswith("0"))
        program.start()
        agent.process.stdin.close()
        agent.process.wait(40)
        assert agent.process.returncode == 0
        found = values(program)
        assert set(found) >= set(kept)
        assert found == (list(range(100)) if full == "wait" else list(range(100 - len(found), 100)))
        assert f"{100 - len(found)} dropped" in agent.status()
    finally:
        agent.kill()


def test_two_agents_do_not_share_a_buffer(tmp_path: Path, program: Program) -> None:
    agent = Agent(tmp_path, program.url, "--file", str(tmp_path / "none"))
    assert "there is no buffer" in agent.status()
    agent.start()
    try:
        agent.wait_until(lambda said: "0 waiting" in said)
        other = Agent(tmp_path, program.url, "--file", str(tmp_path / "none"))
        other.start()
        assert other.process is not None
        assert other.process.wait(20) == 1
    finally:
        agent.kill()


def test_what_a_local_brokers_devices_say_in_their_own_formats_is_passed_on(tmp_path: Path, program: Program) -> None:
    program.start()
    with mosquitto(tmp_path / "broker") as broker:
        agent = Agent(tmp_path, program.url, "--mqtt", f"127.0.0.1:{broker.port}", "--filter", "#")
        try:
            agent.start()
            deadline = time.monotonic() + 20
            while "headwater-agent-" not in broker.said():
                assert time.monotonic() < deadline
                time.sleep(0.02)
            said = {
                "tele/plug-1/SENSOR": b'{"Time":"2026-11-21T20:00:00","ENERGY":{"Power":41}}',
                "tele/plug-1/LWT": b"Online",
                "devices/pump-7/telemetry": b'{"fields":{"n":1}}',
                "nobody/reads/this": b"\x00\x01",
            }
            for topic, payload in said.items():
                command = [
                    "mosquitto_pub",
                    "-h",
                    "127.0.0.1",
                    "-p",
                    str(broker.port),
                    "-q",
                    "1",
                    "-r",
                    "-t",
                    topic,
                    "-s",
                ]
                subprocess.run(command, input=payload, check=True, timeout=20)
            agent.wait_until(lambda told: told.startswith("0 waiting") and "3 sent, 1 rejected" in told)
            found = program.get("/api/v1/devices/plug-1/latest")
            assert (found["decoder"], found["fields"]["ENERGY.Power"]["value"]) == ("tasmota", 41)
            assert found["texts"]["status"]["value"] == "online"
            assert values(program, "pump-7") == [1]
            (waits,) = program.get("/api/v1/rejected")["items"]
            assert waits["reason"] == "no_decoder"
        finally:
            agent.kill()

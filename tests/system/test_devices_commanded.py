"""Commands and shadows from outside: the command line, paho on the device's side, and a program that is killed."""

import json
import subprocess
import time
from collections.abc import Callable, Iterator

import pytest

from tests.system.program import HEADWATER, Program
from tests.system.pump import SECONDS, Pump

pytestmark = [pytest.mark.process, pytest.mark.timeout(120)]


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    made = Program(tmp_path_factory.mktemp("program"))
    made.start()
    yield made
    made.kill()


def headwater(program: Program, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(HEADWATER), "devices", *arguments, "--url", program.url],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


@pytest.mark.parametrize("version", [4, 5])
def test_a_command_given_by_a_person_is_answered_by_the_device(program: Program, version: int) -> None:
    name = f"pump-{version}"
    with Pump(program.mqtt, name, version, lambda said: {"done": said["arguments"]}):
        said = headwater(program, "command", name, "reboot", '{"delay":5}', "--expires", "1h", "--wait")
    assert (said.returncode, said.stdout) == (0, '{"done": {"delay": 5}}\n'), said.stderr
    listed = headwater(program, "commands", name, "--state", "answered", "--json")
    (one,) = json.loads(listed.stdout)
    assert one["created"] <= one["sent"] <= one["answered"]


def test_one_that_is_away_gets_it_when_it_comes_though_the_program_was_killed(program: Program) -> None:
    said = headwater(program, "command", "pump-8", "open", "--id", "first")
    assert said.stdout == "first\tqueued\n", said.stderr
    program.kill()
    program.start()
    with Pump(program.mqtt, "pump-8", answer=lambda _: True) as pump:
        assert pump.heard.get(timeout=SECONDS)[1]["name"] == "open"
        until(lambda: program.get("/api/v1/devices/pump-8/commands/first")["state"] == "answered")
    with Pump(program.mqtt, "pump-8") as pump:
        assert headwater(program, "command", "pump-8", "open", "--id", "first").stdout == "true\n"
        headwater(program, "command", "pump-8", "close", "--id", "second")
        assert pump.heard.get(timeout=SECONDS)[1]["name"] == "close"


def test_what_expires_and_what_is_wrong_is_said_on_a_line(program: Program) -> None:
    said = headwater(program, "command", "nobody", "open", "--expires", "500ms", "--wait")
    assert (said.returncode, said.stdout.endswith("\texpired\n")) == (1, True)
    for arguments, what in (
        (("command", "nobody", "open", "{"), "is not JSON"),
        (("command", "nobody", "open", "--expires", "soon"), "is not like"),
        (("command", "nobody", "a b"), "no name of a command"),
        (("shadow", "nobody"), "has no shadow yet"),
    ):
        said = headwater(program, *arguments)
        assert said.returncode != 0
        assert what in said.stderr


def test_a_shadow_is_brought_into_line_by_its_device(program: Program) -> None:
    with Pump(program.mqtt, "pump-9") as pump:
        pump.publish("shadow/update", {"reported": {"speed": 900}})
        said = headwater(program, "shadow", "pump-9", "--desired", '{"speed":1200}', "--version", "1")
        assert json.loads(said.stdout)["delta"] == {"speed": 1200}, said.stderr
        while (heard := pump.heard.get(timeout=SECONDS))[0] != "devices/pump-9/shadow/update/delta":
            pass
        pump.publish("shadow/update", {"reported": heard[1]["delta"], "version": heard[1]["version"]})
    assert json.loads(headwater(program, "shadow", "pump-9").stdout)["delta"] == {}
    assert "has version 3" in headwater(program, "shadow", "pump-9", "--desired", "{}", "--version", "1").stderr


def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline, "it never became so"
        time.sleep(0.05)

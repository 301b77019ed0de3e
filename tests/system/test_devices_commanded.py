"""Commands and shadows from outside: the command line, paho on the device's side, and a program that is killed."""

import json
import queue
import subprocess
import time
from collections.abc import Callable, Iterator
from typing import Any, Self

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from tests.system.program import HEADWATER, Program

pytestmark = [pytest.mark.process, pytest.mark.timeout(120)]
SECONDS = 30.0


class Pump:
    """A device: answers each command by what `answer` makes of it; None: it does not answer."""

    def __init__(
        self, port: int, name: str, version: int = 5, answer: Callable[[Any], object | None] = lambda _: None
    ) -> None:
        self.name = name
        self.heard: queue.Queue[tuple[str, Any]] = queue.Queue()
        self._ready: queue.Queue[object] = queue.Queue()
        self._answer = answer
        protocol = MQTTProtocolVersion.MQTTv5 if version == 5 else MQTTProtocolVersion.MQTTv311
        self._client = client = paho.Client(CallbackAPIVersion.VERSION2, f"client-{name}", protocol=protocol)
        client.username_pw_set(name)
        client.on_connect = self._connected
        client.on_subscribe = self._subscribed
        client.on_message = self._message
        client.connect("127.0.0.1", port)
        client.loop_start()
        self._ready.get(timeout=SECONDS)

    def _connected(self, client: paho.Client, *_: object) -> None:
        client.subscribe([(f"devices/{self.name}/{what}", 1) for what in ("commands/+", "shadow/#")])

    def _subscribed(self, *_: object) -> None:
        self._ready.put(None)

    def _message(self, client: paho.Client, _: object, message: paho.MQTTMessage) -> None:
        said = json.loads(message.payload)
        self.heard.put((message.topic, said))
        answer = self._answer(said) if "/commands/" in message.topic else None
        if answer is None:
            return
        given: Properties | None = message.properties
        if given is None:
            client.publish(f"{message.topic}/reply", json.dumps(answer), 1)
        else:
            back = Properties(PacketTypes.PUBLISH)
            back.CorrelationData = given.CorrelationData  # pyright: ignore[reportAttributeAccessIssue]  made by name
            topic: str = given.ResponseTopic  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType]
            client.publish(topic, json.dumps(answer), 1, properties=back)

    def publish(self, topic: str, said: object) -> None:
        sent = self._client.publish(f"devices/{self.name}/{topic}", json.dumps(said), 1)
        sent.wait_for_publish(SECONDS)
        assert sent.is_published()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.disconnect()
        self._client.loop_stop()


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

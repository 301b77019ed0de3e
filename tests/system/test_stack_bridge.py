"""Two gateways read one Mosquitto by one shared subscription, and one is killed: each message logged, counted once."""

import json
import time
import urllib.request
from pathlib import Path

import pytest

from tests.system.foreign import read
from tests.system.mosquitto import mosquitto
from tests.system.program import free_port
from tests.system.senders import MqttSender, Sent
from tests.system.stack import Part, Stack
from tests.system.stack_kit import broker as kafka
from tests.system.stack_kit import get, newest, rows, topic
from tests.system.waiting import until

pytestmark = [pytest.mark.process, pytest.mark.timeout(300)]

COUNT = 1200
DEVICES = 6


def made() -> list[Sent]:
    """Numbered, with the devices' own clocks: what a broker sends again comes late."""
    begin = (time.time_ns() // 1000 // 1_000_000 - COUNT) * 1000
    return [
        {"device": f"pump-{n % DEVICES}", "id": f"m{n}", "at": begin + n * 1000, "fields": {"n": n}}
        for n in range(COUNT)
    ]


class Gateways:
    """`ports`: of their HTTP. Each has a client id of its own, by which Mosquitto knows it again."""

    def __init__(self, stack: Stack, port: int) -> None:
        self._stack = stack
        self._port = port
        self.ports = [free_port(), free_port()]

    def start(self, which: int) -> Part:
        stack = self._stack
        bridge = {"HOST": "127.0.0.1", "PORT": str(self._port), "CLIENT_ID": f"headwater-{which}", "VERSION": "5"}
        before = stack.settings
        stack.settings = before | {f"HEADWATER_BRIDGES__PLANT__{key}": value for key, value in bridge.items()}
        stack.http, stack.mqtt = self.ports[which], free_port()
        part = stack.gateway()
        stack.settings = before
        return part

    def read(self, which: int) -> int:
        """How many messages came to it by its bridge since it started."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.ports[which]}/metrics", timeout=20) as reply:
            lines = reply.read().decode().splitlines()
        found = [line for line in lines if line.startswith('headwater_received_total{transport="bridge"}')]
        return int(float(found[0].rsplit(" ", 1)[1])) if found else 0


def acknowledged(sender: MqttSender, share: float) -> None:
    deadline = time.monotonic() + 60
    while len(sender.acknowledged) < share * COUNT:
        assert sender.error is None, sender.error
        assert time.monotonic() < deadline
        time.sleep(0.01)


def reads(part: Part) -> None:
    until(lambda: b"a bridge reads" in part.output.read_bytes(), True, 30)


def test_two_gateways_share_a_broker_and_one_killed_loses_and_doubles_nothing(stack: Stack, tmp_path: Path) -> None:
    with mosquitto(tmp_path / "broker") as broker:
        gateways = Gateways(stack, broker.port)
        parts = [stack.api(), stack.consumer(), gateways.start(0), gateways.start(1)]
        for part in parts:
            part.wait_ready(150)
        for part in parts[2:]:
            reads(part)
        messages = made()
        sender = MqttSender(messages, broker.port, "plant")
        sender.start()
        acknowledged(sender, 0.3)
        until(lambda: min(gateways.read(0), gateways.read(1)) > 0, True, 30)
        parts[2].kill()
        acknowledged(sender, 0.7)
        again = gateways.start(0)
        again.wait_ready(150)
        reads(again)
        sender.join(60)
        assert sender.error is None, sender.error

        until(lambda: logged(stack) == {one["id"] for one in messages}, True, 60)
        until(lambda: rolled(stack), (COUNT, sum(range(COUNT))), 60)
        assert sorted(one["fields"]["n"] for one in rows(stack)) == list(range(COUNT))
        assert set(newest(stack).values()) == set(range(COUNT - DEVICES, COUNT))
        assert gateways.read(1) < COUNT


def logged(stack: Stack) -> set[str]:
    """Ids on the topic `messages`, as another program reads them."""
    entries = [json.loads(entry.value) for entry in read(kafka(stack), topic(stack, "messages")) if entry.key]
    return {entry["id"] for entry in entries if entry.get("device", "").startswith("pump-")}


def rolled(stack: Stack) -> tuple[int, int]:
    items = get(stack, "reports/day?field=n&limit=5000")["items"]
    return sum(one["count"] for one in items), sum(int(one["sum"]) for one in items)

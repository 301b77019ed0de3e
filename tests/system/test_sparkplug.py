"""A Sparkplug node over a real connection: its names outlive the gateway; for what nobody knows it is asked."""

import queue
import time
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion

from headwater.times import now
from tests.decoders.platforms.test_sparkplug_b import body, metric
from tests.system.program import Program
from tests.system.waiting import until

SECONDS = 30.0
BASE = "spBv1.0/plant"


class Node:
    """An edge node that is born when it is told to, or when it is asked."""

    def __init__(self, port: int) -> None:
        self.asked: queue.Queue[bytes] = queue.Queue()
        self._ready: queue.Queue[Any] = queue.Queue()
        self._client = client = paho.Client(CallbackAPIVersion.VERSION2, "press-2", reconnect_on_failure=False)
        client.on_connect = lambda _client, _data, _flags, _code, _given: self._ready.put(1)
        client.on_subscribe = lambda _client, _data, _id, _codes, _given: self._ready.put(1)
        client.on_message = lambda _client, _data, message: self.asked.put(bytes(message.payload))
        client.connect("127.0.0.1", port)
        client.loop_start()
        self._ready.get(timeout=SECONDS)
        client.subscribe(f"{BASE}/NCMD/press-2", 1)
        self._ready.get(timeout=SECONDS)

    def say(self, kind: str, data: bytes) -> None:
        sent = self._client.publish(f"{BASE}/{kind}/press-2", data, 1)
        sent.wait_for_publish(SECONDS)
        assert sent.is_published()

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


def test_names_outlive_a_kill_and_a_node_whose_names_nobody_knows_is_asked_for_its_birth(tmp_path: Path) -> None:
    program = Program(tmp_path / "data")
    at = now() // 1000
    born = body(metric("Pressure", 7, 3, b"\x50\x05"), seq=0, at=at)
    try:
        program.start()
        node = Node(program.mqtt)
        node.say("NBIRTH", born)
        node.say("NDATA", body(metric("", 7, 3, b"\x50\x06"), seq=1, at=at + 1))
        assert _pressure(program) == 6
        time.sleep(1)  # names are written some milliseconds later
        node.close()
        program.kill()

        program.start()
        node = Node(program.mqtt)
        node.say("NDATA", body(metric("", 7, 3, b"\x50\x07"), seq=2, at=at + 2))
        assert _pressure(program) == 7
        assert node.asked.empty()
        node.say("NDATA", body(metric("", 8, 3, b"\x50\x08"), seq=3, at=at + 3))
        assert b"Node Control/Rebirth" in node.asked.get(timeout=SECONDS)
        until(lambda: [one["reason"] for one in program.get("/api/v1/rejected")["items"]], ["unknown_alias"], SECONDS)
        node.say("NBIRTH", body(metric("Pressure", 8, 3, b"\x50\x09"), seq=0, at=at + 4))
        node.say("NDATA", body(metric("", 8, 3, b"\x50\x0a"), seq=1, at=at + 5))
        assert _pressure(program) == 10
        node.close()
    finally:
        program.kill()


def _pressure(program: Program) -> float:
    return program.get("/api/v1/devices/press-2/latest")["fields"]["Pressure"]["value"]

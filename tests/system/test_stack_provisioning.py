"""One code that is good once, at two gateways at once: one of them adds its device, and both know it."""

import json
import subprocess

import pytest

from headwater.commands.client import Client
from tests.system.program import free_port
from tests.system.stack import Stack
from tests.system.stack_kit import get
from tests.system.waiting import until

pytestmark = [pytest.mark.process, pytest.mark.timeout(300)]


def sends(port: int, name: str, token: str) -> bool:
    """Whether it may: a gateway knows a device a moment after another one has added it."""
    command = ["mosquitto_pub", "-h", "127.0.0.1", "-p", str(port), "-u", name, "-P", token, "-q", "1"]
    message = ["-t", f"devices/{name}/telemetry", "-m", '{"fields":{"t":1}}']
    return subprocess.run([*command, *message], capture_output=True, timeout=30, check=False).returncode == 0


def test_a_code_that_is_good_once_adds_one_device_at_two_gateways(stack: Stack):
    ports = [free_port(), free_port()]
    parts = [stack.api()]
    for port in ports:
        stack.http, stack.mqtt = free_port(), port
        parts.append(stack.gateway())
    for part in parts:
        part.wait_ready(150)
    client = Client(f"http://127.0.0.1:{stack.asking}")
    body = {"name": "LINE-3", "names": "pump-*", "uses": 1}
    code = client.call("POST", "/api/v1/registry/claims", body=body).body["code"]
    asking = [
        subprocess.Popen(
            ["mosquitto_rr", "-h", "127.0.0.1", "-V", "5", "-p", str(port), "-u", "claim", "-P", code, "-q", "1",
             "-t", "provision", "-e", "provision/answer", "-m", json.dumps({"name": f"pump-{number}"})],
            stdout=subprocess.PIPE,
        )
        for number, port in enumerate(ports)
    ]  # fmt: skip
    answers = [json.loads(one.communicate(timeout=60)[0]) for one in asking]
    (given,) = [answer for answer in answers if "token" in answer]
    (refused,) = [answer for answer in answers if "error" in answer]
    assert refused["error"] == "not_authorized"
    for port in ports:
        until(lambda port=port: sends(port, given["name"], given["token"]), True, 10)
    until(lambda: [one["name"] for one in get(stack, "registry/devices")["devices"]], [given["name"]])
    assert get(stack, "registry/claims/LINE-3")["uses"] == 0

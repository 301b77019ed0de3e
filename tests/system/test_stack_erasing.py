"""A device is forgotten on real servers, by the API, while gateway and consumer go on: all others keep what they have."""

import urllib.error

import pytest

from headwater.commands.client import Client
from tests.system.stack import Stack
from tests.system.stack_kit import DEVICES, agreed, get, rows, send, settled
from tests.system.waiting import until

pytestmark = [pytest.mark.process, pytest.mark.timeout(300)]

COUNT = 240
GONE = "pump-3"


def of_device(stack: Stack, path: str) -> int:
    """How much of the answer is the device's."""
    try:
        items = get(stack, path)["items"]
    except urllib.error.HTTPError as error:
        if error.code != 404:  # that: nobody has heard of it
            raise
        return 0
    return sum(one["device"] == GONE for one in items)


def left(stack: Stack) -> dict[str, int]:
    """Where anything of it is still found."""
    asked = {
        "live": "devices?limit=100",
        "history": f"devices/{GONE}/history?limit=5000",
        "documents": f"devices/{GONE}/candidates?limit=5000",
        "search": "search?q=pump&limit=5000",
        "rows": "reports/rows?limit=5000",
        "minutes": "reports/minute?limit=5000",
        "days": "reports/day?limit=5000",
    }
    return {what: found for what, path in asked.items() if (found := of_device(stack, path))}


def test_a_device_is_forgotten_by_every_server_and_the_audit_agrees(stack: Stack) -> None:
    for part in [stack.api(), stack.gateway(), stack.consumer()]:
        part.wait_ready(150)
    send(stack, range(COUNT))
    settled(stack, COUNT)
    everywhere = {"live", "history", "documents", "search", "rows", "minutes", "days"}
    assert left(stack).keys() == everywhere
    client = Client(f"http://127.0.0.1:{stack.asking}")
    client.call("POST", f"/api/v1/registry/devices/{GONE}/erase")
    path = f"/api/v1/registry/erasures/{GONE}"
    until(lambda: client.call("GET", path).body["passes"], 1, 120)
    assert left(stack) == {}
    assert len(rows(stack)) == COUNT - COUNT // DEVICES
    agreed(stack)

"""The flow of several processes as one, on real servers: who runs, what waits, what rests; and who died is gone."""

import urllib.request
from collections.abc import Callable
from typing import Any

import pytest

from tests.system.stack import Part, Stack
from tests.system.stack_kit import get, send, settled
from tests.system.waiting import until

pytestmark = [pytest.mark.process, pytest.mark.timeout(240)]

GROUPS = {
    "live.messages", "documents.candidates", "search.candidates", "reports.messages",
    "lake.messages", "lake.candidates", "lake.rejected",
}  # fmt: skip


def flow(stack: Stack) -> Any:
    return get(stack, "flow")


def processes(stack: Stack) -> Callable[[], object]:
    return lambda: flow(stack)["processes"]


def states(stack: Stack) -> dict[str, str]:
    now = flow(stack)
    return {name: one["state"] for name, one in now["stores"].items()} | {"selector": now["selector"]["state"]}


def waiting(stack: Stack) -> dict[str, int]:
    now = flow(stack)
    return {name: one["waiting"] for name, one in now["stores"].items()} | {"selector": now["selector"]["waiting"]}


def ready(stack: Stack) -> int:
    with urllib.request.urlopen(f"http://127.0.0.1:{stack.asking}/readyz", timeout=20) as reply:
        return reply.status


def gauge(stack: Stack, name: str, group: str) -> float:
    """The sum over partitions."""
    with urllib.request.urlopen(f"http://127.0.0.1:{stack.asking}/metrics", timeout=20) as reply:
        lines = reply.read().decode().splitlines()
    start = f"headwater_{name}{{"
    return sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith(start) and f'group="{group}"' in line)


def test_the_page_knows_all_processes_and_what_becomes_of_them(stack: Stack) -> None:
    everything = {*GROUPS, "selector"}
    parts: list[Part] = [stack.api(), stack.gateway(), stack.consumer(), stack.consumer()]
    for part in parts:
        part.wait_ready()
    until(processes(stack), {"api": 1, "gateway": 1, "consumer": 2}, seconds=30)
    until(lambda: states(stack), dict.fromkeys(everything, "running"), seconds=60)
    send(stack, range(240))
    settled(stack, 240)
    until(lambda: waiting(stack), dict.fromkeys(everything, 0), seconds=30)
    until(lambda: written(stack), dict.fromkeys(GROUPS - {"lake.rejected"}, 240) | {"lake.rejected": 0}, seconds=30)
    now = flow(stack)
    assert (now["received"], now["accepted"], now["selected"], now["selector"]["taken"]) == (240,) * 4
    until(lambda: gauge(stack, "group_members", "live.messages"), 2, seconds=30)

    stack.servers["redis"].freeze()
    try:
        send(stack, range(240, 280))
        until(lambda: states(stack)["live.messages"], "resting", seconds=60)
        assert states(stack) == dict.fromkeys(everything, "running") | {"live.messages": "resting"}
        until(lambda: waiting(stack)["reports.messages"], 0, seconds=30)
        assert 40 <= waiting(stack)["live.messages"] <= 80  # entries: the selector's clock is among them
        assert ready(stack) == 200
    finally:
        stack.servers["redis"].thaw()
    until(lambda: states(stack)["live.messages"], "running", seconds=60)

    parts[2].kill()
    until(processes(stack), {"api": 1, "gateway": 1, "consumer": 1}, seconds=40)
    settled(stack, 280)
    until(lambda: waiting(stack), dict.fromkeys(everything, 0), seconds=60)
    assert parts[3].stop() == 0
    until(processes(stack), {"api": 1, "gateway": 1}, seconds=20)
    assert states(stack) == dict.fromkeys(everything, "stopped")
    send(stack, range(280, 300))
    until(lambda: waiting(stack)["live.messages"] >= 20, wanted=True, seconds=30)
    assert waiting(stack)["documents.candidates"] == 0  # nobody has selected yet
    until(lambda: gauge(stack, "group_lag", "live.messages") >= 20, wanted=True, seconds=30)
    assert gauge(stack, "group_members", "live.messages") == 0
    assert 1 <= gauge(stack, "consumers_wanted", "live.messages") <= 4
    assert flow(stack)["received"] == 300
    for part in parts[:2]:
        assert part.stop() == 0, part.output.read_text()[-3000:]


def written(stack: Stack) -> dict[str, int]:
    return {name: one["written"] for name, one in flow(stack)["stores"].items()}

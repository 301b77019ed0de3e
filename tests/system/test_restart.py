"""Stopping and starting: Ctrl-C loses nothing that was acknowledged, one process has a folder, an empty one starts new.

In: a program of its own for each test, stopped while messages flow. Out: exit codes, times, and what is there afterwards.
"""

import json
import os
import shutil
import signal
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.system.program import Program

SETTINGS = {"HEADWATER_LAKE__FLUSH_EVERY": "1s", "HEADWATER_SELECTION__CLOCK": "1s"}


@pytest.fixture
def program(tmp_path: Path) -> Iterator[Program]:
    running = Program(tmp_path / "data", SETTINGS)
    yield running
    running.kill()


class Sender(threading.Thread):
    """Sends numbered messages by HTTP, ten a request, until it is refused; knows which were acknowledged."""

    def __init__(self, program: Program, device: str) -> None:
        super().__init__(daemon=True)
        self._url = f"{program.url}/ingest/{device}"
        self.acknowledged: list[int] = []
        self.sent = 0

    def run(self) -> None:
        while True:
            numbers = range(self.sent, self.sent + 10)
            self.sent += 10
            body = "\n".join(json.dumps({"id": str(n), "fields": {"n": n}}) for n in numbers).encode()
            asked = urllib.request.Request(self._url, body, {"Content-Type": "application/x-ndjson"})
            try:
                with urllib.request.urlopen(asked, timeout=30) as answer:
                    assert json.loads(answer.read())["accepted"] == 10
            except (OSError, urllib.error.URLError):
                return
            self.acknowledged.extend(numbers)


def numbers(program: Program, device: str) -> list[int]:
    """What the history says, all pages of it."""
    found: list[int] = []
    cursor = ""
    while True:
        page = program.get(f"/api/v1/devices/{device}/history?limit=5000{cursor}")
        found += [item["fields"]["n"] for item in page["items"]]
        if page["next"] is None:
            return found
        cursor = f"&cursor={page['next']}"


def cpu_seconds(pid: int) -> float:
    """What a process has used so far: unlike a clock on the wall, it does not depend on who else is at work."""
    parts = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(parts[11]) + int(parts[12])) / os.sysconf("SC_CLK_TCK")


@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_while_messages_flow_ends_well_and_everything_acknowledged_is_there_once(
    program: Program, sign: signal.Signals
) -> None:
    program.start()
    empty = cpu_seconds(program.pid)
    senders = [Sender(program, f"busy-{number}") for number in range(3)]
    for sender in senders:
        sender.start()
    deadline = time.monotonic() + 20
    while min(len(sender.acknowledged) for sender in senders) < 200:
        assert time.monotonic() < deadline, "too few messages were acknowledged to stop in the midst of them"
        time.sleep(0.02)
    program.send_signal(sign)
    assert program.wait_exit(20) == 0
    for sender in senders:
        sender.join(10)
    program.start()
    assert cpu_seconds(program.pid) < 2 * empty + 1, "so much for a few thousand messages"
    for number, sender in enumerate(senders):
        found = numbers(program, f"busy-{number}")
        assert len(found) == len(set(found))
        assert set(sender.acknowledged) <= set(found) <= set(range(sender.sent))
    program.run("audit", "--data", str(program.data))
    assert program.stop() == 0


def test_a_second_process_on_the_same_folder_is_refused_with_a_sentence_and_the_first_goes_on(program: Program) -> None:
    program.start()
    second = Program(program.data, SETTINGS)
    second.output = program.data.parent / "second.out"
    second.start(wait=False)
    assert second.wait_exit(20) == 1
    said = second.output.read_text().strip()
    assert said == (
        f"Error: the log {program.data}/log.sqlite is in use by another process (pid {program.pid}); stop that one first"
    )
    program.run("send", "still-here", "n=1")
    assert numbers(program, "still-here") == [1]
    assert program.stop() == 0


def test_where_the_folder_was_removed_it_starts_new(program: Program) -> None:
    program.start()
    program.run("send", "gone", "n=1")
    assert program.stop() == 0
    shutil.rmtree(program.data)
    program.start()
    assert program.get("/api/v1/devices")["items"] == []
    program.run("send", "new", "n=2")
    assert numbers(program, "new") == [2]
    assert program.stop() == 0


def test_a_second_ctrl_c_changes_nothing(program: Program) -> None:
    program.start()
    program.run("send", "twice", "n=1")
    program.send_signal(signal.SIGINT)
    program.send_signal(signal.SIGINT)
    assert program.wait_exit(20) == 0
    program.start()
    assert numbers(program, "twice") == [1]
    assert program.stop() == 0

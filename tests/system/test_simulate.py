"""`headwater simulate`: what it says it has sent is there, repetitions once, whatever clocks and luck it gives them."""

import re
from datetime import datetime
from pathlib import Path

from tests.system.program import Program

DEVICES = 5


def test_devices_with_wrong_clocks_losses_repetitions_and_bursts(tmp_path: Path) -> None:
    program = Program(tmp_path / "data")
    try:
        program.start()
        luck = ("--drift", "60s", "--loss", "0.1", "--duplicates", "0.2", "--burst", "500ms")
        said = program.run(
            "simulate",
            "--mqtt",
            f"127.0.0.1:{program.mqtt}",
            "--devices",
            str(DEVICES),
            "--rate",
            "20",
            "--for",
            "3s",
            *luck,
        )
        sent, repeated, lost = map(int, re.findall(r"(\d+) (?:messages sent|of them|lost)", said))
        assert repeated > 0
        assert lost > 0
        off: set[int] = set()
        kept = 0
        for number in range(DEVICES):
            items = program.get(f"/api/v1/devices/sim-{number}/history?limit=10000&order=asc")["items"]
            kept += len(items)
            numbers = [item["seq"] for item in items]
            assert numbers == sorted(set(numbers))
            first = items[0]
            drift = datetime.fromisoformat(first["at"]) - datetime.fromisoformat(first["received"])
            off.add(round(drift.total_seconds()))
        assert kept == sent - repeated
        assert len(off) > 1, "each has a clock of its own"
        assert all(abs(seconds) <= 62 for seconds in off)
    finally:
        program.kill()


def test_nobody_there_is_said(tmp_path: Path) -> None:
    program = Program(tmp_path / "data")
    said = program.run("simulate", "--mqtt", "127.0.0.1:none", "--for", "1s", ok=False)
    assert "HOST:PORT" in said

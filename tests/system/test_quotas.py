"""A device that sends faster than it may, with Debian's mosquitto_pub: slower, whole, and seen in the gateway's own series."""

import json
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from tests.system.program import Program

pytestmark = [pytest.mark.process, pytest.mark.timeout(180)]

COUNT, RATE = 400, 100


def test_a_fast_sender_is_slowed_loses_nothing_and_can_be_watched(tmp_path: Path):
    assert shutil.which("mosquitto_pub"), "mosquitto_pub is needed: scripts/test installs it on Debian"
    program = Program(tmp_path / "data", {"HEADWATER_QUOTAS__REPORT_EVERY": "1s"})
    program.start()
    try:
        token = program.run("devices", "add", "pump-7").strip()
        lines = "".join(json.dumps({"id": f"m{n}", "fields": {"n": n}}) + "\n" for n in range(COUNT))
        begun = time.monotonic()
        done = subprocess.run(
            ["mosquitto_pub", "-h", "127.0.0.1", "-p", str(program.mqtt), "-q", "1", "-u", "pump-7", "-P", token,
             "-t", "devices/pump-7/telemetry", "-l"],
            input=lines, text=True, capture_output=True, timeout=100, check=False,
        )  # fmt: skip
        assert (done.returncode, done.stderr) == (0, "")
        assert time.monotonic() - begun >= COUNT / RATE - 1.5  # a second's worth comes at once
        latest = program.get("/api/v1/devices/pump-7/latest")
        assert latest["fields"]["n"]["value"] == COUNT - 1
        history = program.get(f"/api/v1/devices/pump-7/history?limit={COUNT + 10}")["items"]
        assert {item["fields"]["n"] for item in history} == set(range(COUNT))
        (series,) = [one for one in eventually(program, "/api/v1/devices") if one.startswith("gateway:")]
        assert {"publishes", "bytes", "connects", "devices"} <= program.get(f"/api/v1/devices/{series}/latest")[
            "fields"
        ].keys()
        rates = program.get("/api/v1/devices/rate:pump-7/history?limit=50")["items"]
        assert 50 <= max(item["fields"]["publishes"] for item in rates) <= 250
        assert rates[0]["texts"]["gateway"] == series.removeprefix("gateway:")
    finally:
        program.stop()


def eventually(program: Program, path: str) -> list[str]:
    """Names of devices, as soon as there is a gateway's among them."""
    deadline = time.monotonic() + 20
    while True:
        names = [str(one["device"]) for one in program.get(path)["items"]]
        if any(name.startswith("rate:") for name in names) or time.monotonic() > deadline:
            return names
        time.sleep(0.2)

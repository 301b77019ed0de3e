"""Starts, kills and stops `headwater up` as a process of its own; knows only its command line and its ready line."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
HEADWATER = Path(sys.executable).with_name("headwater")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Program:
    """One data folder and one pair of ports, over any number of lives."""

    def __init__(self, data: Path, settings: dict[str, str] | None = None) -> None:
        self.data = data
        self.http = free_port()
        self.mqtt = free_port()
        self.url = f"http://127.0.0.1:{self.http}"
        self.settings = settings or {}
        self.output = data.parent / f"{data.name}.out"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, failpoints: str = "", days_back: int = 0, *, wait: bool = True) -> None:
        environment = {
            **os.environ,
            "HEADWATER_LOGGING__FORMAT": "json",
            "HEADWATER_FAILPOINTS": failpoints,
            "HEADWATER_CLOCK_SHIFT": str(-86_400 * days_back),
            **self.settings,
        }
        command = [str(HEADWATER), "up", "--data", str(self.data)]
        command += ["--http", f"127.0.0.1:{self.http}", "--mqtt", f"127.0.0.1:{self.mqtt}"]
        seen = self.output.stat().st_size if self.output.exists() else 0
        with self.output.open("ab") as output:
            self._process = subprocess.Popen(
                command, stdout=output, stderr=output, env=environment, cwd=self.data.parent
            )
        if wait:
            self._wait_ready(seen)

    def _wait_ready(self, seen: int, seconds: float = 60) -> None:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            said = self.output.read_bytes()[seen:]
            if b"ready" in said:
                return
            if self.exited() is not None:
                raise AssertionError(f"it ended with {self.exited()} before it was ready:\n{said.decode()[-4000:]}")
            time.sleep(0.02)
        raise AssertionError(f"not ready after {seconds} s:\n{self.output.read_text()[-4000:]}")

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def exited(self) -> int | None:
        return None if self._process is None else self._process.poll()

    def wait_exit(self, seconds: float) -> int:
        assert self._process is not None
        try:
            return self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"still running after {seconds} s: {self.get('/api/v1/flow')}") from None

    def send_signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def kill(self) -> None:
        """SIGKILL: nothing of it runs any more when this returns."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(30)

    def stop(self, seconds: float = 60) -> int:
        """SIGINT, as Ctrl-C sends it; returns the exit code."""
        assert self._process is not None
        self._process.send_signal(signal.SIGINT)
        return self._process.wait(seconds)

    def get(self, path: str) -> Any:
        with urllib.request.urlopen(self.url + path, timeout=60) as reply:
            return json.loads(reply.read())

    def run(self, *arguments: str, ok: bool = True) -> str:
        """Run a command of the program against this process; its standard output."""
        environment = {**os.environ, **self.settings, "HEADWATER_URL": self.url, "HEADWATER_DATA": str(self.data)}
        done = subprocess.run(
            [str(HEADWATER), *arguments], capture_output=True, text=True, timeout=300, env=environment, check=False
        )
        if ok:
            assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + ("" if ok else done.stderr)

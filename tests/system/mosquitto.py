"""A real mosquitto, killed and started again on the same port, with or without what it has kept."""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.system.program import free_port

_FOUND = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin")


class Mosquitto:
    """`more`: lines of its configuration."""

    def __init__(self, folder: Path, more: str = "") -> None:
        if _FOUND is None:
            said = "mosquitto is not installed: apt-get install -y --no-install-recommends mosquitto"
            if os.environ.get("CI"):
                pytest.fail(said, pytrace=False)
            pytest.skip(said)
        folder.mkdir(parents=True)
        self.port = free_port()
        self._config = folder / "mosquitto.conf"
        self._config.write_text(
            f"listener {self.port} 127.0.0.1\nallow_anonymous true\npersistence true\n"
            f"persistence_location {folder}/\nmax_queued_messages 0\nmax_inflight_messages 100\n{more}\n"
        )
        self._said = folder / "mosquitto.log"
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    def start(self) -> None:
        with self._said.open("ab") as said:
            self._process = subprocess.Popen([str(_FOUND), "-c", str(self._config)], stdout=said, stderr=said)
        deadline = time.monotonic() + 10
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
            except OSError:
                assert self._process.poll() is None, self._said.read_text()
                assert time.monotonic() < deadline
                time.sleep(0.02)
            else:
                return

    def said(self) -> str:
        """Its log: who has connected."""
        return self._said.read_text()

    def kill(self) -> None:
        """SIGKILL."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(10)


@contextmanager
def mosquitto(folder: Path, more: str = "") -> Generator[Mosquitto]:
    running = Mosquitto(folder, more)
    try:
        yield running
    finally:
        running.kill()

"""The program as several processes on real servers: gateways, consumers, an API; knows only commands and ready lines."""

import os
import signal
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from uuid import uuid4

from tests.services.server import Server
from tests.system.program import HEADWATER, free_port


class Part:
    """One process. `output`: all that it says."""

    def __init__(self, name: str, arguments: list[str], settings: Mapping[str, str], folder: Path) -> None:
        self.output = folder / f"{name}.out"
        environment = {**os.environ, "HEADWATER_LOGGING__FORMAT": "json", **settings}
        with self.output.open("ab") as output:
            self._process = subprocess.Popen(
                [str(HEADWATER), *arguments], stdout=output, stderr=output, env=environment, cwd=folder
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    def wait_ready(self, seconds: float = 90) -> None:
        deadline = time.monotonic() + seconds
        while b" ready: " not in self.output.read_bytes():
            assert self._process.poll() is None, self.output.read_text()[-4000:]
            assert time.monotonic() < deadline, self.output.read_text()[-4000:]
            time.sleep(0.05)

    def kill(self) -> None:
        """SIGKILL."""
        self._process.kill()
        self._process.wait(30)

    def send_signal(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    def stop(self, seconds: float = 100) -> int:
        """SIGTERM, as a container's end; the exit code."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGCONT)
            self._process.send_signal(signal.SIGTERM)
        return self._process.wait(seconds)


class Stack:
    """One installation on servers that others use too: every name has a prefix of its own."""

    def __init__(self, folder: Path, servers: Mapping[str, Server], settings: Mapping[str, str]) -> None:
        self._folder = folder
        self.servers = servers
        name = f"t{uuid4().hex[:12]}"
        at = {role: f"{server.host}:{server.port}" for role, server in servers.items()}
        minio = servers["minio"]
        self.settings = {
            "HEADWATER_PROFILE": "stack",
            "HEADWATER_KAFKA__SERVERS": f'["{at["kafka"]}"]',
            "HEADWATER_KAFKA__PREFIX": f"{name}.",
            "HEADWATER_REDIS__URL": f"redis://{at['redis']}/0",
            "HEADWATER_REDIS__PREFIX": name,
            "HEADWATER_MONGODB__URL": f"mongodb://{at['mongo']}/?retryWrites=false",
            "HEADWATER_MONGODB__DATABASE": name,
            "HEADWATER_ELASTICSEARCH__URLS": f'["http://{at["elastic"]}"]',
            "HEADWATER_ELASTICSEARCH__PREFIX": name,
            "HEADWATER_MARIADB__HOST": servers["mariadb"].host,
            "HEADWATER_MARIADB__PORT": str(servers["mariadb"].port),
            "HEADWATER_MARIADB__USER": "root",
            "HEADWATER_MARIADB__DATABASE": name,
            "HEADWATER_S3__ENDPOINT": f"http://{at['minio']}",
            "HEADWATER_S3__BUCKET": name,
            "HEADWATER_S3__ACCESS_KEY": minio.access_key,
            "HEADWATER_S3__SECRET_KEY": minio.secret_key,
            **settings,
        }
        self.http, self.mqtt, self.asking = free_port(), free_port(), free_port()
        self.parts: list[Part] = []

    def part(self, *arguments: str) -> Part:
        """Start one more process."""
        name = f"{arguments[0]}-{len(self.parts)}"
        part = Part(name, list(arguments), self.settings, self._folder)
        self.parts.append(part)
        return part

    def api(self) -> Part:
        return self.part("api", "--http", f"127.0.0.1:{self.asking}", "--data", str(self._folder / "api"))

    def gateway(self) -> Part:
        return self.part("gateway", "--http", f"127.0.0.1:{self.http}", "--mqtt", f"127.0.0.1:{self.mqtt}")

    def consumer(self, *roles: str) -> Part:
        folder = self._folder / f"consumer-{len(self.parts)}"
        return self.part("consumer", *roles, "--data", str(folder))

    def check(self) -> tuple[str, int]:
        """What `headwater check` says, and its exit code."""
        addresses = {
            "HEADWATER_HTTP__LISTEN": f"127.0.0.1:{free_port()}",
            "HEADWATER_MQTT__LISTEN": f"127.0.0.1:{free_port()}",
        }
        environment = {**os.environ, **self.settings, **addresses}
        done = subprocess.run(
            [str(HEADWATER), "check", "--data", str(self._folder / "data")],
            capture_output=True, text=True, timeout=120, env=environment, check=False,
        )  # fmt: skip
        return done.stdout, done.returncode

    def audit(self, patience: float = 30) -> tuple[str, int]:
        """What `headwater audit` says, and its exit code."""
        done = subprocess.run(
            [str(HEADWATER), "audit", "--patience", str(patience), "--data", str(self._folder / "nothing")],
            capture_output=True, text=True, timeout=300, env={**os.environ, **self.settings}, check=False,
        )  # fmt: skip
        return done.stdout + done.stderr, done.returncode

    def close(self) -> None:
        for part in self.parts:
            part.send_signal(signal.SIGCONT)
            part.kill()

"""A real server for tests: started, killed, frozen, emptied. In: how its program is run. Out: `Server`, on one port.

Every server is a process group of its own, so that its helpers die and freeze with it. A warden, a shell that reads a
pipe from this process, kills the group when this process ends however it ends: no test run leaves a server behind.
"""

import os
import random
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

HOST = "127.0.0.1"
START_TIME = 90.0  # seconds; Elasticsearch on a busy machine of two cores takes half of it
STOP_TIME = 15.0
_WARDEN = 'read -r _ || kill -KILL "-$1"'  # not "--" before it: dash takes that for a number
_taken: set[int] = set()


class Missing(Exception):
    """The server's program is not on this machine, and why."""


class NotServing(Exception):
    """The server was started and does not serve; with the end of its log."""


class Server(Protocol):
    """A server that tests may take away and give back. One run shares it: tests use names of their own in it."""

    name: str
    host: str
    port: int
    access_key: str
    secret_key: str
    stand_in: bool

    def start(self) -> None:
        """Start with the data there is, on the same port; return when it serves. Nothing, if it runs."""
        ...

    def kill(self) -> None:
        """Kill without a chance to clean up (SIGKILL); return when it is gone."""
        ...

    def freeze(self) -> None:
        """Stop it from answering while its connections stay (SIGSTOP)."""
        ...

    def thaw(self) -> None:
        """End a freeze."""
        ...

    def wipe(self) -> None:
        """Kill, delete its data, start empty."""
        ...

    def close(self) -> None:
        """Kill, and delete its data: at the end of the run."""
        ...


class Started(Protocol):
    """What is asked whether it serves."""

    @property
    def port(self) -> int: ...
    def log_text(self) -> str: ...


@dataclass(slots=True)
class Recipe:
    """How one kind of server is run from a program on this machine."""

    name: str
    command: Callable[["Process"], list[str]]  # writes the configuration, too
    prepare: Callable[["Process"], None] = lambda _: None  # on an empty data folder
    environment: Callable[["Process"], dict[str, str]] = lambda _: {}
    stand_in: bool = False  # not the real thing: tests/services/not_shown.md says what it lacks


def free_port() -> int:
    """A port below those the system gives to clients: one of these could take it while the server is down."""
    try:
        end = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text("ascii").split()[0])
    except OSError:
        end = 32_768
    while True:
        port = random.SystemRandom().randrange(10_000, max(end, 20_000))
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((HOST, port))
            except OSError:
                continue
        if port not in _taken:
            _taken.add(port)
            return port


@dataclass(slots=True)
class Process:
    """A `Server` run from a program on this machine."""

    recipe: Recipe
    ready: Callable[[Started], bool]
    folder: Path
    name: str = ""
    host: str = HOST
    port: int = field(default_factory=free_port)
    second_port: int = field(default_factory=free_port)
    access_key: str = "tests-access"
    secret_key: str = "tests-secret-key"
    stand_in: bool = False
    _group: int = 0
    _process: subprocess.Popen[bytes] | None = None
    _warden: subprocess.Popen[bytes] | None = None

    def __post_init__(self) -> None:
        self.name = self.recipe.name
        self.stand_in = self.recipe.stand_in
        self.folder.mkdir(parents=True, exist_ok=True)

    @property
    def data(self) -> Path:
        return self.folder / "data"

    @property
    def log(self) -> Path:
        return self.folder / "server.log"

    @property
    def pid(self) -> int:
        """Of its first process; 0 while it is not running."""
        return self._group

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        if self.running:
            return
        self.kill()  # what is left of a group whose first process died by itself
        if not self.data.exists():
            self.data.mkdir()
            self.recipe.prepare(self)
        command = self.recipe.command(self)
        environment = os.environ | self.recipe.environment(self)
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment, start_new_session=True
            )
        self._group = self._process.pid
        self._warden = subprocess.Popen(
            ["sh", "-c", _WARDEN, "warden", str(self._group)], stdin=subprocess.PIPE, start_new_session=True
        )
        self._wait_until_ready()

    def _wait_until_ready(self) -> None:
        end = time.monotonic() + START_TIME
        while not self.ready(self):
            if not self.running or time.monotonic() > end:
                self.kill()
                raise NotServing(f"{self.name} does not serve:\n{self.log_text()[-2000:]}")
            time.sleep(0.05)

    def kill(self) -> None:
        if self._group:
            self._signal(signal.SIGKILL)
        if self._process is not None:
            self._process.wait(STOP_TIME)
            self._process = None
        end = time.monotonic() + STOP_TIME
        while self._group and self._signal(signal.SIGKILL):
            if time.monotonic() > end:
                raise NotServing(f"{self.name}: a process of group {self._group} can't be killed")
            time.sleep(0.01)
        self._group = 0
        if self._warden is not None:
            self._warden.communicate(b"the server is gone\n", timeout=STOP_TIME)
            self._warden = None

    def _signal(self, number: signal.Signals) -> bool:
        """Send it to the group; whether anyone was there."""
        try:
            os.killpg(self._group, number)
        except ProcessLookupError:
            return False
        return True

    def freeze(self) -> None:
        """All its threads stand still when this returns: a signal alone leaves them time for one more answer."""
        if self._group:
            self._signal(signal.SIGSTOP)
            end = time.monotonic() + STOP_TIME
            while not _stands_still(self._group) and time.monotonic() < end:
                time.sleep(0.001)

    def thaw(self) -> None:
        if self._group:
            self._signal(signal.SIGCONT)

    def wipe(self) -> None:
        self.kill()
        shutil.rmtree(self.data, ignore_errors=True)
        self.start()

    def close(self) -> None:
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def log_text(self) -> str:
        return self.log.read_text("utf-8", "replace") if self.log.exists() else ""


def _stands_still(pid: int) -> bool:
    states: list[str] = []
    for task in Path(f"/proc/{pid}/task").glob("*/stat"):
        with suppress(OSError):
            states.append(task.read_text().rpartition(")")[2].split()[0])
    return set(states) <= {"T", "t"}

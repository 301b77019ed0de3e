"""Containers of a compose project, as tests see them. In: services by name. Out: what they are, and what a command in them says."""

import json
import os
import signal
import subprocess
import urllib.error
import urllib.request
from typing import Any

_NO_PROXY = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def _docker(*arguments: str) -> str:
    done = subprocess.run(["docker", *arguments], capture_output=True, text=True, timeout=180, check=False)
    assert done.returncode == 0, f"docker {' '.join(arguments[:5])}: {done.stdout[-1000:]}{done.stderr[-3000:]}"
    return done.stdout


def compose(*arguments: str) -> str:
    """What `docker compose …` prints; fails if it does."""
    return _docker("compose", *arguments)


def shell(service: str, command: str) -> str:
    """What a command in the first container of a service prints."""
    return compose("exec", "-T", service, "sh", "-c", command)


class Container:
    """One container, as it was when asked for."""

    def __init__(self, name: str) -> None:
        self._all: dict[str, Any] = json.loads(_docker("inspect", name))[0]
        state: dict[str, Any] = self._all["State"]
        self.health = str(state.get("Health", {}).get("Status"))
        self.exit_code = int(state["ExitCode"])
        self.out_of_memory = bool(state["OOMKilled"])
        self.restarts = int(self._all["RestartCount"])
        self.memory_limit = int(self._all["HostConfig"]["Memory"])

    @property
    def address(self) -> str:
        """In the project's network."""
        (network,) = self._all["NetworkSettings"]["Networks"].values()
        return str(network["IPAddress"])

    @property
    def ports(self) -> list[str]:
        """ADDRESS:PORT of the host that lead here."""
        bindings = self._all["NetworkSettings"]["Ports"].values()
        return [f"{to['HostIp']}:{to['HostPort']}" for some in bindings for to in some or ()]

    def run(self, command: str) -> str:
        """What a command in it prints."""
        return _docker("exec", self._all["Id"], "sh", "-c", command)

    def kill(self) -> None:
        """SIGKILL its process, as the kernel does when memory ends; `docker kill` would mean that it is to stay away."""
        os.kill(int(self._all["State"]["Pid"]), signal.SIGKILL)

    def again(self) -> "Container":
        """As it is now."""
        return Container(self._all["Id"])


def containers(service: str) -> list[Container]:
    """All of a service, those that have ended too."""
    return [Container(name) for name in compose("ps", "--all", "--quiet", service).split()]


def ask(url: str, token: str = "", data: bytes | None = None, kind: str = "application/json") -> tuple[int, str]:
    """Status and text of an answer, whatever the status."""
    headers = {"Content-Type": kind} | ({"Authorization": f"Bearer {token}"} if token else {})
    request = urllib.request.Request(url, data, headers)
    try:
        with _NO_PROXY.open(request, timeout=60) as reply:
            return reply.status, reply.read().decode("utf-8")
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode("utf-8")
